"""Pickles that are no checkpoints, of scikit-learn's joblib and plain ones: what they would import, and their arrays."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import replace

from aiosd.models.formats.dtypes import BITS, bytes_of, parameters_of
from aiosd.models.pickles import Global, Made, Pairs, Walk
from aiosd.models.reading import Contents, Harmful, Malformed, Region, StoredTensor, TooMuch, clean, count_elements, shown
from aiosd.models.version import Schema

_SUFFIXES = (".joblib", ".pkl", ".pickle", ".sav")
WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}
_FRAMEWORKS = ("sklearn", "xgboost", "lightgbm", "catboost", "statsmodels", "torch", "tensorflow", "keras", "transformers", "spacy")
_VERSIONS = {"_sklearn_version": "scikit-learn"}
_WIDTHS = {"V": 1, "S": 1, "U": 4}  # bytes of a record, of a letter
_HAS_OBJECTS = 1  # numpy's flag
_BOMB = 400  # times as much as it takes: no model is packed so well
_LZMA_BYTES = 256 << 20  # of memory that an archive may claim

# How joblib packs, by the first bytes. A new decompressor has `decompress(data, most)`.
_PACKED: tuple[tuple[bytes, Callable[[], "zlib._Decompress | bz2.BZ2Decompressor | lzma.LZMADecompressor"]], ...] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(zlib.MAX_WBITS | 16)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _LZMA_BYTES)),
    (b"\x5d\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, _LZMA_BYTES)),
    (b"\x78", zlib.decompressobj),
)


def matches(name: str, head: bytes) -> bool:
    """A `.sav` may be of SPSS as well."""
    return name.endswith(_SUFFIXES) and (not name.endswith(".sav") or head.startswith(b"\x80"))


def read(region: Region) -> Contents:
    """Raises Malformed and TooMuch."""
    plain, is_packed = _plain(region)
    walk = JoblibWalk(plain)
    root = walk.load()
    tensors = [replace(one, size=-1, offset=0) for one in walk.arrays] if is_packed else walk.arrays
    modules = sorted({one.module.partition(".")[0] for one in walk.globals})
    made_by = root.made_by if isinstance(root, Made) else ""
    metadata = {"class": clean(made_by), "imports": clean(", ".join(modules))}
    notes = () if walk.at == plain.size else (f"{plain.size - walk.at} bytes behind the pickle were not read",)
    return Contents(
        Schema(
            format="joblib" if walk.is_joblib else "pickle",
            framework=_framework(walk, modules),
            parameters=parameters_of(tensors),
            tensors=len(tensors),
            metadata={name: value for name, value in metadata.items() if value},
            notes=notes,
        ),
        tensors,
    )


def _framework(walk: "JoblibWalk", modules: list[str]) -> str:
    name = next((one for one in _FRAMEWORKS if one in modules), "")
    name = "scikit-learn" if name == "sklearn" else name
    return f"{name} {walk.version}".strip() if name else ""


def _plain(region: Region) -> tuple[Region, bool]:
    """(what is walked, whether it was packed). Raises TooMuch for more than a reader unpacks, Harmful for a bomb."""
    if not is_packed(region.head(8)):
        return region, False
    most = region.limits.unpacked_bytes
    out, used, _ = unpacked(region, most)
    refuse_bomb(len(out), used, most)
    if len(out) > most:
        raise TooMuch(f"it unpacks to more than the {most} bytes that are read")
    return Region(io.BytesIO(out), region.limits), True


def is_packed(head: bytes) -> bool:
    return any(head.startswith(magic) for magic, _ in _PACKED)


def refuse_bomb(size: int, used: int, most: int) -> None:
    """Raises Harmful when `used` bytes became more than `most`, and unreasonably so."""
    if size > most and used * _BOMB < size:
        raise Harmful(f"{used} bytes of it unpack to more than {most}: it is made to fill whatever unpacks it")


def unpacked(region: Region, most: int) -> tuple[bytes, int, bool]:
    """(what it unpacks to, at most one byte more than `most`; how many of its own bytes that took; whether more is packed behind it). Raises Malformed."""
    head = region.head(8)
    start = next(start for magic, start in _PACKED if head.startswith(magic))
    unpacker, out, at = start(), bytearray(), 0
    try:
        while at < region.size and not unpacker.eof and len(out) <= most:
            data = region.read(at, min(1 << 16, region.size - at))
            at += len(data)
            out += unpacker.decompress(data, most + 1 - len(out))
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise Malformed(f"what it is packed in is damaged: {error}") from None
    return bytes(out), at, bool(unpacker.unused_data) or (unpacker.eof and at < region.size)


class JoblibWalk(Walk):
    """joblib puts each array behind the object that describes it, as raw bytes in the middle of the pickle."""

    __slots__ = ("arrays", "is_joblib", "version")

    def __init__(self, region: Region, at: int = 0) -> None:
        super().__init__(region, at)
        self.arrays: list[StoredTensor] = []
        self.is_joblib = False
        self.version = ""

    def built(self, made: Made) -> None:
        state = made.state
        if not isinstance(state, Pairs):
            return
        for key, name in _VERSIONS.items():
            found = state.get(key)
            if isinstance(found, str) and name:
                self.version = clean(found)
        if made.made_by == WRAPPER:
            self.is_joblib = True
            self._pass_array(state)

    def _pass_array(self, state: Pairs) -> None:
        name = f"array {len(self.arrays)}"
        shape, dtype = state.get("shape"), _dtype(state.get("dtype"))
        if not isinstance(shape, tuple) or not all(type(one) is int for one in shape):
            raise Malformed(f"{name} has no shape")
        if dtype == "object":
            self._pass_objects()
            return
        size, is_tensor = bytes_of(dtype, shape, name), True
        if size < 0:
            size, is_tensor = item_bytes(state.get("dtype")) * count_elements(shape, name), False
        if size < 0:
            raise TooMuch(f"{name} has elements of type {shown(dtype)}, which is not known here")
        if state.get("numpy_array_alignment_bytes") is not None:
            self.at += 1 + self.region.read(self.at, 1)[0]
        if self.at + size > self.region.size:
            raise Malformed(f"{name} claims {size} bytes at offset {self.at}, the file has {self.region.size}")
        order = state.get("order")
        stride = _fortran(shape) if order == "F" and len(shape) > 1 else ()
        if is_tensor:
            self.arrays.append(StoredTensor(name, dtype, shape, self.at, size, stride=stride))
        self.at += size

    def _pass_objects(self) -> None:
        """An array of objects is a pickle of its own."""
        inner = self.inside()
        try:
            inner.load()
        finally:
            self.adopt(inner)
        self.at = inner.at

    def inside(self) -> Walk:
        """The walk of a pickle that begins here."""
        return Walk(self.region, self.at)

    def adopt(self, inner: Walk) -> None:
        self.globals |= {one: at for one, at in inner.globals.items() if one not in self.globals}
        self.called |= inner.called


def _dtype(made: object) -> str:
    """By numpy's letter and size: "f8" is float64. "object" for what is pickled."""
    letters = made.arg(0) if isinstance(made, Made) and isinstance(made.callee, Global) and made.callee.name == "dtype" else ""
    if not isinstance(letters, str) or not letters:
        return "unknown"
    if letters[0] == "O":
        return "object"
    if letters[0] == "b" or letters == "?":
        return {"b1": "bool"}.get(letters, "bool" if letters == "?" else "unknown")
    bits = int(letters[1:]) * 8 if letters[1:].isascii() and letters[1:].isdigit() and len(letters) < 6 else 0
    spelt = f"{_KINDS.get(letters[0], '?')}{bits}"
    return spelt if spelt in BITS else letters[:32]


def item_bytes(made: object) -> int:
    """What an element of this dtype of numpy takes, texts and records included; -1: not known, or it may have objects in it.

    Objects are where its letter says so; what is set up to have some after all is not known.
    """
    if not (isinstance(made, Made) and made.made_by == "numpy.dtype" and isinstance(letters := made.arg(0), str) and letters):
        return -1
    state = made.state if isinstance(made.state, tuple) else (3, "|", None, None, None, -1, -1, 0)
    if len(state) < 8 or type(state[7]) is not int or state[7] & _HAS_OBJECTS:
        return -1
    base, fields, claimed = state[2], state[4], state[5]
    inner = [base] if base is not None else [value for _, value in fields.pairs] if isinstance(fields, Pairs) else []
    if (base, fields) != (None, None) and not (inner and all(isinstance(one, tuple) and one and item_bytes(one[0]) >= 0 for one in inner)):
        return -1
    digits = letters[1:]
    count = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else -1
    if letters[0] in _WIDTHS and count >= 0:
        return claimed if claimed == count * _WIDTHS[letters[0]] else -1
    spelt = _dtype(made)
    return BITS[spelt] // 8 if spelt in BITS and not inner else -1


def _fortran(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in shape:
        strides.append(step)
        step *= size
    return tuple(strides)

"""PyTorch checkpoints, the archives of today and the pickles of before 1.6, read without unpickling."""

from collections.abc import Iterator, Mapping

from aiosd.models.formats import torchscript, zipped
from aiosd.models.formats.dtypes import BITS, parameters_of
from aiosd.models.formats.torch_archive import archived, prefix_of
from aiosd.models.formats.torch_tensors import Asked, Storage, asked, distinct, tensors
from aiosd.models.pickles import Pairs, Walk
from aiosd.models.reading import Contents, Malformed, Region, StoredTensor, shown
from aiosd.models.version import Schema

_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".pt2", ".jit", ".ts", ".torchscript")
MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa850192e")  # LONG1 of torch's magic number, STOP; after two bytes of protocol
_MEMBERS = (b"/data.pkl", b"/version", b"/byteorder", b"/constants.pkl")


def matches(name: str, head: bytes) -> bool:
    if head[2:].startswith(MAGIC):
        return True
    if not head.startswith(zipped.MAGIC):
        return False
    first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return name.endswith(_SUFFIXES) or first.endswith(_MEMBERS)


def read(region: Region) -> Contents:
    """Raises Malformed and TooMuch."""
    if region.head(4) != zipped.MAGIC:
        return _read_legacy(region)
    members = zipped.members(region)
    prefix = prefix_of(members)
    if f"{prefix}constants.pkl" in members or any(name.startswith(f"{prefix}code/") for name in members):
        return torchscript.read(region, members, prefix)
    found = archived(region, members, prefix, "data")[0]
    return _contents(found, {"layout": "zip", **_texts(region, members, prefix)})


def _texts(region: Region, members: Mapping[str, zipped.Member], prefix: str) -> dict[str, str]:
    named = {name: members.get(prefix + name) for name in ("version", "byteorder")}
    return {name: zipped.unpack(region, one)[:64].decode(errors="replace").strip() for name, one in named.items() if one is not None}


def _contents(found: list[StoredTensor], metadata: Mapping[str, str], notes: tuple[str, ...] = ()) -> Contents:
    count = parameters_of(distinct(found))
    return Contents(Schema(format="pytorch", framework="pytorch", parameters=count, tensors=len(found), metadata=dict(metadata), notes=notes), found)


def _read_legacy(region: Region) -> Contents:
    """Magic number, protocol, facts of the system, the object, the keys of its storages; then the storages in that order."""
    at = 0
    for _ in range(2):
        start = Walk(region, at)
        start.load()
        at = start.at
    system = Walk(region, at)
    about = system.load()
    checkpoint = Walk(region, system.at)
    root = checkpoint.load()
    order = Walk(region, checkpoint.at)
    keys = order.load()
    little = about.get("little_endian") if isinstance(about, Pairs) else True
    notes = () if little is not False else ("its numbers are big-endian",)
    return _contents(tensors(region, root, _legacy_storages(region, checkpoint, keys, order.at)), {"layout": "legacy pickle"}, notes)


def _legacy_storages(region: Region, checkpoint: Walk, keys: object, at: int) -> "_Storages":
    described = {one.key: one for one in _all_asked(checkpoint)}
    places: dict[str, Storage] = {}
    for key in keys if isinstance(keys, list) else ():
        if not isinstance(key, str) or key not in described:
            raise Malformed("its list of storages names one that no tensor has")
        dtype, claimed = described[key].dtype, described[key].elements
        (elements,) = region.unpack("<q", at)
        if elements != claimed:
            raise Malformed(f"storage {shown(key)} has {elements} elements at offset {at}, where {claimed} are expected")
        places[key] = Storage(dtype, elements, at + 8)
        at += 8 + elements * BITS[dtype] // 8
        if at > region.size:
            raise Malformed(f"storage {shown(key)} ends at {at}, the file has {region.size} bytes")
    return _Storages(places)


def _all_asked(checkpoint: Walk) -> Iterator[Asked]:
    """The storages; a module that was saved whole asks for its source text in the same way."""
    for persistent in checkpoint.persistent:
        if not (isinstance(persistent, tuple) and persistent[:1] == ("module",)):
            yield asked(persistent)


class _Storages:
    """Finds the storage that a tensor of a legacy file asks for; one may be a view into another."""

    def __init__(self, places: Mapping[str, Storage]) -> None:
        self._places = places

    def __call__(self, wanted: Asked) -> Storage:
        found = self._places.get(wanted.key)
        if found is None:
            raise Malformed(f"storage {shown(wanted.key)} is not in the file")
        start, elements = wanted.view or (0, found.elements)
        if start < 0 or elements < 0 or start + elements > found.elements:
            raise Malformed(f"a view of storage {shown(wanted.key)} leaves it")
        return Storage(found.dtype, elements, found.offset + start * BITS[found.dtype] // 8)

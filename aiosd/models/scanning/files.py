"""One file, by what it begins with and not by its name: pickles wherever they lie, archives with what is in them, arrays, and code in Keras' files."""

import ast
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

from aiosd.models.findings import ScanFinding, Severity
from aiosd.models.formats import joblib, keras, pytorch, savedmodel, zipped
from aiosd.models.reading import Harmful, Limits, Malformed, Region, TooMuch, Unreadable, clean
from aiosd.models.scanning import configured, tarred
from aiosd.models.scanning.pickled import Followed, Told, follow, without_joblib

MOST_TOLD = 50  # of one file
_DEEPEST = 4  # archives in each other
_HEAD_BYTES = 512
_SOME_OPCODES = 32  # bytes that are opcodes, one after the other, are no coincidence
_PROTOCOL = b"\x80"  # how a pickle of protocol 2 and above begins
_NUMPY, _SEVEN_ZIP, _RAR = b"\x93NUMPY", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07"
_UNREAD = {_SEVEN_ZIP: "7z", _RAR: "RAR", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"\x1f\x9d": "compress"}
_ARCHIVES = (_SEVEN_ZIP, _RAR)  # of these it cannot be told by what they begin with whether a pickle is in them
# What is loaded by pickle whatever it begins with: it is told, too, when it is none.
_PICKLES = (".pkl", ".pickle", ".pck", ".pcl", ".p", ".joblib", ".dill", ".pt", ".pth")
_PACKED = (".gz", ".z", ".bz2", ".xz", ".lzma", ".lz4", ".zst", ".zstd")
_CONFIGURATIONS = (keras.CONFIG, "model.json")
_SCRIPTED = ("constants.pkl", "code/")
_LIMITS = replace(Limits(), read_bytes=8 << 30)


def scan(path: str, file: BinaryIO) -> list[ScanFinding]:
    """What whoever loads this file should know. Raises Harmful for what is made to do harm to whoever unpacks it."""
    return [ScanFinding(clean(where), severity, clean(what)) for where, severity, what in _first(_look(path, Region(file, _LIMITS), 0))]


def scan_all(paths: Iterable[str], open: Callable[[str], BinaryIO]) -> tuple[list[ScanFinding], Mapping[str, str]]:
    """Of all files: (what whoever loads them should know, why some are not to be taken at all). Never raises for what is in them."""
    found: list[ScanFinding] = []
    refused: dict[str, str] = {}
    for path in sorted(paths):
        try:
            with open(path) as file:
                found += scan(path, file)
        except Harmful as error:
            refused[path] = str(error)
        except (Unreadable, MemoryError, RecursionError, OSError) as error:
            found.append(ScanFinding(clean(path), Severity.BROKEN, f"it cannot be looked at: {clean(str(error)) or type(error).__name__}"))
    if len(found) > MOST_TOLD:
        found = [*found[:MOST_TOLD], ScanFinding("", Severity.BROKEN, f"{len(found) - MOST_TOLD} more findings")]
    return found, refused


_Found = tuple[str, Severity, str]


def _first(found: Iterator[_Found]) -> list[_Found]:
    return list({one: None for one, _ in zip(found, range(MOST_TOLD), strict=False)})


def _look(path: str, region: Region, depth: int, *, scripted: bool = False) -> Iterator[_Found]:
    head, name = region.head(_HEAD_BYTES), path.lower()
    if not head:
        return
    if depth > _DEEPEST:
        yield path, Severity.BROKEN, f"it is more than {_DEEPEST} archives deep"
        return
    try:
        yield from ((where or path, severity, what) for where, severity, what in _by_head(path, name, head, region, depth, scripted))
    except Harmful:
        raise
    except Unreadable as error:
        yield path, Severity.BROKEN, f"it cannot be looked at: {error}"


def _by_head(path: str, name: str, head: bytes, region: Region, depth: int, scripted: bool) -> Iterator[_Found]:
    if tarred.matches(head):
        if head.startswith((zipped.MAGIC, _PROTOCOL)) or _named(name):
            yield "", Severity.DANGER, "it is an archive of tar as well: what is loaded depends on who loads it"
        for member, inner in tarred.members(region):
            yield from _look(f"{path}!{member}", inner, depth + 1)
        return
    if head.startswith(zipped.MAGIC):
        yield from _zip(path, region, depth)
        return
    if zipped.ends_as_archive(region):
        yield "", Severity.DANGER, "an archive is appended to it: what is loaded depends on who loads it"
    if head.startswith(_NUMPY):
        yield from _plain(_numpy(region))
    elif (at := keras.hdf5_at(region)) is not None:
        yield from _plain(configured.in_hdf5(region, at))
    elif joblib.is_packed(head):
        yield from _packed(path, name, region, depth)
    elif (kind := next((kind for magic, kind in _UNREAD.items() if head.startswith(magic)), "")) and (head.startswith(_ARCHIVES) or _named(name)):
        yield "", Severity.BROKEN, f"it is packed by {kind}, which is not read here"
    elif head[2:].startswith(pytorch.MAGIC):
        yield from _plain(_legacy(region))
    else:
        yield from _plain(_unmarked(name, region, scripted=scripted))


def _plain(told: Iterator[Told]) -> Iterator[_Found]:
    return (("", severity, what) for severity, what in told)


def _named(name: str) -> bool:
    bare = next((name.removesuffix(suffix) for suffix in _PACKED if name.endswith(suffix)), name)
    return bare.endswith(_PICKLES)


def _unmarked(name: str, region: Region, *, scripted: bool) -> Iterator[Told]:
    """A file that does not say by its first bytes what it is."""
    if name.endswith(savedmodel.MODEL_FILE):
        yield from configured.in_graph(region)
    elif name.endswith(_CONFIGURATIONS) and region.size <= region.limits.header_bytes:
        yield from configured.in_json(region.read(0, region.size))
    yield from _pickle(name, region, scripted=scripted)


# Pickles


def _pickle(name: str, region: Region, *, at: int = 0, scripted: bool = False, certain: bool = False) -> Iterator[Told]:
    """Of a file that nothing says to be a pickle only what no other file has: names that it would import."""
    found, marked = follow(region, at, scripted=scripted), region.read(at, 1) == _PROTOCOL
    if certain or _named(name) or (marked and not found.trouble):
        yield from _of_pickle(region, at, found)
    elif not found.trouble and found.has_names:
        yield from found.told
    elif marked and found.has_names:
        yield from found.told
        yield _cut(found)
    else:
        yield from (one for one in found.told if one[0] is Severity.DANGER and found.has_names)


def _of_pickle(region: Region, at: int, found: Followed) -> Iterator[Told]:
    yield from found.told
    if found.trouble:
        yield _cut(found)
    elif found.end < region.size:
        yield Severity.BROKEN, f"{region.size - found.end} bytes follow the pickle"
    if found.is_joblib:
        yield from without_joblib(region, at, found.names)


def _cut(found: Followed) -> Told:
    return Severity.BROKEN, f"as a pickle it cannot be followed to its end: {found.trouble}"


def _begins_as_one(begin: Region) -> bool:
    """Of what is packed its beginning: whether all of it has to be looked at."""
    if begin.head(4) in (zipped.MAGIC, _NUMPY[:4]) or begin.head(1) == _PROTOCOL or tarred.matches(begin.head(_HEAD_BYTES)):
        return True
    found = follow(begin)
    return found.has_names or not found.trouble or found.end > _SOME_OPCODES


def _legacy(region: Region) -> Iterator[Told]:
    """PyTorch's before 1.6: five pickles, then the storages."""
    at = 0
    for _ in range(5):
        found = follow(region, at, arrays=False)
        yield from found.told
        if found.trouble:
            yield _cut(found)
            return
        at = found.end


def _numpy(region: Region) -> Iterator[Told]:
    """An array of objects is a pickle behind the header."""
    version = region.read(6, 1)[0]
    at, layout = (10, "<H") if version == 1 else (12, "<I")
    (length,) = region.unpack(layout, 8)
    if length > region.limits.header_bytes:
        raise TooMuch(f"its header claims {length} bytes")
    try:
        header = ast.literal_eval(region.read(at, length).decode("latin-1"))
        types = list(_types(header["descr"]))
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
        yield Severity.BROKEN, "its header cannot be read"
        return
    if any("O" in one or "object" in one.lower() for one in types):
        yield from _pickle("", region, at=at + length, certain=True)


def _types(described: object) -> Iterator[str]:
    """The types in a description of numpy's, without the names of fields. Raises TypeError for what is none."""
    match described:
        case str(name):
            yield name
        case (inner, _) if isinstance(described, tuple):
            yield from _types(inner)
        case list(fields):
            for _, inner, *_ in fields:
                yield from _types(inner)
        case _:
            raise TypeError(described)


# Archives


def _zip(path: str, region: Region, depth: int) -> Iterator[_Found]:
    members = zipped.members(region)
    if odd := zipped.oddity(region, members):
        yield "", Severity.DANGER, f"programs differ in what they see in this archive: {odd}"
    scripted = any(name.partition("/")[2].startswith(_SCRIPTED) for name in members)
    for name, member in members.items():
        if name.endswith("/"):
            continue
        where = f"{path}!{name}"
        if scripted and name.partition("/")[2].startswith("code/"):
            yield from ((where, *one) for one in configured.in_script(zipped.unpack(region, member)))
        yield from _member(where, region, member, depth, scripted)


def _member(where: str, region: Region, member: zipped.Member, depth: int, scripted: bool) -> Iterator[_Found]:
    try:
        if zipped.is_plain(member):
            inner = region.part(zipped.place(region, member), member.size)
        elif member.unpacked > region.limits.unpacked_bytes and not _named(where.lower()):
            inner = Region(io.BytesIO(zipped.beginning(region, member, _HEAD_BYTES)))
            if _begins_as_one(inner):
                yield where, Severity.BROKEN, f"it unpacks to {member.unpacked} bytes, more than are looked at"
            return
        else:
            inner = Region(io.BytesIO(zipped.unpack(region, member)), region.limits)
        yield from _look(where, inner, depth + 1, scripted=scripted)
    except Harmful:
        raise
    except Unreadable as error:
        yield where, Severity.BROKEN, f"it cannot be looked at: {error}"


def _packed(path: str, name: str, region: Region, depth: int) -> Iterator[_Found]:
    """Packed as a whole. What is no file that is packed after all is looked at as it is."""
    most = region.limits.unpacked_bytes
    try:
        begin = Region(io.BytesIO(joblib.unpacked(region, _HEAD_BYTES)[0]))
    except Malformed:
        yield from _plain(_pickle(name, region))
        return
    if not (_named(name) or _begins_as_one(begin)):
        return
    data, used, more = joblib.unpacked(region, most)
    joblib.refuse_bomb(len(data), used, most)
    if len(data) > most:
        raise TooMuch(f"it unpacks to more than {most} bytes")
    if more:
        yield "", Severity.BROKEN, "something follows what is packed in it"
    bare = next((path[: -len(suffix)] for suffix in _PACKED if name.endswith(suffix)), path)
    yield from ((path, severity, what) for _, severity, what in _look(bare, Region(io.BytesIO(data), region.limits), depth + 1))

"""The opcodes of a pickle with their arguments, read from a file that nobody vouches for; long arguments stay where they are."""

import codecs
import pickletools
import struct
from dataclasses import dataclass

from aiosd.models.reading import Malformed, Region, shown

_LONGEST_LINE = 1 << 16  # of an argument that ends with a newline
_KEPT = 1 << 12  # bytes of a text, or of bytes, that are looked at
_OPCODES = {one.code.encode("latin-1"): one for one in pickletools.opcodes}
_FIXED = {"uint1": "<B", "uint2": "<H", "int4": "<i", "uint4": "<I", "uint8": "<Q"}
_COUNTED = {
    "string1": ("<B", "text"), "string4": ("<i", "text"), "bytes1": ("<B", "bytes"), "bytes4": ("<I", "bytes"), "bytes8": ("<Q", "bytes"),
    "bytearray8": ("<Q", "bytes"), "unicodestring1": ("<B", "text"), "unicodestring4": ("<I", "text"), "unicodestring8": ("<Q", "text"),
    "long1": ("<B", "long"), "long4": ("<i", "long"),
}  # fmt: skip


@dataclass(eq=False, slots=True)
class Opaque:
    """Bytes or a text, too long to be of interest: `size` bytes at `offset`."""

    offset: int
    size: int


def opcode(region: Region, at: int) -> tuple[str, object, int]:
    """(name, argument, offset behind it) of the opcode at `at`. Raises Malformed."""
    code = region.read(at, 1)
    described = _OPCODES.get(code)
    if described is None:
        raise Malformed(f"byte {code!r} at offset {at} is no opcode of a pickle")
    if described.arg is None:
        return described.name, None, at + 1
    argument, behind = _argument(region, at + 1, described.arg.name)
    return described.name, argument, behind


def _argument(region: Region, at: int, kind: str) -> tuple[object, int]:
    if kind in _FIXED:
        return region.unpack(_FIXED[kind], at)[0], at + struct.calcsize(_FIXED[kind])
    if kind == "float8":
        return region.unpack(">d", at)[0], at + 8
    if kind in _COUNTED:
        layout, of = _COUNTED[kind]
        return _counted(region, at + struct.calcsize(layout), region.unpack(layout, at)[0], of)
    line, behind = _line(region, at)
    if kind == "stringnl_noescape_pair":
        second, behind = _line(region, behind)
        return (_text(line), _text(second)), behind
    return _literal(kind, line, at), behind


def _counted(region: Region, at: int, size: int, of: str) -> tuple[object, int]:
    if size < 0 or at + size > region.size:
        raise Malformed(f"an argument at offset {at} claims {size} bytes, the file has {region.size}")
    if size > _KEPT:
        return Opaque(at, size), at + size
    data = region.read(at, size)
    if of == "long":
        return int.from_bytes(data, "little", signed=True), at + size
    return (_text(data) if of == "text" else data), at + size


def _line(region: Region, at: int) -> tuple[bytes, int]:
    """Up to the next newline, and the offset behind that."""
    parts, began = [], at
    while at - began < _LONGEST_LINE and at < region.size:
        line, newline, _ = region.read(at, min(256, region.size - at)).partition(b"\n")
        parts.append(line)
        at += len(line) + len(newline)
        if newline:
            return b"".join(parts), at
    raise Malformed(f"the line at offset {began} does not end")


def _literal(kind: str, line: bytes, at: int) -> object:
    """What the loader makes of a line."""
    try:
        if kind == "stringnl":
            return _text(codecs.escape_decode(line.strip()[1:-1])[0])
        if kind == "unicodestringnl":
            return line.decode("raw-unicode-escape")
        if kind == "floatnl":
            return float(line)
        if kind.startswith("decimalnl"):
            return line == b"01" if line in (b"00", b"01") else int(line.rstrip(b"L") or b"0")
    except ValueError:
        raise Malformed(f"{shown(line.decode('latin-1'))} at offset {at} is no {kind}") from None
    return _text(line)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")

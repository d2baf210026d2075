"""ZIP archives as models use them: where each member lies, and the small ones unpacked in bounded memory."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from aiosd.models.reading import Malformed, Region, TooMuch, shown

MAGIC = b"PK\x03\x04"
_END, _END_BYTES, _LONGEST_COMMENT = b"PK\x05\x06", 22, 65535
_END64, _LOCATOR64, _LOCATOR64_BYTES = b"PK\x06\x06", b"PK\x06\x07", 20
_ENTRY, _ENTRY_BYTES, _LOCAL_BYTES = b"PK\x01\x02", 46, 30
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1
_IN_EXTRA = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """`header` is the offset of its local header, `size` what it takes in the archive."""

    name: str
    header: int
    size: int
    unpacked: int
    method: int
    flags: int


def members(region: Region) -> Mapping[str, Member]:
    """Every member by its name. Raises Malformed for two of one name and for members that lie over each other."""
    count, at, end = _directory(region)
    if count * _ENTRY_BYTES > end - at:
        raise Malformed(f"its directory claims {count} members in {end - at} bytes")
    found: dict[str, Member] = {}
    for _ in range(count):
        region.spend()
        member, at = _entry(region, at, end)
        if member.name in found:
            raise Malformed(f"there are two members {shown(member.name)}")
        found[member.name] = member
    _refuse_overlaps(found)
    return found


def place(region: Region, member: Member) -> int:
    """The offset of the first byte of a member. Raises Malformed when it leaves the file."""
    signature, name, extra = region.unpack("<4s22xHH", member.header)
    at = int(member.header + _LOCAL_BYTES + name + extra)
    if signature != MAGIC or at + member.size > region.size:
        raise Malformed(f"member {shown(member.name)} is not at offset {member.header}, or leaves the file")
    return at


def is_plain(member: Member) -> bool:
    """It lies in the archive as it is."""
    return member.method == _STORED and not member.flags & _ENCRYPTED and member.size == member.unpacked


def unpack(region: Region, member: Member) -> bytes:
    """All of a member. Raises TooMuch for what is larger than a reader takes, whatever its header says."""
    most = region.limits.unpacked_bytes
    if member.flags & _ENCRYPTED or member.method not in (_STORED, _DEFLATED):
        raise TooMuch(f"member {shown(member.name)} is encrypted, or packed by method {member.method}, which is not read here")
    if max(member.unpacked, member.size) > most:
        raise TooMuch(f"member {shown(member.name)} has {member.unpacked} bytes, more than the {most} that are read")
    data = region.read(place(region, member), member.size)
    if member.method == _DEFLATED:
        data = _inflate(data, member)
    if len(data) != member.unpacked or zlib.crc32(data) != _crc(region, member):
        raise Malformed(f"member {shown(member.name)} is damaged")
    return data


def _inflate(data: bytes, member: Member) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.unpacked + 1)
    except zlib.error as error:
        raise Malformed(f"member {shown(member.name)} is damaged: {error}") from None


def _directory(region: Region) -> tuple[int, int, int]:
    """(members, offset, end) of the central directory."""
    tail_at = max(0, region.size - _END_BYTES - _LONGEST_COMMENT)
    tail = region.read(tail_at, region.size - tail_at)
    found = tail.rfind(_END)
    if found < 0 or len(tail) - found < _END_BYTES:
        raise Malformed("it is cut off: a ZIP archive has its directory at its end")
    at = tail_at + found
    count, size, offset = region.unpack("<10xHII", at)
    if at >= _LOCATOR64_BYTES and region.read(at - _LOCATOR64_BYTES, 4) == _LOCATOR64:
        (end64,) = region.unpack("<Q", at - _LOCATOR64_BYTES + 8)
        if region.read(end64, 4) != _END64:
            raise Malformed(f"there is no directory at offset {end64}")
        count, size, offset = region.unpack("<QQQ", end64 + 32)
    if offset + size > at:
        raise Malformed(f"its directory claims bytes {offset} to {offset + size}; it must end at {at}")
    return int(count), int(offset), int(offset + size)


def _entry(region: Region, at: int, end: int) -> tuple[Member, int]:
    signature, flags, method, size, unpacked, name, extra, comment, header = region.unpack("<4s4xHH8xIIHHH8xI", at)
    behind = at + _ENTRY_BYTES + name + extra + comment
    if signature != _ENTRY or behind > end:
        raise Malformed(f"there is no member at offset {at} of its directory")
    text = region.read(at + _ENTRY_BYTES, name).decode("utf-8" if flags & 0x800 else "cp437", errors="replace")
    sizes = [unpacked, size, header]
    if _IN_EXTRA in sizes:
        sizes = _wide(region.read(at + _ENTRY_BYTES + name, extra), sizes, text)
    return Member(text, sizes[2], sizes[1], sizes[0], method, flags), behind


def _wide(extra: bytes, sizes: list[int], name: str) -> list[int]:
    """The sizes that did not fit into 32 bits are in the extra field 1, in this order."""
    while len(extra) >= 4:
        kind, length = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        if kind == 1:
            data, wide = extra[4 : 4 + length], []
            for size in sizes:
                wide.append(int.from_bytes(data[:8], "little") if size == _IN_EXTRA else size)
                data = data[8:] if size == _IN_EXTRA else data
            return wide
        extra = extra[4 + length :]
    raise Malformed(f"member {shown(name)} has no sizes")


def _crc(region: Region, member: Member) -> int:
    """From the directory's twin in the local header, or, where it was written behind the data, what it is there."""
    flags, crc = region.unpack("<6xH6xI", member.header)
    if flags & 8:
        at = place(region, member) + member.size
        crc = region.unpack("<I", at + 4 if region.read(at, 4) == b"PK\x07\x08" else at)[0]
    return int(crc)


def _refuse_overlaps(found: Mapping[str, Member]) -> None:
    reached, before = 0, ""
    for member in sorted(found.values(), key=lambda one: one.header):
        if member.header < reached:
            raise Malformed(f"members {shown(before)} and {shown(member.name)} lie over each other")
        reached, before = member.header + _LOCAL_BYTES + member.size, member.name

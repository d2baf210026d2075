"""ZIP archives as models use them: where each member lies, and the small ones unpacked in bounded memory."""

import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from aiosd.models.reading import Harmful, Malformed, Region, TooMuch, shown

MAGIC = b"PK\x03\x04"
END, _END_BYTES, _LONGEST_COMMENT = b"PK\x05\x06", 22, 65535
_END64, _LOCATOR64, _LOCATOR64_BYTES = b"PK\x06\x06", b"PK\x06\x07", 20
_ENTRY, _ENTRY_BYTES, _LOCAL_BYTES = b"PK\x01\x02", 46, 30
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1
_UNIX = 3
_IN_EXTRA = 0xFFFFFFFF
_DESCRIPTOR_BYTES = 24  # what may stand behind a member: its sizes, where they were not known before
_BOMB, _BOMB_BYTES = 200, 4 << 30  # so many times what it takes, and so much in all: no model is packed so well


@dataclass(frozen=True, slots=True)
class Member:
    """`header` is the offset of its local header, `size` what it takes in the archive."""

    name: str
    header: int
    size: int
    unpacked: int
    method: int
    flags: int
    mode: int = 0  # as of a file of Unix; 0: not said


def members(region: Region) -> Mapping[str, Member]:
    """Every member by its name. Raises Malformed for two of one name, for members that lie over each other or lead elsewhere, and for a bomb."""
    count, at, end = _directory(region)
    if count * _ENTRY_BYTES > end - at:
        raise Malformed(f"its directory claims {count} members in {end - at} bytes")
    found: dict[str, Member] = {}
    for _ in range(count):
        region.spend()
        member, at = _entry(region, at, end)
        if member.name in found:
            raise Malformed(f"there are two members {shown(member.name)}")
        refuse_escape(member.name, member.mode)
        found[member.name] = member
    _refuse_overlaps(found)
    total = sum(member.unpacked for member in found.values())
    if total > _BOMB_BYTES and total > _BOMB * region.size:
        raise Harmful(f"its {region.size} bytes claim to unpack to {total}: it is made to fill whatever unpacks it")
    return found


def refuse_escape(name: str, mode: int = 0) -> None:
    """Raises Harmful for a member of an archive that would lie elsewhere, or be no file, when it is unpacked."""
    parts = name.replace("\\", "/").split("/")  # to some the one is as good as the other
    if not parts[0] or ".." in parts or "\0" in name or (parts[0].endswith(":") and len(parts[0]) == 2):
        raise Harmful(f"member {shown(name)} leads out of the archive")
    kind = stat.S_IFMT(mode)
    if kind and kind not in (stat.S_IFREG, stat.S_IFDIR):
        raise Harmful(f"member {shown(name)} is a {'link' if kind == stat.S_IFLNK else 'device, or the like'}, and no file")


def oddity(region: Region, found: Mapping[str, Member]) -> str:
    """Why different programs may see different archives in this file; "": they do not.

    One that has another directory, or members that its directory does not name, looks harmless to those who read it otherwise.
    """
    _, directory, end = _directory(region)
    tail = _tail(region)
    at = region.size - len(tail) + tail.rfind(END)
    (comment,) = region.unpack("<H", at + _END_BYTES - 2)
    if at + _END_BYTES + comment != region.size or at - end not in (0, _LOCATOR64_BYTES + 56):
        return "something lies around its directory that does not belong to it"
    reached, before = 0, "its beginning"
    for member in sorted(found.values(), key=lambda one: one.header):
        if member.header - reached > (_DESCRIPTOR_BYTES if reached else 0):
            return f"{member.header - reached} bytes behind {before} belong to no member"
        flags, method, length = region.unpack("<6xHH16xH2x", member.header)
        name = region.read(member.header + _LOCAL_BYTES, length).decode("utf-8" if flags & 0x800 else "cp437", errors="replace")
        if (name, method) != (member.name, member.method):
            return f"member {shown(member.name)} says otherwise of itself than its directory does"
        reached, before = place(region, member) + member.size, shown(member.name)
    return f"{directory - reached} bytes before its directory belong to no member" if directory - reached > _DESCRIPTOR_BYTES else ""


def place(region: Region, member: Member) -> int:
    """The offset of the first byte of a member. Raises Malformed when it leaves the file."""
    signature, name, extra = region.unpack("<4s22xHH", member.header)
    at = int(member.header + _LOCAL_BYTES + name + extra)
    if signature != MAGIC or at + member.size > region.size:
        raise Malformed(f"member {shown(member.name)} is not at offset {member.header}, or leaves the file")
    return at


def ends_as_archive(region: Region) -> bool:
    """Whether a directory is at its end, where those look who do not mind how a file begins."""
    tail = _tail(region)
    found = tail.rfind(END)
    if found < 0 or len(tail) - found < _END_BYTES:
        return False
    at = region.size - len(tail) + found
    (size,) = region.unpack("<I", at + 12)
    is_wide = at >= _LOCATOR64_BYTES and region.read(at - _LOCATOR64_BYTES, 4) == _LOCATOR64
    return is_wide or (0 < size <= at and region.read(at - size, 4) == _ENTRY)


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


def beginning(region: Region, member: Member, count: int) -> bytes:
    """Its first bytes, at least where it is packed as usual. Raises TooMuch."""
    if member.flags & _ENCRYPTED or member.method != _DEFLATED:
        raise TooMuch(f"member {shown(member.name)} is encrypted, or packed by method {member.method}, which is not read here")
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(region.read(place(region, member), min(member.size, 4 * count)), count)
    except zlib.error as error:
        raise Malformed(f"member {shown(member.name)} is damaged: {error}") from None


def _inflate(data: bytes, member: Member) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.unpacked + 1)
    except zlib.error as error:
        raise Malformed(f"member {shown(member.name)} is damaged: {error}") from None


def _directory(region: Region) -> tuple[int, int, int]:
    """(members, offset, end) of the central directory."""
    tail = _tail(region)
    found = tail.rfind(END)
    if found < 0 or len(tail) - found < _END_BYTES:
        raise Malformed("it is cut off: a ZIP archive has its directory at its end")
    at = region.size - len(tail) + found
    count, size, offset = region.unpack("<10xHII", at)
    if at >= _LOCATOR64_BYTES and region.read(at - _LOCATOR64_BYTES, 4) == _LOCATOR64:
        (end64,) = region.unpack("<Q", at - _LOCATOR64_BYTES + 8)
        if region.read(end64, 4) != _END64:
            raise Malformed(f"there is no directory at offset {end64}")
        count, size, offset = region.unpack("<QQQ", end64 + 32)
    if offset + size > at:
        raise Malformed(f"its directory claims bytes {offset} to {offset + size}; it must end at {at}")
    return int(count), int(offset), int(offset + size)


def _tail(region: Region) -> bytes:
    count = min(region.size, _END_BYTES + _LONGEST_COMMENT)
    return region.read(region.size - count, count)


def _entry(region: Region, at: int, end: int) -> tuple[Member, int]:
    signature, maker, flags, method, size, unpacked, name, extra, comment, attributes, header = region.unpack("<4sxB2xHH8xIIHHH4xII", at)
    behind = at + _ENTRY_BYTES + name + extra + comment
    if signature != _ENTRY or behind > end:
        raise Malformed(f"there is no member at offset {at} of its directory")
    text = region.read(at + _ENTRY_BYTES, name).decode("utf-8" if flags & 0x800 else "cp437", errors="replace")
    sizes = [unpacked, size, header]
    if _IN_EXTRA in sizes:
        sizes = _wide(region.read(at + _ENTRY_BYTES + name, extra), sizes, text)
    return Member(text, sizes[2], sizes[1], sizes[0], method, flags, attributes >> 16 if maker == _UNIX else 0), behind


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

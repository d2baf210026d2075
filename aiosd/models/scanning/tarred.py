"""Archives of tar, as PyTorch's oldest and NeMo's are: their members, none of which may lie elsewhere or be no file."""

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from aiosd.models.formats.zipped import refuse_escape
from aiosd.models.reading import Harmful, Malformed, Region, TooMuch, shown

_SUM_AT, _SUM_BYTES = 148, 8
_PADDING_BYTES = 1 << 16  # behind the end; usually it is 10 KiB at most


def matches(head: bytes) -> bool:
    """By the checksum of the first header: the oldest archives have no magic, and PyTorch tries them first, whatever else a file may be."""
    if len(head) < tarfile.BLOCKSIZE:
        return False
    block = head[: tarfile.BLOCKSIZE]
    claimed = block[_SUM_AT : _SUM_AT + _SUM_BYTES].strip(b" \0")
    rest = block[:_SUM_AT] + b" " * _SUM_BYTES + block[_SUM_AT + _SUM_BYTES :]
    return claimed.isdigit() and not claimed.strip(b"01234567") and int(claimed, 8) == sum(rest)


def members(region: Region) -> Iterator[tuple[str, Region]]:
    """(name, content) of each regular file.

    raises  Harmful for one that leads out, a link that does, and a device; Malformed and TooMuch for what cannot be looked at
    """
    try:
        with tarfile.open(fileobj=cast(BinaryIO, _File(region)), mode="r:") as tar:
            for member in tar:
                region.spend()
                refuse_escape(member.name.removeprefix("./"))
                if member.issym() or member.islnk():
                    _refuse_link(member)
                elif member.issparse():
                    raise TooMuch(f"member {shown(member.name)} is sparse, which is not read here")
                elif member.isreg():
                    yield member.name, region.part(member.offset_data, member.size)
                elif not member.isdir():
                    raise Harmful(f"member {shown(member.name)} is a device, or the like, and no file")
            rest = region.size - tar.offset
            if region.read(tar.offset, min(rest, _PADDING_BYTES)).strip(b"\0") or rest > _PADDING_BYTES:
                raise Malformed("something follows its end, which other programs may read")
    except tarfile.TarError as error:
        raise Malformed(f"it is no archive of tar that can be read: {error}") from None


def _refuse_link(member: tarfile.TarInfo) -> None:
    """A symbolic one begins where it lies, a hard one at the top."""
    depth = member.name.removeprefix("./").count("/") if member.issym() else 0
    for part in member.linkname.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            break
    if member.linkname.startswith("/") or depth < 0:
        raise Harmful(f"member {shown(member.name)} is a link out of the archive, to {shown(member.linkname)}")


class _File:
    """What tarfile needs of a file, within the limits of a region."""

    def __init__(self, region: Region) -> None:
        self._region, self._at = region, 0

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._region.size - self._at)
        data = self._region.read(self._at, left if count < 0 else min(count, left)) if left else b""
        self._at += len(data)
        return data

    def seek(self, at: int, whence: int = 0) -> int:
        self._at = at + {0: 0, 1: self._at, 2: self._region.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

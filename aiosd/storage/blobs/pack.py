"""A pack: the new chunks of one registration in one file. Each record says what it is, so that the index can be made again from the packs."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from aiosd.errors import StorageCorrupt
from aiosd.models.vault_ports import Stored
from aiosd.storage.blobs.coding import DELTA, ENCRYPTED, FRAMES, RAW, ZSTD
from aiosd.storage.blobs.disk import start_writing, write_all

_FILE = b"aios pack 1\n\0\0\0\0"
_RECORD = struct.Struct("<4sB3xQQ32s32s")
OVERHEAD = _RECORD.size  # bytes of each chunk beside its own
_MAGIC = b"chnk"
_CODES = {RAW: 0, ZSTD: 1, DELTA: 2, FRAMES.removesuffix(ENCRYPTED): 3}
_ENCRYPTED = 0x80
_NAMES = {code | flag: name + (ENCRYPTED if flag else "") for name, code in _CODES.items() for flag in (0, _ENCRYPTED)}
_BUFFER_BYTES = 1 << 20


class PackWriter:
    """Appends to a new file at `path`, for the place that it will have. `close` makes it durable; until then nothing of it counts."""

    def __init__(self, path: Path, place: str) -> None:
        self.path, self.place = path, place
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        self._buffer = bytearray(_FILE)
        self._at = len(_FILE)

    def add(self, digest: str, size: int, encoding: str, payload: bytes | memoryview, base: str = "") -> Stored:
        """raises    OSError (a full disk)"""
        stored = self.begin(digest, size, encoding, len(payload), base)
        self.write(payload)
        return stored

    def begin(self, digest: str, size: int, encoding: str, stored_size: int, base: str = "") -> Stored:
        """A chunk whose bytes, `stored_size` of them, come next."""
        name, plus, _ = encoding.partition("+")
        code = _CODES[name] | (_ENCRYPTED if plus else 0)
        self._buffer += _RECORD.pack(_MAGIC, code, size, stored_size, bytes.fromhex(digest), bytes.fromhex(base).ljust(32, b"\0"))
        self._at += _RECORD.size
        return Stored(digest, size, self.place, self._at, stored_size, encoding, base)

    def write(self, data: bytes | memoryview) -> None:
        """raises    OSError (a full disk)"""
        self._buffer += data
        self._at += len(data)
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush()

    @property
    def bytes(self) -> int:
        return self._at

    def close(self) -> None:
        """raises    OSError (a full disk)"""
        self._flush()
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1

    def abandon(self) -> None:
        """Whoever made its directory removes it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _flush(self) -> None:
        write_all(self._fd, self._buffer)
        start_writing(self._fd)
        self._buffer.clear()


def scan(path: Path, place: str) -> Iterator[Stored]:
    """The records as they say they are; a cut-off end, as of a crash, ends the scan. Raises StorageCorrupt for what is no pack, or damaged within."""
    with path.open("rb") as file:
        if file.read(len(_FILE)) != _FILE:
            raise StorageCorrupt(f"{path} is no pack of this version", path=str(path))
        length, at = os.fstat(file.fileno()).st_size, len(_FILE)
        while at + _RECORD.size <= length:
            one = _record(os.pread(file.fileno(), _RECORD.size, at), place, at)
            if one is None:
                raise StorageCorrupt(f"{path} is damaged at byte {at}", path=str(path), offset=at)
            at = one.offset + one.stored_size
            if at > length:
                return
            yield one


def record_at(path: Path, place: str, offset: int) -> Stored | None:
    """What the record says whose content begins at `offset`; None where there is none."""
    with path.open("rb") as file:
        at = offset - _RECORD.size
        return _record(os.pread(file.fileno(), _RECORD.size, at), place, at) if at > 0 else None


def _record(data: bytes, place: str, at: int) -> Stored | None:
    if len(data) != _RECORD.size:
        return None
    magic, code, size, stored_size, digest, base = _RECORD.unpack(data)
    if magic != _MAGIC or code not in _NAMES:
        return None
    return Stored(digest.hex(), size, place, at + _RECORD.size, stored_size, _NAMES[code], base.hex() if any(base) else "")

"""A bundle: one file that carries versions from store to store. A head that says what they are, then their chunks, each with its name.

magic     16 bytes
head      length (8 bytes), BLAKE3 of what follows (32 bytes), then zstd of what the caller put there
records   as in a pack: what it is, how it is written, its size, its name and its base; then its bytes
end       a record of no bytes, with the number of those before it

Every byte is under a digest of its own: the head's, or the name of its chunk. So there is none over all of it, and nothing has to be read twice.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from blake3 import blake3

from aiosd.errors import InvalidArgument
from aiosd.storage.blobs.coding import DELTA, RAW, ZSTD
from aiosd.storage.blobs.disk import write_all

MAGIC = b"aios bundle 1\n\0\0"
MOST_HEAD = 256 << 20  # as it reads
MOST_PACKED = 64 << 20  # of a chunk that is not written as it is: it is in memory at once
_HEAD = struct.Struct("<Q32s")
_RECORD = struct.Struct("<4sB3xQQ32s32s")
_CHUNK, _END = b"chnk", b"end\0"
_CODES = {RAW: 0, ZSTD: 1, DELTA: 2}
_NAMES = {code: name for name, code in _CODES.items()}
_NOTHING = bytes(32)
_BUFFER_BYTES, _BLOCK_BYTES = 1 << 20, 4 << 20


class Writer:
    """Appends to an open file. `head` first, `end` last."""

    def __init__(self, fd: int) -> None:
        self._fd, self._buffer, self._count = fd, bytearray(MAGIC), 0

    def head(self, data: bytes) -> None:
        """raises    InvalidArgument for one that is too large, OSError (a full disk)"""
        if len(data) > MOST_HEAD:
            raise InvalidArgument(f"what is to be said of these versions takes {len(data)} bytes, and {MOST_HEAD} are allowed", hint="export fewer of them")
        packed = _zstandard().ZstdCompressor(level=3).compress(data)
        self._buffer += _HEAD.pack(len(packed), blake3(packed).digest()) + packed
        self._flush()

    def begin(self, digest: str, size: int, encoding: str = RAW, stored_size: int | None = None, base: str = "") -> None:
        """Of a chunk whose bytes, `stored_size` of them, come next."""
        named = bytes.fromhex(digest), bytes.fromhex(base) or _NOTHING
        self._buffer += _RECORD.pack(_CHUNK, _CODES[encoding], size, size if stored_size is None else stored_size, *named)
        self._count += 1

    def write(self, data: bytes | memoryview) -> None:
        if len(data) >= _BUFFER_BYTES:
            self._flush()
            write_all(self._fd, data)
            return
        self._buffer += data
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush()

    def end(self) -> None:
        self._buffer += _RECORD.pack(_END, 0, self._count, 0, _NOTHING, _NOTHING)
        self._flush()
        os.fsync(self._fd)

    def _flush(self) -> None:
        write_all(self._fd, self._buffer)
        self._buffer.clear()


@dataclass(frozen=True, slots=True)
class Record:
    """A chunk on its way; `base` "": it is no difference. `stored_size` bytes follow."""

    digest: str
    size: int
    encoding: str
    stored_size: int
    base: str


class Reader:
    """Reads an open file from its beginning; believes nothing it says. Raises InvalidArgument with what is wrong, OSError."""

    def __init__(self, fd: int) -> None:
        self._fd, self._left = fd, os.fstat(fd).st_size

    def head(self) -> bytes:
        magic = self._exactly(len(MAGIC))
        if magic != MAGIC:
            if magic[:12] == MAGIC[:12]:
                _refuse("it is of a version that this daemon does not read", "export it again")
            _refuse("it is no bundle", "a model as it is: register it; the layout of another house: name its --format")
        length, digest = _HEAD.unpack(self._exactly(_HEAD.size))
        if length > min(self._left, MOST_HEAD):
            _refuse(f"its head claims {length} bytes, and there are {self._left}")
        packed = self._exactly(length)
        if blake3(packed).digest() != digest:
            _refuse("its head is damaged")
        return _unpacked(packed)

    def records(self) -> Iterator[Record]:
        """Take all bytes of each before the next."""
        count = 0
        while True:
            magic, code, size, stored_size, digest, base = _RECORD.unpack(self._exactly(_RECORD.size))
            if magic == _END:
                break
            if magic != _CHUNK or code not in _NAMES:
                _refuse(f"it is damaged at its record {count + 1}")
            encoding, count = _NAMES[code], count + 1
            if (encoding == RAW and stored_size != size) or (encoding != RAW and max(size, stored_size) > MOST_PACKED):
                _refuse(f"its record {count} claims {size} bytes in {stored_size}")
            if (encoding == DELTA) != any(base):
                _refuse(f"its record {count} is a difference to nothing, or names what it is no difference to")
            yield Record(digest.hex(), size, encoding, stored_size, base.hex() if any(base) else "")
        if size != count or self._left:
            _refuse(f"it ends after {count} chunks, and says {size}" if size != count else "something follows its end")

    def pieces(self, record: Record) -> Iterator[bytes]:
        left = record.stored_size
        while left:
            piece = self._exactly(min(left, _BLOCK_BYTES))
            left -= len(piece)
            yield piece

    def _exactly(self, length: int) -> bytes:
        if length > self._left:
            _refuse("it was cut off")
        data = os.read(self._fd, length)
        while len(data) < length:
            part = os.read(self._fd, length - len(data))
            if not part:
                _refuse("it was cut off while it was read")
            data += part
        self._left -= length
        return data


def _unpacked(packed: bytes) -> bytes:
    """A head that claims to be enormous is a bomb."""
    zstandard = _zstandard()
    try:
        if not 0 <= zstandard.frame_content_size(packed) <= MOST_HEAD:
            _refuse("its head claims to be larger than is allowed")
        data: bytes = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(packed)
    except zstandard.ZstdError as error:
        _refuse(f"its head cannot be read: {error}")
    return data


def _zstandard() -> Any:
    import zstandard  # here: who exports nothing need not import it

    return zstandard


def _refuse(why: str, hint: str = "have it exported or copied again; nothing was kept of it") -> NoReturn:
    raise InvalidArgument(f"the bundle cannot be read: {why}", hint=hint)

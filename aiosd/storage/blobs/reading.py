"""Chunks read back from where they lie, each compared with its name before anybody gets it."""

import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from blake3 import blake3

from aiosd.errors import DataLoss, StorageCorrupt
from aiosd.models.manifest import Chunk, FileEntry
from aiosd.models.vault_ports import Stored
from aiosd.storage.blobs.coding import FRAME_BYTES, FRAMES, RAW, Coder, frame_at, frames_in
from aiosd.storage.blobs.layout import WHOLE, Layout

Lookup = Callable[[Collection[str]], Mapping[str, Stored]]
"""Where these chunks lie, those that are there, with the bases of differences among them."""

BLOCK_BYTES = 4 << 20
_OPEN_FILES = 64
_BATCH = 512


@dataclass(slots=True)
class Reader:
    """Reads for one thread; keeps the last files that it read from open. `close` it."""

    layout: Layout
    coder: Coder
    lookup: Lookup
    _files: "OrderedDict[str, int]" = field(default_factory=OrderedDict, init=False)
    _base: tuple[str, bytes] = field(default=("", b""), init=False)
    _ahead: Mapping[str, Stored] = field(default_factory=dict, init=False)

    def chunk(self, stored: Stored, known: Mapping[str, Stored]) -> bytes:
        """`known` has its base, where it is a difference. Raises DataLoss."""
        if stored.encoding == FRAMES:
            return b"".join(self._framed(stored))
        base = b""
        if stored.base:
            base = self._base_of(stored, known)
        data = self._decoded(stored, base)
        if blake3(data).hexdigest() != stored.digest:
            raise damaged(stored, "its bytes are not those that were stored")
        return data

    def part(self, stored: Stored, known: Mapping[str, Stored], offset: int, size: int) -> bytes:
        """Of a chunk; of one in frames, which may be larger than memory, compared with nothing but their seals. Raises DataLoss."""
        if stored.encoding != FRAMES:
            return self.chunk(stored, known)[offset : offset + size]
        first = offset // FRAME_BYTES
        data = b"".join(self._frame(stored, number) for number in range(first, frames_in(min(offset + size, stored.size))))
        return data[offset - first * FRAME_BYTES :][:size]

    def file(self, entry: FileEntry) -> Iterator[bytes]:
        """All of it, in order. What is read in blocks is compared at its end: its last block comes only then. Raises DataLoss."""
        if len(entry.chunks) == 1 and entry.chunks[0].digest == entry.digest:
            stored = self.find(entry.chunks)[entry.digest]
            if stored.place.startswith(WHOLE) and stored.size > BLOCK_BYTES:
                yield from self._whole(stored)
                return
        for at in range(0, len(entry.chunks), _BATCH):
            batch = entry.chunks[at : at + _BATCH]
            known = self.find(batch)
            for chunk in batch:
                stored = known[chunk.digest]
                if stored.encoding == FRAMES:
                    yield from self._framed(stored)
                else:
                    yield self.chunk(stored, known)

    def look_ahead(self, entries: Sequence[FileEntry]) -> None:
        """One question for many small files."""
        small = [entry for entry in entries if len(entry.chunks) <= 1]
        self._ahead = self.lookup({entry.digest for entry in entries} | {chunk.digest for entry in small for chunk in entry.chunks})

    def known(self, digests: Collection[str]) -> Mapping[str, Stored]:
        """As `lookup`, of what was looked up ahead first."""
        return self._ahead if all(digest in self._ahead for digest in digests) else self.lookup(digests)

    def find(self, chunks: Sequence[Chunk]) -> Mapping[str, Stored]:
        """Raises DataLoss for one that is not there, or whose base is not."""
        known = self.known({chunk.digest for chunk in chunks})
        for chunk in chunks:
            stored = known.get(chunk.digest)
            if stored is None or (stored.base and stored.base not in known):
                missing = stored.base if stored else chunk.digest
                raise DataLoss(f"chunk {missing} is not in the store", hint=HEALS, digest=chunk.digest)
        return known

    def bytes_at(self, place: str, offset: int, length: int) -> bytes:
        """As they lie there, compared with nothing. Raises OSError; fewer bytes at the end of the file."""
        return os.pread(self._open(place), length, offset)

    def close(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])

    def _base_of(self, stored: Stored, known: Mapping[str, Stored]) -> bytes:
        """Neighbours seldom have the same base, but a file of equal chunks does."""
        if self._base[0] != stored.base:
            found = known.get(stored.base)
            if found is None or found.base:
                raise damaged(stored, f"its base {stored.base} is not in the store" if found is None else "its base is a difference, too")
            self._base = stored.base, self.chunk(found, known)
        return self._base[1]

    def _decoded(self, stored: Stored, base: bytes) -> bytes:
        payload = self._payload(stored)
        try:
            return self.coder.decode(stored.encoding, payload, stored.size, stored.digest, base)
        except StorageCorrupt as error:
            raise damaged(stored, str(error)) from None

    def _payload(self, stored: Stored) -> bytes:
        try:
            if not 0 <= stored.offset <= stored.offset + stored.stored_size <= os.fstat(self._open(stored.place)).st_size:
                raise damaged(stored, "the file there is too short")
            payload = self.bytes_at(stored.place, stored.offset, stored.stored_size)
        except FileNotFoundError:
            raise damaged(stored, "it is gone") from None
        except ValueError as error:
            raise damaged(stored, str(error)) from None
        except OSError as error:
            raise damaged(stored, f"the disk cannot read it: {error.strerror}") from None
        if len(payload) != stored.stored_size:
            raise damaged(stored, "the file there is too short")
        return payload

    def _whole(self, stored: Stored) -> Iterator[bytes]:
        lengths = ((at, min(BLOCK_BYTES, stored.size - at)) for at in range(0, stored.size, BLOCK_BYTES))
        return self._compared(stored, (self._payload(_within(stored, at, length)) for at, length in lengths))

    def _framed(self, stored: Stored) -> Iterator[bytes]:
        return self._compared(stored, (self._frame(stored, number) for number in range(frames_in(stored.size))))

    def _frame(self, stored: Stored, number: int) -> bytes:
        try:
            return self.coder.open_frame(self._payload(_within(stored, *frame_at(stored.size, number))), stored.digest, number)
        except StorageCorrupt as error:
            raise damaged(stored, str(error)) from None

    def _compared(self, stored: Stored, blocks: Iterator[bytes]) -> Iterator[bytes]:
        hasher, held = blake3(), b""
        for block in blocks:
            if held:
                yield held
            hasher.update(block)
            held = block
        if hasher.hexdigest() != stored.digest:
            raise damaged(stored, "its bytes are not those that were stored")
        yield held

    def _open(self, place: str) -> int:
        if place in self._files:
            self._files.move_to_end(place)
            return self._files[place]
        fd = os.open(self.layout.path(place), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._files[place] = fd
        if len(self._files) > _OPEN_FILES:
            os.close(self._files.popitem(last=False)[1])
        return fd


def _within(stored: Stored, at: int, length: int) -> Stored:
    """A part of what lies there, as it does."""
    return Stored(stored.digest, length, stored.place, stored.offset + at, length, RAW)


HEALS = "register the same files again, or pull the version from where it still is: either heals it"


def damaged(stored: Stored, why: str) -> DataLoss:
    return DataLoss(f"chunk {stored.digest} in {stored.place} is damaged: {why}", hint=HEALS, digest=stored.digest, place=stored.place, offset=stored.offset)

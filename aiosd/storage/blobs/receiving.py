"""Chunks that come with their names, from another store: each is compared with its name before it counts, and then lies as if it were registered."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from aiosd.errors import FailedPrecondition, InvalidArgument
from aiosd.models.manifest import Manifest
from aiosd.models.parcel import chunks_of
from aiosd.models.vault_ports import Part, Stored
from aiosd.storage.blobs import disk
from aiosd.storage.blobs.coding import DELTA, FRAME_BYTES, FRAMES, RAW, framed_size
from aiosd.storage.blobs.cutting import pieces_at, windows
from aiosd.storage.blobs.layout import READ_ONLY, STAMP_NS, place_of_pack, place_of_whole, settle
from aiosd.storage.blobs.pack import PackWriter
from aiosd.storage.blobs.reading import Reader
from aiosd.storage.blobs.unnamed import laid_out, other_bytes
from aiosd.storage.blobs.worksite import Worksite

MOST_AT_ONCE = 256 << 20  # bytes of a chunk in memory; a larger one is a whole file here
_ASKED_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Origin:
    """A chunk that is here, to which another came as a difference of numbers of so many bytes. `root`: it is no difference itself."""

    digest: str = ""
    content: bytes = b""
    width: int = 1
    root: bool = False


@dataclass(slots=True)
class Receiver:
    """`manifests`: of what is on its way; `had`: the chunks of it that need not come, since a version that is here has them."""

    site: Worksite
    manifests: Sequence[Manifest]
    had: Set[str] = frozenset()
    new: list[Stored] = field(default_factory=list)
    done: int = 0
    total: int = field(init=False)  # bytes that are on their way, as they read
    _mine: dict[str, Stored] = field(default_factory=dict)
    _awaited: dict[str, int] = field(init=False)
    _names: dict[str, str] = field(init=False)  # of files that are one chunk
    _borrowed: set[str] = field(default_factory=set)
    _there: set[str] = field(default_factory=set)  # of what comes
    _wholes: list[tuple[Path, str]] = field(default_factory=list)
    _pack: PackWriter | None = None
    _reader: Reader = field(init=False)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="receive"))

    def __post_init__(self) -> None:
        self._awaited = {digest: chunk.size for digest, chunk in chunks_of(self.manifests).items()}
        self._reader = Reader(self.site.layout, self.site.coder, self._lookup)
        self.total = sum(size for digest, size in self._awaited.items() if digest not in self.had)
        self._names = {entry.digest: entry.path for manifest in self.manifests for entry in manifest.files if len(entry.chunks) == 1}

    @property
    def stored(self) -> int:
        """Bytes that are new on the disk."""
        return (self._pack.bytes if self._pack else 0) + sum(one.size for one in self.new if one.place == place_of_whole(one.digest))

    def begin(self, parts: Sequence[Part] = ()) -> None:
        """`parts`: of files that are `had`. Raises InvalidArgument for a part that is none."""
        self.site.reached("receive.1-begun")
        self._there = self._found(self._awaited)
        for part in parts:
            self._borrow(part, self.site.lookup([part.digest]).get(part.digest))

    def _borrow(self, part: Part, known: Stored | None) -> None:
        """It need not come: the index says that it lies there, or what lies there is compared with its name."""
        place = place_of_whole(part.of)
        if part.of not in self.had:
            raise InvalidArgument(f"the chunk {part.digest} is part of a file that no version here has", hint="have all of it sent; nothing was kept")
        if known is None or known.place != place:
            data = self._read_part(part)
            if blake3(data).hexdigest() != part.digest or len(data) != part.size:
                raise other_bytes(part.digest)
            if known is None and self.site.coder.key:
                self._keep(part.digest, data, Origin())
            elif known is None:
                self._remember(Stored(part.digest, part.size, place, part.offset, part.size, RAW))
        self._borrowed.add(part.digest)
        self._awaited.pop(part.digest, None)

    def _read_part(self, part: Part) -> bytes:
        stored = self.site.lookup([part.of])
        one = stored.get(part.of)
        if one is None:
            raise FailedPrecondition(f"the chunk {part.of}, which a version here has, is not in the store", hint="have all of it sent, without a base")
        if one.place == place_of_whole(part.of):
            return self._reader.bytes_at(one.place, part.offset, part.size)
        return self._reader.part(one, stored, part.offset, part.size)

    def base(self, digest: str, width: int) -> Origin:
        """What another is a difference to. Raises FailedPrecondition where that is not of what is had, or too large for memory."""
        known = self._lookup([digest])
        if digest not in known or digest not in self.had | self._borrowed:
            raise FailedPrecondition(f"something of it is a difference to the chunk {digest}, which no version here has", hint="have all of it sent")
        if known[digest].size > MOST_AT_ONCE:
            raise FailedPrecondition(f"something of it is a difference to the chunk {digest}, which is too large for that", hint="have all of it sent")
        return Origin(digest, self._reader.chunk(known[digest], known), width, root=not known[digest].base and digest not in self._mine)

    def _found(self, digests: Collection[str]) -> set[str]:
        asked = list(digests)
        parts = (asked[at : at + _ASKED_AT_ONCE] for at in range(0, len(asked), _ASKED_AT_ONCE))
        return {one for part in parts for one in self.site.lookup(part)} & set(asked)

    def expected(self, digest: str) -> int:
        """The size of this chunk. Raises InvalidArgument for one that nothing asked for, or that came before."""
        if digest not in self._awaited:
            raise InvalidArgument(
                f"the chunk {digest[:64]} came twice, or no version needs it", hint="what sends it is damaged, or made to do harm; nothing was kept"
            )
        return self._awaited[digest]

    def receive(self, digest: str, pieces: Iterable[bytes | memoryview], base: Origin | None = None) -> None:
        """All bytes of one chunk. Raises InvalidArgument when they are others than its name says, OSError (a full disk)."""
        size = self.expected(digest)
        if not self.site.coder.key and (size > MOST_AT_ONCE or (digest in self._names and size >= self.site.sizes.whole)):
            self._large(digest, size, pieces)
        elif self.site.coder.key and size > self.site.sizes.framed:
            self._framed(digest, size, pieces)
        else:
            data = b"".join(_exactly(digest, size, pieces))
            if blake3(data).hexdigest() != digest:
                raise other_bytes(digest)
            if digest not in self._there:
                self._keep(digest, data, base or Origin())
        del self._awaited[digest]
        self.done += size
        self.site.report(self.done, self.stored)

    def _large(self, digest: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        """A whole file: hashed as it comes, and read once more where it is kept, to know its parts."""
        is_known, hasher, path = digest in self._there, blake3(), self.site.scratch / f"{len(self._wholes)}.whole"
        came = 0
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            for piece in _exactly(digest, size, pieces):
                hashing = self._thread.submit(hasher.update, piece)
                if not is_known:
                    disk.write_sparse(fd, piece)
                    came += len(piece)
                    self.site.report(self.done + came, self.stored + came)  # before there is more of it than its owner may have
                hashing.result()
            if hasher.hexdigest() != digest:
                raise other_bytes(digest)
            if not is_known:
                os.ftruncate(fd, size)
                disk.start_writing(fd)
                self._remember_parts(digest, size, fd)
                os.fchmod(fd, READ_ONLY)
                os.utime(fd, ns=(STAMP_NS, STAMP_NS))
                self.site.reached("receive.2-copied")
                os.fsync(fd)
                self._wholes.append((path, digest))
        finally:
            os.close(fd)

    def _framed(self, digest: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        """Where nothing is whole: encrypted as it comes, in what memory a frame takes."""
        hasher, is_known, came = blake3(), digest in self._there, 0
        if not is_known:
            self._remember(self._opened_pack().begin(digest, size, FRAMES, framed_size(size)))
        for number, frame in enumerate(_in_frames(_exactly(digest, size, pieces))):
            hasher.update(frame)
            if not is_known:
                self._opened_pack().write(self.site.coder.seal_frame(frame, digest, number))
            came += len(frame)
            self.site.report(self.done + came, self.stored)
        if hasher.hexdigest() != digest:
            raise other_bytes(digest)

    def _remember_parts(self, digest: str, size: int, fd: int) -> None:
        """So that what is registered next is compared with it piece by piece."""
        with open(fd, "rb", closefd=False) as file:
            marks = self.site.boundaries(self._names.get(digest, ""), file)
        lengths = None if marks is None else pieces_at(marks, size, self.site.sizes)
        place, parts, at = place_of_whole(digest), list[Stored](), 0
        for pieces in windows(fd, size, lengths, self.site.sizes):
            for piece in pieces:
                parts.append(Stored(blake3(piece).hexdigest(), len(piece), place, at, len(piece), RAW))
                at += len(piece)
        self._remember(Stored(digest, size, place, 0, size, RAW))
        known = self.site.lookup([part.digest for part in parts])
        for part in parts:
            if part.digest not in known and part.digest not in self._mine and part.digest not in self._awaited:
                self._remember(part)

    def _keep(self, digest: str, data: bytes, base: Origin) -> None:
        encoding, payload = self.site.coder.encode(data, digest, base.content if base.root else b"", base.width)
        self._remember(self._opened_pack().add(digest, len(data), encoding, payload, base.digest if encoding.startswith(DELTA) else ""))

    def _opened_pack(self) -> PackWriter:
        if self._pack is None:
            self._pack = PackWriter(self.site.scratch / "pack", place_of_pack(self.site.name))
        return self._pack

    def _remember(self, stored: Stored) -> None:
        self._mine[stored.digest] = stored
        self.new.append(stored)

    def complete(self) -> None:
        """All is here, and synchronised. Raises InvalidArgument when something did not come, OSError (a full disk)."""
        if lacking := self._awaited.keys() - self.had:
            raise InvalidArgument(f"{len(lacking)} chunks did not come, among them {min(lacking)}", hint="have all of it sent again; nothing was kept")
        if lost := self._awaited.keys() - self._there:
            raise FailedPrecondition(
                f"the chunk {min(lost)}, which was left out since a version here has it, is not in the store", hint="have all of it sent, without a base"
            )
        self.site.reached("receive.3-written")
        if self._pack is not None:
            self._pack.close()
        self.site.reached("receive.4-synced")

    def finish(self) -> Sequence[Stored]:
        """All that is new lies durably under its name; until it is remembered it is garbage."""
        for path, digest in self._wholes:
            settle(path, self.site.layout.path(place_of_whole(digest)))
        self.site.reached("receive.5-half")
        if self._pack is not None:
            settle(self._pack.path, self.site.layout.path(self._pack.place))
        self.site.reached("receive.6-named")
        return self.new

    def lay_out(self, manifest: Manifest) -> Path:
        """The files as they were registered; see laid_out. When all is complete."""
        return laid_out(manifest, self.site, self._lookup, self._wholes, self._pack)

    def close(self) -> None:
        self._thread.shutdown()
        self._reader.close()
        if self._pack is not None:
            self._pack.abandon()

    def _lookup(self, digests: Iterable[str]) -> Mapping[str, Stored]:
        """What is in the store, and what came."""
        asked = list(digests)
        mine = {digest: self._mine[digest] for digest in asked if digest in self._mine}
        return {**self.site.lookup([digest for digest in asked if digest not in mine]), **mine}


def _exactly(digest: str, size: int, pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Never more than was said, however much comes."""
    left = size
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise other_bytes(digest)


def _in_frames(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The same bytes in pieces of FRAME_BYTES, but for the last."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= FRAME_BYTES:
            yield bytes(held[:FRAME_BYTES])
            del held[:FRAME_BYTES]
    if held:
        yield bytes(held)

"""Files become chunks: what is there already is not stored again, what is new goes into one pack, and a large file may stay whole.

A file is read once, and what is stored is what was read, whatever happens to the file meanwhile. It stays whole, and can be
mapped, where its chunks would save nothing; they are known to the index all the same, as parts of it.
"""

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from blake3 import blake3
from msgspec import structs

from aiosd.models.manifest import Chunk, FileEntry, Manifest
from aiosd.models.vault_ports import Stored
from aiosd.storage.blobs import disk
from aiosd.storage.blobs.coding import RAW
from aiosd.storage.blobs.cutting import Boundaries, blocks, joined, pieces_at, read_exactly, windows
from aiosd.storage.blobs.lanes import side_by_side
from aiosd.storage.blobs.layout import READ_ONLY, STAMP_NS, place_of_pack, place_of_whole, settle
from aiosd.storage.blobs.pack import PackWriter
from aiosd.storage.blobs.parents import parent_file
from aiosd.storage.blobs.reading import Reader
from aiosd.storage.blobs.sampling import Plan, plan_for
from aiosd.storage.blobs.unnamed import laid_out
from aiosd.storage.blobs.worksite import Readable, Worksite

_BATCH_BYTES, _BATCH_FILES = 4 << 20, 1000
_SAVES = 0.05  # the part of a file that must be there already for it not to stay whole
_SYNCHRONISING = 8  # files that are kept open for that

_DEFAULT = Plan(squeeze=True)


@dataclass(frozen=True, slots=True)
class _Copy:
    """Our own, that nobody else writes to."""

    path: str
    fd: int
    size: int
    executable: bool


@dataclass(slots=True)
class Taker:
    """Takes files one after another, and has them synchronised meanwhile; `finish` waits for that, and gives them their names.

    base    what the differences may be to
    """

    site: Worksite
    base: Manifest | None = None
    new: list[Stored] = field(default_factory=list)
    done: int = 0
    _whole_bytes: int = 0
    _mine: dict[str, Stored] = field(default_factory=dict)
    _small: "list[tuple[Readable, bytes]]" = field(default_factory=list)
    _entries: list[FileEntry] = field(default_factory=list)
    _wholes: list[tuple[Path, str]] = field(default_factory=list)
    _pack: PackWriter | None = None
    _synchroniser: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="sync"))
    _synchronising: "deque[Future[None]]" = field(default_factory=deque)
    _reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = Reader(self.site.layout, self.site.coder, self.site.lookup)

    @property
    def stored(self) -> int:
        """Bytes that are new on the disk."""
        return (self._pack.bytes if self._pack else 0) + self._whole_bytes

    def take(self, files: Iterable[Readable]) -> Sequence[FileEntry]:
        """By path. Raises OSError (a full disk), and whatever `files` raises."""
        self.site.reached("take.1-begun")
        waiting = 0
        for file in files:
            if file.size > self.site.sizes.small:
                self._entries.append(self._large(file))
            else:
                self._small.append((_plain(file), read_exactly(file.fd, file.size, 0)))
                waiting += file.size
            if waiting >= _BATCH_BYTES or len(self._small) >= _BATCH_FILES:
                self._take_small()
                waiting = 0
        self._take_small()
        if self._pack is not None:
            self._meanwhile(self._pack.close)
        return sorted(self._entries, key=lambda entry: entry.path)

    def finish(self) -> Sequence[Stored]:
        """All that is new lies durably under its name. Until it is remembered it is garbage."""
        self.site.reached("take.3-written")
        self._synchronise_all()
        self.site.reached("take.4-synced")
        for path, digest in self._wholes:
            settle(path, self.site.layout.path(place_of_whole(digest)))
        self.site.reached("take.5-half")
        if self._pack is not None:
            settle(self._pack.path, self.site.layout.path(self._pack.place))
        self.site.reached("take.6-named")
        return self.new

    def lay_out(self, manifest: Manifest) -> Path:
        """The files as they were taken; see laid_out. When all are."""
        self._synchronise_all()
        return laid_out(manifest, self.site, self._known, self._wholes, self._pack)

    def close(self) -> None:
        self._synchroniser.shutdown(cancel_futures=True)
        self._reader.close()
        if self._pack is not None:
            self._pack.abandon()

    def _take_small(self) -> None:
        """Each is one chunk; an empty file has none."""
        digests = [blake3(data).hexdigest() for _, data in self._small]
        known = self._known({digest for digest, (_, data) in zip(digests, self._small, strict=True) if data})
        for digest, (file, data) in zip(digests, self._small, strict=True):
            if data and digest not in known and digest not in self._mine:
                self._keep(digest, data)
            chunks = (Chunk(digest, len(data)),) if data else ()
            self._entries.append(FileEntry(file.path, len(data), digest, chunks, file.executable))
        self._advance(sum(len(data) for _, data in self._small))
        self._small.clear()

    def _large(self, file: Readable) -> FileEntry:
        marks = _boundaries(self.site.boundaries, file)
        lengths = None if marks is None else pieces_at(marks, file.size, self.site.sizes)
        if (chunks := self._again(file, lengths)) is not None:
            return chunks
        base = parent_file(self.base, file.path, self.site, self._reader) if lengths else None
        plan = plan_for(file, lengths, base, self.site)
        if plan.keeps_whole and file.size >= self.site.sizes.whole and not self.site.coder.key:
            return self._whole(file, lengths)
        return self._in_pieces(file, lengths, plan)

    def _again(self, file: Readable, lengths: Sequence[int] | None) -> FileEntry | None:
        """The very file, when it is there already; asked only when its beginning is."""
        first = next(windows(file.fd, min(file.size, 2 * self.site.sizes.most), None, self.site.sizes))[0] if lengths is None else None
        head = read_exactly(file.fd, lengths[0], 0) if lengths else first
        assert head is not None
        if blake3(head).hexdigest() not in self._known({blake3(head).hexdigest()}):
            return None
        digest = _digest_of(file)
        stored = self._known({digest}).get(digest)
        if stored is not None:
            self._advance(file.size)
            return FileEntry(file.path, file.size, digest, (Chunk(digest, file.size),), file.executable)
        for entry in self.base.files if self.base else ():
            if entry.digest == digest and len(self._known({chunk.digest for chunk in entry.chunks})) == len({chunk.digest for chunk in entry.chunks}):
                self._advance(file.size)
                return structs.replace(entry, path=file.path, executable=file.executable)
        return None

    def _whole(self, file: Readable, lengths: Sequence[int] | None, *, whatever_it_saves: bool = False) -> FileEntry:
        """A copy, or a clone, that is read while it is written; when it turns out that its chunks do save something, they are taken from it."""
        path = self.site.scratch / f"{len(self._wholes)}.whole"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            cloned = disk.clone(file.fd, fd)
            digest, chunks = self._copied(fd if cloned else file.fd, None if cloned else fd, file.size, lengths)
            os.ftruncate(fd, file.size)
            known = self._known({digest, *(chunk.digest for chunk in chunks)})
            if digest in known:
                return FileEntry(file.path, file.size, digest, (Chunk(digest, file.size),), file.executable)
            saved = sum(chunk.size for chunk in chunks if chunk.digest in known)
            if saved >= _SAVES * file.size and not (whatever_it_saves or self._is_wanted_whole(digest)):
                return self._in_pieces(_Copy(file.path, fd, file.size, file.executable), lengths, Plan())
            os.fchmod(fd, READ_ONLY)
            os.utime(fd, ns=(STAMP_NS, STAMP_NS))
            self.site.reached("take.2-copied")
            self._meanwhile(partial(_synchronise, os.dup(fd)))
        finally:
            os.close(fd)
        self._wholes.append((path, digest))
        self._remember_parts(digest, file.size, chunks, known)
        return FileEntry(file.path, file.size, digest, (Chunk(digest, file.size),), file.executable)

    def _copied(self, source: int, target: int | None, size: int, lengths: Sequence[int] | None) -> tuple[str, list[Chunk]]:
        """Read once: hashed as a whole, hashed in pieces and written at the same time."""
        hasher, chunks = blake3(), list[Chunk]()
        writing = [partial(_write, target)] if target is not None else []
        with side_by_side(windows(source, size, lengths, self.site.sizes), _named, partial(_hash, hasher), *writing) as passed:
            for pieces, (digests, *_) in passed:
                chunks += map(Chunk, digests, map(len, pieces))
                self._advance(sum(map(len, pieces)))
        return hasher.hexdigest(), chunks

    def _remember_parts(self, digest: str, size: int, chunks: Sequence[Chunk], known: Collection[str]) -> None:
        place, at = place_of_whole(digest), 0
        self._whole_bytes += size
        self._remember(Stored(digest, size, place, 0, size, RAW))
        for chunk in chunks:
            if chunk.digest not in known and chunk.digest not in self._mine:
                self._remember(Stored(chunk.digest, chunk.size, place, at, chunk.size, RAW))
            at += chunk.size

    def _in_pieces(self, file: Readable, lengths: Sequence[int] | None, plan: Plan) -> FileEntry:
        hasher, chunks = blake3(), list[Chunk]()
        with side_by_side(windows(file.fd, file.size, lengths, self.site.sizes), _named, partial(_hash, hasher)) as passed:
            for pieces, (digests, _) in passed:
                self._keep_new(digests, pieces, plan, len(chunks))
                chunks += map(Chunk, digests, map(len, pieces))
                self._advance(sum(map(len, pieces)))
        digest = hasher.hexdigest()
        if len(chunks) > 1 and self._is_wanted_whole(digest):
            return self._whole(file, lengths, whatever_it_saves=True)
        return FileEntry(file.path, file.size, digest, tuple(chunks), file.executable)

    def _keep_new(self, digests: Sequence[str], pieces: Sequence[memoryview], plan: Plan, number: int) -> None:
        """Those that are not there yet, `number` the first of them in its file."""
        known = self._known(set(digests))
        new = [at for at, digest in enumerate(digests) if digest not in known]
        bases = plan.base.pieces({number + at: len(pieces[at]) for at in new}) if plan.base and new else {}
        for at in new:
            if digests[at] not in self._mine:
                self._keep(digests[at], pieces[at], plan, bases.get(number + at))

    def _is_wanted_whole(self, digest: str) -> bool:
        """A version has it as one file, which was damaged: only that heals it."""
        return not self.site.coder.key and (self.site.layout.quarantine / digest).exists()

    def _keep(self, digest: str, data: bytes | memoryview, plan: Plan = _DEFAULT, base: tuple[str, bytes] | None = None) -> None:
        name, content = base or ("", b"")
        encoding, payload = self.site.coder.encode(data, digest, content, plan.width or 1, squeeze=plan.squeeze)
        if self._pack is None:
            self._pack = PackWriter(self.site.scratch / "pack", place_of_pack(self.site.name))
        based = name if encoding.startswith("delta") else ""
        self._remember(self._pack.add(digest, len(data), encoding, payload, based))

    def _remember(self, stored: Stored) -> None:
        self._mine[stored.digest] = stored
        self.new.append(stored)

    def _known(self, digests: Collection[str]) -> Mapping[str, Stored]:
        """In the store, or taken before in this registration."""
        mine = {digest: self._mine[digest] for digest in digests if digest in self._mine}
        asked = [digest for digest in digests if digest not in mine]
        return {**self.site.lookup(asked), **mine} if asked else mine

    def _meanwhile(self, synchronise: Callable[[], None]) -> None:
        self._synchronising.append(self._synchroniser.submit(synchronise))
        if len(self._synchronising) > _SYNCHRONISING:
            self._synchronising.popleft().result()

    def _synchronise_all(self) -> None:
        while self._synchronising:
            self._synchronising.popleft().result()

    def _advance(self, count: int) -> None:
        self.done += count
        self.site.report(self.done, self.stored)


def _plain(file: Readable) -> Readable:
    """What is kept of a file that is closed before its batch is full."""
    return _Copy(file.path, -1, file.size, file.executable)


def _boundaries(find: Boundaries, file: Readable) -> Sequence[int] | None:
    with open(file.fd, "rb", closefd=False) as opened:
        return find(file.path, opened)


def _digest_of(file: Readable) -> str:
    hasher = blake3(max_threads=2)
    with side_by_side(blocks(file.fd, file.size), partial(_hash, hasher)) as passed:
        for _ in passed:
            continue
    return hasher.hexdigest()


def _named(pieces: Sequence[memoryview]) -> list[str]:
    return [blake3(piece).hexdigest() for piece in pieces]


def _hash(hasher: blake3, pieces: Sequence[memoryview]) -> None:
    hasher.update(joined(pieces))


def _write(fd: int, pieces: Sequence[memoryview]) -> None:
    disk.write_sparse(fd, joined(pieces))
    disk.start_writing(fd)


def _synchronise(fd: int) -> None:
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

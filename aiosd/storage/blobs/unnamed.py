"""What came, and has no name in the store yet, laid out as files: whoever examines them sees what is kept, and nothing else."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from aiosd.errors import InvalidArgument
from aiosd.models.manifest import FileEntry, Manifest
from aiosd.storage.blobs import disk
from aiosd.storage.blobs.budget import Budget
from aiosd.storage.blobs.layout import READ_ONLY, Layout, place_of_whole
from aiosd.storage.blobs.pack import PackWriter
from aiosd.storage.blobs.reading import Lookup, Reader
from aiosd.storage.blobs.worksite import Worksite

_PASSABLE = 0o755


def laid_out(manifest: Manifest, site: Worksite, lookup: Lookup, wholes: Sequence[tuple[Path, str]], pack: PackWriter | None) -> Path:
    """The path of the one file, or of their directory, in the scratch directory: links where they are whole.

    wholes, pack  what has no name yet, and is written to its end
    raises        InvalidArgument for a file that is not what its digest says, DataLoss, DiskFull, OSError
    """
    unnamed = {place_of_whole(digest): path for path, digest in wholes}
    if pack is not None:
        unnamed[pack.place] = pack.path
    reader = Reader(_Scratch(site.layout.root, unnamed), site.coder, lookup)
    root, budget = site.scratch / manifest.digest, Budget(site.scratch)
    root.mkdir(mode=_PASSABLE)
    try:
        for path in (*manifest.empty_directories, *(entry.path.rpartition("/")[0] for entry in manifest.files)):
            (root / path).mkdir(mode=_PASSABLE, parents=True, exist_ok=True)
        for entry in manifest.files:
            _lay(entry, root / entry.path, reader, budget)
    finally:
        reader.close()
    return root / manifest.files[0].path if manifest.single else root


@dataclass(frozen=True, slots=True)
class _Scratch(Layout):
    """A store in which some places do not have their names yet."""

    unnamed: Mapping[str, Path]

    def path(self, place: str) -> Path:
        return self.unnamed.get(place) or Layout.path(self, place)


def _lay(entry: FileEntry, path: Path, reader: Reader, budget: Budget) -> None:
    """One chunk of the file's own name has been compared with it; of several the whole is compared here."""
    if entry.chunks and entry.chunks[0].digest == entry.digest:
        stored = reader.find(entry.chunks)[entry.digest]
        if stored.place == place_of_whole(entry.digest):
            os.link(reader.layout.path(stored.place), path)
            return
    hasher, fd = blake3(), os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, READ_ONLY)
    try:
        for data in reader.file(entry):
            hasher.update(data)
            budget.check_disk(len(data))
            disk.write_sparse(fd, data)
        os.ftruncate(fd, entry.size)
    finally:
        os.close(fd)
    if hasher.hexdigest() != entry.digest:
        raise other_bytes(entry.digest)


def other_bytes(digest: str) -> InvalidArgument:
    return InvalidArgument(
        f"the bytes of the chunk {digest} are not those that its name stands for",
        hint="it was damaged on its way, or made to do harm: have it sent again; nothing was kept", digest=digest,
    )  # fmt: skip

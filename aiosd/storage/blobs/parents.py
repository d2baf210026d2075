"""The parent's file, piece by piece, as what a fine-tune may be a difference to. A base is never a difference itself: a load stays one pass."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

from blake3 import blake3

from aiosd.errors import AiosError
from aiosd.models.manifest import FileEntry, Manifest
from aiosd.models.vault_ports import Stored
from aiosd.storage.blobs.cutting import pieces_at
from aiosd.storage.blobs.layout import is_whole
from aiosd.storage.blobs.reading import Lookup, Reader
from aiosd.storage.blobs.worksite import Worksite


@dataclass(slots=True)
class ParentFile:
    """`lengths` of its pieces; `digests` of them where it is in pieces, else they are read from `place`, where it is whole."""

    reader: Reader
    lookup: Lookup
    lengths: Sequence[int]
    digests: Sequence[str]
    place: str = ""
    count: int = 0  # pieces of the new file: those of the other are found by their number, or by their number from the end

    def pieces(self, wanted: Mapping[int, int]) -> dict[int, tuple[str, bytes]]:
        """Of these pieces of the new file (number: length) those that have a counterpart: its digest and its bytes."""
        if self.place:
            return self._of_whole(wanted)
        named = {at: self.digests[mine] for at, length in wanted.items() if (mine := self._counterpart(at, length)) is not None}
        known = self.lookup(set(named.values()))
        return self._read({at: known[digest] for at, digest in named.items() if digest in known}, known)

    def _of_whole(self, wanted: Mapping[int, int]) -> dict[int, tuple[str, bytes]]:
        offsets = [0, *accumulate(self.lengths)]
        found = {}
        for at, length in wanted.items():
            mine = self._counterpart(at, length)
            if mine is not None:
                data = self.reader.bytes_at(self.place, offsets[mine], length)
                found[at] = blake3(data).hexdigest(), data
        known = self.lookup({digest for digest, _ in found.values()})
        there = {at: (digest, data) for at, (digest, data) in found.items() if digest in known and not known[digest].base}
        others = {at: known[digest] for at, (digest, _) in found.items() if digest in known and known[digest].base}
        return there | self._read(others, known)

    def _read(self, stored: Mapping[int, Stored], known: Mapping[str, Stored]) -> dict[int, tuple[str, bytes]]:
        """What is a difference itself stands for its own base. What does not read back is none."""
        found = {}
        for at, one in stored.items():
            root = known.get(one.base) if one.base else one
            if root is not None and not root.base:
                with suppress(AiosError):
                    found[at] = root.digest, self.reader.chunk(root, known)
        return found

    def _counterpart(self, at: int, length: int) -> int | None:
        for mine in (at, at + len(self.lengths) - self.count):
            if 0 <= mine < len(self.lengths) and self.lengths[mine] == length:
                return mine
        return None


def parent_file(manifest: Manifest | None, path: str, site: Worksite, reader: Reader) -> ParentFile | None:
    """The file of the same path, or the only one. None where there is none that could serve."""
    entry = _entry(manifest, path)
    if entry is None or not entry.chunks:
        return None
    if len(entry.chunks) > 1:
        return ParentFile(reader, site.lookup, [chunk.size for chunk in entry.chunks], [chunk.digest for chunk in entry.chunks])
    stored = site.lookup({entry.digest}).get(entry.digest)
    if stored is None or not is_whole(stored):
        return None
    try:
        with open(site.layout.path(stored.place), "rb") as file:
            marks, size = site.boundaries(entry.path, file), os.fstat(file.fileno()).st_size
    except OSError:
        return None
    return None if marks is None else ParentFile(reader, site.lookup, pieces_at(marks, size, site.sizes), (), stored.place)


def _entry(manifest: Manifest | None, path: str) -> FileEntry | None:
    if manifest is None:
        return None
    if manifest.single:
        return manifest.files[0]
    return next((entry for entry in manifest.files if entry.path == path), None)

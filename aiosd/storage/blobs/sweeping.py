"""What no version needs is found and removed: marks of what is alive, what is left of each place, and packs written anew without the dead."""

import os
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from aiosd.models.vault_ports import Stored
from aiosd.storage.blobs.layout import PACK, WHOLE, Layout, place_of_pack, place_of_whole, settle
from aiosd.storage.blobs.pack import OVERHEAD, PackWriter, record_at
from aiosd.storage.blobs.reading import damaged

_BITS = 1 << 27  # 16 MiB, whatever the store holds: with 4 million chunks, one dead one in 6,000 is taken for alive
_PROBES = 4
_BLOCK_BYTES = 4 << 20
_REWRITE_FROM = 0.5  # the dead part of a pack for which it is written anew


class Marks:
    """Digests that are alive. It may take a dead one for alive, never the other way round; by chance another one each time."""

    def __init__(self, random: int | None = None) -> None:
        self._bits = bytearray(_BITS // 8)
        self._salt = (random if random is not None else secrets.randbits(128)) | 1

    def add(self, digests: Iterable[str]) -> None:
        for digest in digests:
            for at in self._probes(digest):
                self._bits[at >> 3] |= 1 << (at & 7)

    def __contains__(self, digest: str) -> bool:
        return all(self._bits[at >> 3] & (1 << (at & 7)) for at in self._probes(digest))

    def _probes(self, digest: str) -> list[int]:
        mixed = (int(digest[:32], 16) * self._salt) >> 16
        return [(mixed >> (27 * probe)) & (_BITS - 1) for probe in range(_PROBES)]


@dataclass(slots=True)
class Verdict:
    """On one place of so many bytes: the chunks that go, and what becomes of its file."""

    place: str
    size: int
    dead: list[Stored] = field(default_factory=list)
    alive: list[Stored] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not self.alive

    @property
    def rewrite(self) -> bool:
        """Whether the living are few enough to be moved; the dead may have been forgotten by a sweep that was cut off."""
        return bool(self.alive) and self.hollow >= _REWRITE_FROM * self.size

    @property
    def hollow(self) -> int:
        """Bytes that no chunk needs."""
        if any(place_of_whole(one.digest) == self.place for one in self.alive):
            return 0
        overhead = OVERHEAD if self.place.startswith(PACK) else 0  # else a pack of tiny chunks would be written anew each time
        return self.size - sum(one.stored_size + overhead for one in self.alive)

    @property
    def freed(self) -> int:
        """Bytes that its sweep frees."""
        return self.size if self.empty else self.hollow if self.rewrite else 0


def judge(place: str, size: int, rows: Sequence[Stored], alive: "Collection[str] | Marks") -> Verdict:
    """While a whole file is alive, so are its parts, for what is registered next."""
    verdict = Verdict(place, size)
    if place.startswith(WHOLE) and place.partition("/")[2] in alive and any(place_of_whole(one.digest) == place for one in rows):
        verdict.alive = list(rows)
        return verdict
    for one in rows:
        (verdict.alive if one.digest in alive else verdict.dead).append(one)
    return verdict


def rewrite(layout: Layout, scratch: Path, name: str, rows: Sequence[Stored]) -> list[Stored]:
    """The same chunks, as they are written, in a new pack, durably. Raises OSError, DataLoss (what cannot be read is left where it is)."""
    writer, moved = PackWriter(scratch / "pack", place_of_pack(name)), []
    try:
        for one in sorted(rows, key=lambda row: (row.place, row.offset)):
            with layout.path(one.place).open("rb") as file:
                if not _is_it(layout, one, file.fileno()):
                    raise damaged(one, "what lies there is something else")
                moved.append(writer.begin(one.digest, one.size, one.encoding, one.stored_size, one.base))
                for at in range(0, one.stored_size, _BLOCK_BYTES):
                    length = min(_BLOCK_BYTES, one.stored_size - at)
                    payload = os.pread(file.fileno(), length, one.offset + at)
                    if len(payload) != length:
                        raise damaged(one, "the file there is too short")
                    writer.write(payload)
        writer.close()
    finally:
        writer.abandon()
    settle(writer.path, layout.path(writer.place))
    return moved


def _is_it(layout: Layout, one: Stored, fd: int) -> bool:
    """By its record in a pack, or, as a part of a whole file, by itself: an index that is damaged must not be made true."""
    if one.place.startswith(WHOLE):
        return blake3(os.pread(fd, one.stored_size, one.offset)).hexdigest() == one.digest
    return record_at(layout.path(one.place), one.place, one.offset) == one


def age_s(layout: Layout, place: str, now_s: float) -> float:
    """Since it got its name; a whole file's time of change is no help, so its status change is taken. Raises OSError."""
    found = layout.path(place).lstat()
    return now_s - (found.st_mtime if place.startswith(PACK) else found.st_ctime)

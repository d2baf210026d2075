"""The index of chunks and what versions name, compared with the files of the store; and the index made anew from the files."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from blake3 import blake3
from sqlalchemy import Connection, select

from aiosd.errors import StorageCorrupt
from aiosd.findings import Finding
from aiosd.models import damage
from aiosd.models.manifest import Manifest
from aiosd.models.ports import ModelChanges
from aiosd.models.vault_ports import Stored
from aiosd.models.version import Version
from aiosd.storage import chunks, model_questions, models, schema
from aiosd.storage.blobs.coding import RAW, Coder
from aiosd.storage.blobs.layout import PACK, Layout, is_whole, place_of_whole, size_of
from aiosd.storage.blobs.pack import scan
from aiosd.storage.blobs.verifying import reads_back

_PLACES = 100
_ADVICE = "register the same files again, or pull the version from where it still is"

Recut = Callable[[Path, str], Iterable[memoryview]]
"""The pieces that a registration of this file, by the name that it had, would make: they are good until the next is asked for."""


@dataclass(slots=True)
class StoreCheck:
    """One look at the store in `layout`, in one transaction, while nothing is swept."""

    tx: Connection
    layout: Layout
    coder: Coder
    recut: Recut
    places: int = 0

    def findings(self, *, repair: bool) -> list[Finding]:
        """What is wrong; with `repair`, after the index says what the files say, and versions say what they have lost."""
        found: list[Finding] = []
        for place, wrong in list(self._untrue(thorough=repair)):
            problem = f"the index says that {len(wrong)} chunks lie here which do not"
            found.append(Finding(place, problem, repair, "they were forgotten, and looked for in all other files" if repair else ""))
            if repair:
                chunks.commit(self.tx, (), {(one.digest, one.place) for one in wrong})
        missing = self._missing()
        if repair and missing:
            again = list(self._found(set(missing)))
            chunks.save(self.tx, again)
            found += [Finding("index of chunks", f"{len(again)} chunks were not in it", True, "the files of the store have them")] if again else []
            missing = self._missing()
            models.save(self.tx, ModelChanges(states=[damage.damaged(version, manifest, missing) for version, manifest in self._with(missing)]))
        return found + [self._lost(version, manifest, missing) for version, manifest in self._with(missing)]

    def _untrue(self, *, thorough: bool) -> Iterator[tuple[str, list[Stored]]]:
        """By place. What a pack's own record says, too, need not be read; of the parts of whole files nothing else tells."""
        after = ""
        while places := chunks.places(self.tx, after, _PLACES):
            after = places[-1]
            for place, rows in groupby(chunks.within(self.tx, places), key=lambda one: one.place):
                self.places += 1
                if wrong := [one for one in self._doubtful(place, list(rows), thorough=thorough) if not self._reads_back(one)]:
                    yield place, wrong

    def _doubtful(self, place: str, rows: Sequence[Stored], *, thorough: bool) -> list[Stored]:
        try:
            size = size_of(self.layout, place)
        except ValueError:
            return list(rows)
        if size and place.startswith(PACK):
            records = {one.digest: one for one in self._records(place)}
            return [one for one in rows if records.get(one.digest) != one]
        sound = [one for one in rows if 0 <= one.offset <= size - one.stored_size and (one.encoding, one.base, one.stored_size) == (RAW, "", one.size)]
        return [one for one in rows if one not in sound or (thorough and not is_whole(one))]

    def _reads_back(self, one: Stored) -> bool:
        try:
            return reads_back(self.layout, self.coder, one, chunks.stored(self.tx, [one.base]) if one.base else {})
        except ValueError:  # the place is no name of any
            return False

    def _records(self, place: str) -> Iterator[Stored]:
        """Up to where it is damaged."""
        with suppress(StorageCorrupt):
            yield from scan(self.layout.path(place), place)

    def _missing(self) -> dict[str, int]:
        """The chunks that versions name and the index has not, with their sizes."""
        missing: dict[str, int] = {}
        for manifest in self._manifests():
            wanted = {chunk.digest: chunk.size for chunk in manifest.chunks()}
            there = chunks.stored(self.tx, wanted)
            missing |= {digest: size for digest, size in wanted.items() if digest not in there}
        return missing

    def _manifests(self) -> Iterator[Manifest]:
        for digest in self.tx.scalars(select(schema.model_version.c.manifest).distinct()).all():
            with suppress(StorageCorrupt):  # a finding of its own: see model_check
                if (manifest := model_questions.manifest(self.tx, digest)) is not None:
                    yield manifest

    def _found(self, wanted: set[str]) -> Iterator[Stored]:
        """Where the files have these chunks, and the bases of those that are differences; each was read back."""
        candidates = list(self._candidates(wanted))
        bases = {one.base for one in candidates} - {""}
        known = dict(chunks.stored(self.tx, bases))
        known |= {one.digest: one for one in self._candidates(bases - known.keys()) if not one.base and reads_back(self.layout, self.coder, one, {})}
        for one in candidates:
            if reads_back(self.layout, self.coder, one, known):
                yield from (known[one.base], one) if one.base else (one,)

    def _candidates(self, wanted: set[str]) -> Iterator[Stored]:
        """Packs say what they have; a whole file has its name, or is cut again, which takes as long as reading it."""
        left = set(wanted)
        places = list(self.layout.places()) if wanted else []
        for place in [place for place in places if place.startswith(PACK)]:
            for one in self._records(place):
                if one.digest in wanted:
                    left.discard(one.digest)
                    yield one
        wholes = [place for place in places if not place.startswith(PACK)]
        for place in wholes:
            if (digest := place.removeprefix(place_of_whole(""))) in left:
                left.discard(digest)
                size = size_of(self.layout, place)
                yield Stored(digest, size, place, 0, size, RAW)
        names = {entry.digest: entry.path for manifest in self._manifests() for entry in manifest.files} if left else {}
        for place in wholes if left else ():
            at = 0
            for piece in self.recut(self.layout.path(place), names.get(place.removeprefix(place_of_whole("")), "")):
                if (digest := blake3(piece).hexdigest()) in left:
                    left.discard(digest)
                    yield Stored(digest, len(piece), place, at, len(piece), RAW)
                at += len(piece)

    def _with(self, missing: Mapping[str, int]) -> Iterator[tuple[Version, Manifest]]:
        for manifest in self._manifests() if missing else ():
            if missing.keys() & manifest.digests():
                yield from ((version, manifest) for version in model_questions.versions_with(self.tx, manifest.digest))

    def _lost(self, version: Version, manifest: Manifest, missing: Mapping[str, int]) -> Finding:
        lost = sorted(manifest.digests() & missing.keys())
        return Finding(f"version {version.model}@{version.id[:12]}", f"{len(lost)} of its chunks are not in the store, such as {lost[0][:12]}", False, _ADVICE)

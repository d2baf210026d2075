"""Damage as versions tell it, and how it goes."""

from dataclasses import replace

from aiosd.models.damage import chunks_in, damaged, damages, healed
from aiosd.models.manifest import Chunk, FileEntry, Manifest
from aiosd.models.version import Commit, Kind, Version, VersionState

ONE, TWO, OTHER = "1" * 64, "2" * 64, "3" * 64
MANIFEST = Manifest((FileEntry("a\nb", 9, "f", (Chunk(ONE, 4), Chunk(TWO, 5))), FileEntry("c", 4, ONE, (Chunk(ONE, 4),))))
VERSION = Version(model="digits", number=1, id="i", commit=Commit(kind=Kind.MODEL, manifest="m"), size=1, files=1, stored_bytes=1)


def test_a_version_is_damaged_by_its_own_chunks_only() -> None:
    assert damaged(VERSION, MANIFEST, {OTHER}) is VERSION
    bad = damaged(VERSION, MANIFEST, {ONE, OTHER})
    assert bad.state is VersionState.DAMAGED
    assert chunks_in(bad.reasons) == {ONE}
    assert damaged(bad, MANIFEST, {ONE}) is bad
    assert chunks_in(damaged(bad, MANIFEST, {ONE, TWO}).reasons) == {ONE, TWO}


def test_it_heals_when_all_of_it_is_whole_again() -> None:
    bad = damaged(VERSION, MANIFEST, {ONE, TWO})
    half = healed(bad, {ONE})
    assert half.state is VersionState.DAMAGED
    assert healed(half, {TWO}) == VERSION
    assert healed(bad, {OTHER}) is bad


def test_what_was_flagged_is_flagged_again() -> None:
    allowed = replace(VERSION, state=VersionState.ALLOWED, reasons=("a pickle that calls os.system",))
    back = healed(damaged(allowed, MANIFEST, {ONE}), {ONE})
    assert (back.state, back.reasons) == (VersionState.FLAGGED, allowed.reasons)


def test_damages_name_versions() -> None:
    (one,) = damages([ONE], {ONE: {"b@2", "a@1"}})
    assert (one.digest, one.versions, one.healed) == (ONE, ("a@1", "b@2"), False)

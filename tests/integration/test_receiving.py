"""Versions that come from another store, chunk by chunk: they keep their ids, and nothing of what is wrong with them is kept."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from aiosd.access.principal import Principal, Role
from aiosd.errors import AiosError, Conflict, Exhausted, FailedPrecondition, InvalidArgument
from aiosd.models.manifest import Chunk, FileEntry, Manifest, digest_of
from aiosd.models.model import Visibility
from aiosd.models.parcel import Parcel, Sent
from aiosd.models.permits import Caller
from aiosd.models.safety_service import ModelSafety
from aiosd.models.settings import ModelChange
from aiosd.models.version import Commit, Kind, VersionState
from aiosd.storage.blobs.coding import FRAMES
from aiosd.storage.blobs.cutting import Sizes
from tests.integration.carrying import ME, MIB, Side, between, some_files


async def sent(*pieces: tuple[str, bytes]) -> AsyncIterator[tuple[str, bytes]]:
    for piece in pieces:
        yield piece


def test_a_version_arrives_as_it_was(tmp_path: Path) -> None:
    path = some_files(tmp_path)

    async def story(here: Side, there: Side) -> None:
        made = await here.register(path, metrics={"accuracy": 0.9}, message="first")
        landed = await there.receive(await here.parcel(made), feed=here.pieces(made))
        assert [version.id for version in landed.versions] == [made.id]
        assert landed.new == {made.id}
        assert landed.versions[0].commit == made.commit
        assert landed.versions[0].stored_bytes == made.stored_bytes
        given = await there.checkout("digits:main")
        for name in ("whole", "text", "deep/small", "deep/empty"):
            assert (given / name).read_bytes() == (path / name).read_bytes()
        assert there.steps == ["import.1-before", "import.2-received", "import.3-committed"]
        assert not (await there.receive(await here.parcel(made), feed=here.pieces(made))).new
        again = await there.register(path, metrics={"accuracy": 0.9}, message="first")
        assert again.id == made.id  # and what is registered there finds all its pieces
        (path / "whole").write_bytes((path / "whole").read_bytes()[:-1000])
        assert (await there.register(path)).stored_bytes < 1_500_000

    between(tmp_path, story)


def test_only_what_is_missing_needs_to_come(tmp_path: Path) -> None:
    path = some_files(tmp_path)

    async def story(here: Side, there: Side) -> None:
        first = await here.register(path)
        await there.receive(await here.parcel(first), feed=here.pieces(first))
        (path / "deep" / "small").write_bytes(b"another")
        second = await here.register(path)
        landed = await there.receive(await here.parcel(second), feed=here.pieces(second, without=first))
        assert landed.versions[0].stored_bytes < 1000
        assert (await there.checkout("digits") / "deep" / "small").read_bytes() == b"another"
        with pytest.raises(InvalidArgument, match="did not come"):  # what another model has is not what came
            await there.receive(await here.parcel(second, model="other"), feed=here.pieces(second, without=first))
        assert await there.store.model(Kind.MODEL, "other") is None

    between(tmp_path, story)


def test_what_is_removed_while_it_comes_again_is_not_taken_unseen(tmp_path: Path) -> None:
    """It was here, so nobody looks into what comes; then it is gone, and would be new."""
    path = tmp_path / "m.pkl"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")

    async def story(here: Side, there: Side) -> None:
        made = await here.register(path)
        parcel = await here.parcel(made)
        first = await there.receive(parcel, feed=here.pieces(made))
        assert first.versions[0].state is VersionState.FLAGGED

        async def slowly() -> AsyncIterator[tuple[str, bytes]]:
            await there.moves.remove(Kind.MODEL, "digits", ME, force=True)
            async for piece in here.pieces(made):
                yield piece

        with pytest.raises(Conflict, match="nobody has looked into it"):
            await there.receive(parcel, feed=slowly())
        assert await there.store.model(Kind.MODEL, "digits") is None

    between(tmp_path, story)


def test_a_branch_goes_forward_or_not_at_all(tmp_path: Path) -> None:
    """What comes between need not come along: its commit shows that one comes after the other."""
    path = tmp_path / "m"

    async def story(here: Side, there: Side) -> None:
        made = []
        for at in range(4):
            path.write_bytes(b"%d" % at * 1000)
            made.append(await here.register(path))
        await there.receive(await here.parcel(made[0]), feed=here.pieces(made[0]))
        with pytest.raises(Conflict, match=f"at {made[0].id[:12]} here.*{made[3].id[:12]}"):
            await there.receive(await here.parcel(made[3]), feed=here.pieces(made[3]))
        between_them = tuple([await here.commit(version) for version in made[1:3]])
        await there.receive(await here.parcel(made[3], ancestry=between_them), feed=here.pieces(made[3]))
        older = await there.receive(await here.parcel(made[1], ancestry=between_them), branch="older", feed=here.pieces(made[1]))
        assert older.versions[0].number == 3
        leads = {each.name: each.version for each in await there.store.references(Kind.MODEL, "digits")}
        assert leads == {"main": made[3].id, "older": made[1].id}
        again = await here.parcel(made[1], ancestry=(await here.commit(made[3]), *between_them))
        await there.receive(again, feed=here.pieces(made[1]))  # main is further already
        assert {each.name: each.version for each in await there.store.references(Kind.MODEL, "digits")} == leads

    between(tmp_path, story)


def test_a_tag_stays(tmp_path: Path) -> None:
    path = tmp_path / "m"

    async def story(here: Side, there: Side) -> None:
        path.write_bytes(b"1")
        made = await here.register(path)
        parcel = await here.parcel(made)
        tagged = replace(parcel, versions=(replace(parcel.versions[0], tags=("v1",)),))
        await there.receive(tagged, feed=here.pieces(made))
        path.write_bytes(b"2")
        second = await here.register(path)
        parcel = await here.parcel(second)
        with pytest.raises(Conflict, match="tag digits:v1"):
            await there.receive(replace(parcel, versions=(replace(parcel.versions[0], tags=("v1",)),)), feed=here.pieces(second))
        assert await there.store.version(Kind.MODEL, "digits", second.id) is None

    between(tmp_path, story)


def test_what_was_flagged_stays_flagged_and_a_permission_does_not_travel(tmp_path: Path) -> None:
    path = tmp_path / "m"

    async def story(here: Side, there: Side) -> None:
        path.write_bytes(b"1")
        made = await here.register(path)
        parcel = await here.parcel(made)
        landed = await there.receive(replace(parcel, versions=(replace(parcel.versions[0], flags=("it looks bad",)),)), feed=here.pieces(made))
        assert (landed.versions[0].state, landed.versions[0].reasons) == ("flagged", ("it looks bad",))
        await there.moves.set(Kind.MODEL, "digits", ModelChange(visibility=Visibility.EVERYONE), ME)
        reader = Caller(Principal(12345, 12345, "eve", Role.USER), frozenset)
        scanned = await ModelSafety(there.care).scan(Kind.MODEL, "digits", reader)  # here nothing is found in it
        assert (scanned.findings, scanned.version.state, scanned.version.reasons) == ([], "flagged", ("it looks bad",))
        with pytest.raises(FailedPrecondition, match="is flagged: it looks bad"):
            _ = [step async for step in there.reader.checkout(Kind.MODEL, "digits", reader)]
        operator = Caller(Principal(0, 0, "root", Role.OPERATOR), frozenset)
        await ModelSafety(there.care).allow(Kind.MODEL, "digits", "read it", operator)
        await there.export(tmp_path / "on.aios")
        further = (await here.import_(tmp_path / "on.aios", model="further")).versions[0]
        assert (further.state, further.reasons) == ("flagged", ("it looks bad", "allowed by root: read it"))

    between(tmp_path, story)


def test_the_quota_holds(tmp_path: Path) -> None:
    path = some_files(tmp_path)

    async def story(here: Side, there: Side) -> None:
        made = await here.register(path)
        there.limits["me"] = 1_000_000
        with pytest.raises(Exhausted, match=r"may take 976\.56 KiB"):
            await there.receive(await here.parcel(made), feed=here.pieces(made))
        assert await there.store.model(Kind.MODEL, "digits") is None
        assert not list(there.vault.layout.incoming.iterdir())

    between(tmp_path, story)


def test_an_encrypted_store_takes_it_in_pieces(tmp_path: Path) -> None:
    path, key = some_files(tmp_path), tmp_path / "key"
    key.write_text("ab" * 32)
    key.chmod(0o600)

    async def story(here: Side, there: Side) -> None:
        made = await here.register(path)
        await there.receive(await here.parcel(made), feed=here.pieces(made))
        assert all(place.startswith("pack/") for place in await there.places())
        assert (await there.checkout("digits") / "whole").read_bytes() == (path / "whole").read_bytes()

    between(tmp_path, story, key_file=str(key))


def test_an_encrypted_store_takes_what_is_too_large_for_memory_and_gives_it_on(tmp_path: Path) -> None:
    """From a bundle, from another daemon, and in a bundle of its own again; a second version differs in a part of it."""
    path, key = some_files(tmp_path), tmp_path / "key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    (path / "whole").write_bytes(os.urandom(9 * MIB))

    async def story(here: Side, there: Side) -> None:
        made = await here.register(path)
        await here.export(tmp_path / "a.aios")
        await there.import_(tmp_path / "a.aios")
        await there.receive(await here.parcel(made, model="copy"), feed=here.pieces(made), had=())
        rows = await there.vault.index.within(await there.places())
        assert [one.size for one in rows if one.encoding == FRAMES] == [9 * MIB]
        assert (await there.checkout("digits") / "whole").read_bytes() == (path / "whole").read_bytes()
        with (path / "whole").open("r+b") as file:
            file.seek(5 * MIB)
            file.write(b"another")
        second = await here.register(path)
        await here.export(tmp_path / "b.aios", base="digits~1")
        assert (tmp_path / "b.aios").stat().st_size < 4 * MIB
        await there.import_(tmp_path / "b.aios")
        assert (await there.checkout("digits") / "whole").read_bytes() == (path / "whole").read_bytes()
        await there.care.collect(0.0, dry_run=False)
        verified = [step async for step in there.care.verify(Kind.MODEL, "digits~1", 0, ME)][-1]
        assert not verified.damaged  # type: ignore[union-attr]
        await there.export(tmp_path / "c.aios", history=True)
        assert (await here.import_(tmp_path / "c.aios", model="back")).versions[-1].id == second.id
        assert not [step async for step in here.care.verify(Kind.MODEL, "back", 0, ME)][-1].damaged  # type: ignore[union-attr]

    between(tmp_path, story, key_file=str(key), sizes=Sizes(framed=MIB))


DATA = b"weights" * 100
GOOD = Chunk(digest_of(DATA), len(DATA))
FILE = FileEntry("a", len(DATA), GOOD.digest, (GOOD,))
HALVES = (Chunk(digest_of(DATA[:350]), 350), Chunk(digest_of(DATA[350:]), 350))


def parcel_of(manifest: Manifest, **commit: object) -> Parcel:
    made = Commit(kind=Kind.MODEL, manifest=manifest.digest, **commit)  # type: ignore[arg-type]
    return Parcel(model="digits", versions=(Sent(made.encode(), "main"),), manifests=(manifest.encode(),))


ONE = Manifest((FILE,))
WRONG_PARCELS = {
    "leads out": parcel_of(Manifest((structs.replace(FILE, path="../a"),))),
    "leads out of": parcel_of(Manifest((structs.replace(FILE, path="/etc/passwd"),))),
    "which leads": parcel_of(Manifest((FILE,), ("x/./y",))),
    "longer than": parcel_of(Manifest((structs.replace(FILE, path="a" * 300),))),
    "twice": parcel_of(Manifest((FILE, structs.replace(FILE, path="a/b")))),
    "names 'a path' twice": parcel_of(Manifest((FILE, FILE))),
    "one file": parcel_of(Manifest((FILE, structs.replace(FILE, path="b")), single=True)),
    "without a digest": parcel_of(Manifest((structs.replace(FILE, chunks=(Chunk("../../x", 700),)),))),
    "or without bytes": parcel_of(Manifest((structs.replace(FILE, size=-5, chunks=(Chunk(GOOD.digest, -5),)),))),
    "its chunks have others": parcel_of(Manifest((structs.replace(FILE, size=1 << 60),))),
    "digest of another file": parcel_of(Manifest((structs.replace(FILE, digest="0" * 64),))),
    "two sizes": parcel_of(Manifest((FILE, FileEntry("b", 699, GOOD.digest, (structs.replace(GOOD, size=699),))))),
    "a version names one that did not come": replace(parcel_of(ONE), manifests=(Manifest((structs.replace(FILE, path="b"),)).encode(),)),
    "its version .* says dataset": replace(parcel_of(ONE), versions=(Sent(Commit(kind=Kind.DATASET, manifest=ONE.digest).encode()),)),
    "not written as versions are": replace(parcel_of(ONE), versions=(Sent(parcel_of(ONE).versions[0].commit + b" "),)),
    "not written as they are": replace(parcel_of(ONE), manifests=(ONE.encode() + b"\n",)),
    "a version of it cannot be read": replace(parcel_of(ONE), versions=(Sent(b"{}"),)),
    "a list of files of it cannot": replace(parcel_of(ONE), manifests=(b"\xff",)),
    "same version twice": replace(parcel_of(ONE), versions=parcel_of(ONE).versions * 2),
    "names what is no digest": parcel_of(ONE, parents=("main",)),
    "0 versions": replace(parcel_of(ONE), versions=()),
    "the metric": parcel_of(ONE, metrics={"": 1.0}),
    "cannot be the name of a model": replace(parcel_of(ONE), model="../x"),
    "cannot be the name of a reference": replace(parcel_of(ONE), versions=(replace(parcel_of(ONE).versions[0], branch="a b"),)),
}


def test_a_parcel_that_is_not_what_it_says_is_refused(tmp_path: Path) -> None:
    async def story(here: Side, there: Side) -> None:
        for why, parcel in WRONG_PARCELS.items():
            with pytest.raises(InvalidArgument, match=why):
                await there.receive(parcel, feed=sent((GOOD.digest, DATA)))
        with pytest.raises(FailedPrecondition, match="holds only what digits@777777777777 lacks"):
            await there.receive(replace(parcel_of(ONE), base=("7" * 64,)), feed=sent((GOOD.digest, DATA)))
        assert not there.steps

    between(tmp_path, story)


def test_chunks_that_are_not_what_they_say_are_refused(tmp_path: Path) -> None:
    other = digest_of(b"other")
    cut = FileEntry("a", 700, "0" * 64, HALVES)
    wrong: list[tuple[str, Manifest, list[tuple[str, bytes]]]] = [
        ("are not those", ONE, [(GOOD.digest, DATA[:-1] + b"x")]),
        ("are not those", ONE, [(GOOD.digest, DATA[:-1])]),
        ("are not those", ONE, [(GOOD.digest, DATA + b"more")]),
        ("no version needs it", ONE, [(other, b"other"), (GOOD.digest, DATA)]),
        ("came twice", ONE, [(GOOD.digest, DATA), (other, b"other")]),
        ("did not come", ONE, []),
        ("are not those", Manifest((cut,)), [(HALVES[0].digest, DATA[:350]), (HALVES[1].digest, DATA[350:])]),  # the file is another than its chunks
    ]

    async def story(here: Side, there: Side) -> None:
        for why, manifest, pieces in wrong:
            with pytest.raises(InvalidArgument, match=why):
                await there.receive(parcel_of(manifest), feed=sent(*pieces))
            assert not await there.places()
        assert await there.store.model(Kind.MODEL, "digits") is None
        assert (await there.receive(parcel_of(ONE), feed=sent((GOOD.digest, DATA)))).new

    between(tmp_path, story)


def test_a_sender_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[tuple[str, bytes]]:
        yield GOOD.digest, DATA[:100]
        raise ConnectionResetError("gone")

    async def story(here: Side, there: Side) -> None:
        with pytest.raises((AiosError, ConnectionResetError)):
            await there.receive(parcel_of(ONE), feed=broken())
        assert not await there.places()
        assert not list(there.vault.layout.incoming.iterdir())

    between(tmp_path, story)

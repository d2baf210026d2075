"""Who knows a digest has no right to the bytes: what must be sent, and what may be fetched, over real stores of bytes and versions."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.errors import AiosError, DataLoss, Exhausted, FailedPrecondition, InvalidArgument, NotFound
from aiosd.keeper.stage import BlobStage
from aiosd.keeper.vault import BlobVault
from aiosd.models.draft import Draft
from aiosd.models.manifest import Chunk, FileEntry, Manifest, digest_of
from aiosd.models.model import ModelRole, Signature, Visibility
from aiosd.models.parcel import Parcel, Sent
from aiosd.models.permits import Caller
from aiosd.models.ports import ModelChanges
from aiosd.models.receive_service import Landed
from aiosd.models.service import Registration
from aiosd.models.settings import ModelChange
from aiosd.models.transfer_ports import Piece
from aiosd.models.transfer_service import Arriving, Transfers
from aiosd.models.vault_ports import Source
from aiosd.models.version import Commit, Kind, VersionState
from aiosd.storage.blobs.settings import BlobSettings
from aiosd.storage.chunks import SqlChunks
from aiosd.storage.journal import SqlJournal
from aiosd.storage.models import SqlModels
from tests.fakes.model_world import ADA, BOB, EVE, ModelWorld

SECRET = b"what only ada has" * 100


class World(ModelWorld):
    """With bytes that are real, and users who are not of this machine: what they register lies in the daemon's own place."""

    @classmethod
    async def opened(cls, directory: Path, journal: SqlJournal) -> "World":
        world = cls(directory, SqlModels(journal))
        settings = BlobSettings(directory=str(directory / "models"))
        world.vault = BlobVault(settings, SqlChunks(journal))  # type: ignore[assignment]
        world.vault.start(passable=False)  # type: ignore[attr-defined]
        world.reader.vault = world.care.vault = world.vault
        uploads = replace(world.transfers.uploads, stage=BlobStage.of(settings), most_bytes=1 << 20)
        world.transfers = Transfers(uploads, world.transfers.receiver)
        return world

    async def own(self, content: bytes, model: str, by: Caller = ADA, **draft: object) -> Registration:
        source = Source(self.file(content), by.principal.uid, by.principal.gid, by.name, ours=True)
        return await self.registered(self.models.register(Draft(model=model, **draft), source, by))  # type: ignore[arg-type]

    async def send(self, *chunks: bytes, by: Caller = EVE) -> None:
        async def pieces() -> AsyncIterator[Sequence[Piece]]:
            yield [Piece(digest_of(chunk), 0, chunk, len(chunk)) for chunk in chunks]

        await self.transfers.send(pieces(), by)

    async def receive(self, commit: Commit, by: Caller = EVE, model: str = "eves", **arriving: object) -> Landed:
        wish = Arriving(kind=Kind.MODEL, model=model, version=commit.id, **({"branch": "main"} | arriving))  # type: ignore[arg-type]
        last = [step async for step in self.transfers.receive(wish, by)][-1]
        assert isinstance(last, Landed)
        return last

    async def fetch(self, ref: str, digest: str, by: Caller, offset: int = 0, **how: bool) -> bytes:
        return b"".join([piece.data async for piece in self.transfers.fetch(Kind.MODEL, ref, [(digest, offset)], by, **({"allow_flagged": False} | how))])


def run(directory: Path, story: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        journal = await SqlJournal.open(f"sqlite:///{directory}/aiosd.db")
        try:
            await story(await World.opened(directory, journal))
        finally:
            await journal.close()

    asyncio.run(main())


def listing(*files: tuple[str, bytes]) -> Manifest:
    return Manifest(tuple(FileEntry(path, len(data), digest_of(data), (Chunk(digest_of(data), len(data)),)) for path, data in files))


def commit(manifest: Manifest, **said: object) -> Commit:
    return Commit(kind=Kind.MODEL, manifest=manifest.digest, author="eve", **said)  # type: ignore[arg-type]


def test_a_digest_is_no_right_to_its_bytes(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.own(SECRET, "secret")
        digest, manifest = digest_of(SECRET), listing(("stolen", SECRET))
        assert await world.transfers.missing(Kind.MODEL, "eves", [digest], EVE) == [(digest, 0)]
        assert await world.transfers.missing(Kind.MODEL, "secret", [digest], EVE) == [(digest, 0)]
        assert await world.transfers.missing(Kind.MODEL, "adas", [digest], ADA) == []
        made = commit(manifest)
        await world.send(made.encode(), manifest.encode())
        with pytest.raises(NotFound, match="was not sent"):
            await world.receive(made)
        assert await world.store.model(Kind.MODEL, "eves") is None
        with pytest.raises(NotFound, match="no model secret"):
            await world.fetch("secret", digest, EVE)
        await world.moves.set(Kind.MODEL, "secret", ModelChange(visibility=Visibility.EVERYONE), ADA)
        assert await world.transfers.missing(Kind.MODEL, "eves", [digest], EVE) == []
        assert await world.fetch("secret", digest, EVE, offset=5) == SECRET[5:]
        landed = await world.receive(made)
        assert (landed.versions[0].id, landed.versions[0].stored_bytes) == (made.id, 0)
        assert await world.fetch("eves", digest, EVE) == SECRET
        with pytest.raises(NotFound, match="no model eves"):
            await world.fetch("eves", digest, BOB)

    run(tmp_path, story)


def test_a_history_is_no_right_to_its_bytes_either(tmp_path: Path) -> None:
    """Whoever sends a commit that names somebody else's list of files has a commit, and can do nothing with it."""

    async def story(world: World) -> None:
        secret = (await world.own(SECRET, "secret")).version
        there = await world.reader.manifest(secret)
        stolen = Commit(kind=Kind.MODEL, manifest=there.digest, author="eve")
        stray = Commit(kind=Kind.MODEL, manifest=there.digest, author="eve", message="comes before nothing")
        mine, digest = listing(("m", b"of eve")), digest_of(SECRET)
        made = commit(mine, parents=(stolen.id,))
        await world.send(made.encode(), mine.encode(), b"of eve", stolen.encode(), stray.encode())
        landed = await world.receive(made, ancestry=(stolen.id, stray.id))
        assert landed.versions[0].number == 2
        views, _ = await world.reader.log(Kind.MODEL, "eves", EVE, 0, 0, everything=True)
        assert [(view.version.id, view.version.state) for view in views] == [(made.id, "registered"), (stolen.id, "absent")]
        assert await world.transfers.missing(Kind.MODEL, "eves", [digest, stolen.id], EVE) == [(digest, 0)]
        with pytest.raises(FailedPrecondition, match="only what is said of it"):
            await world.fetch("eves~1", digest, EVE)
        copied = listing(("copied", SECRET))
        for attempt in (commit(copied, parents=(made.id, stolen.id)), commit(there, parents=(made.id,)), stolen):
            await world.send(attempt.encode(), copied.encode(), there.encode())
            with pytest.raises(NotFound, match="was not sent"):
                await world.receive(attempt, ancestry=(made.id, stolen.id))
        parcel = Parcel(model="eves", versions=(Sent(commit(copied, parents=(stolen.id,)).encode()),), manifests=(copied.encode(),))
        assert await world.transfers.receiver.here(parcel, EVE) == []
        with pytest.raises(FailedPrecondition, match="is not here"):
            await world.transfers.receiver.here(replace(parcel, base=(stolen.id,)), EVE)
        await world.care.mark([digest])  # damaged, and whole again
        await world.care.heal([digest])
        absent = await world.reader.find(Kind.MODEL, "eves~1", EVE)
        assert (absent.version.state, absent.version.reasons) == (VersionState.ABSENT, ())
        await world.moves.remove(Kind.MODEL, "secret", ADA, force=True)
        await world.care.collect(0.0, dry_run=False)
        assert await world.store.manifest(there.digest) is None  # nobody keeps it by a commit
        await world.send(SECRET, there.encode())
        filled = (await world.receive(stolen)).versions[0]
        assert (filled.number, filled.state, filled.size) == (1, VersionState.REGISTERED, len(SECRET))
        assert await world.fetch("eves~1", digest, EVE) == SECRET

    run(tmp_path, story)


def test_a_history_counts_for_the_quota_and_is_looked_at(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        mine = listing(("m", b"of eve"))
        long = commit(mine, message="x" * 60_000)
        made = commit(mine, parents=(long.id,))
        await world.send(made.encode(), mine.encode(), b"of eve", long.encode())
        world.limits["eve"] = 60_000
        with pytest.raises(Exhausted, match="the models of eve may take"):
            await world.receive(made, ancestry=(long.id,))
        assert await world.store.model(Kind.MODEL, "eves") is None
        world.limits["eve"] = 1 << 20
        await world.receive(made, ancestry=(long.id,))
        usage = await world.care.usage(EVE)
        assert len(long.encode()) <= usage.users[0].holding.stored_bytes <= len(long.encode()) + 1000
        for wrong in (
            commit(mine, message="x" * 70_000),
            commit(mine, metrics={"": 1.0}),
            commit(mine, labels={"a": "\0"}),
            Commit(kind=Kind.DATASET, manifest=mine.digest),
        ):
            after = commit(mine, parents=(wrong.id,), message="another")
            await world.send(after.encode(), mine.encode(), wrong.encode())
            with pytest.raises(InvalidArgument):
                await world.receive(after, ancestry=(wrong.id,))

    run(tmp_path, story)


def test_of_two_versions_with_one_history_that_come_at_once_both_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is first takes what was sent of it, and the other has begun to read that."""
    mine = listing(("m", b"of eve"))
    first = commit(mine)
    second, third = (commit(mine, parents=(first.id,), message=message) for message in ("second", "third"))
    read, landed = BlobStage.read, list[Landed]()

    async def story(world: World) -> None:
        await world.send(*(one.encode() for one in (first, second, third)), mine.encode(), b"of eve")

        async def overtaken(stage: BlobStage, uid: int, digest: str) -> AsyncIterator[bytes]:
            if digest == first.id and not landed:
                monkeypatch.setattr(BlobStage, "read", read)
                landed.append(await world.receive(second, ancestry=(first.id,)))
                await world.send(mine.encode())
            async for data in read(stage, uid, digest):
                yield data

        monkeypatch.setattr(BlobStage, "read", overtaken)
        landed.append(await world.receive(third, branch="other", ancestry=(first.id,)))
        assert [one.versions[0].id for one in landed] == [second.id, third.id]
        views, _ = await world.reader.log(Kind.MODEL, "eves", EVE, 0, 0, everything=True)
        assert {(view.version.id, view.version.number, view.version.state) for view in views} == {
            (first.id, 1, "absent"), (second.id, 2, "registered"), (third.id, 3, "registered"),
        }  # fmt: skip

    run(tmp_path, story)


def test_what_one_has_sent_is_no_one_elses(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        digest, manifest = digest_of(SECRET), listing(("m", SECRET))
        await world.send(SECRET, by=ADA)
        assert await world.transfers.missing(Kind.MODEL, "m", [digest], ADA) == []
        assert await world.transfers.missing(Kind.MODEL, "m", [digest], EVE) == [(digest, 0)]
        await world.send(commit(manifest).encode(), manifest.encode())
        with pytest.raises(NotFound, match="was not sent"):
            await world.receive(commit(manifest))
        await world.transfers.uploads.upload("a" * 32, one(Piece("m", 0, b"12", 4)), ADA)
        assert await world.transfers.uploads.uploaded("a" * 32, ADA) == [("m", 2)]
        assert await world.transfers.uploads.uploaded("a" * 32, EVE) == []

    run(tmp_path, story)


async def one(*pieces: Piece) -> AsyncIterator[Sequence[Piece]]:
    yield pieces


def test_chunks_of_other_versions_and_models_are_not_handed_out(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first = await world.own(b"first", "digits", visibility=Visibility.EVERYONE)
        await world.own(b"second", "digits")
        other = await world.own(SECRET, "secret")
        assert await world.fetch("digits", first.version.id, EVE) == first.version.commit.encode()
        for wrong in (digest_of(b"first"), digest_of(SECRET), other.version.id, other.version.commit.manifest, "x", "", "../../etc/passwd"):
            with pytest.raises(NotFound):
                await world.fetch("digits", wrong, EVE)
        assert await world.fetch("digits", digest_of(b"second"), EVE, offset=6) == b""

    run(tmp_path, story)


def test_writers_only_make_versions_of_what_is_there(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.own(b"first", "digits", visibility=Visibility.EVERYONE)
        manifest = listing(("m", b"of eve"))
        await world.send(commit(manifest).encode(), manifest.encode(), b"of eve")
        with pytest.raises(AiosError, match="may not register versions"):
            await world.receive(commit(manifest), model="digits")
        await world.moves.set(Kind.MODEL, "digits", ModelChange(roles={"eve": ModelRole.WRITER}), ADA)
        with pytest.raises(AiosError, match="does not come after that"):
            await world.receive(commit(manifest), model="digits")

    run(tmp_path, story)


def test_what_is_flagged_stays_flagged_and_is_not_fetched_without_a_word(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        manifest = listing(("m", b"pickle"))
        await world.send(commit(manifest).encode(), manifest.encode(), b"pickle")
        landed = await world.receive(commit(manifest), flags=("it runs os.system",))
        assert landed.versions[0].state is VersionState.FLAGGED
        with pytest.raises(FailedPrecondition, match="is flagged"):
            await world.fetch("eves", digest_of(b"pickle"), EVE)
        assert await world.fetch("eves", digest_of(b"pickle"), EVE, allow_flagged=True) == b"pickle"

    run(tmp_path, story)


def hostile() -> list[tuple[str, Manifest, str]]:
    data = b"x" * 10
    chunk = Chunk(digest_of(data), 10)

    def manifest(path: str = "m", size: int = 10, chunks: tuple[Chunk, ...] = (chunk,), **more: object) -> Manifest:
        return Manifest((FileEntry(path, size, digest_of(data), chunks),), **more)  # type: ignore[arg-type]

    return [
        ("up", manifest("../m"), "leads out"),
        ("absolute", manifest("/etc/passwd"), "leads out"),
        ("long", manifest("m" * 300), "longer than"),
        ("directory", manifest(empty_directories=("..",)), "leads out"),
        ("size", manifest(size=1 << 60), "its chunks have others"),
        ("absurd", manifest(size=1 << 60, chunks=(Chunk(chunk.digest, 1 << 60),)), "without a digest, or without bytes"),
        ("smaller", manifest(size=5, chunks=(Chunk(chunk.digest, 5),)), "are not those that its name stands for"),
        ("negative", manifest(size=-10, chunks=(Chunk(chunk.digest, -10),)), "without bytes|cannot be read"),
        ("name", manifest(chunks=(Chunk("../../x", 10),)), "without a digest"),
        ("single", manifest("a/b", single=True), "one file"),
    ]


@pytest.mark.parametrize(("manifest", "said"), [case[1:] for case in hostile()], ids=[case[0] for case in hostile()])
def test_a_hostile_list_of_files_is_refused(tmp_path: Path, manifest: Manifest, said: str) -> None:
    async def story(world: World) -> None:
        await world.send(commit(manifest).encode(), manifest.encode(), b"x" * 10)
        with pytest.raises((InvalidArgument, Exhausted), match=said):
            await world.receive(commit(manifest))
        assert await world.store.model(Kind.MODEL, "eves") is None
        assert not list((tmp_path / "models" / "pack").rglob("*")) + list((tmp_path / "models" / "incoming").iterdir())

    run(tmp_path, story)


def test_chunks_that_lie_are_told_and_forgotten(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        digest = digest_of(b"good")
        with pytest.raises(DataLoss, match="is not what its name says"):
            await world.transfers.send(one(Piece(digest, 0, b"evil", 4)), EVE)
        for piece in (
            Piece(digest, 0, b"good and more", 4), Piece(digest, 2, b"od", 4), Piece("../../../x", 0, b"good", 4), Piece(digest.upper(), 0, b"good", 4),
            Piece(digest, 0, b"", 0),
        ):  # fmt: skip
            with pytest.raises(InvalidArgument):
                await world.transfers.send(one(piece), EVE)
        with pytest.raises(Exhausted, match="upload_bytes"):
            await world.transfers.send(one(Piece(digest, 0, os.urandom(2 << 20), 1 << 60)), EVE)
        await world.transfers.send(one(Piece(digest, 0, b"go", 4)), EVE)
        assert await world.transfers.missing(Kind.MODEL, "m", [digest], EVE) == [(digest, 1)]  # its last byte comes once more
        await world.transfers.send(one(Piece(digest, 1, b"ood", 4)), EVE)
        assert await world.transfers.missing(Kind.MODEL, "m", [digest], EVE) == []

    run(tmp_path, story)


def test_a_record_that_is_none_is_refused(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        for body in (b"{}", b"no json", b"\xff\xfe", commit(listing(("m", b"1"))).encode() + b" "):
            await world.send(body)
            wish = Arriving(kind=Kind.MODEL, model="eves", version=digest_of(body), branch="main")
            with pytest.raises(InvalidArgument, match="cannot be taken"):
                _ = [step async for step in world.transfers.receive(wish, EVE)]

    run(tmp_path, story)


def test_what_nobody_goes_on_with_is_removed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.send(b"old")
        await world.transfers.uploads.upload("a" * 32, one(Piece("m/a", 0, b"12", 4)), EVE)
        staging = world.transfers.uploads.stage.staging  # type: ignore[attr-defined]
        for path in [*tmp_path.glob("models/staged/*/chunks/*"), *tmp_path.glob("models/staged/*/files/*")]:
            os.utime(path, (1, 1))
        await world.send(b"new")
        assert [path.name for path in tmp_path.glob("models/staged/*/*/*")] == [digest_of(b"new")]
        assert staging.tidy(EVE.principal.uid) == 3 + 4096

    run(tmp_path, story)


def test_a_signature_that_comes_takes_the_place_of_none(tmp_path: Path) -> None:
    """The same version may be in the model of somebody else, who relies on the one that is there; new ones are kept, also of what is here already."""

    async def story(world: World) -> None:
        version = (await world.own(SECRET, "ada", visibility=Visibility.EVERYONE)).version
        right = Signature(version.id, "1" * 64, "of-a-test", b"right", 1.0, "ada")
        await world.store.commit(ModelChanges(signatures=[right]))
        manifest = await world.reader.manifest(version)
        other = replace(right, key_id="2" * 64)
        for signatures in ((replace(right, signature=b"forged"),), (other,)):
            await world.send(version.commit.encode(), manifest.encode(), SECRET)
            await world.receive(version.commit, signatures=signatures)
        assert await world.store.signatures(version.id) == [right, replace(other, signed_by="eve")]

    run(tmp_path, story)

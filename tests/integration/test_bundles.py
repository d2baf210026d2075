"""Bundles: versions that leave one store in a file and are the same in another; what is wrong with a bundle keeps all of it out."""

import os
import sqlite3
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from aiosd.access.principal import Principal, Role
from aiosd.errors import AlreadyExists, Conflict, DataLoss, Denied, FailedPrecondition, InvalidArgument, NotFound
from aiosd.models.move_service import Wish
from aiosd.models.parcel import packed, unpacked
from aiosd.models.permits import Caller
from aiosd.models.ports import ModelChanges
from aiosd.models.version import Kind, VersionState
from aiosd.storage.blobs import bundle
from tests.integration.carrying import ME, MIB, Side, between, some_files
from tests.integration.keeping import safetensors
from tests.unit.storage.blobs.test_bundle import taken


def test_a_bundle_brings_the_same_version(tmp_path: Path) -> None:
    path, file = some_files(tmp_path), tmp_path / "digits.aios"

    async def story(here: Side, there: Side) -> None:
        made = await here.register(path, metrics={"accuracy": 0.9}, message="first", tags=("v1",), description="numbers")
        assert await here.export(file, "digits") == [made.id]
        assert file.stat().st_size < made.stored_bytes + 4096
        assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
        with pytest.raises(AlreadyExists, match=r"--force|something at"):
            await here.export(file, "digits")
        await here.export(file, "digits", replace=True)
        landed = await there.import_(file)
        assert [version.id for version in landed.versions] == [made.id]
        assert landed.versions[0].commit == made.commit
        given = await there.checkout("digits:v1")
        for name in ("whole", "text", "deep/small", "deep/empty"):
            assert (given / name).read_bytes() == (path / name).read_bytes()
        model = await there.store.model(Kind.MODEL, "digits")
        assert model is not None
        assert (model.description, model.owner) == ("numbers", "me")
        assert not (await there.import_(file)).new
        assert (await there.import_(file, model="edge/digits", branch="field")).new == {made.id}
        assert (await there.checkout("edge/digits:field")).is_dir()
        assert await there.export(tmp_path / "back.aios", "edge/digits:field") == [made.id]  # what was brought goes on

    between(tmp_path, story)


def test_a_difference_needs_its_base_and_little_room(tmp_path: Path) -> None:
    """A fine-tune of which every tensor moved a little travels as it is stored: as its differences."""
    import numpy as np

    random = np.random.default_rng(1)
    weights = random.standard_normal(600_000).astype("<f4")
    moved = (weights * (1 + 1e-3 * random.standard_normal(600_000))).astype("<f4")
    path, full, update = tmp_path / "m.safetensors", tmp_path / "full.aios", tmp_path / "update.aios"

    async def story(here: Side, there: Side) -> None:
        path.write_bytes(safetensors({"a": weights.tobytes(), "b": weights.tobytes()}))
        first = await here.register(path)
        await here.export(full)
        path.write_bytes(safetensors({"a": moved.tobytes(), "b": weights.tobytes()}))
        second = await here.register(path)
        await here.export(update, base="digits~1")
        assert update.stat().st_size < 0.75 * weights.nbytes
        with pytest.raises(FailedPrecondition, match=f"holds only what digits@{first.id[:12]} lacks"):
            await there.import_(update)
        await there.import_(full)
        landed = await there.import_(update)
        assert landed.new == {second.id}
        assert landed.versions[0].stored_bytes < 0.75 * weights.nbytes
        assert (await there.checkout("digits")).read_bytes() == path.read_bytes()
        with pytest.raises(FailedPrecondition, match="holds only what other@"):
            await there.import_(update, model="other")

    between(tmp_path, story)


def test_a_history_comes_along_where_it_is_asked_for(tmp_path: Path) -> None:
    path, file = tmp_path / "m", tmp_path / "h.aios"

    async def story(here: Side, there: Side) -> None:
        made = []
        for at in range(3):
            path.write_bytes(b"%d" % at * 1000)
            made.append((await here.register(path, tags=(f"v{at}",))).id)
        await here.export(file, "digits:v0")
        await there.import_(file)
        assert await here.export(file, "digits", history=True, base="digits:v0", replace=True) == made[1:]
        await there.import_(file)
        views, _ = await there.reader.log(Kind.MODEL, "digits", ME, 0, 0)
        assert [view.version.id for view in views] == made[::-1]
        assert {each.name: each.version for each in await there.store.references(Kind.MODEL, "digits")} == {
            "main": made[2], "v0": made[0], "v1": made[1], "v2": made[2],
        }  # fmt: skip
        assert await here.export(file, "digits:v0", "digits:v2", replace=True) == [made[0], made[2]]
        assert not (await there.import_(file)).new
        for side, content in ((here, b"here"), (there, b"there")):
            path.write_bytes(content)
            await side.register(path)
        await here.export(file, replace=True)
        with pytest.raises(Conflict, match="main is at"):
            await there.import_(file)
        await there.import_(file, branch="theirs")

    between(tmp_path, story)


def test_without_their_bytes_the_versions_before_come_along_anyway(tmp_path: Path) -> None:
    path, file = tmp_path / "m", tmp_path / "h.aios"

    async def story(here: Side, there: Side) -> None:
        made = []
        for at in range(4):
            path.write_bytes(b"%d" % at * 1000)
            made.append((await here.register(path, message=f"the {at}th")).id)
        await here.export(file, f"digits@{made[1]}")
        await there.import_(file)
        await here.export(file, "digits", replace=True)
        on_commit, there.care.reached = there.steps.append, killed_after("import.3-committed")
        with pytest.raises(KeyboardInterrupt):
            await there.import_(file)
        there.care.reached = on_commit
        assert (await there.checkout("digits")).read_bytes() == path.read_bytes()
        assert not (await there.import_(file)).new  # the same once more, and the rest of the history is there
        seen, before = list[tuple[str, str, int]](), 0
        while True:
            (view,), before = await there.reader.log(Kind.MODEL, "digits", ME, before, 1)
            seen.append((view.version.id, view.version.state, view.version.number))
            if not before:
                break
        assert seen == [(made[3], "registered", 4), (made[2], "absent", 5), (made[1], "registered", 2), (made[0], "absent", 1)]
        await here.export(file, "digits", history=True, replace=True)
        assert (await there.import_(file)).new == {made[0], made[2]}
        views, _ = await there.reader.log(Kind.MODEL, "digits", ME, 0, 0)
        assert [view.version.state for view in views] == ["registered"] * 4

    between(tmp_path, story)


def test_a_history_that_comes_late_is_not_what_the_bare_name_stands_for(tmp_path: Path) -> None:
    """What comes before has higher numbers then, and there is no main."""
    path, file = tmp_path / "m", tmp_path / "h.aios"

    async def story(here: Side, there: Side) -> None:
        for at in range(3):
            path.write_bytes(b"%d" % at * 1000)
            last = await here.register(path)
        await here.export(file)
        on_commit, there.care.reached = there.steps.append, killed_after("import.3-committed")
        with pytest.raises(KeyboardInterrupt):
            await there.import_(file, branch="try")
        there.care.reached = on_commit
        await there.import_(file, branch="try")
        view = await there.reader.view(Kind.MODEL, "digits", ME)
        assert (view.summary.versions, view.latest and view.latest.id) == (3, last.id)
        assert (await there.checkout("digits")).read_bytes() == path.read_bytes()
        await there.moves.move(Wish(kind=Kind.MODEL, model="digits", name="try", to=""), ME)
        await there.store.commit(ModelChanges(gone_versions=[(Kind.MODEL, "digits", last.id)]))
        with pytest.raises(FailedPrecondition, match="only what is said of it is here"):
            await there.checkout("digits")

    between(tmp_path, story)


def test_a_commit_that_is_damaged_keeps_nothing_after_it_from_going(tmp_path: Path) -> None:
    path, file = tmp_path / "m", tmp_path / "h.aios"

    async def story(here: Side, there: Side) -> None:
        made = []
        for at in range(4):
            path.write_bytes(b"%d" % at * 1000)
            made.append((await here.register(path)).id)
        with sqlite3.connect(here.directory / "aiosd.db") as database:
            database.execute("UPDATE model_version SET commit_body = substr(commit_body, 2) WHERE id = ?", (made[1],))
        await here.export(file)
        await there.import_(file)
        views, _ = await there.reader.log(Kind.MODEL, "digits", ME, 0, 0, everything=True)
        assert [(view.version.id, view.version.state) for view in views] == [(made[3], "registered"), (made[2], "absent")]

    between(tmp_path, story)


def killed_after(step: str) -> Callable[[str], None]:
    def reached(passed: str) -> None:
        if passed == step:
            raise KeyboardInterrupt

    return reached


def test_what_cannot_go_out(tmp_path: Path) -> None:
    path, file = some_files(tmp_path), tmp_path / "x.aios"
    eve = Caller(Principal(4242, 4242, "eve", Role.USER), frozenset)

    async def story(here: Side, there: Side) -> None:
        made = await here.register(path)
        await here.register(path, model="other")
        wrong = [
            (NotFound, {"refs": ("digits:no",)}, {}), (InvalidArgument, {"refs": ("digits", "other")}, {}), (NotFound, {}, {"by": eve}),
            (InvalidArgument, {}, {"base": "other"}), (NotFound, {"path": tmp_path / "no" / "x"}, {}), (AlreadyExists, {"path": path}, {}),
            (InvalidArgument, {"path": Path("relative")}, {}),
        ]  # fmt: skip
        for error, what, how in wrong:
            with pytest.raises(error):
                await here.export(Path(str(what.get("path", file))), *what.get("refs", ()), **how)  # type: ignore[misc, arg-type]
        place = next(place for place in here.vault.layout.places() if place.startswith("whole/"))
        whole = here.vault.layout.path(place)
        whole.chmod(0o600)
        whole.write_bytes(b"x" + whole.read_bytes()[1:])
        with pytest.raises(DataLoss):
            await here.export(file)
        assert sorted(os.listdir(tmp_path)) == ["here", path.name, "there"]
        assert made.state is VersionState.REGISTERED

    between(tmp_path, story)


@pytest.mark.root
def test_both_ways_are_the_users_own() -> None:
    """A user writes where that user may, and reads what that user may."""
    ada = Caller(Principal(61001, 61001, "ada", Role.OPERATOR), frozenset)

    async def story(here: Side, there: Side) -> None:
        await here.register(path)
        with pytest.raises(Denied):
            await here.export(file, by=ada)
        await here.export(file)
        file.chmod(0o600)
        with pytest.raises(Denied):
            await there.import_(file, by=ada)
        file.chmod(0o644)
        assert (await there.import_(file, by=ada)).new
        mine = root / "mine"
        mine.mkdir()
        os.chown(mine, 61001, 61001)
        await here.export(mine / "x.aios", by=ada)
        assert (mine / "x.aios").stat().st_uid == 61001

    with tempfile.TemporaryDirectory(prefix="aios-bundles-") as made:  # pytest's own directories are for root alone
        root = Path(made)
        root.chmod(0o755)
        path, file = some_files(root), root / "x.aios"
        between(root, story)


# What is wrong with a file


def parts(file: Path) -> tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]:
    """The head as it reads, and as it lies with its lengths; each record with its bytes; the end."""
    data = file.read_bytes()
    with file.open("rb") as opened:
        reader = bundle.Reader(opened.fileno())
        head, begin = reader.head(), opened.tell()
        records = []
        for record in reader.records():
            at = opened.tell()
            records.append((data[at - 88 : at], b"".join(reader.pieces(record))))
    return head, data[:begin], records, data[-88:]


def test_a_bundle_that_is_damaged_or_made_to_do_harm_is_refused(tmp_path: Path) -> None:
    path, file, bad = some_files(tmp_path), tmp_path / "good.aios", tmp_path / "bad.aios"

    async def story(here: Side, there: Side) -> None:
        made = await here.register(path)
        await here.export(file)
        head, begin, records, end = parts(file)
        body = b"".join(header + data for header, data in records)
        named, whole = records[0]
        foreign = packed(unpacked(head)).replace(made.commit.manifest.encode(), b"0" * 64)
        wrong = {
            "no bundle": b"x" * 500,
            "does not read": b"aios bundle 9\n\0\0" + begin[16:] + body + end,
            "cut off": file.read_bytes()[:-100],
            "was cut": begin[:40],
            "cut off|damaged at": begin + body,
            "something follows": file.read_bytes() + b"\0",
            "head is damaged": begin[:-1] + bytes([begin[-1] ^ 1]) + body + end,
            "head claims": begin[:16] + struct.pack("<Q", 1 << 62) + begin[24:] + body + end,
            "came twice": begin + named + whole + body + end,
            "did not come": begin + b"".join(header + data for header, data in records[1:]) + end[:8] + struct.pack("<Q", len(records) - 1) + end[16:],
            "are not those": begin + named + whole[:-1] + bytes([whole[-1] ^ 4]) + b"".join(header + data for header, data in records[1:]) + end,
            "claims": begin + named[:8] + struct.pack("<QQ", 1 << 60, 5) + named[24:] + body + end,
            "no version needs it": begin + named[:24] + b"\1" * 32 + named[56:] + whole + body + end,
            "damaged at its record 1": begin + b"junk" + named[4:] + whole + body + end,
            "difference to nothing": begin + named[:4] + b"\2" + named[5:] + whole + body + end,
            "says 9": begin + body + end[:8] + struct.pack("<Q", 9) + end[16:],
            "names one that did not come|is not written|no digest": rewritten(foreign) + body + end,
        }
        for why, data in wrong.items():
            with pytest.raises(InvalidArgument, match=why):
                taken(data)
        bad.write_bytes(wrong["are not those"])
        with pytest.raises(InvalidArgument, match="are not those"):
            await there.import_(bad)
        bad.unlink()
        with pytest.raises(NotFound):
            await there.import_(bad)
        with pytest.raises(InvalidArgument, match="no bundle"):
            await there.import_(path)
        assert not await there.places()
        assert not list(there.vault.layout.incoming.iterdir())
        assert await there.store.model(Kind.MODEL, "digits") is None
        assert (await there.import_(file)).new

    between(tmp_path, story)


def rewritten(head: bytes) -> bytes:
    read, write = os.pipe()
    with open(read, "rb") as out:
        bundle.Writer(write).head(head)
        os.close(write)
        return out.read()


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    import zstandard

    file, path = tmp_path / "bomb.aios", tmp_path / "m"

    async def story(here: Side, there: Side) -> None:
        path.write_bytes(b"again " * 10_000)
        await here.register(path)
        await here.export(file)
        _, begin, records, end = parts(file)
        ((header, _),) = records
        bomb = zstandard.ZstdCompressor().compress(bytes(256 * MIB))
        size = struct.unpack_from("<Q", header, 8)[0]
        file.write_bytes(begin + header[:8] + struct.pack("<QQ", size, len(bomb)) + header[24:] + bomb + end)
        with pytest.raises(InvalidArgument, match="claims 268435456 bytes"):
            await there.import_(file)

    between(tmp_path, story)

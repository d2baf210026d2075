"""What every OutputReader promises, on files, and what the reader of files promises besides."""

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from aiosd.errors import FailedPrecondition
from aiosd.host import growth, output
from aiosd.host.identities import Identities, Identity
from aiosd.host.output import BLOCK_BYTES, FileOutputReader
from aiosd.jobs.job import Owner


@contextmanager
def reader() -> Iterator[FileOutputReader]:
    made = FileOutputReader()
    try:
        yield made
    finally:
        made.close()


async def soon(changes: AsyncIterator[None]) -> None:
    async with asyncio.timeout(30):
        await anext(changes)


async def read_all_until(made: FileOutputReader, path: Path, total: int) -> bytes:
    """What a follower reads of a file that will be of size `total`."""
    got = bytearray()
    async with asyncio.timeout(30):
        async for _ in made.changes([str(path)]):
            while piece := await made.read(str(path), len(got), 65536):
                got += piece
            if len(got) >= total:
                break
    return bytes(got)


def test_pieces_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(bytes(range(256)))

    async def run() -> None:
        with reader() as made:
            assert await made.size(str(path)) == 256
            assert await made.read(str(path), 10, 5) == bytes(range(10, 15))
            assert await made.read(str(path), 250, 100) == bytes(range(250, 256))
            assert await made.read(str(path), 256, 100) == b""
            assert await made.read(str(path), 10_000, 100) == b""

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["nothing", "directory", "under a file", "pipe"])
def test_what_is_no_file_is_empty(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    match kind:
        case "directory":
            path.mkdir()
        case "under a file":
            path.write_text("x")
            path = path / "below"
        case "pipe":
            os.mkfifo(path)

    async def run() -> None:
        with reader() as made:
            assert await made.read(str(path), 0, 10) == b""
            assert await made.offset_of_tail(str(path), 3) == 0

    asyncio.run(run())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("secret")
    path.chmod(0)

    async def run() -> None:
        with reader() as made, pytest.raises(FailedPrecondition, match=str(path)):
            await made.read(str(path), 0, 10)

    asyncio.run(run())


LONG = b"x" * (BLOCK_BYTES + 7)


@pytest.mark.parametrize(
    ("content", "lines", "tail"),
    [
        (b"", 3, b""),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\nc\n", 3, b"a\nb\nc\n"),
        (b"a\nb\nc\n", 99, b"a\nb\nc\n"),
        (b"a\nb\n", 0, b""),
        (b"\n\n\n", 2, b"\n\n"),
        (LONG + b"\n" + LONG + b"\n", 1, LONG + b"\n"),
        (LONG + b"\n" + LONG, 2, LONG + b"\n" + LONG),
        (b"first\n" + b"y\n" * BLOCK_BYTES, BLOCK_BYTES, b"y\n" * BLOCK_BYTES),
        (b"z" * (BLOCK_BYTES - 1) + b"\n" + b"w" * BLOCK_BYTES, 1, b"w" * BLOCK_BYTES),
    ],
)
def test_the_last_lines(tmp_path: Path, content: bytes, lines: int, tail: bytes) -> None:
    path = tmp_path / "out"
    path.write_bytes(content)

    async def run() -> None:
        with reader() as made:
            assert content[await made.offset_of_tail(str(path), lines) :] == tail

    asyncio.run(run())


def test_changes_begins_with_one_and_follows_growth(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    out.touch()
    err.touch()

    async def run() -> None:
        with reader() as made:
            changes = made.changes([str(out), str(err)])
            await soon(changes)
            for path in (err, out, err):
                with path.open("ab") as file:
                    file.write(b"more\n")
                await soon(changes)

    asyncio.run(run())


def test_growth_before_the_wait_is_not_lost(tmp_path: Path) -> None:
    """It grows after the yield and before the next wait: nothing will happen any more, and yet it is told."""
    path = tmp_path / "out"
    path.touch()

    async def run() -> None:
        with reader() as made:
            changes = made.changes([str(path)])
            await soon(changes)
            path.write_bytes(b"all there is")
            await soon(changes)

    asyncio.run(run())


def test_files_that_do_not_exist_yet(tmp_path: Path) -> None:
    path = tmp_path / "0" / "42" / "out"

    async def run() -> None:
        with reader() as made:
            follower = asyncio.create_task(read_all_until(made, path, 5))
            await asyncio.sleep(0.05)
            path.parent.mkdir(parents=True)
            await asyncio.sleep(0.05)
            path.write_bytes(b"hello")
            assert await follower == b"hello"

    asyncio.run(run())


def test_ten_followers_of_a_fast_writer_get_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch()
    content = os.urandom(4096) * 2000

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            for at in range(0, len(content), 4096):
                file.write(content[at : at + 4096])

    async def run() -> None:
        with reader() as made:
            followers = [asyncio.create_task(read_all_until(made, path, len(content))) for _ in range(10)]
            writer = threading.Thread(target=write)
            writer.start()
            for follower in followers:
                assert await follower == content
            writer.join()
            assert not made._growth._waiters, "nobody waits, so nothing is watched"

    asyncio.run(run())


def test_followers_that_leave_leave_no_watch(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch()

    async def run() -> None:
        with reader() as made:
            followers = [asyncio.create_task(read_all_until(made, path, 1)) for _ in range(20)]
            for _ in range(20):
                await asyncio.sleep(0.005)  # some are cancelled while they arm, some while they wait
                followers.pop().cancel()
            async with asyncio.timeout(30):
                while made._growth._waiters or made._growth._arming:
                    await asyncio.sleep(0.01)

    asyncio.run(run())


def test_without_inotify_it_polls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(growth, "Inotify", none_left)
    path = tmp_path / "out"
    path.touch()

    async def run() -> None:
        with reader() as made:
            changes = made.changes([str(path)])
            await soon(changes)
            path.write_bytes(b"more")
            await soon(changes)

    asyncio.run(run())


def test_a_quiet_file_costs_about_a_look_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    path.touch()
    looks = 0
    watch_and_look = growth._watch_and_look

    def counting(*args: object) -> object:
        nonlocal looks
        looks += 1
        return watch_and_look(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(growth, "_watch_and_look", counting)

    async def run() -> None:
        with reader() as made:
            changes = made.changes([str(path)])
            await soon(changes)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await anext(changes)

    asyncio.run(run())
    assert 1 <= looks <= 3


@pytest.mark.root
def test_what_is_read_for_an_owner_is_read_as_that_user(tmp_path: Path) -> None:
    """An output that was named /etc/shadow, or was swapped for a link to it, shows nothing of it: neither content nor size."""

    async def check() -> None:
        with tempfile.TemporaryDirectory(prefix="ao-", dir="/tmp") as name:  # pytest's own are closed to other users
            place = Path(name)
            os.chown(place, 61001, 61001)
            (place / "own").write_text("mine")
            closed = tmp_path / "closed"
            closed.write_text("secret")
            (place / "link").symlink_to(closed)
            made = FileOutputReader(identities=Identities(lambda owner: Identity(owner.uid, owner.gid, (owner.gid,), owner.name)))
            ada = made.of(Owner(61001, 61001, "ada"))
            assert await ada.read(str(place / "own"), 0, 100) == b"mine"
            for path in (closed, place / "link"):
                for look in (ada.read(str(path), 0, 100), ada.offset_of_tail(str(path), 1)):
                    with pytest.raises(FailedPrecondition, match="cannot be read"):
                        await look
                assert await ada.size(str(path)) == 0
            growth = ada.changes([str(place / "own")])
            await soon(growth)
            with (place / "own").open("a") as file:
                file.write("more")
            await soon(growth)
            await growth.aclose()  # type: ignore[attr-defined]
            made.close()

    asyncio.run(check())


def test_the_last_lines_of_a_hole_of_terabytes_are_not_looked_for_in_all_of_it(tmp_path: Path) -> None:
    """Anybody can make one of their job's output, and a thread would read zeros for hours."""
    hole = tmp_path / "out"
    hole.touch()
    os.truncate(hole, 8 << 40)

    async def run() -> None:
        with reader() as made:
            async with asyncio.timeout(60):
                assert await made.offset_of_tail(str(hole), 10) == (8 << 40) - output.MOST_TAIL_BYTES

    asyncio.run(run())


def test_an_owner_whose_files_never_answer_keeps_nobody_elses_from_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system of the owner's own making, of which the first look never comes back."""
    (tmp_path / "out").write_text("said")
    answer, read = threading.Event(), output._read

    def hanging(path: str, offset: int, limit: int) -> bytes:
        if path.endswith("hangs"):
            answer.wait(60)
        return read(path, offset, limit)

    monkeypatch.setattr(output, "_read", hanging)
    monkeypatch.setattr(output, "acting_as", nullcontext)

    async def run() -> None:
        made = FileOutputReader(threads=2, identities=Identities(lambda owner: Identity(owner.uid, owner.gid, (owner.gid,), owner.name)))
        ada, bob = made.of(Owner(61001, 61001, "ada")), made.of(Owner(61002, 61002, "bob"))
        hung = [asyncio.ensure_future(ada.read(str(tmp_path / "hangs"), 0, 10)) for _ in range(10)]
        try:
            async with asyncio.timeout(30):
                assert await bob.read(str(tmp_path / "out"), 0, 10) == b"said"
            assert not any(each.done() for each in hung)
        finally:
            answer.set()
        assert await asyncio.gather(*hung) == [b""] * 10
        made.close()

    asyncio.run(run())

"""A child that works beside the daemon: what it may, what it says, and that it goes when nobody listens any more."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path

import pytest

from aiosd.errors import Exhausted, InvalidArgument, NotFound
from aiosd.host.aside import Aside
from aiosd.host.aside_child import NOBODY

MEMORY = 1 << 30


def aside(cpu_s: int = 60) -> Aside:
    return Aside("tests.fakes.aside_program", (), MEMORY, cpu_s)


async def nothing() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


def ask(what: str, data: AsyncIterator[bytes] | None = None, cpu_s: int = 60, **more: object) -> list[Mapping[str, object]]:
    async def collect() -> list[Mapping[str, object]]:
        return [line async for line in aside(cpu_s).ask({"do": what, **more}, nothing() if data is None else data)]

    return asyncio.run(collect())


def test_data_arrives_whole() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 100_000

    assert ask("count", pieces()) == [{"bytes": 5_000_000}]


def test_it_is_of_low_priority_with_limits_and_no_rights() -> None:
    [said] = ask("who")
    assert (said["nice"], said["cwd"], said["parent"]) == (19, "/", os.getpid())
    assert said["limits"] == [MEMORY, 60, 0]
    if os.geteuid() == 0:
        assert (said["uid"], said["groups"]) == (NOBODY, [])


def test_its_errors_are_ours() -> None:
    with pytest.raises(NotFound, match="there is none") as caught:
        ask("fail")
    assert (caught.value.hint, caught.value.facts) == ("look elsewhere", {"thing": "it"})


def test_a_crash_is_told_with_its_last_words() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: on purpose"):
        ask("crash")


def test_too_much_memory_ends_it() -> None:
    with pytest.raises(RuntimeError, match="MemoryError"):
        ask("fill")


def test_too_much_time_ends_it() -> None:
    with pytest.raises(Exhausted, match="more time or memory than it may"):
        ask("burn", cpu_s=1)


def test_it_writes_no_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises((RuntimeError, Exhausted)):
        ask("write", path=str(tmp_path / "file"))
    assert not (tmp_path / "file").exists() or not (tmp_path / "file").read_text()


def test_data_that_fails_ends_it() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise InvalidArgument("too much of it")

    with pytest.raises(InvalidArgument, match="too much of it"):
        ask("count", broken())


def test_it_goes_when_nobody_listens_any_more() -> None:
    async def leave() -> int:
        async with aclosing(aside().ask({"do": "hang"}, nothing())) as lines:
            return int(str((await anext(lines))["pid"]))

    assert _gone(asyncio.run(leave()))


def test_it_goes_with_a_caller_that_is_cancelled() -> None:
    pids: list[int] = []

    async def listen() -> None:
        async with aclosing(aside().ask({"do": "hang"}, nothing())) as lines:
            async for line in lines:
                pids.append(int(str(line["pid"])))

    async def cancel() -> None:
        task = asyncio.create_task(listen())
        while not pids:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(cancel(), 60))
    assert _gone(pids[0])


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False

"""Launchers under test: the fake and the real one behind one shape, an ear for their events, and looks at their processes."""

import asyncio
import functools
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import ParamSpec

import pytest

from aiosd.clock import SystemClock
from aiosd.host import runfile
from aiosd.host.cells.port import NO_CELLS, Cells
from aiosd.host.launcher import ShimLauncher
from aiosd.ids import JobId
from aiosd.jobs.job import Environment, Exit, Job, JobSpec, Owner, Phase, Run
from aiosd.jobs.ports import Launched, Launcher, LauncherEvent, RunEnded
from aiosd.resources.grant import CpuGrant, Grant
from aiosd.resources.request import Request
from tests.fakes.launcher import FakeLauncher, FakeMachine

P = ParamSpec("P")
PATIENCE_S = 60.0
GRANT = Grant((CpuGrant(min(os.sched_getaffinity(0)), 1000),), 1 << 20)


def job(*command: str, number: int = 1, cwd: str = "/", env: Mapping[str, str] | None = None, **spec: object) -> Job:
    environment = Environment("digest", {"PATH": os.environ["PATH"], **(env or {})})
    filled = JobSpec(name="test", command=command, cwd=cwd, environment=environment, request=Request(1000, 1 << 20), **spec)  # type: ignore[arg-type]
    run = Run(GRANT, dispatched_at_s=time.time(), boot_id=runfile.boot_id())
    return Job(id=JobId(number), spec=filled, owner=Owner(0, 0, "me"), phase=Phase.STARTING, submitted_at_s=0.0, attempt=1, run=run)


def sh(script: str, **spec: object) -> Job:
    return job("/bin/sh", "-c", script, **spec)  # type: ignore[arg-type]


class Ear:
    """Hears a launcher's events, and waits for those of one run."""

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher
        self.events: list[LauncherEvent] = []
        self._heard = asyncio.Event()
        launcher.subscribe(self._hear)

    def _hear(self, event: LauncherEvent) -> None:
        self.events.append(event)
        self._heard.set()

    async def until(self, kind: type[LauncherEvent], of: Job) -> LauncherEvent:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and event.job_id == of.id:
                        return event
                self._heard.clear()
                await self._heard.wait()

    async def launched(self, of: Job) -> Launched:
        event = await self.until(Launched, of)
        assert isinstance(event, Launched)
        return event

    async def ended(self, of: Job) -> RunEnded:
        event = await self.until(RunEnded, of)
        assert isinstance(event, RunEnded)
        return event

    async def exit(self, of: Job) -> Exit:
        end = await self.ended(of)
        assert end.exit is not None, end.reason
        return end.exit

    async def run(self, of: Job) -> Exit:
        self.launcher.launch(of)
        return await self.exit(of)


def in_loop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """A test that is a coroutine, on a loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **named: P.kwargs) -> None:
        asyncio.run(test(*args, **named))

    return run


class RealWorld:
    """A state directory; each `daemon` is a new ShimLauncher on it."""

    def __init__(self, state: Path, cells: Cells = NO_CELLS) -> None:
        self.state, self.cells = state, cells

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Ear]:
        launcher = ShimLauncher(self.state, "unix:/nowhere", lambda _: {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}, SystemClock(), cells=self.cells)
        await launcher.start()
        try:
            yield Ear(launcher)
        finally:
            await launcher.close()

    async def clear(self) -> None:
        """Whatever a test has left running is an orphan to a daemon that expects nothing."""
        async with self.daemon() as ear:
            await ear.launcher.recover([])


class FakeWorld:
    def __init__(self) -> None:
        self.machine = FakeMachine()

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Ear]:
        exits = {name: Exit(ended_at_s=1.0, exit_code=code) for name, code in (("true", 0), ("false", 1))}
        yield Ear(FakeLauncher(machine=self.machine, exits=exits))

    async def clear(self) -> None:
        self.machine.alive.clear()


World = RealWorld | FakeWorld


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made: World = FakeWorld() if request.param == "fake" else RealWorld(tmp_path / "state")
    yield made
    asyncio.run(made.clear())


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealWorld]:
    made = RealWorld(tmp_path / "state")
    yield made
    asyncio.run(made.clear())


def alive(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.01)


async def text(path: Path, lines: int = 1) -> list[str]:
    await eventually(lambda: path.exists() and path.read_text().count("\n") >= lines)
    return path.read_text().split()


def out(ear: Ear, of: Job) -> bytes:
    return Path(ear.launcher.log_paths(of)[0]).read_bytes()


def shims(ear: Ear) -> ShimLauncher:
    assert isinstance(ear.launcher, ShimLauncher)
    return ear.launcher


def kill_spawner(ear: Ear) -> int:
    pid = shims(ear).spawner_pid
    assert pid > 0
    os.kill(pid, signal.SIGKILL)
    return pid


TREE = "(setsid sh -c 'echo $$ >> {0}; exec sleep 1000' &) ; sleep 1000 & echo $! >> {0}; echo $$ >> {0}; wait"

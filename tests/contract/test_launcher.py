"""What every Launcher promises, on the fake and on real processes; then what only real processes can show."""

import asyncio
import functools
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec

import pytest

from aiosd.clock import SystemClock
from aiosd.errors import FailedPrecondition, InvalidArgument
from aiosd.host import faults, processes, runfile
from aiosd.host.launcher import ShimLauncher
from aiosd.host.records import read_run
from aiosd.ids import JobId
from aiosd.jobs.job import Environment, Exit, Job, JobSpec, Owner, Phase, Run
from aiosd.jobs.ports import Launched, Launcher, LauncherEvent, LaunchFailed, RunEnded, Scope
from aiosd.resources.grant import CpuGrant, Grant
from aiosd.resources.request import Request
from tests.fakes.launcher import FakeLauncher, FakeMachine

P = ParamSpec("P")
PATIENCE_S = 20.0
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

    def __init__(self, state: Path) -> None:
        self.state = state

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Ear]:
        launcher = ShimLauncher(self.state, "unix:/nowhere", lambda _: {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}, SystemClock())
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


# What every launcher promises.


@in_loop
async def test_a_run_is_launched_and_then_ends_with_its_exit_code(world: World) -> None:
    good, bad = job("true", number=1), job("false", number=2)
    async with world.daemon() as ear:
        ear.launcher.launch(good)
        ear.launcher.launch(bad)
        assert ((await ear.exit(good)).exit_code, (await ear.exit(bad)).exit_code) == (0, 1)
        assert [type(event) for event in ear.events if event.job_id == good.id] == [Launched, RunEnded]


@in_loop
async def test_kill_ends_a_run_and_its_signal_is_told(world: World) -> None:
    sleeper = job("sleep", "1000")
    async with world.daemon() as ear:
        ear.launcher.launch(sleeper)
        await ear.launched(sleeper)
        ear.launcher.signal(sleeper, "KILL")
        end = await ear.exit(sleeper)
    assert (end.signal, end.exit_code) == (signal.SIGKILL, None)


@in_loop
async def test_a_signal_to_a_run_that_has_ended_does_nothing(world: World) -> None:
    done = job("true")
    async with world.daemon() as ear:
        await ear.run(done)
        ear.launcher.signal(done, "KILL")
        ear.launcher.forget(done)
        ear.launcher.signal(done, "TERM", Scope.MAIN)
        assert len(ear.events) == 2


@in_loop
async def test_the_next_daemon_finds_a_run_that_lives_and_one_that_has_ended(world: World) -> None:
    sleeper, done = job("sleep", "1000", number=1), job("true", number=2)
    async with world.daemon() as ear:
        ear.launcher.launch(sleeper)
        before = await ear.launched(sleeper)
        assert (await ear.run(done)).exit_code == 0
    async with world.daemon() as ear:
        await ear.launcher.recover([sleeper, done])
        after = await ear.launched(sleeper)
        assert after.shim_pid == before.shim_pid
        assert (await ear.exit(done)).exit_code == 0
        ear.launcher.signal(sleeper, "TERM")
        assert (await ear.exit(sleeper)).signal == signal.SIGTERM


@in_loop
async def test_a_run_that_had_not_begun_is_told_as_such_by_the_next_daemon(world: World) -> None:
    async with world.daemon() as ear:
        await ear.launcher.recover([job("true")])
        assert [type(event) for event in ear.events] == [LaunchFailed]


@in_loop
async def test_a_running_job_without_a_trace_has_an_unknown_end(world: World) -> None:
    async with world.daemon() as ear:
        await ear.launcher.recover([replace(job("true"), phase=Phase.RUNNING)])
        (event,) = ear.events
    assert isinstance(event, RunEnded)
    assert event.exit is None
    assert event.reason


@in_loop
async def test_recovering_twice_tells_the_end_once(world: World) -> None:
    sleeper = job("sleep", "1000")
    async with world.daemon() as ear:
        ear.launcher.launch(sleeper)
        await ear.launched(sleeper)
        await ear.launcher.recover([sleeper])
        await ear.launcher.recover([sleeper])
        ear.launcher.signal(sleeper, "KILL")
        await ear.exit(sleeper)
        assert [type(event) for event in ear.events] == [Launched, Launched, Launched, RunEnded]


@in_loop
async def test_a_run_that_nobody_expects_is_ended(world: World) -> None:
    sleeper = job("sleep", "1000")
    async with world.daemon() as ear:
        ear.launcher.launch(sleeper)
        await ear.launched(sleeper)
    async with world.daemon() as ear:
        await ear.launcher.recover([])
        await ear.launcher.recover([replace(sleeper, phase=Phase.RUNNING)])
        assert (await ear.ended(sleeper)).exit is None


# What only real processes show.


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


@in_loop
async def test_a_fatal_signal_and_its_core_flag_are_told(real: RealWorld) -> None:
    async with real.daemon() as ear:
        end = await ear.run(sh("kill -SEGV $$"))
    assert (end.signal, end.exit_code, end.error) == (signal.SIGSEGV, None, "")
    assert isinstance(end.core_dumped, bool)


@in_loop
async def test_what_a_run_used_is_told(real: RealWorld) -> None:
    async with real.daemon() as ear:
        end = await ear.run(sh("i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"))
    assert end.usage.cpu_user_s > 0
    assert end.usage.memory_peak_bytes > 100_000
    assert 0 < end.run_s < PATIENCE_S
    assert abs(end.ended_at_s - time.time()) < PATIENCE_S


@pytest.mark.parametrize(
    ("broken", "code", "words"),
    [
        (job("true", cwd="/no/such/directory"), 127, ["/no/such/directory", "working directory"]),
        (job("no-such-command-here"), 127, ["no-such-command-here", "PATH"]),
        (job("/no/such/file"), 127, ["/no/such/file"]),
        (job("/etc/passwd"), 126, ["/etc/passwd"]),
        (job("/etc"), 126, ["/etc", "directory"]),
        (job("true", stdout_path="/no/such/directory/out"), 126, ["/no/such/directory/out"]),
        (job("/bin/echo", "x" * 200_000), 126, ["/bin/echo", "too long"]),
    ],
)
@in_loop
async def test_what_cannot_be_run_fails_alone_with_a_sentence(real: RealWorld, broken: Job, code: int, words: list[str]) -> None:
    async with real.daemon() as ear:
        end = await ear.run(broken)
        assert (end.exit_code, end.signal) == (code, None)
        assert all(word in end.error for word in words), end.error
        assert (await ear.run(job("true", number=2))).exit_code == 0


@in_loop
async def test_a_text_file_without_a_first_line_is_run_by_the_shell(real: RealWorld, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("echo from $0 $1")
    program.chmod(0o755)
    one = job("./program", "here", cwd=str(tmp_path))
    async with real.daemon() as ear:
        assert (await ear.run(one)).exit_code == 0
        assert out(ear, one) == b"from ./program here\n"


@in_loop
async def test_a_job_has_its_environment_directory_processors_and_signals(real: RealWorld, tmp_path: Path) -> None:
    script = (
        "import json,os,signal;print(json.dumps([dict(os.environ),os.getcwd(),sorted(os.sched_getaffinity(0)),os.getsid(0)==os.getpid(),"
        "os.nice(0),[str(signal.getsignal(n)) for n in (13,10,17)],os.listdir('/proc/self/fd'),signal.pthread_sigmask(0,[])==set()]))"
    )
    one = job("python3", "-c", script, cwd=str(tmp_path), env={"MINE": "\u00e4 b", "OMP_NUM_THREADS": "7", "CUDA_VISIBLE_DEVICES": "0"}, nice=3)
    async with real.daemon() as ear:
        assert (await ear.run(one)).exit_code == 0, Path(ear.launcher.log_paths(one)[1]).read_text()
        env, cwd, cpus, leads, nice, dispositions, descriptors, unmasked = json.loads(out(ear, one))
    assert (cwd, cpus, leads, nice, unmasked) == (str(tmp_path), [GRANT.cpus[0].cpu], True, os.nice(0) + 3, True)
    assert (env["MINE"], env["OMP_NUM_THREADS"], env["CUDA_VISIBLE_DEVICES"]) == ("\u00e4 b", "7", "")
    assert (env["AIOS_JOB_ID"], env["AIOS_ATTEMPT"], env["AIOS_RUN_KEY"], env["AIOS_CPUS"]) == ("1", "1", "1.-1.1", str(cpus[0]))
    assert "AIOS_ARRAY_INDEX" not in env
    assert set(dispositions) <= {"0", "Handlers.SIG_DFL", "1", "Handlers.SIG_IGN"}
    assert dispositions[1:] == [str(signal.SIG_DFL)] * 2
    assert len(descriptors) == 4  # three streams and the directory that is being listed


@in_loop
async def test_scratch_is_removed_and_a_checkpoint_is_kept(real: RealWorld) -> None:
    messy = "mkdir -p $AIOS_SCRATCH/a/b && ln -s / $AIOS_SCRATCH/a/root && touch $AIOS_SCRATCH/a/b/c && chmod 0 $AIOS_SCRATCH/a/b"
    kept, empty = sh(f"{messy}; touch $AIOS_CHECKPOINT_DIR/model", number=1), job("true", number=2)
    async with real.daemon() as ear:
        await ear.run(kept)
        await ear.run(empty)
    assert os.listdir(real.state / "scratch") == []
    assert os.listdir(real.state / "checkpoints") == ["1"]
    assert os.path.isdir("/etc")


@in_loop
async def test_output_files_follow_their_patterns_and_may_be_one(real: RealWorld, tmp_path: Path) -> None:
    one = replace(sh("echo out; echo err >&2", cwd=str(tmp_path), stdout_path="%j-%a-%A%%.log"), id=JobId(7, 3))
    async with real.daemon() as ear:
        assert (await ear.run(one)).exit_code == 0
        assert ear.launcher.log_paths(one) == (str(tmp_path / "7-3-1%.log"),) * 2
    assert (tmp_path / "7-3-1%.log").read_text() == "out\nerr\n"


@in_loop
async def test_binary_output_and_a_large_environment_pass_through(real: RealWorld) -> None:
    env = {f"V{n}": "x" * 100_000 for n in range(10)}
    one = sh("head -c 100000 /dev/urandom; printf '\\000\\377'; echo ${#V9} >&2", env=env)
    async with real.daemon() as ear:
        assert (await ear.run(one)).exit_code == 0
        assert len(out(ear, one)) == 100_002
        assert out(ear, one).endswith(b"\0\xff")
        assert Path(ear.launcher.log_paths(one)[1]).read_text() == "100000\n"


@pytest.mark.parametrize("first", ["#!/usr/bin/env -S sh -e\n", "#!/bin/sh\n", ""])
@in_loop
async def test_a_script_runs_with_its_arguments_and_is_removed(real: RealWorld, first: str) -> None:
    one = job("a", "b c", script=f'{first}echo "$2"; exit 4\n')
    async with real.daemon() as ear:
        end = await ear.run(one)
        assert (end.exit_code, out(ear, one)) == (4, b"b c\n")
    assert os.listdir(real.state / "runs") == [one.run_key]


@in_loop
async def test_open_input_is_written_and_ended(real: RealWorld) -> None:
    cat = job("cat", stdin_open=True)
    async with real.daemon() as ear:
        ear.launcher.launch(cat)
        await ear.launched(cat)
        for part in (b"one\n", b"two\n"):
            await eventually(lambda part=part: shims(ear).write_input(cat, part) == len(part))  # type: ignore[misc]
        shims(ear).end_input(cat)
        assert (await ear.exit(cat)).exit_code == 0
        assert out(ear, cat) == b"one\ntwo\n"
        with pytest.raises(FailedPrecondition):
            shims(ear).write_input(cat, b"late")


@in_loop
async def test_input_that_is_ended_at_once_ends(real: RealWorld) -> None:
    cat = job("cat", stdin_open=True)
    async with real.daemon() as ear:
        ear.launcher.launch(cat)
        shims(ear).end_input(cat)
        assert (await ear.exit(cat)).exit_code == 0


@in_loop
async def test_what_escapes_by_a_double_fork_is_killed_at_the_end(real: RealWorld, tmp_path: Path) -> None:
    escapee = sh(
        f"(setsid env -i sh -c 'trap \"\" TERM HUP; echo $$ > {tmp_path}/pid; while :; do sleep 1; done' &); while [ ! -s {tmp_path}/pid ]; do :; done"
    )
    async with real.daemon() as ear:
        assert (await ear.run(escapee)).exit_code == 0
    assert not alive(int((tmp_path / "pid").read_text()))


@in_loop
async def test_a_whole_tree_is_stopped_continued_and_terminated(real: RealWorld, tmp_path: Path) -> None:
    tree = sh(TREE.format(tmp_path / "pids"))
    async with real.daemon() as ear:
        ear.launcher.launch(tree)
        pids = [int(pid) for pid in await text(tmp_path / "pids", 3)]
        ear.launcher.signal(tree, "STOP")
        await eventually(lambda: all(state(pid) == "T" for pid in pids))
        ear.launcher.signal(tree, "CONT")
        await eventually(lambda: all(state(pid) == "S" for pid in pids))
        ear.launcher.signal(tree, "STOP")
        await eventually(lambda: all(state(pid) == "T" for pid in pids))
        ear.launcher.signal(tree, "TERM")  # reaches a stopped tree too
        assert (await ear.exit(tree)).signal == signal.SIGTERM
        assert not any(alive(pid) for pid in pids)


@in_loop
async def test_a_signal_to_the_main_process_leaves_the_others(real: RealWorld, tmp_path: Path) -> None:
    script = f"trap 'echo main; kill $P; exit 3' USR1; sh -c 'trap \"echo child\" USR1; while :; do sleep 0.05; done' & P=$!; echo > {tmp_path}/up; wait"
    one = sh(script)
    async with real.daemon() as ear:
        ear.launcher.launch(one)
        await text(tmp_path / "up")
        ear.launcher.signal(one, "USR1", Scope.MAIN)
        assert (await ear.exit(one)).exit_code == 3
        assert out(ear, one) == b"main\n"


@in_loop
async def test_a_signal_right_after_the_launch_is_not_lost(real: RealWorld) -> None:
    async with real.daemon() as ear:
        for number in range(1, 6):
            sleeper = job("sleep", "1000", number=number)
            ear.launcher.launch(sleeper)
            ear.launcher.signal(sleeper, "KILL" if number % 2 else "TERM")
            assert (await ear.exit(sleeper)).signal == (signal.SIGKILL if number % 2 else signal.SIGTERM)


@in_loop
async def test_an_unknown_signal_is_refused(real: RealWorld) -> None:
    async with real.daemon() as ear:
        with pytest.raises(InvalidArgument, match="WINK"):
            ear.launcher.signal(job("true"), "WINK")


@in_loop
async def test_jobs_outlive_their_spawner_and_the_next_one_works(real: RealWorld, tmp_path: Path) -> None:
    waiting = sh(f"echo > {tmp_path}/up; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exit 5", number=1)
    async with real.daemon() as ear:
        ear.launcher.launch(waiting)
        await text(tmp_path / "up")
        spawner = kill_spawner(ear)
        await eventually(lambda: shims(ear).spawner_pid not in (0, spawner))
        assert (await ear.run(job("true", number=2))).exit_code == 0
        (tmp_path / "go").touch()
        assert (await ear.exit(waiting)).exit_code == 5


@in_loop
async def test_each_run_sent_to_a_dying_spawner_takes_place_once_or_is_told_not_to(real: RealWorld, tmp_path: Path) -> None:
    jobs = [sh(f"echo {number} >> {tmp_path}/ran", number=number) for number in range(1, 41)]
    (tmp_path / "ran").touch()
    killed = 0
    async with real.daemon() as ear:
        for count, one in enumerate(jobs):
            ear.launcher.launch(one)
            if count % 20 == 10:
                await ear.launched(jobs[count - 10])
                killed = kill_spawner(ear)
            elif count % 20 == 15:
                await eventually(lambda killed=killed: shims(ear).spawner_pid not in (0, killed))  # type: ignore[misc]
        over: dict[JobId, LauncherEvent] = {}
        for one in jobs:
            event = await ear.until(LaunchFailed | RunEnded, one)  # type: ignore[arg-type]
            over[one.id] = event
        assert len([event for event in ear.events if not isinstance(event, Launched)]) == len(jobs)
    ran = sorted(int(line) for line in (tmp_path / "ran").read_text().split())
    assert ran == sorted(job_id.number for job_id, event in over.items() if isinstance(event, RunEnded))


@in_loop
async def test_when_a_shim_is_killed_nothing_of_its_run_is_left(real: RealWorld, tmp_path: Path) -> None:
    tree = sh(TREE.format(tmp_path / "pids"))
    async with real.daemon() as ear:
        ear.launcher.launch(tree)
        shim = (await ear.launched(tree)).shim_pid
        pids = [int(pid) for pid in await text(tmp_path / "pids", 3)]
        os.kill(shim, signal.SIGKILL)
        end = await ear.ended(tree)
        assert (end.exit, "supervisor" in end.reason) == (None, True)
        assert not any(alive(pid) for pid in pids)
    assert os.listdir(real.state / "scratch") == []


@in_loop
async def test_a_shim_that_was_killed_while_no_daemon_ran_is_noticed(real: RealWorld, tmp_path: Path) -> None:
    tree = sh(TREE.format(tmp_path / "pids"))
    async with real.daemon() as ear:
        ear.launcher.launch(tree)
        shim = (await ear.launched(tree)).shim_pid
        pids = [int(pid) for pid in await text(tmp_path / "pids", 3)]
    os.kill(shim, signal.SIGKILL)
    await eventually(lambda: not alive(shim))
    async with real.daemon() as ear:
        await ear.launcher.recover([replace(tree, phase=Phase.RUNNING)])
        assert (await ear.ended(tree)).exit is None
        assert not any(alive(pid) for pid in pids)


@in_loop
async def test_an_end_that_no_daemon_saw_is_booked_by_the_next(real: RealWorld, tmp_path: Path) -> None:
    one = sh(f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exit 9")
    async with real.daemon() as ear:
        ear.launcher.launch(one)
        shim = (await ear.launched(one)).shim_pid
    (tmp_path / "go").touch()
    await eventually(lambda: not alive(shim))
    async with real.daemon() as ear:
        await ear.launcher.recover([one])
        assert (await ear.exit(one)).exit_code == 9
        ear.launcher.forget(one)
    assert os.listdir(real.state / "runs") == []


@in_loop
async def test_a_barred_run_never_executes(real: RealWorld, tmp_path: Path) -> None:
    late = sh(f"touch {tmp_path}/ran")
    async with real.daemon() as newer:
        await newer.launcher.recover([late])
        assert [type(event) for event in newer.events] == [LaunchFailed]
        async with real.daemon() as older:  # its plan was on its way when the newer one took over
            older.launcher.launch(late)
            assert (await older.ended(late)).exit is None
        newer.launcher.forget(late)
        await newer.launcher.recover([])
    assert not (tmp_path / "ran").exists()
    record = read_run(str(real.state / "runs" / late.run_key))
    assert record is not None
    assert record.void


@in_loop
async def test_a_run_of_another_boot_has_an_unknown_end(real: RealWorld) -> None:
    one = job("true")
    assert one.run is not None
    async with real.daemon() as ear:
        await ear.launcher.recover([replace(one, run=replace(one.run, boot_id="another"))])
        end = await ear.ended(one)
    assert (end.exit, "restarted" in end.reason) == (None, True)


@in_loop
async def test_an_idle_shim_is_small(real: RealWorld) -> None:
    sleeper = job("sleep", "1000")
    async with real.daemon() as ear:
        ear.launcher.launch(sleeper)
        shim = (await ear.launched(sleeper)).shim_pid
        await eventually(lambda: bool(processes.descendants(processes.snapshot(), shim)))
        lines = Path(f"/proc/{shim}/smaps_rollup").read_text().splitlines()
    private_kib = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    assert private_kib <= 1536


@in_loop
async def test_a_warm_shim_takes_another_run_and_brings_nothing_along(real: RealWorld, tmp_path: Path) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    first = job("python3", "-c", "x = b'x' * 80_000_000", number=1, cwd=str(tmp_path), stdin_open=True)
    second = job("python3", "-c", "import os; print(os.getcwd(), sorted(os.sched_getaffinity(0)), len(os.listdir('/proc/self/fd')))", number=2)
    assert second.run is not None
    second = replace(second, run=replace(second.run, grant=Grant((), 0)))
    async with real.daemon() as ear:
        before, after = await ear.run(first), await ear.run(second)
        assert (await ear.launched(first)).shim_pid == (await ear.launched(second)).shim_pid
        assert out(ear, second).decode() == f"/ {cpus} 4\n"
    assert before.usage.memory_peak_bytes > 80_000_000 > after.usage.memory_peak_bytes
    assert after.usage.cpu_user_s < 5


@in_loop
async def test_a_shim_that_was_made_nice_is_not_used_again(real: RealWorld) -> None:
    first, second = job("true", number=1, nice=5), job("sh", "-c", "nice", number=2)
    async with real.daemon() as ear:
        await ear.run(first)
        await ear.run(second)
        assert out(ear, second) == f"{os.nice(0)}\n".encode()


@in_loop
async def test_a_run_given_to_a_shim_that_is_just_being_killed_takes_place_all_the_same(real: RealWorld, tmp_path: Path) -> None:
    async with real.daemon() as ear:
        for number in range(1, 11):
            one = sh(f"echo {number} >> {tmp_path}/ran", number=number)
            assert (await ear.run(one)).exit_code == 0
            shim = (await ear.launched(one)).shim_pid
            with suppress(ProcessLookupError):
                os.kill(shim, signal.SIGKILL)
    assert (tmp_path / "ran").read_text().split() == [str(number) for number in range(1, 11)]


@in_loop
async def test_the_spawner_and_its_idle_shims_end_with_the_daemon(real: RealWorld) -> None:
    one = job("true")
    async with real.daemon() as ear:
        await ear.run(one)
        shim, spawner = (await ear.launched(one)).shim_pid, shims(ear).spawner_pid
        assert alive(shim)
    await eventually(lambda: not alive(shim) and not alive(spawner))


@in_loop
async def test_many_runs_are_killed_together(real: RealWorld) -> None:
    sleepers = [job("sleep", "1000", number=number) for number in range(1, 21)]
    async with real.daemon() as ear:
        for one in sleepers:
            ear.launcher.launch(one)
        for one in sleepers:
            await ear.launched(one)
            ear.launcher.signal(one, "KILL")
        assert {(await ear.exit(one)).signal for one in sleepers} == {signal.SIGKILL}


@pytest.mark.parametrize("nth", ["", ":2"])
@pytest.mark.parametrize("step", [step for step in faults.STEPS if step.startswith(("spawner.", "shim."))])
@in_loop
async def test_whatever_dies_at_whatever_step_each_run_has_one_true_end(
    real: RealWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, nth: str
) -> None:
    monkeypatch.setenv(faults.VARIABLE, step + nth)
    jobs = [sh(f"echo {number} >> {tmp_path}/ran", number=number) for number in (1, 2, 3)]
    (tmp_path / "ran").touch()
    async with real.daemon() as ear:
        for one in jobs:
            ear.launcher.launch(one)
        ends = [await ear.until(LaunchFailed | RunEnded, one) for one in jobs]  # type: ignore[arg-type]
        assert len([event for event in ear.events if not isinstance(event, Launched)]) == len(jobs)
        assert (await ear.run(sh("exit 6", number=9))).exit_code == 6
    ran = (tmp_path / "ran").read_text().split()
    for one, end in zip(jobs, ends, strict=True):
        times = ran.count(str(one.id))
        assert times <= 1
        if isinstance(end, LaunchFailed):
            assert times == 0
        elif isinstance(end, RunEnded) and end.exit is not None:
            assert (times, end.exit.exit_code) == (1, 0)
    if step.startswith("shim."):  # of the three runs, only one can have been struck; before its claim it was begun anew
        unknown = [end for end in ends if not (isinstance(end, RunEnded) and end.exit is not None)]
        assert len(unknown) == (step in ("shim.2-claimed", "shim.3-spawned", "shim.4-ended"))


@in_loop
async def test_clearing_up_after_a_killed_shim_does_not_touch_another_daemons_run_of_the_same_name(real: RealWorld, tmp_path: Path) -> None:
    other = RealWorld(tmp_path / "other")
    sleeper = job("sleep", "1000")
    async with real.daemon() as ear, other.daemon() as neighbour:
        for each in (ear, neighbour):
            each.launcher.launch(sleeper)
        struck, spared = await ear.launched(sleeper), await neighbour.launched(sleeper)
        await eventually(lambda: len(processes.descendants(processes.snapshot(), struck.shim_pid)) == 1)
        os.kill(struck.shim_pid, signal.SIGKILL)
        assert (await ear.ended(sleeper)).exit is None
        await eventually(lambda: len(processes.descendants(processes.snapshot(), spared.shim_pid)) == 1)
        neighbour.launcher.signal(sleeper, "TERM")
        assert (await neighbour.exit(sleeper)).signal == signal.SIGTERM

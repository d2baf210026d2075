"""Terminals beside a job, with real processes: what is typed, printed, resized, and what is left when somebody hangs up."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.errors import FailedPrecondition
from aiosd.host import processes, runfile
from aiosd.host.identities import Identities, Identity
from aiosd.host.terminal import PtyTerminal, PtyTerminals
from aiosd.ids import JobId
from aiosd.jobs.job import Environment, Job, JobSpec, Owner, Phase, Run
from aiosd.resources.grant import CpuGrant, Grant
from aiosd.resources.request import Request

CPU = min(os.sched_getaffinity(0))


class Beside:
    """A stand-in for a running job: its main process, its run file, its record."""

    def __init__(self, directory: Path, command: Sequence[str] = ("sleep", "1000"), user: int | None = None) -> None:
        self.directory = directory
        environment = {"PATH": os.environ["PATH"], "AIOS_JOB_ID": "42", "GREETING": "grüß dich\udcff"}
        groups = () if user is not None else None
        self.main = subprocess.Popen(command, env=environment, user=user, group=user, extra_groups=groups, cwd="/", stdin=subprocess.DEVNULL)
        os.sched_setaffinity(self.main.pid, {CPU})
        first: dict[str, runfile.Field] = {"shim_pid": self.main.pid, "shim_start_ticks": 0, "boot_id": "", "started_at": 0.0, "started_steady": 0.0}
        claimed = runfile.claim(str(directory / "42.-1.1"), first)
        runfile.record(claimed, runfile.MAIN_AT, {"pid": self.main.pid, "spawned_steady": time.clock_gettime(time.CLOCK_BOOTTIME)})
        os.close(claimed)
        grant = Grant((CpuGrant(CPU, 1000),), 0)
        run = Run(grant, 0.0, "boot", 1.0, 1.0, shim_pid=self.main.pid)
        spec = JobSpec(name="train", command=("sleep", "1000"), cwd=str(directory), environment=Environment("", {}), request=Request(1000, 0))
        self.job = Job(id=JobId(42), spec=spec, owner=Owner(os.getuid(), os.getgid(), "me"), phase=Phase.RUNNING, submitted_at_s=0.0, attempt=1, run=run)

    def end(self) -> None:
        self.main.kill()
        self.main.wait()

    @asynccontextmanager
    async def terminal(self, *command: str, rows: int = 0, columns: int = 0) -> AsyncIterator[PtyTerminal]:
        opened = await PtyTerminals(lambda key: str(self.directory / key)).open(self.job, command, rows, columns)
        try:
            yield opened
        finally:
            await opened.close()


@pytest.fixture
def beside(tmp_path: Path):  # type: ignore[no-untyped-def]
    made = Beside(tmp_path)
    yield made
    made.end()


def run(work: Coroutine[None, None, None]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(60):
            await work

    asyncio.run(in_time())


async def all_output(terminal: PtyTerminal) -> bytes:
    return b"".join([piece async for piece in terminal.output()])


async def until(terminal: PtyTerminal, expected: bytes) -> bytes:
    got = b""
    async for piece in terminal.output():
        got += piece
        if expected in got:
            return got
    raise AssertionError(f"{expected!r} did not come, but {got!r}")


def test_it_is_in_the_job_s_place(beside: Beside) -> None:
    code = "import os, json; print(json.dumps([os.getcwd(), sorted(os.sched_getaffinity(0)), dict(os.environ), os.isatty(0), os.ttyname(0)]))"

    async def work() -> None:
        async with beside.terminal(sys.executable, "-c", code, columns=2000) as terminal:
            cwd, cpus, environment, is_terminal, _ = json.loads(await all_output(terminal))
            assert await terminal.exit_code() == 0
        assert cwd == str(beside.directory.resolve())
        assert cpus == [CPU]
        assert (environment["AIOS_JOB_ID"], environment["GREETING"]) == ("42", "grüß dich\udcff")
        assert environment["TERM"]
        assert is_terminal

    run(work())


def test_no_command_is_a_shell_that_can_be_talked_to(beside: Beside) -> None:
    async def work() -> None:
        async with beside.terminal() as terminal:
            await terminal.write(b"echo $((6 * 7))-and-$AIOS_JOB_ID\n")
            await until(terminal, b"42-and-42")
            await terminal.write(b"exit 5\n")
            await all_output(terminal)
            assert await terminal.exit_code() == 5

    run(work())


def test_control_c_interrupts_the_command(beside: Beside) -> None:
    async def work() -> None:
        async with beside.terminal("sh", "-c", "echo ready; exec sleep 1000") as terminal:
            await until(terminal, b"ready")
            await terminal.write(b"\x03")
            assert await all_output(terminal) == b"^C"
            assert await terminal.exit_code() == 128 + signal.SIGINT

    run(work())


def test_sizes(beside: Beside) -> None:
    async def work() -> None:
        async with beside.terminal("sh", "-c", "stty size; read x; stty size", rows=33, columns=99) as terminal:
            await until(terminal, b"33 99")
            await terminal.resize(50, 120)
            await terminal.write(b"\n")
            await until(terminal, b"50 120")

    run(work())


def test_no_last_words_are_lost(beside: Beside) -> None:
    async def work() -> None:
        for _ in range(10):
            async with beside.terminal("sh", "-c", "seq 5000; printf END") as terminal:
                printed = await all_output(terminal)
                assert printed.endswith(b"5000\r\nEND")
                assert printed.count(b"\n") == 5000

    run(work())


def test_a_background_process_does_not_keep_the_output_open(beside: Beside) -> None:
    async def work() -> None:
        async with beside.terminal("sh", "-c", "trap '' HUP; sleep 1000 & echo started") as terminal:
            assert await all_output(terminal) == b"started\r\n"
            assert await terminal.exit_code() == 0

    run(work())


def test_hanging_up_kills_the_whole_session(beside: Beside) -> None:
    async def work() -> None:
        async with beside.terminal("sh", "-c", "trap '' HUP TERM; (sleep 1000; true) & echo ready; sleep 1000; true") as terminal:
            await until(terminal, b"ready")
            session = terminal._process.pid
            assert len([p for p in processes.snapshot().values() if p.session == session]) >= 2
        assert not [p for p in processes.snapshot().values() if p.session == session and p.state not in "ZX"]
        await terminal.close()  # again: nothing happens
        await terminal.write(b"too late")
        assert await terminal.exit_code() == 128 + signal.SIGKILL

    run(work())


def test_a_reader_that_waits_is_let_go_when_it_is_closed(beside: Beside) -> None:
    async def work() -> None:
        async with beside.terminal("sleep", "1000") as terminal:
            reading = asyncio.ensure_future(all_output(terminal))
            await asyncio.sleep(0.05)
        assert await reading == b""

    run(work())


def test_it_ends_with_the_job(beside: Beside) -> None:
    async def work() -> None:
        async with beside.terminal("sh", "-c", "echo ready; exec sleep 1000") as terminal:
            await until(terminal, b"ready")
            beside.main.kill()
            assert await terminal.exit_code() == 128 + signal.SIGHUP

    run(work())


def test_a_command_that_does_not_exist(beside: Beside) -> None:
    async def work() -> None:
        async with beside.terminal("no-such-command") as terminal:
            assert b"cannot run 'no-such-command': No such file or directory" in await all_output(terminal)
            assert await terminal.exit_code() == 127

    run(work())


def test_much_is_written_to_a_slow_reader(beside: Beside) -> None:
    async def work() -> None:
        async with beside.terminal("sh", "-c", "stty raw -echo; echo ready; sleep 0.3; head -c 300000 | wc -c") as terminal:
            await until(terminal, b"ready")
            await terminal.write(b"x" * 300_000)
            await until(terminal, b"300000")

    run(work())


def test_a_job_that_does_not_run_has_no_terminal(tmp_path: Path, beside: Beside) -> None:
    beside.job = replace(beside.job, phase=Phase.SUCCEEDED)

    async def work() -> None:
        with pytest.raises(FailedPrecondition, match="job 42 is succeeded"):
            async with beside.terminal():
                pass

    run(work())


def test_nothing_stays_open(beside: Beside) -> None:
    async def work() -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            async with beside.terminal("true") as terminal:
                await all_output(terminal)
                await terminal.exit_code()
        assert terminal._process.returncode == 0, "it is reaped"
        assert len(os.listdir("/proc/self/fd")) <= before

    run(work())


@pytest.mark.root
def test_beside_another_users_job_it_is_that_user_with_its_groups_and_never_root(beside: Beside) -> None:
    owner = Owner(61001, 61001, "ada")

    async def check() -> None:
        identities = Identities(lambda one: Identity(one.uid, one.gid, (61001, 61050), one.name))
        beside.job = replace(beside.job, owner=owner, spec=replace(beside.job.spec, cwd="/"))
        asked = ("/bin/sh", "-c", "echo $(id -u) $(id -G) $(umask); grep -E 'NoNewPrivs|CapEff' /proc/self/status; cat /proc/self/oom_score_adj; touch /etc/x")
        terminal = await PtyTerminals(lambda key: str(beside.directory / key), identities).open(beside.job, asked, 0, 0)
        try:
            said = (await all_output(terminal)).decode().split()
        finally:
            await terminal.close()
        assert said[:4] == ["61001", "61001", "61050", "0022"]
        assert (said[said.index("CapEff:") + 1], said[said.index("NoNewPrivs:") + 2]) == ("0" * 16, "0")
        assert "Permission denied" in " ".join(said)

    run(check())


ADA = Owner(61001, 61001, "ada")


def identities() -> Identities:
    return Identities(lambda one: Identity(one.uid, one.gid, (one.gid,), one.name))


async def said_beside(beside: Beside, *command: str) -> str:
    beside.job = replace(beside.job, owner=ADA, spec=replace(beside.job.spec, cwd="/"))
    terminal = await PtyTerminals(lambda key: str(beside.directory / key), identities()).open(beside.job, command, 0, 0)
    try:
        return (await all_output(terminal)).decode()
    finally:
        await terminal.close()


@pytest.mark.root
def test_the_mounts_that_a_user_has_made_lead_root_to_no_file(tmp_path: Path) -> None:
    """In the job's own namespace /proc is a directory of its user's, with a link where root would write."""
    victim, ready = tmp_path / "shadow", tmp_path / "ready"
    victim.write_text("precious")
    ready.touch()
    ready.chmod(0o666)
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_uid == os.getuid() and str(above).startswith(tempfile.gettempdir() + "/"):
            above.chmod(0o755)
    hostile = f"mount -t tmpfs none /proc && mkdir /proc/self && ln -s {victim} /proc/self/oom_score_adj && echo yes >{ready}; exec sleep 1000"
    beside = Beside(tmp_path, ("unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", hostile), ADA.uid)
    try:
        give_up_s = time.monotonic() + 30
        while not ready.read_text() and beside.main.poll() is None and time.monotonic() < give_up_s:
            time.sleep(0.02)
        if beside.main.poll() is not None:
            pytest.skip("users may make no namespaces here")
        assert ready.read_text()
        assert victim.read_text() == "precious"

        async def work() -> None:
            said = await said_beside(beside, "/usr/bin/id", "-u")
            assert "not among the job's own mounts" in said
            assert said.split()[-1] == str(ADA.uid)

        run(work())
        assert victim.read_text() == "precious"
    finally:
        beside.end()


def test_a_process_that_has_got_the_number_of_the_main_process_is_not_looked_into(beside: Beside) -> None:
    """Another user's environment would be shown, and the command would run among its mounts."""
    with open(beside.directory / "42.-1.1", "r+b") as file:
        runfile.record(file.fileno(), runfile.MAIN_AT, {"pid": beside.main.pid, "spawned_steady": time.clock_gettime(time.CLOCK_BOOTTIME) - 60})

    async def work() -> None:
        async with beside.terminal("sh", "-c", "echo $AIOS_JOB_ID-is-not-told") as terminal:
            assert await all_output(terminal) == b"-is-not-told\r\n"

    run(work())

"""The contract of cells, on every kind that this machine has: runs are held to their grants, end whole, and leave nothing behind."""

import os
import signal
from pathlib import Path

import pytest

from aiosd.host.cells.opening import disks
from aiosd.host.cells.port import RESOURCES
from aiosd.host.records import RunRecord, read_run
from aiosd.jobs.job import Job
from tests.contract.confining import CPU, PIDS, Confined, confined  # noqa: F401  fixture
from tests.contract.launching import Ear, alive, eventually, in_loop, out, text

MIB = 1 << 20
FILL = "import sys\nkept = []\nwhile True: kept.append(bytearray(1 << 20))"


def leaves(confined: Confined) -> list[Path]:  # noqa: F811
    return [leaf for tree in confined.cells.parents for leaf in Path(tree).glob("*.*.*") if leaf.is_dir()]


def recorded(confined: Confined, of: Job) -> RunRecord:  # noqa: F811
    record = read_run(confined.world.state / "runs" / of.run_key)
    assert record is not None
    return record


async def output_of(ear: Ear, of: Job) -> list[str]:
    exit_ = await ear.run(of)
    assert exit_.exit_code == 0, exit_
    return out(ear, of).decode().splitlines()


def test_each_resource_is_held_or_it_is_said_why_not(confined: Confined) -> None:  # noqa: F811
    enforcement = confined.cells.enforcement
    assert enforcement.held | enforcement.lacking.keys() == set(RESOURCES)
    assert all(enforcement.lacking.values())
    assert not leaves(confined)  # the trial has left nothing


@in_loop
async def test_a_run_ends_as_it_does_anywhere_and_leaves_no_group(confined: Confined) -> None:  # noqa: F811
    async with confined.world.daemon() as ear:
        assert (await ear.run(confined.sh("exit 3"))).exit_code == 3
        assert (await ear.run(confined.sh("kill -USR1 $$", number=2))).signal == signal.SIGUSR1
        missing = await ear.run(confined.job("/no/such/program", number=3))
        assert (missing.exit_code, missing.oom_killed) == (127, None if confined.kind == "none" else False)
        assert not leaves(confined)
        good = await ear.run(confined.job("true", number=4))
        assert good.exit_code == 0
        assert good.usage.memory_peak_bytes > 0


@in_loop
async def test_a_run_is_born_in_its_cell_and_its_shim_is_not(confined: Confined) -> None:  # noqa: F811
    confined.holds("end")
    sleeper = confined.sh("sleep 1000 & echo $!; wait")
    async with confined.world.daemon() as ear:
        ear.launcher.launch(sleeper)
        shim = (await ear.launched(sleeper)).shim_pid
        await text(Path(ear.launcher.log_paths(sleeper)[0]))
        await eventually(lambda: recorded(confined, sleeper).main_pid > 0)
        record = recorded(confined, sleeper)
        inside = {int(pid) for leaf in leaves(confined) for pid in (leaf / "cgroup.procs").read_text().split()}
        assert inside == {record.main_pid, int(out(ear, sleeper))}
        for leaf in leaves(confined):
            assert len((leaf / "cgroup.procs").read_text().split()) == 2, leaf
        assert shim not in inside
        ear.launcher.signal(sleeper, "KILL")
        await ear.exit(sleeper)


@in_loop
async def test_memory_is_held_and_who_fills_it_is_out_of_memory(confined: Confined) -> None:  # noqa: F811
    confined.holds("memory")
    neighbour = confined.sh("while [ ! -e $AIOS_SCRATCH/../go ]; do sleep 0.05; done", number=2)
    async with confined.world.daemon() as ear:
        ear.launcher.launch(neighbour)
        await ear.launched(neighbour)
        filler = confined.job("python3", "-c", FILL, memory_bytes=48 * MIB)
        exit_ = await ear.run(filler)
        assert (exit_.signal, exit_.oom_killed) == (signal.SIGKILL, True)
        assert 40 * MIB < exit_.usage.memory_peak_bytes <= 48 * MIB
        assert exit_.usage.oom_kills >= 1
        (confined.world.state / "scratch" / "go").touch()
        unhurt = await ear.exit(neighbour)
        assert (unhurt.exit_code, unhurt.oom_killed, unhurt.usage.oom_kills) == (0, False, 0)


@in_loop
async def test_a_job_that_is_killed_within_its_memory_is_not_out_of_memory(confined: Confined) -> None:  # noqa: F811
    confined.holds("memory")
    async with confined.world.daemon() as ear:
        exit_ = await ear.run(confined.sh("kill -KILL $$", memory_bytes=48 * MIB))
        assert (exit_.signal, exit_.oom_killed, exit_.usage.oom_kills) == (signal.SIGKILL, False, 0)


@in_loop
async def test_processors_cannot_be_had_by_setting_the_affinity(confined: Confined) -> None:  # noqa: F811
    confined.holds("cpu")
    script = "import os\ntry: os.sched_setaffinity(0, range(os.cpu_count()))\nexcept OSError: pass\nprint(*os.sched_getaffinity(0))"
    async with confined.world.daemon() as ear:
        assert await output_of(ear, confined.job("python3", "-c", script)) == [str(CPU)]


@in_loop
async def test_a_part_of_a_processor_is_a_quota(confined: Confined) -> None:  # noqa: F811
    confined.holds("cpu")
    spin = "import time\nw, c = time.monotonic(), time.process_time()\nwhile time.monotonic() < w + 0.8: pass\nprint((time.process_time() - c) / (time.monotonic() - w))"
    async with confined.world.daemon() as ear:
        (part,) = await output_of(ear, confined.job("python3", "-c", spin, millis=200))
        assert float(part) < 0.5


@in_loop
async def test_a_fork_bomb_stays_small_and_ends(confined: Confined) -> None:  # noqa: F811
    confined.holds("processes")
    bomb = "import os, time\nwhile True:\n  try: os.fork()\n  except OSError: time.sleep(0.05)"
    waiting = confined.job("python3", "-c", bomb)
    async with confined.world.daemon() as ear:
        ear.launcher.launch(waiting)
        await ear.launched(waiting)
        await eventually(lambda: leaves(confined) != [] and len((leaves(confined)[0] / "cgroup.procs").read_text().split()) == PIDS)
        assert (await ear.run(confined.job("true", number=2))).exit_code == 0  # the neighbours do not notice
        ear.launcher.signal(waiting, "KILL")
        assert (await ear.exit(waiting)).signal == signal.SIGKILL
    assert not leaves(confined)


@in_loop
async def test_nobody_escapes_the_end(confined: Confined, tmp_path: Path) -> None:  # noqa: F811
    """A double fork into a session of its own, with every signal ignored, and with nothing in its environment that names the run."""
    script = f"""
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in set(signal.Signals) - {{signal.SIGKILL, signal.SIGSTOP}}: signal.signal(number, signal.SIG_IGN)
        os.close(1); os.close(2)
        open("{tmp_path}/pid.new", "w").write(f"{{os.getpid()}}\\n")
        os.rename("{tmp_path}/pid.new", "{tmp_path}/pid")
        while True: time.sleep(1)
    os._exit(0)
os.wait()
while not os.path.exists("{tmp_path}/pid"): time.sleep(0.01)
"""
    async with confined.world.daemon() as ear:
        assert (await ear.run(confined.job("python3", "-c", script))).exit_code == 0
        assert not alive(int((tmp_path / "pid").read_text()))
    assert not leaves(confined)


@in_loop
async def test_what_a_killed_shim_leaves_behind_is_killed_through_its_cell(confined: Confined, tmp_path: Path) -> None:  # noqa: F811
    """Without a session, a parent or a variable by which it could be told."""
    confined.holds("end")
    stray = confined.sh(f"(env -i setsid sh -c 'echo $$ > {tmp_path}/stray; exec sleep 1000' &) ; exec sleep 1000")
    async with confined.world.daemon() as ear:
        ear.launcher.launch(stray)
        shim = (await ear.launched(stray)).shim_pid
        (pid,) = await text(tmp_path / "stray")
        os.kill(shim, signal.SIGKILL)
        assert (await ear.ended(stray)).exit is None
        assert not alive(int(pid))
        assert not leaves(confined)


@in_loop
async def test_cells_that_nobody_expects_are_cleared_at_the_start(confined: Confined, tmp_path: Path) -> None:  # noqa: F811
    confined.holds("end")
    stray, kept = confined.sh(f"echo $$ > {tmp_path}/stray; exec sleep 1000"), confined.sh(f"echo $$ > {tmp_path}/kept; exec sleep 1000", number=2)
    async with confined.world.daemon() as ear:
        pids = {}
        for one, name in ((stray, "stray"), (kept, "kept")):
            ear.launcher.launch(one)
            pids[name] = int((await text(tmp_path / name))[0])
        shim = (await ear.launched(stray)).shim_pid
    os.kill(shim, signal.SIGKILL)
    (confined.world.state / "runs" / stray.run_key).unlink()
    async with confined.world.daemon() as ear:
        await ear.launcher.recover([kept])
        assert not alive(pids["stray"])
        assert alive(pids["kept"])
        assert {leaf.name for leaf in leaves(confined)} == {kept.run_key}
        ear.launcher.signal(kept, "TERM")
        await ear.exit(kept)
    assert not leaves(confined)


@pytest.mark.root
@in_loop
async def test_a_device_that_was_not_granted_cannot_be_opened(confined: Confined) -> None:  # noqa: F811
    confined.holds("devices")
    script = """
import os, sys
for path in sys.argv[1:]:
    try: print("opened", os.close(os.open(path, os.O_RDONLY)))
    except PermissionError: print("refused")
"""
    command = ("python3", "-c", script, *map(str, confined.devices), "/dev/zero")
    async with confined.world.daemon() as ear:
        assert await output_of(ear, confined.job(*command, devices=(0,))) == ["opened None", "refused", "opened None"]
        assert await output_of(ear, confined.job(*command, devices=(1,), number=2)) == ["refused", "opened None", "opened None"]
        assert await output_of(ear, confined.job(*command, number=3)) == ["refused", "refused", "opened None"]
        assert await output_of(ear, confined.job(*command, devices=(0, 1), number=4)) == ["opened None", "opened None", "opened None"]


@in_loop
async def test_reading_and_writing_are_limited_when_asked_for(confined: Confined) -> None:  # noqa: F811
    confined.holds("io")
    one = confined.sh("echo up; sleep 1000", io_read_bytes_per_s=200 * MIB, io_write_bytes_per_s=100 * MIB)
    async with confined.world.daemon() as ear:
        ear.launcher.launch(one)
        await text(Path(ear.launcher.log_paths(one)[0]))
        files = {Path(file) for file, _ in confined.cells.plan_of(one)[1] if "io." in file}  # type: ignore[union-attr]
        said = "".join(file.read_text() for file in files)
        assert str(200 * MIB) in said
        assert str(100 * MIB) in said
        ear.launcher.signal(one, "KILL")
        await ear.exit(one)


WRITE = """
import mmap, os, sys, time
try: block, fd = mmap.mmap(-1, 1 << 16), os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
except OSError: sys.exit(75)
began = time.monotonic()
for n in range(32): os.write(fd, block)
print(time.monotonic() - began)
"""


@in_loop
async def test_a_limit_of_writing_bites(confined: Confined, tmp_path: Path) -> None:  # noqa: F811
    """Two MiB past the page cache take a second at two MiB a second; how much longer is nobody's promise."""
    confined.holds("io")
    device = os.stat(tmp_path).st_dev
    if f"{os.major(device)}:{os.minor(device)}" not in disks():
        pytest.skip("the tests' files are on no disk of their own that could be limited")
    async with confined.world.daemon() as ear:
        writer = confined.job("python3", "-c", WRITE, str(tmp_path / "file"), io_write_bytes_per_s=2 * MIB)
        exit_ = await ear.run(writer)
        if exit_.exit_code == 75:
            pytest.skip("the tests' file system takes no direct writes")
        assert float(out(ear, writer)) > 0.7


@in_loop
async def test_pressure_is_counted(confined: Confined) -> None:  # noqa: F811
    """Four that spin on a fifth of a processor keep each other waiting."""
    confined.holds("cpu")
    spin = "for n in 1 2 3 4; do (i=0; while [ $i -lt 15000 ]; do i=$((i+1)); done) & done; wait"
    crowded = confined.sh(spin, millis=200)
    if not confined.cells.plan_of(crowded)[4]:
        pytest.skip("the kernel counts pressure in groups of v2 only, and has none here")
    async with confined.world.daemon() as ear:
        assert (await ear.run(crowded)).usage.cpu_pressure_s > 0


@in_loop
async def test_who_cannot_be_confined_does_not_run(confined: Confined, tmp_path: Path) -> None:  # noqa: F811
    confined.holds("end")
    async with confined.world.daemon() as ear:
        loose = confined.sh(f"touch {tmp_path}/ran")
        for leaf in confined.cells.plan_of(loose)[0]:  # type: ignore[attr-defined]
            os.rmdir(os.path.dirname(leaf))
        exit_ = await ear.run(loose)
    assert (exit_.exit_code, "cannot set up the control group" in exit_.error) == (126, True)
    assert not (tmp_path / "ran").exists()


@in_loop
async def test_a_daemon_that_stops_at_once_leaves_a_run_that_begins_its_place(confined: Confined, tmp_path: Path) -> None:  # noqa: F811
    confined.holds("end")
    last = confined.sh(f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    async with confined.world.daemon() as ear:
        ear.launcher.launch(last)
    (pid,) = await text(tmp_path / "pid")
    assert alive(int(pid))
    async with confined.world.daemon() as ear:
        await ear.launcher.recover([last])
        ear.launcher.signal(last, "TERM")
        assert (await ear.exit(last)).signal == signal.SIGTERM
    assert not leaves(confined)

"""The spawner and its shims: killed at any moment, kept warm, used again, and small."""

import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.host import faults, processes
from aiosd.host.records import read_run
from aiosd.ids import JobId
from aiosd.jobs.job import Job
from aiosd.jobs.ports import Launched, LauncherEvent, LaunchFailed, RunEnded
from aiosd.resources.grant import Grant
from tests.contract.launching import Ear, RealWorld, alive, eventually, in_loop, job, kill_spawner, out, sh, shims, text


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
@pytest.mark.root
async def test_the_kernel_spares_the_daemon_and_not_its_jobs_when_memory_is_short(real: RealWorld, tmp_path: Path) -> None:
    score = Path("/proc/self/oom_score_adj")
    before = score.read_text()
    try:
        score.write_text("-900")
    except OSError:
        pytest.skip("this root may not lower the score (no CAP_SYS_RESOURCE)")
    try:
        async with real.daemon() as ear:
            await ear.run(sh(f"cat /proc/self/oom_score_adj > {tmp_path}/score"))
    finally:
        score.write_text(before)
    assert (tmp_path / "score").read_text() == "0\n"


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


WHICH = "stat -c %i $AIOS_SCRATCH $AIOS_CHECKPOINT_DIR; ls -A $AIOS_SCRATCH $AIOS_CHECKPOINT_DIR | grep -v : | grep ."


def which(ear: Ear, of: Job) -> list[bytes]:
    return out(ear, of).split()


@in_loop
async def test_a_warm_shim_gives_its_empty_directories_to_its_next_run_and_removes_them_at_its_end(real: RealWorld) -> None:
    first, second, dirty, third = sh(WHICH, number=1), sh(WHICH, number=2), sh(f"{WHICH}; chmod 700 $AIOS_SCRATCH", number=3), sh(WHICH, number=4)
    async with real.daemon() as ear:
        for one in (first, second, dirty, third):
            await ear.run(one)
        assert len({(await ear.launched(one)).shim_pid for one in (first, second, dirty, third)}) == 1
        assert which(ear, first) == which(ear, second) == which(ear, dirty)
        assert len(which(ear, first)) == 2
        assert which(ear, third)[1] == which(ear, dirty)[1]
        assert (real.state / "scratch" / third.run_key).stat().st_mode & 0o777 == 0o755
        assert not (real.state / "checkpoints" / str(third.id)).exists()
    await eventually(lambda: os.listdir(real.state / "scratch") == os.listdir(real.state / "checkpoints") == [])


@in_loop
async def test_what_a_shim_kept_that_was_killed_before_it_could_tell_is_removed(real: RealWorld, tmp_path: Path) -> None:
    """Its run has ended and is recorded; the spawner, which passes that on, has no time."""
    one = sh(f"until [ -e {tmp_path}/go ]; do sleep 0.01; done")
    places = [real.state / "scratch", real.state / "checkpoints"]

    def recorded() -> bool:
        record = read_run(str(real.state / "runs" / one.run_key))
        return record is not None and record.end is not None

    async with real.daemon() as ear:
        ear.launcher.launch(one)
        shim, spawner = (await ear.launched(one)).shim_pid, shims(ear).spawner_pid
        os.kill(spawner, signal.SIGSTOP)
        (tmp_path / "go").touch()
        await eventually(recorded)
        assert [len(os.listdir(place)) for place in places] == [1, 1]
        os.kill(shim, signal.SIGKILL)
        assert (await ear.exit(one)).exit_code == 0
        await eventually(lambda: not any(os.listdir(place) for place in places))
        os.kill(spawner, signal.SIGCONT)
    places[0].joinpath(one.run_key).mkdir()  # of a shim that was killed so while no daemon looked
    async with real.daemon() as ear:
        await ear.launcher.recover([one])
        assert (await ear.exit(one)).exit_code == 0
        assert not os.listdir(places[0])


@in_loop
async def test_what_an_idle_shim_had_kept_when_it_was_killed_is_removed(real: RealWorld) -> None:
    one, lives = job("true"), job("sleep", "1000", number=2)
    places = [real.state / "scratch", real.state / "checkpoints"]
    async with real.daemon() as ear:
        await ear.run(one)
        await eventually(lambda: [len(os.listdir(place)) for place in places] == [1, 1])
        os.kill((await ear.launched(one)).shim_pid, signal.SIGKILL)
        await eventually(lambda: not any(os.listdir(place) for place in places))  # by the daemon that watched it
        ear.launcher.forget(one)
        ear.launcher.launch(lives)
        await eventually((places[0] / lives.run_key).exists)
    (places[0] / "9.-1.1").mkdir()  # of shims that were killed while no daemon looked
    (places[1] / ".spare.2").mkdir()
    (places[0] / "notes").mkdir()  # of somebody else
    (places[1] / ".spare.1").mkdir()
    (places[1] / ".spare.1" / "model").touch()  # whatever it is, it is not empty
    async with real.daemon() as ear:
        await ear.launcher.recover([lives])
        assert [sorted(os.listdir(place)) for place in places] == [[lives.run_key, "notes"], [".spare.1", "2"]]

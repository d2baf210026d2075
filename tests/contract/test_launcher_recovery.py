"""What is found of runs when their shim was killed, or when no daemon looked: each has one true end, and nothing is left."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from aiosd.host import processes
from aiosd.host.records import read_run
from aiosd.host.runfile import boot_id
from aiosd.jobs.job import Phase
from aiosd.jobs.ports import LaunchFailed
from tests.contract.launching import (
    TREE,
    RealWorld,
    alive,
    eventually,
    in_loop,
    job,
    sh,
    text,
)


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
    assert (end.exit, end.reason) == (None, f"the machine restarted while it ran (boot another, now {boot_id()})")


@in_loop
async def test_a_run_that_had_been_dispatched_before_the_backup_has_an_unknown_end(real: RealWorld) -> None:
    before, after = job("true", number=1), job("true", number=2)
    assert before.run is not None
    assert after.run is not None
    real.state.mkdir(parents=True, exist_ok=True)
    (real.state / "restored").write_text("1000.5\n")
    async with real.daemon() as ear:
        await ear.launcher.recover(
            [replace(before, run=replace(before.run, dispatched_at_s=1000.0)), replace(after, run=replace(after.run, dispatched_at_s=1001.0))]
        )
        end = await ear.ended(before)
        assert (end.exit, "backup" in end.reason) == (None, True)
        assert [event for event in ear.events if isinstance(event, LaunchFailed) and event.job_id == after.id]


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


@in_loop
async def test_the_scratch_of_a_run_that_was_lost_and_is_not_expected_any_more_is_removed(real: RealWorld) -> None:
    one = sh("touch $AIOS_SCRATCH/file; sleep 1000")
    scratch = real.state / "scratch" / one.run_key
    async with real.daemon() as ear:
        ear.launcher.launch(one)
        shim = (await ear.launched(one)).shim_pid
        await eventually((scratch / "file").exists)
    os.kill(shim, signal.SIGKILL)
    os.unlink(real.state / "runs" / one.run_key)  # by a daemon that died right after
    async with real.daemon() as ear:
        await ear.launcher.recover([])
        assert not scratch.exists()

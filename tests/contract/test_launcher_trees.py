"""Whole trees of processes: nothing of a run outlives it, and signals reach who they are meant for."""

import signal
from pathlib import Path

import pytest

from aiosd.errors import InvalidArgument
from aiosd.jobs.ports import Scope
from tests.contract.launching import TREE, RealWorld, alive, eventually, in_loop, job, out, sh, state, text


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
async def test_many_runs_are_killed_together(real: RealWorld) -> None:
    sleepers = [job("sleep", "1000", number=number) for number in range(1, 21)]
    async with real.daemon() as ear:
        for one in sleepers:
            ear.launcher.launch(one)
        for one in sleepers:
            await ear.launched(one)
            ear.launcher.signal(one, "KILL")
        assert {(await ear.exit(one)).signal for one in sleepers} == {signal.SIGKILL}

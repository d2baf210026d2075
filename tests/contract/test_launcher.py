"""What every Launcher promises, on the fake and on real processes."""

import signal
from dataclasses import replace

from aiosd.jobs.job import Phase
from aiosd.jobs.ports import Launched, LaunchFailed, RunEnded, Scope
from tests.contract.launching import World, in_loop, job


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


@in_loop
async def test_what_can_be_told_of_a_job_that_has_ended_brings_no_event(world: World) -> None:
    done = job("true", notify_command="exit 1")
    async with world.daemon() as ear:
        await ear.run(done)
        ended = replace(done, phase=Phase.SUCCEEDED, run=None)
        ear.launcher.notify(ended)
        ear.launcher.forget(ended)
        await ear.launcher.recover([])
        assert [type(event) for event in ear.events] == [Launched, RunEnded]

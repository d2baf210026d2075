"""A run that goes on with more or less: record, pool and books change as one, and the kernel is told after the commit, and again."""

from dataclasses import replace

import pytest

from aiosd.access.limits import UserLimits
from aiosd.clock import Instant
from aiosd.errors import AiosError, Exhausted, FailedPrecondition, NeverFits
from aiosd.ids import JobId
from aiosd.jobs.actions import Reserve, Resize, Save, SetLimits, Steer, UpdateJob
from aiosd.jobs.draft import JobChange, RequestDraft
from aiosd.jobs.job import Job
from aiosd.jobs.limiting import use_of
from aiosd.jobs.ports import Launched, Loaded, Resized
from aiosd.jobs.settings import JobsSettings
from aiosd.resources.pool import Pool
from tests.unit.jobs.world import ALICE, GIB, World, draft


def begun(world: World, cpus: int = 2, memory_gib: int = 4, **fields: object) -> JobId:
    (job,) = world.submit(draft("train", request=RequestDraft(cpu_millis=1000 * cpus, memory_bytes=memory_gib * GIB), **fields))
    world.begin()
    return job.id


def update(world: World, job_id: JobId, used_bytes: int = 0, **change: object) -> Job:
    reply = world.do(UpdateJob(job_id, JobChange(**change), used_bytes))  # type: ignore[arg-type]
    assert isinstance(reply, Job)
    return reply


def refused(world: World, job_id: JobId, used_bytes: int = 0, **change: object) -> AiosError:
    """The same as before in every book."""
    before, free = world.engine.state.jobs[job_id], world.engine.state.pool.free()
    with pytest.raises(AiosError) as error:
        update(world, job_id, used_bytes, **change)
    assert world.engine.state.jobs[job_id] == before
    assert world.engine.state.pool.free() == free
    return error.value


def test_a_run_grows_at_once() -> None:
    world = World()
    job_id = begun(world)
    job = update(world, job_id, cpu_millis=3000, memory_bytes=8 * GIB)
    assert job.run is not None
    assert (job.run.grant.cpu_millis, job.run.grant.memory_bytes, job.run.resized) == (3000, 8 * GIB, True)
    assert job.request == replace(job.request, cpu_millis=3000, memory_bytes=8 * GIB)
    state = world.engine.state
    assert (state.pool.free().cpu_millis, state.pool.free().memory_bytes) == (1000, 8 * GIB)
    use = use_of(state, "alice", world.now)
    assert (use.running_jobs, use.cpu_millis, use.memory_bytes) == (1, 3000, 8 * GIB)
    assert state.shares[job_id] == 0.75
    (told,) = [action for action in world.last if isinstance(action, Resize)]
    assert told.job.run == job.run
    assert any(isinstance(action, Save) and action.job == job and not action.lazy for action in world.last), "it is remembered first"
    assert state.history.adjustments[-1].what == "has 3 processors and 8 GiB of memory now, in place of 2 processors and 4 GiB of memory"


def test_its_end_gives_back_all_of_it() -> None:
    world = World()
    job_id = begun(world)
    update(world, job_id, cpu_millis=4000, memory_bytes=16 * GIB)
    world.finish(job_id)
    assert world.engine.state.pool.free() == Pool(world.inventory).free()
    assert use_of(world.engine.state, "alice", world.now).cpu_millis == 0


def test_it_is_charged_for_what_it_held_when_it_held_it() -> None:
    world = World(settings=JobsSettings(usage_half_life_s=1e12))
    job_id = begun(world, 1, 1)
    world.wait(100.0)
    update(world, job_id, cpu_millis=4000)
    world.wait(100.0)
    world.finish(job_id)
    assert world.engine.state.ledger.usage(world.now.wall_s)["alice"] == pytest.approx(100 * 0.25 + 100 * 1.0)


def test_what_it_gives_up_starts_others() -> None:
    world = World()
    job_id = begun(world, 4)
    (waiting,) = world.submit(draft("other"))
    assert world.phase(waiting.id.number) == "queued"
    update(world, job_id, used_bytes=GIB, cpu_millis=2000)
    assert world.phase(waiting.id.number) == "starting"


def test_one_amount_alone() -> None:
    world = World()
    job_id = begun(world)
    grant = update(world, job_id, memory_bytes=5 * GIB).run
    assert grant is not None
    assert (grant.grant.cpu_millis, grant.grant.memory_bytes) == (2000, 5 * GIB)


def test_not_below_what_it_uses() -> None:
    world = World()
    error = refused(world, begun(world), 3 * GIB, memory_bytes=3 * GIB)
    assert isinstance(error, FailedPrecondition)
    assert str(error) == "job 1 uses 3 GiB of memory, which does not fit into 3 GiB"
    assert error.hint.startswith("leave it at least 3.15 GiB")


def test_not_beyond_what_is_free() -> None:
    world = World()
    job_id, _ = begun(world), begun(world, 1, 4)
    error = refused(world, job_id, cpu_millis=4000)
    assert isinstance(error, Exhausted)
    assert str(error) == "job 1 needs 2 processors and 0 B of memory more, and 1 processors and 8 GiB of memory are free"


def test_not_beyond_the_machine() -> None:
    world = World()
    assert isinstance(refused(world, begun(world), memory_bytes=64 * GIB), NeverFits)


def test_not_beyond_what_its_user_may_have() -> None:
    world = World()
    job_id, _ = begun(world), begun(world, 1, 4)
    world.do(SetLimits("alice", UserLimits(cpu_millis=3000)))
    error = refused(world, job_id, cpu_millis=3000)
    assert isinstance(error, Exhausted)
    assert "of the 3 processors that alice may have at once 0 processors are left" in str(error)


def test_not_into_what_is_reserved_for_others() -> None:
    world = World()
    job_id = begun(world)
    now_s = world.now.wall_s
    world.do(Reserve(now_s, now_s + 3600.0, ("bob",), frozenset({"bob"}), RequestDraft(cpu_millis=2000)))
    assert isinstance(refused(world, job_id, cpu_millis=3000), Exhausted)


def test_neither_a_job_that_is_stopping_nor_one_with_the_whole_machine() -> None:
    world = World()
    job_id = begun(world)
    world.steer(Steer.CANCEL, job_id)
    assert "it cannot be resized any more" in str(refused(world, job_id, cpu_millis=3000))
    other = World()
    (job,) = other.submit(draft("all", request=RequestDraft(exclusive=True)))
    other.begin()
    assert "has the whole machine for itself" in str(refused(other, job.id, cpu_millis=2000))


def test_what_else_a_run_cannot_change_is_still_refused() -> None:
    world = World()
    assert "queue of job 1 cannot change" in str(refused(world, begun(world), queue="default", cpu_millis=3000))


def test_a_run_that_has_not_begun_is_resized_when_it_has() -> None:
    world = World()
    (job,) = world.submit(draft("train"))
    update(world, job.id, cpu_millis=2000)
    assert not [action for action in world.last if isinstance(action, Resize)]
    world.begin()
    assert [action.job.id for action in world.last if isinstance(action, Resize)] == [job.id]


def test_a_new_daemon_applies_it_again() -> None:
    world = World()
    job_id = begun(world)
    update(world, job_id, cpu_millis=3000)
    again = World(loaded=Loaded(list(world.saved.values()), (), {}, 2, 99), now=Instant(world.now.wall_s + 5, world.now.steady_s + 5))
    assert again.engine.state.pool.free().cpu_millis == 1000
    again.do(Launched(job_id, 1, 4001, world.now.wall_s, world.now.steady_s))
    (told,) = [action.job for action in again.last if isinstance(action, Resize)]
    assert told.run is not None
    assert told.run.grant.cpu_millis == 3000


def test_what_the_kernel_refused_is_told() -> None:
    world = World()
    job_id = begun(world)
    job = update(world, job_id, memory_bytes=2 * GIB)
    world.do(Resized(job_id, 1, "'memory.max': Device or resource busy"))
    assert world.engine.state.jobs[job_id].reason == "it could not be resized as it was granted: 'memory.max': Device or resource busy"
    world.do(Resized(job_id, 1))
    world.do(Resized(JobId(77), 1, "gone"))
    assert world.engine.state.jobs[job_id].run == job.run


def test_a_run_that_takes_over_a_slot_is_asked_to_wait_a_moment() -> None:
    world = World()
    world.submit(*(draft("short") for _ in range(60)))
    state = world.engine.state
    for _ in range(4):
        holding = [i for i, job in state.jobs.items() if job.run is not None and job.run.after is None]
        world.begin(*holding)
        world.finish(holding[0], run_s=0.005)
    head = next(line.head for line in state.staging.behind.values())
    successor = world.engine.hand_over(head, 1, state.revision)
    assert successor is not None
    assert "just now" in str(refused(world, successor.id, cpu_millis=2000))


def test_the_next_attempt_asks_for_the_new_size() -> None:
    world = World()
    job_id = begun(world)
    update(world, job_id, cpu_millis=3000)
    world.steer(Steer.REQUEUE, job_id)
    world.finish(job_id, None, signal=15)
    job = world.engine.state.jobs[job_id]
    assert job.attempt == 2
    assert job.run is not None
    assert (job.run.grant.cpu_millis, job.run.resized) == (3000, False)


def test_who_comes_after_a_short_run_is_granted_its_own() -> None:
    world = World()
    world.submit(*(draft("short") for _ in range(60)), owner=ALICE)
    state = world.engine.state
    for _ in range(4):
        holding = [i for i, job in state.jobs.items() if job.run is not None and job.run.after is None]
        world.begin(*holding)
        world.finish(holding[0], run_s=0.005)
    head = next(line.head for line in state.staging.behind.values())
    update(world, head, memory_bytes=GIB)
    assert state.staging.of[head].closed
    assert not state.staging.of[head].waiting

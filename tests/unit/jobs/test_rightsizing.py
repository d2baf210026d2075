"""Requests learned from earlier runs: applied only where they were left open, and taken back where they were too small."""

from dataclasses import replace

import pytest

from aiosd.access.limits import UserLimits
from aiosd.ids import JobId
from aiosd.jobs.actions import SetLimits, UpdateJob
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft
from aiosd.jobs.job import Job
from aiosd.jobs.settings import JobsSettings, Rightsize
from aiosd.resources.usage import Usage
from tests.unit.jobs.world import GIB, World, draft

MIB = 1 << 20


def train(**request: int) -> JobDraft:
    return draft("python3", "train.py", name="train", request=RequestDraft(**request))


def taught(how: Rightsize, runs: int = 3, peak: int = GIB, cpu_s: float = 6.0) -> World:
    """Of a machine of 4 processors and 16 GiB, where a job that does not say gets 1 and 4 GiB."""
    world = World(settings=JobsSettings(rightsize=how))
    for _ in range(runs):
        (job,) = world.submit(train())
        world.begin()
        world.finish(job.id, usage=Usage(cpu_user_s=cpu_s, memory_peak_bytes=peak), run_s=60.0)
    return world


def submitted(world: World, **request: int) -> Job:
    (job,) = world.submit(train(**request))
    return world.engine.state.jobs[job.id]


def test_what_is_off_learns_and_says_nothing() -> None:
    job = submitted(taught(Rightsize.OFF))
    assert (job.request.memory_bytes, job.rightsizing, job.rightsized) == (4 * GIB, "", False)


def test_a_suggestion_changes_nothing() -> None:
    job = submitted(taught(Rightsize.SUGGEST))
    assert job.request.memory_bytes == 4 * GIB
    assert job.rightsizing == "by 3 earlier runs, `--cpus 0.25 --memory 1280M` would fit it"
    assert not job.rightsized


def test_nothing_is_suggested_to_a_job_that_fits_or_is_not_known() -> None:
    assert submitted(taught(Rightsize.SUGGEST, peak=int(3.3 * GIB), cpu_s=57.0 * 0.8)).rightsizing == ""
    assert submitted(taught(Rightsize.SUGGEST, runs=2)).rightsizing == ""


def test_what_was_learned_is_asked_for_where_the_user_left_it_open() -> None:
    world = taught(Rightsize.APPLY)
    job = submitted(world)
    assert (job.request.memory_bytes, job.request.cpu_millis) == (1280 * MIB, 250)
    assert job.rightsized
    assert job.rightsizing == "it asks for 1.25 GiB of memory in place of 4 GiB and 0.25 processor in place of 1, learned from 3 earlier runs"
    assert [each.job_id for each in world.engine.state.history.adjustments] == [job.id]


@pytest.mark.parametrize(
    ("asked", "memory", "cpus"),
    [({"memory_bytes": 8 * GIB}, 8 * GIB, 250), ({"cpu_millis": 2000}, 1280 * MIB, 2000), ({"memory_bytes": GIB, "cpu_millis": 2000}, GIB, 2000)],
)
def test_what_a_user_asked_for_is_never_changed(asked: dict[str, int], memory: int, cpus: int) -> None:
    job = submitted(taught(Rightsize.APPLY), **asked)
    assert (job.request.memory_bytes, job.request.cpu_millis) == (memory, cpus)


def test_an_exclusive_job_has_the_machine_anyway() -> None:
    world = taught(Rightsize.APPLY)
    (job,) = world.submit(replace(train(), request=RequestDraft(exclusive=True)))
    assert not job.rightsized


def test_never_more_than_the_machine_has_or_the_user_may_have() -> None:
    world = taught(Rightsize.APPLY, peak=15 * GIB)
    assert submitted(world).request.memory_bytes == 16 * GIB
    world.do(SetLimits("alice", UserLimits(memory_bytes=6 * GIB)))
    assert submitted(world).request.memory_bytes == 6 * GIB


def out_of_memory(world: World, job_id: JobId) -> None:
    world.begin()
    world.finish(job_id, None, signal=9, oom_killed=True, usage=Usage(memory_peak_bytes=1280 * MIB))


def test_a_run_that_was_given_too_little_has_a_second_chance_with_what_it_would_have_had() -> None:
    world = taught(Rightsize.APPLY)
    job = submitted(world, cpu_millis=1000)
    out_of_memory(world, job.id)
    again = world.engine.state.jobs[job.id]
    assert again.request.memory_bytes == 4 * GIB
    assert (again.attempt, again.retries_used) == (2, 0)
    assert again.reason == "attempts before ran out of 1.25 GiB of memory; this one has 4 GiB"
    out_of_memory(world, job.id)
    assert world.phase(job.id.number) == "out_of_memory", "once"


def test_who_chose_its_memory_has_no_second_chance() -> None:
    world = taught(Rightsize.APPLY)
    job = submitted(world, memory_bytes=GIB, cpu_millis=1000)
    assert not job.rightsized
    out_of_memory(world, job.id)
    assert world.phase(job.id.number) == "out_of_memory"


def test_an_update_says_what_is_wanted() -> None:
    world = taught(Rightsize.SUGGEST)
    world.submit(draft("big", request=RequestDraft(cpu_millis=4000)))
    job = submitted(world)
    world.do(UpdateJob(job.id, JobChange(memory_bytes=2 * GIB)))
    job = world.engine.state.jobs[job.id]
    assert (job.rightsizing, job.spec.open_memory, job.spec.open_cpus) == ("", False, True)


def test_why_passes_a_suggestion_on() -> None:
    world = taught(Rightsize.SUGGEST)
    world.submit(draft("big", request=RequestDraft(cpu_millis=4000)))
    job = submitted(world)
    assert job.rightsizing in world.engine.why(job.id, world.now).suggestions

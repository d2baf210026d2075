"""Jobs that run out of memory: what the next attempt asks for, what is said of it, what its user is told to ask for."""

from dataclasses import replace

import pytest

from aiosd.access.limits import UserLimits
from aiosd.errors import InvalidArgument, NeverFits
from aiosd.ids import JobId
from aiosd.jobs.actions import SetLimits, UpdateJob
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft, RetryDraft
from aiosd.jobs.explain import WhyKind, why_out_of_memory
from aiosd.jobs.memory import flag
from aiosd.resources.usage import Usage
from tests.unit.jobs.world import GIB, World, draft, machine

MIB = 1 << 20


def hungry(memory_bytes: int = 4 * GIB, retries: int = 3, factor: float = 1.5, most: int = 0, **fields: object) -> JobDraft:
    retry = RetryDraft(retries, ("oom",), oom_memory_factor=factor, oom_memory_max_bytes=most)
    return draft("train", request=RequestDraft(1000, memory_bytes), retry=retry, **fields)


def oom(world: World, job_id: JobId, peak_bytes: int = 0) -> None:
    world.begin(job_id)
    world.finish(job_id, None, signal=9, oom_killed=True, usage=Usage(memory_peak_bytes=peak_bytes))
    world.wait(20.0)


def granted(world: World, job_id: JobId) -> int:
    run = world.engine.state.jobs[job_id].run
    assert run is not None
    return run.grant.memory_bytes


def test_each_attempt_asks_for_more_up_to_what_the_machine_has() -> None:
    w = World()  # 16 GiB
    (job,) = w.submit(hungry(retries=4))
    had = [granted(w, job.id)]
    for _ in range(4):
        oom(w, job.id)
        had.append(granted(w, job.id))
    assert had == [4 * GIB, 6 * GIB, 9 * GIB, int(13.5 * GIB), 16 * GIB]
    told = w.engine.state.jobs[job.id].reason
    assert told == "attempts before ran out of 4 GiB, 6 GiB, 9 GiB and 13.5 GiB of memory; this one has 16 GiB"
    oom(w, job.id, 16 * GIB)
    reason = w.ended[job.id].reason
    assert reason.startswith("it used all of its 16 GiB of memory (peak 16 GiB); its attempts had 4 GiB, 6 GiB, 9 GiB, 13.5 GiB and 16 GiB of memory")
    assert reason.endswith("jobs of this machine can have no more than 16 GiB")


def test_the_user_says_how_far_it_may_go() -> None:
    w = World()
    (job,) = w.submit(hungry(factor=2.0, most=6 * GIB))
    w.begin()
    w.finish(job.id, None, signal=9, oom_killed=True)
    assert w.saved[job.id].reason == "it used all of its 4 GiB of memory; retry 1 of 3 in 1s with 6 GiB of memory"
    w.wait(20.0)
    w.begin()
    w.finish(job.id, None, signal=9, oom_killed=True)
    assert w.saved[job.id].reason.endswith("retry 2 of 3 in 2s with as much memory as before: it may not ask for more")
    w.wait(20.0)
    assert granted(w, job.id) == 6 * GIB


def test_a_factor_of_one_asks_for_as_much_as_before() -> None:
    w = World()
    (job,) = w.submit(hungry(factor=1.0))
    oom(w, job.id)
    assert granted(w, job.id) == 4 * GIB and w.engine.state.jobs[job.id].memory_bytes == 0


def test_the_setting_counts_where_the_job_does_not_say() -> None:
    w = World()
    w.engine.state.settings = replace(w.settings, oom_memory_factor=3.0)
    (job,) = w.submit(hungry(factor=0.0))
    oom(w, job.id)
    assert granted(w, job.id) == 12 * GIB


def test_another_kind_of_failure_raises_nothing() -> None:
    w = World()
    (job,) = w.submit(draft("a", request=RequestDraft(1000, GIB), retry=RetryDraft(2)))
    w.begin()
    w.finish(job.id, 1)
    w.wait(20.0)
    assert granted(w, job.id) == GIB


def test_an_element_asks_for_more_and_its_array_does_not() -> None:
    w = World()
    w.submit(hungry(array="0-5%1"))
    oom(w, JobId(1, 0))
    assert granted(w, JobId(1, 0)) == 6 * GIB and w.engine.state.jobs[JobId(1)].memory_bytes == 0
    w.finish(JobId(1, 0))
    assert granted(w, JobId(1, 1)) == 4 * GIB
    assert w.ended[JobId(1, 0)].reason == "its attempts had 4 GiB and 6 GiB of memory"


def test_what_it_asks_for_now_survives_a_restart_and_waits_for_that_much() -> None:
    w = World()
    (job,) = w.submit(hungry(12 * GIB))
    w.begin()
    w.finish(job.id, None, signal=9, oom_killed=True)
    (other,) = w.submit(draft("b", request=RequestDraft(1000, GIB)))
    w.wait(20.0)
    assert w.phase(job.id.number) == "queued"
    why = w.engine.why(job.id, w.now)
    assert (why.resource, why.asked) == ("memory", "16 GiB")
    again = World(loaded=replace(w.loaded, jobs=tuple(w.saved.values()), next_number=3))
    assert again.engine.state.jobs[job.id].request.memory_bytes == 16 * GIB
    w.finish(other.id)
    assert granted(w, job.id) == 16 * GIB


def test_its_user_may_set_the_memory_again() -> None:
    w = World()
    (job,) = w.submit(hungry(12 * GIB))
    w.begin()
    w.finish(job.id, None, signal=9, oom_killed=True)
    with pytest.raises(NeverFits):
        w.do(UpdateJob(job.id, JobChange(memory_bytes=17 * GIB)))
    w.do(UpdateJob(job.id, JobChange(memory_bytes=14 * GIB)))
    w.wait(20.0)
    assert granted(w, job.id) == 14 * GIB


@pytest.mark.parametrize(
    ("had", "peak", "flag"), [(4 * GIB, 4 * GIB, "6G"), (200 * MIB, 0, "320M"), (GIB, GIB, "1536M"), (4 * GIB, 7 * GIB, "11G"), (14 * GIB, 0, "16G")]
)
def test_the_end_says_what_to_ask_for_next_time(had: int, peak: int, flag: str) -> None:
    w = World()
    (job,) = w.submit(hungry(had, retries=0))
    oom(w, job.id, peak)
    ended = w.ended[job.id]
    assert ended.reason.endswith(f"; ask for --memory {flag} next time")
    why = why_out_of_memory(w.engine.state, ended)
    assert why.kind is WhyKind.OUT_OF_MEMORY and ended.reason in why.summary
    assert why.suggestions == (f"submit it with `--memory {flag}`", "`--retries 2 --retry-on oom` lets it ask for more by itself")


def test_a_job_that_had_the_whole_machine_is_told_that() -> None:
    w = World(inventory=machine(2))
    (job,) = w.submit(draft("a", request=RequestDraft(1000, GIB, exclusive=True), retry=RetryDraft(1)))
    oom(w, job.id)
    oom(w, job.id)
    assert "jobs of this machine can have no more than 16 GiB" in w.ended[job.id].reason
    assert not why_out_of_memory(w.engine.state, w.ended[job.id]).suggestions


@pytest.mark.parametrize(("factor", "most"), [(0.5, 0), (float("nan"), 0), (101.0, 0), (2.0, GIB), (2.0, -1)])
def test_nonsense_is_refused(factor: float, most: int) -> None:
    with pytest.raises(InvalidArgument):
        World().submit(hungry(factor=factor, most=most))


def test_a_size_is_said_as_the_command_line_takes_it() -> None:
    assert (flag(6 * GIB), flag(1280 * MIB)) == ("6G", "1280M")


def test_no_attempt_asks_for_more_than_its_user_may_have() -> None:
    w = World()
    w.do(SetLimits("alice", UserLimits(memory_bytes=5 * GIB)))
    (job,) = w.submit(hungry(retries=2))
    had = [granted(w, job.id)]
    for _ in range(2):
        oom(w, job.id)
        had.append(granted(w, job.id))
    assert had == [4 * GIB, 5 * GIB, 5 * GIB]

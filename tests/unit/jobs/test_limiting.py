"""Limits of users in the engine: what is refused, what waits and why, what a restart remembers, and that nothing passes a limit."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.access.limits import UserLimits
from aiosd.errors import Exhausted, NeverFits
from aiosd.ids import JobId
from aiosd.jobs.actions import QueueChange, Set, SetLimits, SetQueue, UpdateJob
from aiosd.jobs.draft import JobChange, RequestDraft
from aiosd.jobs.explain import WhyKind
from aiosd.jobs.limiting import limits_of, use_of
from aiosd.jobs.ports import Loaded
from aiosd.jobs.settings import JobsSettings
from aiosd.jobs.telling import told
from aiosd.resources.request import DeviceRequest
from aiosd.scheduling.registry import POLICIES
from tests.unit.jobs.bookkeeper import SHORT_S
from tests.unit.jobs.world import ALICE, BOB, GIB, World, draft, machine

HOUR_S = 3600.0


def ask(cpus: int = 1, memory_gib: int = 0, gpus: float = 0) -> dict[str, Any]:
    devices = (DeviceRequest("gpu", round(1000 * gpus)),) if gpus else ()
    return {"request": RequestDraft(cpu_millis=1000 * cpus, memory_bytes=memory_gib * GIB, devices=devices)}


def limit(world: World, user: str = "alice", **limits: Any) -> None:
    world.do(SetLimits(user, UserLimits(**limits)))


def running(world: World, user: str = "alice") -> int:
    return use_of(world.engine.state, user, world.now).running_jobs


def why(world: World, number: int, index: int = -1) -> Any:
    return world.engine.why(JobId(number, index), world.now)


# What is refused


def test_more_waiting_jobs_than_allowed_are_refused_and_none_of_them_accepted() -> None:
    world = World()
    limit(world, queued_jobs=4)
    world.submit(draft(held=True), draft(held=True))
    with pytest.raises(Exhausted, match="alice has 2 jobs waiting, and 3 more would pass the limit of 4") as caught:
        world.submit(draft(array="0-2", held=True))
    assert caught.value.facts["allowed"] == "4"
    assert "aiosctl admin user set alice --max-queued" in caught.value.hint
    assert world.submit(draft(array="0-1", held=True))[0].id == JobId(3)
    assert use_of(world.engine.state, "alice", world.now).queued_jobs == 4
    world.submit(draft(held=True), owner=BOB)


def test_what_has_begun_does_not_count_as_waiting() -> None:
    world = World()
    limit(world, queued_jobs=1)
    for _ in range(4):
        world.submit(draft())  # starts at once
    world.submit(draft())  # waits
    with pytest.raises(Exhausted):
        world.submit(draft())
    world.begin()
    world.finish(JobId(1))
    world.submit(draft())


@pytest.mark.parametrize(
    ("limits", "asked", "said"),
    [
        ({"cpu_millis": 2000}, ask(3), "asks for 3 processors, and alice may have 2 processors at once"),
        ({"memory_bytes": 4 * GIB}, ask(1, 5), "asks for 5 GiB of memory"),
        ({"gpu_millis": 1000}, ask(1, 0, 2), "asks for 2 GPUs"),
    ],
)
def test_a_job_that_can_never_run_under_its_users_limit_is_refused(limits: dict[str, int], asked: dict[str, Any], said: str) -> None:
    world = World(inventory=machine(gpus=2))
    limit(world, **limits)
    with pytest.raises(NeverFits, match=said) as caught:
        world.submit(draft(**asked))
    assert "can never run under this limit" in str(caught.value)
    assert "aiosctl admin user set alice --max-" in caught.value.hint
    world.submit(draft(**asked), owner=BOB)


def test_an_update_cannot_pass_the_limit_either() -> None:
    world = World()
    limit(world, cpu_millis=2000)
    (job,) = world.submit(draft(held=True))
    with pytest.raises(NeverFits):
        world.do(UpdateJob(job.id, JobChange(cpu_millis=3000)))
    world.do(UpdateJob(job.id, JobChange(cpu_millis=2000)))


def test_who_asks_for_the_whole_machine_asks_for_all_of_it() -> None:
    world = World()
    limit(world, cpu_millis=2000)
    with pytest.raises(NeverFits, match="4 processors"):
        world.submit(draft(request=RequestDraft(exclusive=True)))


# What waits


@pytest.mark.parametrize("policy", list(POLICIES))
@pytest.mark.parametrize(
    ("limits", "asked", "at_once", "said"),
    [
        ({"running_jobs": 2}, ask(1), 2, "alice runs as many jobs at once as its limit allows: 2"),
        ({"cpu_millis": 3000}, ask(2), 1, "asks for 2 processors, and of the 3 processors that alice may have at once 1 processors are left"),
        ({"memory_bytes": 5 * GIB}, ask(1, 4), 1, "asks for 4 GiB of memory"),
        ({"gpu_millis": 1500}, ask(1, 0, 1), 1, "asks for 1 GPUs, and of the 1.5 GPUs"),
    ],
)
def test_a_limit_keeps_its_users_jobs_waiting_and_says_so(policy: str, limits: dict[str, int], asked: dict[str, Any], at_once: int, said: str) -> None:
    world = World(inventory=machine(8, gpus=4), settings=JobsSettings(policy=policy))
    limit(world, **limits)
    jobs = world.submit(*[draft(**asked)] * 4)
    assert running(world) == at_once
    reason = why(world, jobs[-1].id.number)
    assert (reason.kind, said in reason.summary) == (WhyKind.POLICY_LIMIT, True), reason
    assert "aiosctl admin user set alice --" in reason.suggestions[0]
    assert told(world.engine.state, world.engine.state.jobs[jobs[-1].id]).reason.startswith("user limit: ")
    bob = world.submit(draft(**asked), owner=BOB)
    assert world.phase(bob[0].id.number) == "starting"
    world.begin()
    world.finish(jobs[0].id)
    assert running(world) == at_once
    assert world.phase(jobs[at_once].id.number) == "starting"


def test_elements_of_an_array_count_one_by_one() -> None:
    world = World()
    limit(world, running_jobs=2)
    world.submit(draft(array="0-9"))
    assert running(world) == 2
    assert why(world, 1, 5).kind is WhyKind.POLICY_LIMIT


def test_defaults_hold_for_everybody_but_those_who_have_limits_of_their_own() -> None:
    world = World(settings=JobsSettings(limits=UserLimits(running_jobs=1)))
    limit(world, "bob", running_jobs=3)
    world.submit(*[draft()] * 4)
    world.submit(*[draft()] * 4, owner=BOB)
    assert (running(world), running(world, "bob")) == (1, 3)
    world.do(SetLimits("bob", None))
    assert limits_of(world.engine.state, "bob") == UserLimits(running_jobs=1)


def test_a_change_counts_at_once_and_what_runs_goes_on() -> None:
    world = World()
    limit(world, running_jobs=1)
    world.submit(*[draft()] * 4)
    assert running(world) == 1
    limit(world, running_jobs=3)
    assert running(world) == 3
    limit(world, running_jobs=1)
    assert running(world) == 3
    world.begin()
    for number in (1, 2):
        world.finish(JobId(number))
    assert running(world) == 1
    assert world.phase(4) == "queued"
    world.do(SetLimits("alice", None))
    assert running(world) == 2


def test_a_job_that_a_lowered_limit_forbids_says_so_and_blocks_nobody() -> None:
    world = World()
    world.do(SetQueue("default", QueueChange(started=False)))
    world.submit(draft(**ask(3)), draft(**ask(1)))
    limit(world, cpu_millis=2000)
    world.do(SetQueue("default", QueueChange(started=True)))
    assert (world.phase(1), world.phase(2)) == ("queued", "starting")
    assert "it cannot start under this limit" in why(world, 1).summary


def test_who_waits_for_its_own_limit_is_not_ahead_of_others() -> None:
    world = World(settings=JobsSettings(policy="priority"))
    limit(world, running_jobs=1)
    world.submit(draft(**ask(1)), draft(priority=9, **ask(1)))
    world.submit(draft(**ask(3)), owner=BOB)
    world.submit(draft(**ask(1)), owner=BOB)
    assert world.phase(3) == "starting"
    waiting = why(world, 4)
    assert (waiting.kind, waiting.ahead_count) == (WhyKind.RESOURCES, 0)


# GPU hours


def test_gpu_hours_of_the_last_day_keep_gpu_jobs_waiting_until_the_day_has_moved_on() -> None:
    world = World(inventory=machine(gpus=2))
    limit(world, gpu_hours_per_day=2)
    world.submit(draft(**ask(1, 0, 1)), draft(**ask(1, 0, 1)))
    world.begin()
    world.wait(HOUR_S)
    world.finish(JobId(1))
    world.submit(draft(**ask(1, 0, 1)), draft(**ask(1)))  # 2 hours are used, one by a run that goes on
    assert (world.phase(3), world.phase(4)) == ("queued", "starting")
    reason = why(world, 3)
    assert (reason.kind, reason.resource) == (WhyKind.POLICY_LIMIT, "GPU hours")
    assert "alice has used 2.00 GPU hours in the last 24 hours, of 2 a day" in reason.summary
    world.finish(JobId(2))
    for _ in range(200):  # nothing else happens: the engine wakes by itself
        wake_s = world.engine.next_wake_in_s(world.now)
        if wake_s is None:
            break
        world.wait(wake_s + 0.001)
    assert world.phase(3) == "starting"
    assert 23 * HOUR_S < world.now.wall_s - 1_000_000 < 25.5 * HOUR_S


def test_a_wall_clock_that_jumps_back_keeps_nobody_waiting_for_ever() -> None:
    world = World(inventory=machine(gpus=1))
    limit(world, gpu_hours_per_day=1)
    world.submit(draft(**ask(1, 0, 1)), draft(**ask(1, 0, 1)))
    world.begin()
    world.wait(HOUR_S)
    world.finish(JobId(1))
    assert world.phase(2) == "queued"
    world.now = replace_wall(world, -10 * 86400.0)
    wake_s = world.engine.next_wake_in_s(world.now)
    assert wake_s is not None and wake_s <= 900.0
    world.wait(wake_s)
    limit(world, gpu_hours_per_day=0)
    assert world.phase(2) == "starting"


def replace_wall(world: World, by_s: float) -> Any:
    return world.now._replace(wall_s=world.now.wall_s + by_s)


def test_gpu_hours_survive_a_restart_with_what_runs_counted_on() -> None:
    world = World(inventory=machine(gpus=2))
    world.submit(draft(**ask(1, 0, 1)), draft(**ask(1, 0, 0.5)))
    world.begin()
    world.wait(2 * HOUR_S)
    stored: dict[str, str] = {}
    world.finish(JobId(1))
    stored |= {action.name: action.value for action in world.last if isinstance(action, Set)}
    assert "gpu_hours.alice" in stored  # in the same turn as the end of the run
    assert len(json.loads(stored["gpu_hours.alice"])) in (8, 9)
    again = World(
        inventory=machine(gpus=2), now=world.now._replace(wall_s=world.now.wall_s + HOUR_S), loaded=Loaded(tuple(world.saved.values()), (), stored, 3, 100)
    )
    use = use_of(again.engine.state, "alice", again.now)
    assert (use.running_jobs, use.gpu_millis) == (1, 500)
    assert use.gpu_hours == pytest.approx(2.0 + 0.5 * 3)


def test_limits_that_were_set_are_there_from_the_first_turn_on() -> None:
    world = World()
    engine = world.engine.load(Loaded((), (), {}, 1, 0), world.settings, world.inventory, "boot-1", world.now, {"alice": UserLimits(running_jobs=1)})
    world.engine = engine
    world.submit(*[draft()] * 3)
    assert running(world) == 1


# Successors of short runs


def test_runs_of_a_limited_user_are_followed_only_within_the_limit() -> None:
    world = World(inventory=machine(2))
    for number in (1, 2, 3):  # known to be short
        world.submit(draft())
        world.begin()
        world.finish(JobId(number), run_s=SHORT_S)
    limit(world, running_jobs=1)
    world.submit(*[draft()] * 20)
    staged = world.engine.state.staging.behind
    assert (running(world), len(staged) > 0) == (1, True)  # they take over what their predecessor holds
    limit(world, running_jobs=2)
    assert running(world) == 2
    limit(world, running_jobs=1)
    assert (running(world), len(world.engine.state.staging.behind)) == (2, 0)


def test_a_lowered_default_calls_back_who_was_staged_under_the_old_one() -> None:
    world = World(inventory=machine(2))
    for number in (1, 2, 3):  # known to be short
        world.submit(draft())
        world.begin()
        world.finish(JobId(number), run_s=SHORT_S)
    world.submit(*[draft()] * 20)
    assert (running(world), len(world.engine.state.staging.behind) > 0) == (2, True)
    world.engine.state.settings = JobsSettings(limits=UserLimits(running_jobs=1))  # as the service takes over what a reload changed
    world.engine.state.dirty = True
    world.do()
    assert (running(world), len(world.engine.state.staging.behind)) == (2, 0)


# Whatever happens


limits_strategy = st.builds(
    UserLimits,
    running_jobs=st.integers(0, 3),
    cpu_millis=st.sampled_from([0, 2000, 3000]),
    memory_bytes=st.sampled_from([0, 6 * GIB]),
    gpu_millis=st.sampled_from([0, 1000, 1500]),
    gpu_hours_per_day=st.sampled_from([0.0, 0.5]),
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["submit", "submit", "array", "end", "end", "wait"]),
        st.sampled_from([ALICE, BOB]),
        st.integers(1, 3),
        st.integers(0, 4),
        st.sampled_from([0, 0, 0.5, 1, 2]),
        st.integers(0, 9),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(policy=st.sampled_from(list(POLICIES)), limits=limits_strategy, steps=steps)
def test_no_user_ever_has_more_than_its_limit_and_others_wait_only_for_the_machine(policy: str, limits: UserLimits, steps: list[Any]) -> None:
    world = World(inventory=machine(6, gpus=3), settings=JobsSettings(policy=policy))
    world.do(SetLimits("alice", limits))
    for what, owner, cpus, memory, gpus, which in steps:
        active = sorted(world.engine.state.shares)
        if what == "wait":
            world.wait(600.0)
        elif what == "end" and active:
            world.finish(active[which % len(active)], run_s=SHORT_S if which % 2 else 60.0)
        else:
            try:
                world.submit(draft(**ask(cpus, memory, gpus), array="0-3" if what == "array" else ""), owner=owner)
            except NeverFits:
                assert owner is ALICE
        if world.engine.state.shares:
            world.begin(*world.engine.state.shares)  # not those that are staged
        use = use_of(world.engine.state, "alice", world.now)
        for name in ("running_jobs", "cpu_millis", "memory_bytes", "gpu_millis"):
            assert getattr(use, name) <= (getattr(limits, name) or 1 << 62), name
        check_the_counts(world)
    world.do(SetLimits("alice", None))
    for _ in range(300):
        active = sorted(world.engine.state.shares)
        if not active:
            break
        world.finish(active[0])
    assert not world.engine.state.jobs, "whoever waited for a limit starts when it is lifted"
    assert not world.engine.state.holdings.held


def check_the_counts(world: World) -> None:
    """The books of users are what the jobs say; nobody without a limit waits for one."""
    state = world.engine.state
    for user in ("alice", "bob"):
        grants = [job.run.grant for job in state.jobs.values() if job.owner.name == user and job.run is not None and job.run.after is None]
        use = use_of(state, user, world.now)
        assert use.running_jobs == len(grants)
        assert use.cpu_millis == sum(grant.cpu_millis for grant in grants)
        assert use.memory_bytes == sum(grant.memory_bytes for grant in grants)
    for job in state.jobs.values():
        if job.owner is BOB and job.array is None:
            assert world.engine.why(job.id, world.now).kind is not WhyKind.POLICY_LIMIT

"""Reservations in the engine: what is kept for whom, who waits for it, what is refused, what a restart remembers."""

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiosd.errors import AiosError, Conflict, FailedPrecondition, InvalidArgument, NeverFits, NotFound
from aiosd.ids import JobId
from aiosd.jobs import reserving
from aiosd.jobs.actions import Reserve, Set, SetPolicy, Signal, Steer, Submit, Unreserve, UpdateJob
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft
from aiosd.jobs.explain import WhyKind
from aiosd.jobs.job import Exit, Job, Owner
from aiosd.jobs.ports import Launched, Loaded, RunEnded
from aiosd.jobs.telling import told
from aiosd.resources.request import DeviceRequest
from aiosd.scheduling.reservations import Reservation
from tests.unit.jobs.world import ALICE, BOB, EMPTY, GIB, World, draft, machine

HOUR = 3600.0
CAROL = Owner(1002, 1002, "carol")


def gpus(millis: int, cpus: int = 1) -> RequestDraft:
    return RequestDraft(1000 * cpus, GIB, (DeviceRequest("gpu", millis),) if millis else ())


def job(millis: int = 1000, limit_s: float = 0.0, cpus: int = 1, **fields: object) -> JobDraft:
    return draft("train", request=gpus(millis, cpus), time_limit_s=limit_s, grace_s=10.0, **fields)


def reserve(world: World, request: RequestDraft, begin_s: float = HOUR, lasts_s: float = HOUR, *users: str) -> Reservation:
    names = users or ("alice",)
    reply = world.do(Reserve(world.now.wall_s + begin_s, world.now.wall_s + begin_s + lasts_s, names, frozenset(names), request))
    assert isinstance(reply, Reservation)
    return reply


def world(count: int = 4) -> World:
    return World(inventory=machine(16, gpus=count))


def held(world: World, job: Job) -> list[str]:
    run = world.engine.state.jobs[job.id].run
    return [] if run is None else [part.device_id for part in run.grant.devices]


@pytest.mark.parametrize("policy", ["fifo", "priority", "fair"])
def test_others_leave_it_free_unless_they_end_before(policy: str) -> None:
    w = world()
    w.do(SetPolicy(policy))
    reserve(w, gpus(3000))
    endless, another, too_long, short = w.submit(job(), job(), job(limit_s=HOUR), job(3000, limit_s=HOUR - 10), owner=BOB)
    assert [len(held(w, one)) for one in (endless, another, too_long, short)] == [1, 0, 0, 3]
    why = w.engine.why(another.id, w.now)
    assert why.kind is WhyKind.RESERVATION and why.summary.startswith("the gpu it needs is kept for a reservation of alice from ")
    assert why.estimated_start_at_s == w.now.wall_s + 2 * HOUR
    assert why.suggestions == ("it starts when job 1 of bob ends",), "with a time limit of 59m it would end before, but nothing is free now"
    assert told(w.engine.state, w.engine.state.jobs[another.id]).reason == "reservation 1"


def test_its_users_may_use_it_before_and_within_and_more_than_that() -> None:
    w = world()
    reserve(w, gpus(2000), 0.0)
    alices, bobs = w.submit(job(), owner=ALICE)[0], w.submit(job(3000), job(2000), owner=BOB)[1]
    assert held(w, alices) == ["GPU-0"] and len(held(w, bobs)) == 2
    rest, more = w.submit(job(), job(), owner=ALICE)
    assert len(held(w, rest)) == 1
    assert held(w, more) == []  # bob has what was not reserved


@pytest.mark.parametrize("policy", ["priority", "fair"])
def test_who_waits_for_others_holds_nothing_of_it_back_from_its_users(policy: str) -> None:
    w = world(4)
    w.do(SetPolicy(policy))
    w.submit(job(), owner=BOB)
    reserve(w, gpus(2000), 0.0)
    (large,) = w.submit(job(2000, priority=5), owner=CAROL)  # it fits beside the reservation once bob's has ended
    (alices,) = w.submit(job(2000), owner=ALICE)
    assert held(w, large) == [] and len(held(w, alices)) == 2
    (small,) = w.submit(job(), owner=BOB)
    assert held(w, small) == [], "nor do small jobs of others starve it"


def test_it_ends_by_itself_and_what_waited_goes_on() -> None:
    w = world(1)
    reserve(w, gpus(1000), 0.0, HOUR)
    (waiting,) = w.submit(job(), owner=BOB)
    assert held(w, waiting) == []
    wake_s = w.engine.next_wake_in_s(w.now)
    assert wake_s is not None and wake_s <= 60.0
    w.wait(HOUR)
    assert held(w, waiting) == ["GPU-0"] and not w.engine.state.reservations


def test_it_can_be_taken_back() -> None:
    w = world(1)
    kept = reserve(w, gpus(1000), 0.0)
    (waiting,) = w.submit(job(), owner=BOB)
    assert w.do(Unreserve(kept.id)) == kept
    assert held(w, waiting) == ["GPU-0"]
    with pytest.raises(NotFound, match="no reservation 1"):
        w.do(Unreserve(kept.id))


def test_what_ends_before_leaves_its_device_for_it_and_the_free_one_is_for_others() -> None:
    """Nothing idles without need: the device that is in use for a while is the one that will be kept."""
    w = world(2)
    (running,) = w.submit(job(limit_s=600.0), owner=BOB)
    w.begin()
    reserve(w, gpus(1000))
    (endless,) = w.submit(job(), owner=BOB)
    assert (held(w, running), held(w, endless)) == (["GPU-0"], ["GPU-1"])


def test_the_reserved_devices_stay_the_same_while_it_lasts() -> None:
    w = world(3)
    first, _ = w.submit(job(), job(), owner=BOB)
    reserve(w, gpus(1000), 0.0)
    (waits,) = w.submit(job(), owner=BOB)
    assert held(w, waits) == []
    w.finish(first.id)
    assert held(w, waits) == ["GPU-0"] and w.engine.state.reserved_devices == {1: ["GPU-2"]}


@pytest.mark.parametrize("policy", ["fifo", "priority", "fair"])
def test_who_waits_for_its_end_keeps_nothing_from_who_is_done_before(policy: str) -> None:
    w = world(4)
    w.do(SetPolicy(policy))
    w.submit(job(limit_s=60.0), owner=BOB)
    reserve(w, gpus(2000))
    large, short = w.submit(job(3000), job(2000, limit_s=60.0), owner=BOB)  # 3 and 2 are more than there are
    assert held(w, large) == [] and len(held(w, short)) == 2
    assert w.engine.why(large.id, w.now).kind is WhyKind.RESERVATION


def test_the_whole_machine_can_be_reserved_and_used() -> None:
    w = world(2)
    kept = reserve(w, RequestDraft(exclusive=True), 0.0)
    assert (kept.request.cpu_millis, kept.request.devices) == (16000, (DeviceRequest("gpu", 2000),))
    (bobs,), (alices,) = w.submit(draft("a"), owner=BOB), w.submit(draft("b", request=RequestDraft(exclusive=True)), owner=ALICE)
    assert (w.phase(bobs.id.number), w.phase(alices.id.number)) == ("queued", "starting")


def test_a_device_brings_a_processor_and_memory_unless_it_is_said() -> None:
    w = world()
    assert reserve(w, RequestDraft(devices=(DeviceRequest("gpu", 2000),))).request.cpu_millis == 2000
    assert reserve(w, RequestDraft(memory_bytes=GIB)).request.cpu_millis == 1000


def test_what_can_never_be_kept_is_refused() -> None:
    w = world()
    first = reserve(w, gpus(3000), HOUR, HOUR)
    with pytest.raises(NeverFits):
        reserve(w, gpus(5000))
    with pytest.raises(Conflict, match=f"beside reservation {first.id}"):
        reserve(w, gpus(2000), 1.5 * HOUR, HOUR)
    reserve(w, gpus(2000), 2 * HOUR, HOUR)  # when the first is over
    for begin_s, lasts_s, request in ((0.0, 0.0, gpus(1000)), (-2 * HOUR, HOUR, gpus(1000)), (0.0, 400 * 86400.0, gpus(1000)), (0.0, HOUR, RequestDraft())):
        with pytest.raises(InvalidArgument):
            reserve(w, request, begin_s, lasts_s)
    with pytest.raises(InvalidArgument, match="nobody is named"):
        w.do(Reserve(w.now.wall_s, w.now.wall_s + 9, (), frozenset(), gpus(1000)))
    assert sorted(w.engine.state.reservations) == [1, 2]


def test_runs_that_may_hold_it_for_longer_are_named() -> None:
    w = world(2)
    endless, _ = w.submit(job(), job(limit_s=60.0), owner=BOB)
    w.begin()
    kept = reserve(w, gpus(2000))
    warned = reserving.warnings(w.engine.state, w.now)[kept.id]
    assert warned.startswith("reservation 1 for alice cannot be kept in full from ") and warned.endswith(f": job {endless.id} may still hold some of it")
    w.finish(endless.id)
    assert reserving.warnings(w.engine.state, w.now) == {}


def test_a_run_gets_no_more_time_at_its_cost() -> None:
    w = world(2)
    bobs, alices = w.submit(job(limit_s=600.0), owner=BOB)[0], w.submit(job(limit_s=600.0), owner=ALICE)[0]
    w.begin()
    reserve(w, gpus(2000))
    for limit_s in (0.0, 2 * HOUR):
        with pytest.raises(FailedPrecondition, match="cannot run for longer"):
            w.do(UpdateJob(bobs.id, JobChange(time_limit_s=limit_s)))
    w.do(UpdateJob(bobs.id, JobChange(time_limit_s=HOUR - 20)))
    w.do(UpdateJob(alices.id, JobChange(time_limit_s=2 * HOUR)))


def test_a_restart_remembers_them_and_goes_on_counting() -> None:
    w = world()
    reserve(w, gpus(1000))
    kept = reserve(w, gpus(2000), HOUR, HOUR, "alice", "bob")
    w.do(Unreserve(1))
    (stored,) = [a.value for a in w.last if isinstance(a, Set) and a.name == "reservations"]
    after = World(inventory=machine(16, gpus=4), loaded=Loaded((), (), {"reservations": stored}, 1, 0))
    assert after.engine.state.reservations == {2: kept} and json.loads(stored)["next"] == 3
    assert reserve(after, gpus(1000)).id == 3


def test_no_short_job_slips_past_its_beginning() -> None:
    """Staged successors take over a grant without a pass: there are none where a reservation is near."""
    w = World(inventory=machine(1))
    w.submit(*[draft("a", time_limit_s=5.0, grace_s=1.0) for _ in range(30)], owner=BOB)

    def run(numbers: range) -> None:
        for number in numbers:
            w.begin(JobId(number))
            w.finish(JobId(number), run_s=0.002)

    run(range(1, 4))
    assert w.engine.state.staging.behind
    reserve(w, RequestDraft(1000), HOUR)
    assert not w.engine.state.staging.behind
    run(range(4, 8))
    assert w.engine.state.staging.behind, "it is far away"
    w.wait(HOUR - 61.0)
    for number in range(8, 31):
        if JobId(number) in w.engine.state.jobs and w.engine.state.jobs[JobId(number)].run is not None:
            run(range(number, number + 1))
        assert not w.engine.state.staging.behind
    w.wait(60.0)
    assert not w.engine.state.shares


class Reserved(RuleBasedStateMachine):
    """Whatever is submitted and reserved: what is reserved is free or used by its users, but for what ran before it was made."""

    COUNT = 3

    @initialize(policy=st.sampled_from(["fifo", "priority", "fair"]))
    def begin(self, policy: str) -> None:
        self.world = World(inventory=machine(4, 16 * GIB, gpus=self.COUNT))
        self.made: dict[int, float] = {}
        self.began: dict[str, int] = {}  # run -> how many reservations had been made when it began
        self.turn(SetPolicy(policy))

    def turn(self, event: object = None) -> object:
        try:
            reply = self.world.do(event)  # type: ignore[arg-type]
        except AiosError:
            reply = self.world.do()
            reply = None
        self.note()
        return reply

    def note(self) -> None:
        for one in self.world.engine.state.jobs.values():
            if one.run is not None:
                self.began.setdefault(one.run_key, self.world.engine.state.next_reservation)

    @rule(
        owner=st.sampled_from([ALICE, BOB, CAROL]),
        millis=st.sampled_from([0, 500, 1000, 2000]),
        cpus=st.integers(1, 3),
        limit=st.sampled_from([0, 20, 50, 200]),
    )
    def submit(self, owner: Owner, millis: int, cpus: int, limit: float) -> None:
        if len(self.world.engine.state.jobs) < 12:
            self.turn(Submit([job(millis, limit, cpus)], [EMPTY], owner))

    @rule(users=st.sampled_from([("alice",), ("bob",), ("alice", "carol")]), millis=st.sampled_from([0, 500, 1000, 2000]), cpus=st.integers(1, 3),
          begin=st.sampled_from([0, 30, 100]), lasts=st.sampled_from([30, 100]))  # fmt: skip
    def reserve(self, users: tuple[str, ...], millis: int, cpus: int, begin: float, lasts: float) -> None:
        now_s = self.world.now.wall_s
        self.turn(Reserve(now_s + begin, now_s + begin + lasts, users, frozenset(users), gpus(millis, cpus)))

    @rule(number=st.integers(1, 6))
    def unreserve(self, number: int) -> None:
        self.turn(Unreserve(number))

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        runs = [one for one in self.world.engine.state.jobs.values() if one.run is not None]
        if runs:
            self.finish(data.draw(st.sampled_from(runs)))

    def finish(self, one: Job) -> None:
        self.turn(RunEnded(one.id, one.attempt, Exit(self.world.now.wall_s, exit_code=0, run_s=60.0)))

    @rule(steps=st.integers(1, 6))
    def wait(self, steps: int) -> None:
        """Ten seconds at a time; who is killed is gone at once."""
        for _ in range(steps):
            for one in list(self.world.engine.state.jobs.values()):
                if one.run is not None and not one.run.started_at_s:
                    self.turn(Launched(one.id, one.attempt, 9, self.world.now.wall_s, self.world.now.steady_s))
            now = self.world.now
            self.world.now = now._replace(wall_s=now.wall_s + 10, steady_s=now.steady_s + 10)
            self.turn()
            for signal in [a for a in self.world.last if isinstance(a, Signal) and a.signal == "KILL"]:
                self.finish(signal.job)

    @invariant()
    def what_is_reserved_is_kept(self) -> None:
        if not hasattr(self, "world"):
            return
        state, now_s = self.world.engine.state, self.world.now.wall_s
        for kept in (r for r in state.reservations.values() if r.at(now_s)):
            runs = [state.jobs[i] for i in state.shares]
            bound = [j for j in runs if j.owner.name not in kept.members and self.began[j.run_key] > kept.id]
            if not bound:
                continue  # all that runs is its users', or ran before
            together = [r for r in state.reservations.values() if r.at(now_s) and r.members & kept.members]
            cpus = sum(j.run.grant.cpu_millis for j in bound if j.run is not None)
            assert cpus + kept.request.cpu_millis <= 4000, "its processors are given away"
            wanted = sum(wish.millis for wish in kept.request.devices)
            taken = {part.device_id: 0 for j in bound if j.run is not None for part in j.run.grant.devices}
            for j in bound:
                for part in j.run.grant.devices if j.run is not None else ():
                    taken[part.device_id] += part.millis
            if wanted >= 1000:
                assert (self.COUNT - len(taken)) * 1000 >= wanted, "its devices are given away"
            elif wanted:
                assert len(taken) < self.COUNT or min(taken.values()) + wanted <= 1000
            assert together

    @invariant()
    def reservations_of_different_users_fit_beside_each_other(self) -> None:
        """What alice's and bob's reservations still lack is free at the same time, where nothing that ran before is in the way."""
        if not hasattr(self, "world"):
            return
        state, now_s = self.world.engine.state, self.world.now.wall_s
        active = [r for r in state.reservations.values() if r.at(now_s)]
        runs = [state.jobs[i] for i in state.shares]
        if not active or any(self.began[j.run_key] <= max(r.id for r in active) for j in runs):
            return
        lacking = 0
        left = {j.owner.name: 0 for j in runs}
        for j in runs:
            left[j.owner.name] += j.run.grant.cpu_millis if j.run is not None else 0
        for kept in active:
            need = kept.request.cpu_millis
            for user in sorted(kept.members & left.keys()):
                used = min(left[user], need)
                left[user] -= used
                need -= used
            lacking += need
        assert lacking <= 4000 - sum(j.run.grant.cpu_millis for j in runs if j.run is not None)

    @invariant()
    def nothing_that_could_start_was_left_waiting(self) -> None:
        if hasattr(self, "world"):
            self.world.settle()
            self.note()
            engine = self.world.engine
            engine.state.dirty = True
            engine.dispatch(self.world.now)
            assert not engine.take_actions()

    @invariant()
    def everybody_can_say_why(self) -> None:
        for one in list(self.world.engine.state.jobs.values()) if hasattr(self, "world") else ():
            assert self.world.engine.why(one.id, self.world.now).summary

    def teardown(self) -> None:
        """In the end everybody has run."""
        if not hasattr(self, "world"):
            return
        for number in list(self.world.engine.state.reservations):
            self.turn(Unreserve(number))
        for _ in range(60):
            for one in [j for j in self.world.engine.state.jobs.values() if j.run is not None]:
                self.finish(one)
        assert not self.world.engine.state.jobs


TestReserved = Reserved.TestCase
TestReserved.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("policy", ["fifo", "priority", "fair"])
def test_a_far_reservation_changes_nothing_for_jobs_that_end_before(policy: str) -> None:
    """The same submissions with and without it: the same starts in the same order."""
    starts = []
    for reserved in (False, True):
        w = World(inventory=machine(4, gpus=2))
        w.do(SetPolicy(policy))
        if reserved:
            reserve(w, replace(gpus(2000), cpu_millis=4000), 10_000.0, HOUR, "carol")
        for nth in range(12):
            w.submit(job((0, 500, 1000, 2000)[nth % 4], 60.0 + nth, 1 + nth % 3), owner=(ALICE, BOB)[nth % 2])
        while w.engine.state.shares:
            w.begin()
            w.finish(min(w.engine.state.shares))
        starts.append([(one.id, one.run.grant if one.run else None) for one in w.launched])
    assert starts[0] == starts[1] and len(starts[0]) == 12


def test_a_held_job_is_told_that_it_is_held() -> None:
    w = world()
    reserve(w, gpus(4000), 0.0)
    (held_job,) = w.submit(job(), owner=BOB)
    w.steer(Steer.HOLD, held_job.id)
    assert w.engine.why(held_job.id, w.now).kind is WhyKind.HELD


def test_who_counted_as_different_while_there_was_a_reservation_starts_when_it_is_gone() -> None:
    """Without any, two jobs that differ in their time limits are of one class: the older one takes its place in the line along."""
    w = world(2)
    kept = reserve(w, gpus(2000), 0.0)
    older, newer = w.submit(job(limit_s=50.0), job(), owner=CAROL)
    w.do(UpdateJob(older.id, JobChange(time_limit_s=20.0)))  # and so it is the last to be put anew
    w.do(Unreserve(kept.id))
    assert [len(held(w, one)) for one in (older, newer)] == [1, 1]

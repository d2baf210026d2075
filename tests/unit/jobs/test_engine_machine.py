"""Whatever is asked of the engine, in whatever order: its books are right, and nobody waits for ever."""

import json
import os
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiosd.access.limits import UserLimits
from aiosd.clock import Instant
from aiosd.errors import AiosError
from aiosd.ids import JobId
from aiosd.jobs.actions import (
    Event,
    InventoryChanged,
    QueueChange,
    Reserve,
    Set,
    SetDrained,
    SetLimits,
    SetPolicy,
    SetQueue,
    Steer,
    SteerJob,
    Submit,
    Unreserve,
    UpdateJob,
)
from aiosd.jobs.choosing import CHOSEN
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft, RetryDraft
from aiosd.jobs.engine import Engine
from aiosd.jobs.job import Exit, Job, Phase
from aiosd.jobs.ports import Launched, LaunchFailed, Loaded, RunEnded
from aiosd.jobs.state import State
from aiosd.scheduling.rules import PreemptMode
from tests.unit.jobs.bookkeeper import LONG_S, SHORT_S, Bookkeeper
from tests.unit.jobs.world import ALICE, BOB, EMPTY, draft, machine

NUMBERS = st.integers(3, 18)
INDICES = st.integers(-1, 4)
KINDS = st.sampled_from(["after", "after-ok", "after-any", "after-failed"])
THEN = st.sampled_from(["a turn", "nothing", "in the middle of a turn"])
AHEAD = st.sampled_from([0.0, 0.0, 0.0, 3.0, 40.0])


def fingerprint(state: State) -> dict[str, object]:
    """All indexes, in a form that can be compared."""
    return {
        "classes": {key: (c.count, list(c)) for key, c in state.backlog.classes.items()},
        "where": state.backlog.where,
        "names": {name: ids for name, ids in state.names.items() if ids},
        "elements": {number: ids for number, ids in state.elements.items() if ids},
        "dependents": state.dependents,
        "phases": +state.phases,
        "active": +state.active_in,
        "used": state.pool.used(),
        "shares": state.shares.keys(),
        "held by users": state.holdings.held,
        "queued of users": +state.holdings.queued,
        "live of users": +state.holdings.live,
    }


class EngineMachine(RuleBasedStateMachine):
    broken = False  # what was found is to be told, not what comes of it

    @initialize(policy=st.sampled_from(["fifo", "priority", "fair"]))
    def begin(self, policy: str) -> None:
        self.world = Bookkeeper(inventory=machine(3))
        self.boot = 1
        self.reservations: dict[str, str] = {}  # as the settings have them
        self.do(SetPolicy(policy))
        self.do(SetQueue("high", QueueChange(preempts=("default",))))
        for cpus in (1, 2, 3):  # runs of these classes are known to be short
            self.submit(draft("a", request=RequestDraft(cpu_millis=1000 * cpus)))
            for job in list(self.world.runs.values()):
                self.end(job, 0, SHORT_S, "a turn")
        self.submit_many(1, "", 0, 0.0)

    def do(self, event: Event | None) -> None:
        """One turn, with all that was said before."""
        with suppress(AiosError):
            self.world.turn(*([event] if event is not None else []))
        self.reservations |= {a.name: a.value for a in self.world.last if isinstance(a, Set) and a.name == "reservations"}

    def submit(self, *drafts: JobDraft, bob: bool = False) -> None:
        state = self.world.engine.state
        if len(state.jobs) < 40:
            ended = {i: job.phase for i, job in self.world.ended.items()}
            self.do(Submit(drafts, [EMPTY] * len(drafts), BOB if bob else ALICE, ended=ended))

    @rule(cpus=st.integers(1, 3), held=st.booleans(), begin=AHEAD, deadline=AHEAD, limit=AHEAD, retries=st.integers(0, 2), bob=st.booleans())
    def submit_plain(self, cpus: int, held: bool, begin: float, deadline: float, limit: float, retries: int, bob: bool) -> None:
        now_s = self.world.now.wall_s
        fields = {"held": held, "begin_at_s": begin and now_s + begin, "deadline_at_s": deadline and now_s + deadline, "time_limit_s": limit}
        request = RequestDraft(cpu_millis=1000 * cpus)
        self.submit(draft("a", request=request, retry=RetryDraft(retries=retries, conditions=("exit", "lost", "timeout")), **fields), bob=bob)

    @rule(cpus=st.integers(1, 3), high=st.booleans(), array=st.sampled_from(["", "0-3"]), priority=st.integers(0, 2), preemptible=st.booleans())
    def submit_one_that_preempts_or_is_preempted(self, cpus: int, high: bool, array: str, priority: int, preemptible: bool) -> None:
        request = RequestDraft(cpu_millis=1000 * cpus, memory_bytes=1 << 30)
        fields = {"queue": "high" if high else "default", "priority": priority, "preemptible": preemptible, "array": array}
        self.submit(draft("a", request=request, retry=RetryDraft(retries=1), **fields), bob=high)

    @rule(mode=st.sampled_from(list(PreemptMode)), after=st.sampled_from([0.0, 3.0]))
    def set_preemption(self, mode: PreemptMode, after: float) -> None:
        self.do(SetQueue("default", QueueChange(preempt_mode=mode, preempt_after_s=after)))

    @rule(array=st.sampled_from(["0-4", "0-4%1", "0-4:2", "0,3%2"]), held=st.booleans(), begin=AHEAD, deadline=AHEAD, retries=st.integers(0, 1))
    def submit_array(self, array: str, held: bool, begin: float, deadline: float, retries: int) -> None:
        now_s = self.world.now.wall_s
        fields = {"held": held, "begin_at_s": begin and now_s + begin, "deadline_at_s": deadline and now_s + deadline}
        self.submit(draft("a", array=array, retry=RetryDraft(retries=retries), **fields))

    @rule(kind=KINDS, number=NUMBERS, index=INDICES, other=KINDS, array=st.sampled_from(["", "0-1"]), held=st.booleans())
    def submit_dependent(self, kind: str, number: int, index: int, other: str, array: str, held: bool) -> None:
        self.submit(draft("a", dependencies=((kind, str(JobId(number, index))),), array=array, held=held), draft("b", dependencies=((other, "#0"),)))

    @rule(cpus=st.integers(1, 3), array=st.sampled_from(["", "0-30", "0-30%5"]), retries=st.integers(0, 1), deadline=AHEAD)
    def submit_many_more(self, cpus: int, array: str, retries: int, deadline: float) -> None:
        self.submit_many(cpus, array, retries, deadline)

    def submit_many(self, cpus: int, array: str, retries: int, deadline: float) -> None:
        """Of a class whose runs are known to be short: with it, lines form."""
        fields = {"request": RequestDraft(cpu_millis=1000 * cpus), "retry": RetryDraft(retries=retries), "array": array}
        many = draft("many", deadline_at_s=deadline and self.world.now.wall_s + deadline, **fields)
        self.submit(*[many] * (1 if array else 12))

    @rule(data=st.data(), failed=st.booleans(), turn=st.booleans())
    def launch(self, data: st.DataObject, failed: bool, turn: bool) -> None:
        job = self.one_of(data, [j for j in self.world.runs.values() if j.run_key not in self.world.begun])
        if job is not None:
            now = self.world.now
            self.world.say(LaunchFailed(job.id, job.attempt, "no") if failed else Launched(job.id, job.attempt, 99, now.wall_s, now.steady_s))
            if turn:
                self.do(None)

    @rule(data=st.data(), code=st.sampled_from([0, 0, 1, None]), late=st.booleans(), run_s=st.sampled_from([SHORT_S, SHORT_S, LONG_S]), then=THEN)
    def end_run(self, data: st.DataObject, code: int | None, late: bool, run_s: float, then: str) -> None:
        job = self.one_of(data, list(self.world.runs.values()))
        if job is not None:
            self.end(job, code, run_s, then)
            if late:
                self.world.say(RunEnded(job.id, job.attempt, None, "said twice"))

    @rule(data=st.data(), ends=st.integers(1, 20), then=THEN)
    def end_one_after_the_other(self, data: st.DataObject, ends: int, then: str) -> None:
        self.end_many(data, ends, then)

    def end_many(self, data: st.DataObject, ends: int, then: str) -> None:
        """Short runs end one after the other, perhaps without a turn in between."""
        for _ in range(ends):
            job = self.one_of(data, list(self.world.runs.values()))
            if job is None:
                return
            self.end(job, 0, SHORT_S, then)

    @rule(data=st.data(), ends=st.integers(1, 8))
    def end_several_at_once(self, data: st.DataObject, ends: int) -> None:
        self.end_many(data, ends, "nothing")

    def end(self, job: Job, code: int | None, run_s: float, then: str) -> None:
        exit_ = None if code is None else Exit(self.world.now.wall_s, exit_code=code, run_s=run_s)
        event = RunEnded(job.id, job.attempt, exit_, "lost")
        if then == "in the middle of a turn":
            self.world.meanwhile.append(event)
            self.do(None)
        else:
            self.world.say(event)
        if then == "a turn":
            self.do(None)

    @rule(what=st.sampled_from(list(Steer)), number=NUMBERS, index=INDICES, force=st.booleans())
    def steer(self, what: Steer, number: int, index: int, force: bool) -> None:
        self.do(SteerJob(what, JobId(number, index), force=force))

    @rule(
        number=NUMBERS,
        index=INDICES,
        priority=st.sampled_from([None, 5]),
        limit=st.sampled_from([None, 1.0, 30.0]),
        begin=st.sampled_from([None, 0.0, 5.0]),
        array_limit=st.sampled_from([None, 0, 1, 3]),
        cpus=st.sampled_from([None, 1000, 2000, 9000]),
        name=st.sampled_from([None, "n", "7"]),
    )
    def update(
        self,
        number: int,
        index: int,
        priority: int | None,
        limit: float | None,
        begin: float | None,
        array_limit: int | None,
        cpus: int | None,
        name: str | None,
    ) -> None:
        begin_at_s = begin and self.world.now.wall_s + begin
        change = JobChange(priority=priority, time_limit_s=limit, begin_at_s=begin_at_s, array_limit=array_limit, cpu_millis=cpus, name=name)
        self.do(UpdateJob(JobId(number, index), change))

    @rule(most=st.integers(0, 2), started=st.booleans(), priority=st.integers(0, 1))
    def set_queue(self, most: int, started: bool, priority: int) -> None:
        self.do(SetQueue("default", QueueChange(max_running=most, started=started, priority=priority)))

    @rule(user=st.sampled_from(["alice", "bob"]), running=st.integers(0, 2), cpus=st.integers(0, 3), queued=st.sampled_from([0, 0, 20]))
    def set_limits(self, user: str, running: int, cpus: int, queued: int) -> None:
        self.do(SetLimits(user, UserLimits(running_jobs=running, cpu_millis=1000 * cpus, queued_jobs=queued)))

    @rule(drained=st.booleans())
    def drain(self, drained: bool) -> None:
        self.do(SetDrained(drained))

    @rule(policy=st.sampled_from(["fifo", "priority", "fair"]))
    def set_policy(self, policy: str) -> None:
        self.do(SetPolicy(policy))

    @rule(cpus=st.integers(1, 3))
    def change_machine(self, cpus: int) -> None:
        self.world.inventory = machine(cpus)
        self.do(InventoryChanged(self.world.inventory))

    @rule(cpus=st.integers(1, 3), begin=st.sampled_from([0.0, 30.0]), users=st.sampled_from([("alice",), ("bob",), ("carol",)]))
    def reserve(self, cpus: int, begin: float, users: tuple[str, ...]) -> None:
        now_s = self.world.now.wall_s
        self.do(Reserve(now_s + begin, now_s + begin + 60.0, users, frozenset(users), RequestDraft(cpu_millis=1000 * cpus, memory_bytes=1)))

    @rule(number=st.integers(1, 4))
    def unreserve(self, number: int) -> None:
        self.do(Unreserve(number))

    @rule(seconds=st.sampled_from([0.05, 0.12, 0.5, 2.0, 35.0]))
    def wait(self, seconds: float) -> None:
        now = self.world.now
        self.world.now = Instant(now.wall_s + seconds, now.steady_s + seconds)
        self.do(None)

    @rule(jump_s=st.sampled_from([-1000.0, -5.0, 100.0]))
    def jump(self, jump_s: float) -> None:
        self.world.now = self.world.now._replace(wall_s=self.world.now.wall_s + jump_s)
        self.do(None)

    @rule(data=st.data())
    def ask_why(self, data: st.DataObject) -> None:
        """Whatever is tried for an answer leaves the world as it was."""
        job, state = self.one_of(data, self.live()), self.world.engine.state
        if job is not None:
            before, jobs = state.pool.used(), dict(state.jobs)
            told = self.world.engine.why(job.id, self.world.now)
            assert told.summary and "failed" not in told.estimate_basis
            assert told.estimated_start_low_s <= told.estimated_start_at_s or not told.estimated_start_high_s
            assert (state.pool.used(), state.jobs) == (before, jobs)

    @rule(reboot=st.booleans())
    def restart(self, reboot: bool) -> None:
        """The next daemon has what was committed; after a reboot its recovery says that every run is over."""
        world = self.world
        if reboot:
            self.boot += 1
            world.now = Instant(world.now.wall_s, 10.0)
        world.inbox.clear()
        if reboot:
            world.runs.clear()
        self.load()
        for job in [j for j in self.live() if j.run is not None]:
            if job.run_key in world.ends:
                world.say(world.ends[job.run_key])
            elif job.run_key in world.ever and job.run_key not in world.runs:
                world.say(RunEnded(job.id, job.attempt, None, "the machine restarted"))
            elif job.run_key in world.begun:
                world.say(Launched(job.id, job.attempt, 99, world.now.wall_s, world.now.steady_s))
            elif job.run_key not in world.runs:  # it is barred
                world.ever.add(job.run_key)
                world.say(LaunchFailed(job.id, job.attempt, "it had not begun"))
        self.do(None)

    def load(self) -> None:
        world, state = self.world, self.world.engine.state
        kept = {"policy": f'"{state.policy}"', "drained": "null" if state.drain_reason is None else '"why"'}
        kept |= self.reservations | {CHOSEN: json.dumps(state.chosen)}
        queues = dict(state.queues)
        next_number = max([0, *(i.number for i in (*world.saved, *world.ended))]) + 1
        world.engine = Engine.load(
            Loaded(tuple(world.saved.values()), (), kept, next_number, world.last_revision),
            world.settings,
            world.inventory,
            f"boot-{self.boot}",
            world.now,
            dict(state.holdings.limits),
        )
        world.engine.state.queues.update(queues)
        world.engine.state.requeue_all()

    def live(self) -> list[Job]:
        return list(self.world.engine.state.jobs.values())

    @staticmethod
    def one_of(data: st.DataObject, jobs: list[Job]) -> Job | None:
        return data.draw(st.sampled_from(jobs)) if jobs else None

    @invariant()
    def saved_is_live(self) -> None:
        if hasattr(self, "world"):
            live = self.world.engine.state.jobs
            assert {i: _as_adopted(job) for i, job in self.world.saved.items()} == {i: _as_adopted(job) for i, job in live.items()}
            assert not self.world.saved.keys() & self.world.ended.keys()

    @invariant()
    def indexes_agree_with_the_jobs(self) -> None:
        if hasattr(self, "world"):
            state = self.world.engine.state
            anew = State(state.settings, state.pool.__class__(self.world.inventory), state.queues, state.policy, state.ledger, reservations=state.reservations)
            for job in state.jobs.values():
                anew.adopt(job)
                if job.run is not None and job.run.after is None:
                    anew.pool.adopt(job.run.grant)
                    anew.shares[job.id] = 0.0
                    anew.holdings.begin(job)
            assert fingerprint(state) == fingerprint(anew)

    @invariant()
    def who_is_suspended_for_another_holds_no_more_than_its_own(self) -> None:
        for job in self.live() if hasattr(self, "world") else ():
            if job.run is None or job.run.whole is None:
                continue
            assert job.phase in (Phase.SUSPENDED, Phase.STOPPING) and job.made_room_for is not None and job.preemptions
            assert job.run.grant.memory_bytes == job.run.whole.memory_bytes
            own = {cpu.cpu: cpu.millis for cpu in job.run.whole.cpus}
            assert all(cpu.millis <= own[cpu.cpu] for cpu in job.run.grant.cpus)
            assert job.phase is Phase.STOPPING or job.run.grant != job.run.whole, "it should go on"

    @invariant()
    def promises_are_to_jobs_that_wait_for_somebody_to_go(self) -> None:
        if hasattr(self, "world"):
            state = self.world.engine.state
            for job_id in state.promises:
                assert state.job(job_id).phase is Phase.QUEUED or state.drain_reason is not None
                assert state.drain_reason is not None or any(j.stop is not None and j.made_room_for == job_id for j in self.live())

    @invariant()
    def arrays_agree_with_their_elements(self) -> None:
        for array in self.live() if hasattr(self, "world") else ():
            if array.array is None or array.spec.array is None:
                continue
            p, state = array.array, self.world.engine.state
            assert p.active == len(state.elements[array.id.number])
            assert p.active + p.succeeded + p.failed + p.cancelled + len(p.pending) == len(array.spec.array.indices)
            assert p.active or p.pending, "it should have ended"
            assert array.phase in (Phase.HELD, Phase.WAITING) or (array.phase is Phase.RUNNING) == (p.active > 0), array.phase
            assert p.pending or array.phase is Phase.RUNNING

    @invariant()
    def no_plan_was_impossible(self) -> None:
        assert not hasattr(self, "world") or self.world.engine.state.policy_fault == ""

    @invariant()
    def nothing_that_could_start_was_left_waiting(self) -> None:
        if hasattr(self, "world"):
            self.world.settle()
            engine = self.world.engine
            engine.state.dirty = True
            engine.dispatch(self.world.now)
            left = engine.take_actions()
            self.broken = bool(left)
            assert not left, left

    @invariant()
    def nobody_is_staged_for_a_user_who_has_too_much(self) -> None:
        if not hasattr(self, "world"):
            return
        state = self.world.engine.state
        for job_id, line in state.staging.behind.items():
            held, limits = state.holdings.held[line.key.user], state.holdings.limits.get(line.key.user, UserLimits())
            within = held.runs <= (limits.running_jobs or held.runs) and held.cpu_millis <= (limits.cpu_millis or held.cpu_millis)
            assert within or job_id in list(line.waiting)[: line.handed]

    @invariant()
    def lines_agree_with_the_jobs(self) -> None:
        """Each staged job is in one line, behind a run that holds a grant; the handed are launched, the others are not."""
        if not hasattr(self, "world"):
            return
        staging = self.world.engine.state.staging
        staged = {j.id for j in self.live() if j.run is not None and j.run.after is not None}
        lines = {id(line): line for line in staging.of.values()}.values()
        assert sorted(i for line in lines for i in line.waiting) == sorted(staged) == sorted(staging.behind)
        for line in lines:
            head = self.world.engine.state.jobs[line.head]
            assert head.phase.active and head.run is not None and head.run.after is None
            assert len(line.waiting) == line.handed or self.world.now.steady_s - line.since_s <= 0.25, "its line should have been called back"
            members = [self.world.engine.state.jobs[i] for i in (line.head, *line.waiting)]
            assert sum(job.run_key in self.world.runs for job in members) <= 1, "what one slot holds runs one at a time"
            for nth, job_id in enumerate(line.waiting):
                job = self.world.engine.state.jobs[job_id]
                assert staging.behind[job_id] is line and (staging.of.get(job_id) is line) == (nth < line.handed)
                assert (job.run_key in self.world.ever) == (nth < line.handed)
                assert job.run is not None and job.run.grant == head.run.grant
                assert nth < line.handed or (job.phase is Phase.STARTING and job.stop is None)

    @invariant()
    def who_is_staged_is_looked_after(self) -> None:
        """Called back soon, whatever happens; and not staged while another class waits."""
        if hasattr(self, "world") and self.world.engine.state.staging.behind:
            wake_s = self.world.engine.next_wake_in_s(self.world.now)
            assert wake_s is not None and wake_s < 0.11

    @invariant()
    def a_run_is_known_to_the_engine(self) -> None:
        """Nothing runs that the engine has forgotten, but for what it is about to be told."""
        if hasattr(self, "world"):
            live = self.world.engine.state.jobs
            for run in self.world.runs.values():
                assert run.id in live and live[run.id].attempt == run.attempt and live[run.id].phase.active

    @invariant()
    def every_live_job_can_say_why_it_waits(self) -> None:
        if not hasattr(self, "world"):
            return
        state = self.world.engine.state
        for job in {(job.phase, state.class_key(job), bool(job.unmet), job.array is None): job for job in self.live()}.values():  # one of each kind
            assert self.world.engine.why(job.id, self.world.now).summary

    def teardown(self) -> None:
        """Let everything go on: what is not held ends, and what is released ends too."""
        if not hasattr(self, "world") or self.broken:
            return
        self.world.inventory = machine(3)
        self.do(InventoryChanged(self.world.inventory))
        self.do(SetDrained(False))
        for number in list(self.world.engine.state.reservations):
            self.do(Unreserve(number))
        self.do(SetQueue("default", QueueChange(max_running=0, started=True)))
        self.do(SetLimits("alice", None))
        self.do(SetLimits("bob", UserLimits(running_jobs=1)))
        self.drain_world()
        for job in sorted(self.live(), key=lambda j: j.id):
            if job.phase is Phase.HELD and job.id in self.world.engine.state.jobs:
                self.do(SteerJob(Steer.RELEASE, job.id))
        self.drain_world()
        state = self.world.engine.state
        assert not state.jobs, {str(j.id): (str(j.phase), j.reason, j.unmet) for j in state.jobs.values()}
        assert fingerprint(state) == fingerprint(replace_state(state))

    def drain_world(self) -> None:
        for _ in range(300):
            active = list(self.world.runs.values())
            for nth, job in enumerate(active):
                self.end(job, 0, SHORT_S, ("a turn", "nothing")[nth % 2])
            self.do(None)
            if not active:
                if all(j.phase is Phase.HELD or j.unmet for j in self.live()):
                    return
                self.wait(1200)


def _as_adopted(job: Job) -> Job:
    """Whom a staged job followed is forgotten by the next daemon."""
    return replace(job, run=replace(job.run, after=None)) if job.run is not None else job


def replace_state(state: State) -> State:
    return State(state.settings, state.pool.__class__(state.pool.inventory), state.queues, state.policy, state.ledger)


LONG = os.environ.get("AIOS_LONG_TESTS", "") not in ("", "0")  # looked at before a test's environment is cleaned
EngineMachine.TestCase.settings = settings(
    max_examples=3000 if LONG else 30, stateful_step_count=50 if LONG else 30, derandomize=not LONG, print_blob=True, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestEngine = pytest.mark.timeout(36_000 if LONG else 300)(EngineMachine.TestCase)

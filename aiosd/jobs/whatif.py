"""What the policy in force would do in a world that is a little different: one job asks for less, a run is over, time has passed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs import limiting
from aiosd.jobs.holders import held_run
from aiosd.jobs.job import Job
from aiosd.resources.grant import Grant
from aiosd.scheduling.budgets import UNLIMITED, Budget, Holder, Need, held_by, holders_of
from aiosd.scheduling.lanes import PlainLane, lane_of
from aiosd.scheduling.policy import ClassKey, HeldRun, JobClass, LaneKey, Plan, Promise, Rank, Snapshot
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.reservations import Holding, Keeper
from aiosd.scheduling.rules import PreemptMode
from aiosd.scheduling.validator import Place

if TYPE_CHECKING:
    from aiosd.jobs.state import State

MOST_CLASSES = 128  # that are looked at; where more go first, nothing is said
NOTHING = Need(0, 0, 0, 0, 0)
MOST_PASSES = 120  # of the policy, for one answer


@dataclass(frozen=True, slots=True)
class PartClass:
    """A JobClass without those that are gone."""

    whole: JobClass
    gone: Collection[JobId]
    record: Place | None = None  # whose jobs are gone, too: one job, or the elements of one array

    @property
    def key(self) -> ClassKey:
        return self.whole.key

    @property
    def count(self) -> int:
        if self.record is None:
            return self.whole.count - len(self.gone)
        return self.whole.count - self.record.most - sum(not self._of_record(job_id) for job_id in self.gone)

    @property
    def oldest(self) -> JobId:
        return next(iter(self))

    @property
    def eligible_at_s(self) -> float:
        return self.whole.eligible_at_s

    def since_s(self, job_id: JobId) -> float:
        return self.whole.since_s(job_id)

    def __iter__(self) -> Iterator[JobId]:
        return (job_id for job_id in self.whole if job_id not in self.gone and not self._of_record(job_id))

    def _of_record(self, job_id: JobId) -> bool:
        return self.record is not None and self.record.record in (job_id, job_id.whole)


@dataclass(frozen=True, slots=True)
class OneJob:
    """A JobClass of a single job, as it would be."""

    key: ClassKey
    oldest: JobId
    eligible_at_s: float
    count: int = 1

    def since_s(self, job_id: JobId) -> float:
        return self.eligible_at_s

    def __iter__(self) -> Iterator[JobId]:
        yield self.oldest


Ranked = tuple[Rank, JobClass]


@dataclass
class WhatIf:
    """Within `state.pool.trial()`: `passes` asks the policy; the pool is afterwards as `begin` and `end` have made it.

    job     as it waits
    target  the id under which it would start: the first of an array that has not begun
    """

    state: State
    world: Snapshot
    target: JobId
    key: ClassKey
    runs: dict[JobId, HeldRun]
    lanes: dict[LaneKey, list[Ranked]]
    now: Instant
    complete: bool  # whether all that go before the job are among the classes
    asked: int = 0
    gone: dict[ClassKey, set[JobId]] = field(default_factory=dict)
    freed: dict[str, int] = field(default_factory=dict)  # by queue: slots that ends have given back
    returned: dict[Holder, Need] = field(default_factory=dict)  # what they have given back of limits

    def passes(self, now_s: float | None = None, instead: Job | None = None) -> Plan:
        """What the policy plans: later than now, or with the job as it would be."""
        self.asked += 1
        now_s = self.world.now_s if now_s is None else now_s
        lanes, budgets = self._lanes(self._changed(instead, now_s) if instead is not None else None), self._budgets(instead)
        slots = {queue: left + self.freed.get(queue, 0) for queue, left in self.world.slots.items()}
        runs = tuple(self.runs.values())
        world = replace(
            self.world,
            now_s=now_s,
            lanes=lanes,
            slots=slots,
            budgets=budgets,
            promised=self._promised(instead),
            can_preempt=False,
            runs=runs,
            keeper=self._keeper(now_s),
            max_starts=MOST_CLASSES,
        )
        with self.state.pool.trial():
            return POLICIES[self.state.policy_in_force].policy(world)

    def starts(self, instead: Job | None = None) -> bool:
        """Whether the job starts now."""
        return any(start.job_id == self.target for start in self.passes(instead=instead).starts)

    def begin(self, job_id: JobId, key: ClassKey, grant: Grant, now_s: float, ends_s: float) -> None:
        self.state.pool.adopt(grant)
        self.runs[job_id] = HeldRun(job_id, key, grant, now_s, ends_s, ends_s)
        self.gone.setdefault(key, set()).add(job_id)
        self._give(key, grant, -1)

    def end(self, job_id: JobId) -> None:
        run = self.runs.pop(job_id)
        self.state.pool.give_back(run.grant)
        self._give(run.key, run.grant, +1)

    def again(self, run: HeldRun) -> None:
        """It goes on all the same; its grant is the pool's own affair."""
        self.runs[run.job_id] = run
        self._give(run.key, run.grant, -1)

    def _give(self, key: ClassKey, grant: Grant, sign: int) -> None:
        """Of slots and limits."""
        self.freed[key.queue] = self.freed.get(key.queue, 0) + sign
        need = held_by(grant)
        for holder in holders_of(key.queue, key.user, key.qos):
            before = self.returned.get(holder, NOTHING)
            self.returned[holder] = Need(*(has + sign * more for has, more in zip(before, need, strict=True)))

    def _promised(self, instead: Job | None) -> Sequence[Promise]:
        """Room that is being made, for those who still wait for it as they are."""
        over = {job_id for gone in self.gone.values() for job_id in gone} | ({self.target} if instead is not None else set())
        return [promise for promise in self.world.promised if promise.job_id not in over]

    def _budgets(self, instead: Job | None) -> dict[Holder, Budget]:
        budgets = dict(self.world.budgets)
        if instead is not None:  # of another queue or QoS there may be none yet
            budgets |= limiting.budgets(self.state, [lane_of(self.state.class_key(instead))], self.now)
        return {h: Budget(b.allowed, _plus(b.left, self.returned[h])) if h in self.returned else b for h, b in budgets.items()}

    def _keeper(self, now_s: float) -> Keeper | None:
        if self.world.keeper is None:
            return None
        holdings = [Holding(run.key.user, run.grant, run.latest_end_s) for run in self.runs.values()]
        return Keeper(self.world.keeper.reservations, holdings, self.state.pool.inventory, now_s, self.state.reserved_devices)

    def _lanes(self, changed: Ranked | None) -> list[PlainLane]:
        record = self.state.backlog.place_of(self.target) if changed is not None else None
        lanes = {key: [(rank, self._left(job_class, record)) for rank, job_class in ranked] for key, ranked in self.lanes.items()}
        left = {key: [(rank, c) for rank, c in ranked if c.count > 0] for key, ranked in lanes.items()}
        if changed is not None:
            own = left.setdefault(lane_of(changed[1].key), [])
            own[:] = merge(own, [changed], key=lambda ranked: (ranked[0], ranked[1].oldest))
        return [PlainLane(key, ranked) for key, ranked in left.items() if ranked]

    def _left(self, job_class: JobClass, record: Place | None) -> JobClass:
        """`record`: it is not there as it is."""
        gone, own = self.gone.get(job_class.key), job_class.key == self.key and record is not None
        return PartClass(job_class, gone or (), record if own else None) if gone or own else job_class

    def _changed(self, job: Job, now_s: float) -> Ranked:
        one = OneJob(self.state.class_key(job), self.target, job.eligible_at_s)
        return self.state.backlog.lanes.rank_of(one, now_s), one


def _plus(left: Need, more: Need) -> Need:
    """Time on GPUs does not come back with the end of a run."""
    return Need(*(min(UNLIMITED, has + comes) for has, comes in zip(left, more, strict=True)))._replace(gpu_time=left.gpu_time)


def what_if(state: State, job: Job, world: Snapshot, rank: Callable[[ClassKey], Rank | None], now: Instant) -> WhatIf | None:
    """None for a job that is in no line now."""
    target, key = _target(state, job), state.class_key(job)
    own = state.backlog.classes.get(key)
    if target is None or own is None:
        return None
    lanes, complete = _nearest(world, own, rank)
    return WhatIf(state, world, target, key, {run.job_id: run for run in held(state, world, now)}, lanes, now, complete)


def _target(state: State, job: Job) -> JobId | None:
    if job.array is None:
        return job.id if state.backlog.place_of(job.id) is not None else None
    first = next(iter(job.array.pending), None)
    return JobId(job.id.number, first) if first is not None and job.id in state.backlog.where else None


def _nearest(world: Snapshot, own: JobClass, rank: Callable[[ClassKey], Rank | None]) -> tuple[dict[LaneKey, list[Ranked]], bool]:
    """The classes that go first and some of those behind, lane by lane; whether all that go before `own` are among them."""
    own_place, left = _place(rank, own), MOST_CLASSES
    lanes: dict[LaneKey, list[Ranked]] = {}
    behind: list[tuple[LaneKey, Ranked]] = []
    for lane in world.lanes:
        for ranked in lane:
            if _place(rank, ranked[1]) > own_place:
                behind.append((lane.key, ranked))
                break
            if left == 0:
                return {}, False
            lanes.setdefault(lane.key, []).append(ranked)
            left -= 1
    for lane_key, ranked in islice(sorted(behind, key=lambda one: one[1][1].oldest), left):
        lanes.setdefault(lane_key, []).append(ranked)
    return lanes, any(c.key == own.key for ranked in lanes.values() for _, c in ranked)


def _place(rank: Callable[[ClassKey], Rank | None], job_class: JobClass) -> Rank:
    """Those of no line at all go first: it is not known that they are in nobody's way."""
    place = rank(job_class.key)
    return place if place is not None else ()


def held(state: State, world: Snapshot, now: Instant) -> list[HeldRun]:
    """All runs, and that none of them is to be preempted."""
    known = {run.job_id: replace(run, preempt_mode=PreemptMode.OFF) for run in world.runs}
    return [known.get(job_id) or replace(held_run(state, state.jobs[job_id], now), preempt_mode=PreemptMode.OFF) for job_id in state.shares]

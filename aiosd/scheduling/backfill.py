"""Backfill: who may start before its turn, because no job that waits for a planned start is delayed by it.

A planned start is a time and amounts: processors, memory, disk, each device. A later job may run until then with all that is free,
and for longer with what the planned one leaves. EASY plans for the first job that waits (Lifka 1995), conservative for each.
On one machine this is more than a number of nodes: a job without a GPU passes one that waits for GPUs, however long it takes.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from math import inf
from typing import NamedTuple

from aiosd.ids import JobId
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.pool import Pool
from aiosd.scheduling.passes import MOST_TOLD, Pass, Shape
from aiosd.scheduling.policy import ClassKey, Order, Plan, Planned, Snapshot, no_estimate
from aiosd.scheduling.rules import Backfill, BackfillOrder, SchedulingRules
from aiosd.scheduling.timeline import Place, Timeline, release_of

ANY_CPU = -1  # in the grant of a planned start: which processors is decided when it comes
LEAST_S = 1.0  # that any run is expected to take
MOST_PLANNED = 20  # planned starts that are worked out although nobody could start in between: for those who ask


def backfill(world: Snapshot, order: Order) -> Plan:
    """In order while jobs fit; behind the first that does not, whoever delays no planned start, `backfill_depth` candidates at most."""
    this_pass, careful = BackfillPass(world), world.rules.backfill is Backfill.CONSERVATIVE
    step = _plan_each if careful else _plan_first
    while order and not this_pass.looks_ahead:
        if this_pass.full:
            return this_pass.plan(more=True)
        step(this_pass, order)
    return _conservative(this_pass, order, world.rules) if careful else _easy(this_pass, order, world.rules)


def _easy(this_pass: "BackfillPass", order: Order, rules: SchedulingRules) -> Plan:
    if rules.backfill_order is BackfillOrder.SHORTEST:
        order = Candidates(sorted(_that_fit(this_pass, order, rules.backfill_depth), key=lambda c: c.lasts_s))
    left = rules.backfill_depth
    while order and left:
        if this_pass.full:
            return this_pass.plan(more=True)
        looked_at = _plan_first(this_pass, order)
        left = min(left, MOST_TOLD) - 1 if this_pass.exhausted else left - looked_at
    return this_pass.plan()


def _conservative(this_pass: "BackfillPass", order: Order, rules: SchedulingRules) -> Plan:
    """The order is the policy's, whatever `backfill_order` is: places that are kept for all must not depend on who comes later."""
    candidates = list(_next(this_pass, order, rules.backfill_depth))
    least = _least_from_here(candidates)
    line = Candidates(candidates)
    for at in range(len(candidates)):
        if this_pass.full:
            return this_pass.plan(more=True)
        if at >= MOST_PLANNED and not this_pass.leaves_room(least[at]):
            break  # nobody who is left can start, whatever is planned for those before
        _plan_each(this_pass, line)
    return this_pass.plan()


def _next(this_pass: "BackfillPass", order: Order, left: int) -> Iterator["Candidate"]:
    """Whoever is kept by a limit is none: it keeps nothing from others."""
    while order and left:
        key, job_id = order.head
        if this_pass.has_slot(key):
            yield Candidate(key, job_id, this_pass.lasts_s(key))
            order.advance()
            left -= 1
        else:
            order.drop()


class Least(NamedTuple):
    """No candidate asks for less than that, of any of them."""

    cpu_millis: int
    memory_bytes: int
    lasts_s: float


def _least_from_here(candidates: Sequence["Candidate"]) -> list[Least]:
    """For each place: of those that are there and behind it."""
    found = [Least(c.key.request.cpu_millis, c.key.request.memory_bytes, c.lasts_s) for c in reversed(candidates)]
    return list(accumulate(found, _lesser))[::-1]


def _lesser(a: Least, b: Least) -> Least:
    return Least(min(a.cpu_millis, b.cpu_millis), min(a.memory_bytes, b.memory_bytes), min(a.lasts_s, b.lasts_s))


def _plan_first(this_pass: "BackfillPass", order: Order) -> bool:
    """EASY. Whether it was a candidate at all: no limit kept it.

    One that is short of a resource for which nobody has a planned start yet gets one, too: small jobs starve no big one.
    """
    key, job_id = order.head
    if not this_pass.has_slot(key):
        order.drop()
        return False
    if this_pass.start(key, job_id):
        order.advance()
        return True
    order.drop()
    if this_pass.must_hold(key):
        this_pass.reserve(key, job_id)
    return True


def _plan_each(this_pass: "BackfillPass", order: Order) -> None:
    """Conservative. Jobs of one class are planned one by one."""
    key, job_id = order.head
    if this_pass.has_slot(key) and (this_pass.start(key, job_id) or this_pass.reserve(key, job_id)):
        order.advance()
    else:
        order.drop()


class Candidate(NamedTuple):
    key: ClassKey
    job_id: JobId
    lasts_s: float


class Candidates:
    """Jobs in the order in which they are listed. An Order."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._coming = deque(candidates)

    def __bool__(self) -> bool:
        return bool(self._coming)

    @property
    def head(self) -> tuple[ClassKey, JobId]:
        return self._coming[0][:2]

    def advance(self) -> None:
        self._coming.popleft()

    def drop(self) -> None:
        """One by one: the others of its class are refused as fast."""
        self._coming.popleft()


def _that_fit(this_pass: "BackfillPass", order: Order, left: int) -> Iterator[Candidate]:
    """The next in order that could start now; who could not is noted as waiting, and gets a planned start where it must."""
    while order and left:
        key, job_id = order.head
        if not this_pass.has_slot(key):
            order.drop()
            continue
        left -= 1
        if this_pass.fits(key):
            yield Candidate(key, job_id, this_pass.lasts_s(key))
            order.advance()
            continue
        order.drop()
        if this_pass.must_hold(key):
            this_pass.reserve(key, job_id)


class BackfillPass(Pass):
    """A pass that plans starts: those who cannot start now get a time and amounts, which later ones leave to them."""

    def __init__(self, world: Snapshot) -> None:
        self._now_s = world.now_s
        self._planned: list[Planned] = []
        self._releases = [release_of(run.grant, run.expected_end_s) for run in world.runs]
        self._timeline: Timeline | None = None  # None: nobody has a planned start yet
        self._bound: dict[tuple[int, ...], Timeline] = {}  # the same as those see it whom these reservations bind
        self._shapes: dict[ClassKey, Shape] = {}
        self._nowhere: set[Shape] = set()  # nobody can say when they start
        self.looks_ahead = False  # somebody has to wait whom nobody may delay
        super().__init__(world)

    def lasts_s(self, key: ClassKey) -> float:
        """How long a run of this class is expected to take; inf: nobody can say."""
        return self._shape(key).until_s - self._now_s

    def fits(self, key: ClassKey) -> bool:
        """Whether the class could start now; when not, it is noted as waiting."""
        shape = self._shape(key)
        if shape not in self._refused and self._pool.shortage(key.request) is None and self._leaves_enough(shape):
            return True
        self._refuse(key, shape)
        return False

    def leaves_room(self, least: Least) -> bool:
        """Whether a job that asks for no more than that might start now."""
        if self._timeline is None:
            return True
        until_s = self._now_s + least.lasts_s
        return least.cpu_millis <= self._timeline.cpu.lowest_until(until_s) and least.memory_bytes <= self._timeline.memory.lowest_until(until_s)

    def must_hold(self, key: ClassKey) -> bool:
        """Not for one whom only a planned start keeps waiting."""
        if not super().must_hold(key):
            return False
        refusal = self._refused.get(self._shape(key))
        return refusal is not None and bool(refusal.resource or refusal.reservation)

    def reserve(self, key: ClassKey, job_id: JobId) -> bool:
        """Plan a start for this refused job: nobody who comes later delays it. False where nobody can say when: all that it could use is held."""
        if job_id in self._awaiting:
            return False
        self.looks_ahead, shape = True, self._shape(key)
        lasts_s = shape.until_s - self._now_s
        place = self._timeline_of(shape.binding).place(key.request, lasts_s) if shape not in self._nowhere else None
        if place is None:
            self._nowhere.add(shape)
            if self.must_hold(key):
                self.hold(key, job_id)
            return False
        for timeline in (self._timeline_of(()), *self._bound.values()):
            timeline.promise(place.at_s, place.at_s + lasts_s, place.amounts)
        if shape in self._refused:
            self._holders.setdefault(self._refused[shape].resource, job_id)
        self._planned.append(Planned(job_id, place.at_s, _as_grant(place, self._pool)))
        return True

    def plan(self, *, more: bool = False) -> Plan:
        plan = super().plan(more=more)
        return replace(plan, reservations=tuple(self._planned)) if self._planned else plan

    def _expected(self) -> Sequence[Planned]:
        return self._planned

    def _shape(self, key: ClassKey) -> Shape:
        shape = self._shapes.get(key)
        if shape is None:
            binding = self._keeper.binding(key.user, key.lasts_s) if self._keeper is not None else ()
            shape = self._shapes[key] = Shape(key.request, binding, self._now_s + expected_s(self._world, key))
        return shape

    def _timeline_of(self, binding: tuple[int, ...]) -> Timeline:
        if self._timeline is None:
            self._timeline = Timeline(self._now_s, self._pool, self._releases)
        if not binding:
            return self._timeline
        if binding not in self._bound:
            assert self._keeper is not None
            self._bound[binding] = self._timeline.copy()
            for from_s, until_s, amounts in self._keeper.claims(binding):
                self._bound[binding].promise(from_s, until_s, amounts)
        return self._bound[binding]

    def _leaves_enough(self, shape: Shape) -> bool:
        """Whether a run of this shape would leave what is promised; of devices nothing is said."""
        if self._timeline is None:
            return True
        timeline = self._timeline_of(shape.binding)
        if shape.request.exclusive:
            return not timeline.kept_until(shape.until_s)
        return timeline.fits_until(shape.request, shape.until_s)

    def _take(self, shape: Shape) -> Grant | None:
        """A grant beside what is reserved, and beside what is promised."""
        if self._timeline is None:
            return super()._take(shape)
        if not self._leaves_enough(shape):
            return None
        if not shape.request.devices and not shape.binding:
            return self._pool.take(shape.request)
        kept = self._timeline_of(shape.binding).kept_until(shape.until_s)
        if self._keeper is not None and shape.binding:
            kept.raise_to(self._keeper.kept(shape.binding))
        return self._take_beside(shape.request, kept)

    def _begun(self, grant: Grant, shape: Shape) -> None:
        if self._timeline is None:
            self._releases.append(release_of(grant, shape.until_s))
        for timeline in self._timelines:
            timeline.begin(grant, shape.until_s)

    def _withheld(self, grant: Grant) -> None:
        for timeline in self._timelines:
            timeline.begin(grant, inf)

    @property
    def _timelines(self) -> Sequence[Timeline]:
        return () if self._timeline is None else (self._timeline, *self._bound.values())


def expected_s(world: Snapshot, key: ClassKey) -> float:
    """How long a run of this class is expected to take: until its time limit, or as long as such runs took; inf: nobody can say.

    Where there is a limit it counts, unless predictions are asked for: a place that is kept for somebody is not given away for a guess.
    """
    limit_s = key.lasts_s or inf
    if world.estimate is no_estimate or (key.lasts_s and not world.rules.predict):
        return limit_s
    estimate = world.estimate(key)
    return limit_s if estimate is None else min(limit_s, max(LEAST_S, estimate.expected_s))


def _as_grant(place: Place, pool: Pool) -> Grant:
    known = {device.id: device for device in pool.inventory.devices} if place.amounts.devices else {}
    devices = (DeviceGrant(i, known[i].kind, known[i].index, millis, memory) for i, (millis, memory) in place.amounts.devices.items())
    return Grant((CpuGrant(ANY_CPU, place.amounts.cpu_millis),), place.amounts.memory_bytes, tuple(devices), place.amounts.disk_bytes)

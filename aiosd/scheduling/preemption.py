"""Which runs make room for a job that cannot start: as few and as cheap ones as will do, and only where it then starts."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

from aiosd.ids import JobId
from aiosd.resources.grant import DeviceGrant, Grant
from aiosd.resources.pool import Pool
from aiosd.resources.processors import WHOLE
from aiosd.resources.request import Request
from aiosd.scheduling.fairshare import dominant_share
from aiosd.scheduling.lanes import lane_of
from aiosd.scheduling.policy import ClassKey, Eviction, HeldRun, JobClass, Planned, Promise, Snapshot, Start
from aiosd.scheduling.rights import Rights
from aiosd.scheduling.rules import PreemptMode

MOST = 20  # jobs that a pass looks for room for; the next goes on
MOST_SINGLE = 64  # runs that are each tried alone, in place of several
_LOSES_NOTHING = (PreemptMode.SUSPEND, PreemptMode.CHECKPOINT)


class Room(NamedTuple):
    """Who makes room, and for whom it is kept; `undone`: starts of this very pass that are not to be, and who goes first."""

    evictions: tuple[Eviction, ...] = ()
    promises: tuple[Promise, ...] = ()
    undone: Mapping[JobId, JobId] = MappingProxyType({})


def make_room(
    world: Snapshot,
    blocked: Sequence[ClassKey],
    starts: Sequence[tuple[ClassKey, Start]] = (),
    *,
    first: Collection[JobId] = (),
    claim: Callable[[ClassKey], bool] = lambda key: True,
    planned: Sequence[Planned] = (),
) -> Room:
    """What a pass asks at its end, for those that it could not start for want of resources.

    blocked  their classes, in the order of the policy; `world.pool` has what the pass has started taken, and nothing withheld
    starts   what it has started: whoever might preempt one of these a moment later goes before it, but for
    first    those for whom room was made
    claim    whether the limits of its queue and its user let one more of a class start; that one is then counted
    planned  what backfill expects: nobody is preempted for a job that starts within `preempt_min_gain_s` anyway
    """
    if not world.can_preempt or not blocked:
        return Room()
    rights = Rights(world.queues, world.rules)
    own = [(key, start) for key, start in starts if start.job_id not in first and rights.open(key)]
    fresh = [HeldRun(start.job_id, key, start.grant, world.now_s, preempt_mode=PreemptMode.REQUEUE) for key, start in own]
    victims = [*fresh, *(run for run in world.runs if _is_open(run, world))]
    if not victims:
        return Room()
    done = {start.job_id for _, start in starts} | {promise.job_id for promise in world.promised}
    with world.pool.trial():
        return _Making(world, rights, victims, claim, planned, {run.job_id for run in fresh}).room(blocked, done)


def resumes(runs: Iterable[HeldRun], evictions: Sequence[Eviction] = ()) -> tuple[JobId, ...]:
    """The suspended runs that have all of theirs back, and that make no room for somebody else right away."""
    evicted = {eviction.job_id for eviction in evictions}
    return tuple(run.job_id for run in runs if run.suspended and run.grant == run.whole and run.job_id not in evicted)


def kept_when_suspended(grant: Grant) -> Grant:
    """What a frozen run goes on to hold: memory, disk, the memory of its devices, and every device that is all its own.

    Its processors come back, and the thousandths of devices that it shares. A whole device is not handed out again: its memory stays
    in use, and where the device's memory is not known nothing is known of what a frozen process keeps on it.
    """
    return Grant((), grant.memory_bytes, tuple(map(_kept_of, grant.devices)), grant.disk_bytes)


def _kept_of(part: DeviceGrant) -> DeviceGrant:
    return part if part.millis >= WHOLE or not part.memory_bytes else replace(part, millis=0)


def after(run: HeldRun) -> Grant | None:
    """What is left in its hands when it has made room in its way; None: nothing."""
    return kept_when_suspended(run.grant) if run.preempt_mode is PreemptMode.SUSPEND else None


def _is_open(run: HeldRun, world: Snapshot) -> bool:
    return run.preempt_mode is not PreemptMode.OFF and world.now_s >= run.preemptible_from_s and not _ends_soon(run, world)


def _ends_soon(run: HeldRun, world: Snapshot) -> bool:
    """It makes room by itself. What is only expected to end soon may not: whoever waits for that could wait for ever."""
    return run.stopping or run.latest_end_s < world.now_s + world.rules.preempt_min_gain_s


class _Kind(NamedTuple):
    """What rights depend on."""

    queue: str
    qos: str
    priority: int
    preemptible: bool


def _kind(key: ClassKey) -> _Kind:
    return _Kind(key.queue, key.qos, key.priority, key.preemptible)


class _Making:
    """Within a trial of the pool: what makes room by itself is gone, and what was found for one job is taken for the next."""

    def __init__(
        self,
        world: Snapshot,
        rights: Rights,
        victims: list[HeldRun],
        claim: Callable[[ClassKey], bool],
        planned: Sequence[Planned],
        fresh: Collection[JobId],
    ) -> None:
        self._world, self._rights, self._victims, self._claim = world, rights, victims, claim
        self._pool: Pool = world.pool
        self._soon = {p.job_id for p in planned if p.at_s < world.now_s + world.rules.preempt_min_gain_s} | set(world.in_vain)
        self._fresh = fresh
        self._entitled: dict[_Kind, frozenset[_Kind]] = {}
        self._shortages: dict[Request, str] = {}
        self._requests: Collection[Request] = ()  # of those who are blocked
        self._possible: dict[tuple[frozenset[_Kind], Request], bool] = {}
        self._undone: dict[JobId, JobId] = {}
        self._gone: list[HeldRun] = []
        self._passed: list[ClassKey] = []  # classes ahead that stay blocked, one for each resource that is short
        self._short: set[str] = set()
        self._evictions: list[Eviction] = []
        self._promises: list[Promise] = []

    def room(self, blocked: Sequence[ClassKey], done: Collection[JobId]) -> Room:
        """`done`: jobs that have started, or that room is being made for."""
        self._requests = {key.request for key in blocked}
        if not any(map(self._may_preempt, blocked)):
            return Room()
        for run in self._world.runs:
            if _ends_soon(run, self._world):
                self._vacate(run, None)
        entitled = list(islice((nth for nth, key in enumerate(blocked) if self._could_ever(key)), MOST))
        if not entitled:
            return Room()
        for promise in self._world.promised:
            if self._take(promise.key) is None:
                self._pool.hold(promise.key.request)
        ends_by_itself = bool(self._gone)
        classes = _classes(self._world, {blocked[nth] for nth in entitled})
        for key in blocked[: entitled[-1] + 1]:
            if key not in classes:
                self._pass_by(key)
            for job_id in classes.get(key, ()):
                if job_id not in done and not self._serve(key, job_id, ends_by_itself):
                    break
        return Room(tuple(self._evictions), tuple(self._promises), self._undone)

    def _serve(self, key: ClassKey, job_id: JobId, ends_by_itself: bool) -> bool:
        """Find room for one job; whether there is, or will be anyway, and the next of its class may be asked about."""
        victims = self._victims_of(key) if job_id not in self._soon and len(self._promises) < MOST else []
        if not victims:
            self._pass_by(key)
            return False
        with self._pool.trial():
            self._respect_those_ahead(key)
            found = [] if self._fits(key, ()) else self._choose(key, victims)
        if found is None or not self._claim(key):
            self._pass_by(key)
            return False
        for run in found:
            self._vacate(run, after(run))
            self._victims.remove(run)
            if run.job_id in self._fresh:
                self._undone[run.job_id] = job_id
            else:
                self._evictions.append(Eviction(run.job_id, run.preempt_mode, job_id))
        grant = self._take(key)
        if found or not ends_by_itself:  # else it waits for what ends; where nothing does, it was kept from what is free by one that it need not wait for
            self._promises.append(Promise(job_id, key, grant))
        return True

    def _may_preempt(self, key: ClassKey) -> frozenset["_Kind"]:
        """What kinds of the runs that there are."""
        kind = _kind(key)
        if kind not in self._entitled:
            kinds = {_kind(run.key): run.key for run in self._victims}
            self._entitled[kind] = frozenset(other for other, example in kinds.items() if self._rights.over(key, example))
        return self._entitled[kind]

    def _could_ever(self, key: ClassKey) -> bool:
        """Whether it would fit if all whom it may preempt were gone, and nothing were promised to others; for most that is all there is to it."""
        kinds = self._may_preempt(key)
        if kinds and (kinds, key.request) not in self._possible:
            with self._pool.trial():
                for run in self._victims:
                    if _kind(run.key) in kinds:
                        self._vacate_in_pool(run, after(run))
                for blocked in self._requests:
                    with self._pool.trial():
                        self._possible[kinds, blocked] = self._pool.take(blocked) is not None
        return bool(kinds) and self._possible[kinds, key.request]

    def _victims_of(self, key: ClassKey) -> list[HeldRun]:
        kinds = self._may_preempt(key)
        return [run for run in self._victims if _kind(run.key) in kinds] if kinds else []

    def _pass_by(self, key: ClassKey) -> None:
        """It goes on waiting; as in the pass, one for each resource that is short keeps what it could use from those behind it."""
        if key.request not in self._shortages:
            shortage = self._pool.shortage(key.request)
            self._shortages[key.request] = shortage.resource if shortage is not None else ""
        resource = self._shortages[key.request]
        if resource and resource not in self._short:
            self._short.add(resource)
            self._passed.append(key)

    def _respect_those_ahead(self, key: ClassKey) -> None:
        """Whoever could have preempted them, had they started, need not wait for them either."""
        for ahead in self._passed:
            if not self._rights.over(key, ahead):
                self._pool.hold(ahead.request)

    # Who

    def _choose(self, key: ClassKey, victims: list[HeldRun]) -> list[HeldRun] | None:
        """Those of the lowest standing that will do; of these the ones that lose the least work, then the fewest."""
        cheapest = self._least(key, sorted(victims, key=lambda run: (self._standing(run), self._loss(run), -run.begun_s, run.job_id)))
        if cheapest is None:
            return None
        top = max(map(self._standing, cheapest))
        band = [run for run in victims if self._standing(run) <= top]
        if len(cheapest) == 1:
            return cheapest
        biggest = self._least(key, sorted(band, key=lambda run: (self._standing(run), -self._share(run), run.job_id)))
        alone = [[run] for run in islice(band, MOST_SINGLE) if self._fits(key, [run])]
        return min([cheapest, *([biggest] if biggest else []), *alone], key=self._cost)

    def _cost(self, runs: Sequence[HeldRun]) -> tuple[tuple[int, int], float, int]:
        return max(map(self._standing, runs)), sum(map(self._loss, runs)), len(runs)

    def _least(self, key: ClassKey, runs: Sequence[HeldRun]) -> list[HeldRun] | None:
        """The first of these that are enough together, without any that could be left out; None: all are not enough."""
        chosen: list[HeldRun] = []
        with self._pool.trial():
            for run in runs:
                self._vacate_in_pool(run, after(run))
                chosen.append(run)
                if self._would_take(key, chosen):
                    return self._without_needless(key, chosen)
        return None

    def _without_needless(self, key: ClassKey, chosen: list[HeldRun]) -> list[HeldRun]:
        """All of them have made room in the trial; the last was needed, with all of the others or without some."""
        for run in chosen[-2::-1]:
            without = [other for other in chosen if other is not run]
            kept = after(run)
            if kept is not None:
                self._pool.give_back(kept)
            self._pool.adopt(run.grant)
            if self._would_take(key, without):
                chosen = without
            else:
                self._vacate_in_pool(run, kept)
        return chosen

    def _fits(self, key: ClassKey, runs: Sequence[HeldRun]) -> bool:
        with self._pool.trial():
            for run in runs:
                self._vacate_in_pool(run, after(run))
            return self._would_take(key, runs)

    def _would_take(self, key: ClassKey, gone: Sequence[HeldRun]) -> bool:
        with self._pool.trial():
            return self._take(key, gone) is not None

    def _take(self, key: ClassKey, gone: Sequence[HeldRun] = ()) -> Grant | None:
        """As the pass takes it once these are gone, too: beside what is reserved for others."""
        keeper = self._world.keeper
        binding = keeper.binding(key.user, key.lasts_s) if keeper is not None else ()
        if keeper is None or not binding:
            return self._pool.take(key.request)
        keeper = keeper.without((run.key.user, run.grant) for run in (*self._gone, *gone))
        with self._pool.trial():
            self._pool.keep(keeper.kept(binding))
            grant = self._pool.take(key.request)
        if grant is not None:
            self._pool.adopt(grant)
        return grant

    # What becomes of them

    def _vacate(self, run: HeldRun, kept: Grant | None) -> None:
        self._vacate_in_pool(run, kept)
        self._gone.append(run)

    def _vacate_in_pool(self, run: HeldRun, kept: Grant | None) -> None:
        self._pool.give_back(run.grant)
        if kept is not None:
            self._pool.adopt(kept)

    def _standing(self, run: HeldRun) -> tuple[int, int]:
        return self._rights.standing(run.key)

    def _share(self, run: HeldRun) -> float:
        return dominant_share(run.grant, self._pool.inventory)

    def _loss(self, run: HeldRun) -> float:
        """Work that is to be done again, in share-seconds of the machine: none of who is frozen, or saves it first."""
        if run.preempt_mode in _LOSES_NOTHING:
            return 0.0
        return self._share(run) * max(0.0, self._world.now_s - run.begun_s)


def _classes(world: Snapshot, wanted: set[ClassKey]) -> Mapping[ClassKey, JobClass]:
    """Those of the waiting classes; they are looked for where they wait, and no further than need be."""
    found: dict[ClassKey, JobClass] = {}
    lanes = {lane_of(key) for key in wanted}
    for lane in world.lanes:
        if lane.key in lanes:
            left = {key for key in wanted if lane_of(key) == lane.key}
            for _, job_class in lane:
                if job_class.key in left:
                    found[job_class.key] = job_class
                    left.remove(job_class.key)
                    if not left:
                        break
    return found

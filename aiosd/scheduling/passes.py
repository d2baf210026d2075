"""One pass of a policy over the pool: what it starts, what it withholds for those that wait, and why each class waits."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from aiosd.ids import JobId
from aiosd.resources.amounts import Amounts
from aiosd.resources.grant import Grant
from aiosd.resources.request import DeviceRequest, Request
from aiosd.resources.shortage import CPU, DISK, MEMORY, WHOLE_MACHINE
from aiosd.scheduling.budgets import GPU, Budget, Holder, Need, Scope, holders_of, need_of, short_of
from aiosd.scheduling.policy import ClassKey, Plan, Planned, Promise, Snapshot, Start, Wait, WaitKind
from aiosd.scheduling.preemption import Room, make_room, resumes
from aiosd.scheduling.rules import PreemptMode


@dataclass(frozen=True, slots=True)
class Refusal:
    """`resource` was short when it was refused, "" when none was; `holder`: for whom it was withheld, None while nothing was.

    `reservation`: it would have fitted but for that; `hopeless`: and so it will be, whatever else ends.
    """

    resource: str
    holder: JobId | None
    reservation: int = 0
    hopeless: bool = False


MOST_TOLD = 100  # classes that are told why they wait when nobody can start any more
_KINDS = {
    (Scope.USER, False): WaitKind.USER_LIMIT,
    (Scope.QUEUE, False): WaitKind.QUEUE_LIMIT,
    (Scope.QUEUE, True): WaitKind.USER_LIMIT,
    (Scope.SHARE, False): WaitKind.QUEUE_LIMIT,
    (Scope.QOS, False): WaitKind.QOS_LIMIT,
    (Scope.QOS, True): WaitKind.USER_LIMIT,
}
_PROMISE = "promise"  # withheld for it: beside that, more of each resource may be withheld for whoever is first in line


class Shape(NamedTuple):
    """What is asked, the reservations that bind who asks, and until when it would run; wall, 0 where that does not matter."""

    request: Request
    binding: tuple[int, ...]
    until_s: float = 0.0


class Pass:
    """The policy decides who is next and calls `start`; when that is refused it may `hold` what the job waits for.

    The pool only shrinks during a pass, so a request that was refused once is refused at once to all that ask the same:
    a pass costs about the number of distinct requests plus the number of starts.
    """

    def __init__(self, world: Snapshot) -> None:
        self._world = world
        self._pool = world.pool
        self._slots = dict(world.slots)
        self._left = {holder: list(budget.left) for holder, budget in world.budgets.items()}
        self._binding: dict[tuple[str, str, str], list[tuple[Holder, Budget, list[int]]]] = {}
        self._lacking: dict[str, set[str]] = {}  # by queue: what those who were refused are short of
        self._beyond: set[ClassKey] = set()  # of queues that would exceed their shares, and may when nobody else wants what they take
        self._needs: dict[Request, Need] = {}
        self._starts: list[Start] = []
        self._started: list[ClassKey] = []  # the class of each
        self._waits: dict[ClassKey, Wait] = {}
        self._keeper = world.keeper
        self._refused: dict[Shape, Refusal] = {}
        self._unresolved: list[ClassKey] = []  # refused; the reason is worked out at the end
        self._passed: list[tuple[ClassKey, str]] = []  # refused for want of something that is withheld already
        self._short_devices: dict[tuple[DeviceRequest, ...], str] = {}
        self._free: tuple[int, int, int] | None = None  # processors, memory and disk; None: to be asked
        self._holders: dict[str, JobId] = {}
        self._holding = ExitStack()
        self._withholds = False
        self._beside_holds: list[Grant] = []
        self._first: set[JobId] = set()  # started ahead of the order, as promised
        self._awaiting: set[JobId] = set()  # what they were promised is not free yet, and withheld
        self._others_may_end = world.can_preempt and any(run.preempt_mode is not PreemptMode.OFF for run in world.runs)
        for promise in world.promised:
            self._keep_promise(promise)

    @property
    def full(self) -> bool:
        return len(self._starts) >= self._world.max_starts

    @property
    def exhausted(self) -> bool:
        """Whether nobody can start any more: somebody waits, and no processor is left for anybody else."""
        if not self._holders:
            return False
        if self._free is None:
            self._free = self._pool.free_amounts
        return self._free[0] <= 0

    @property
    def holds(self) -> bool:
        """Whether anything is withheld for somebody who waits."""
        return bool(self._holders)

    def has_slot(self, key: ClassKey) -> bool:
        """Whether the limits of its queue, its user and its QoS let one more start; when not, the class is noted as waiting for that.

        Such a class holds nothing back from others. What a limit leaves too little of is withheld from the later classes that it
        binds, so that under it small jobs do not starve a big one.
        """
        if self._slots.get(key.queue, 1) <= 0:
            self._waits[key] = Wait(WaitKind.QUEUE_LIMIT)
            return False
        if not self._left:
            return True
        need = self._need(key.request)
        for holder, budget, left in self._budgets_of(key):
            short = short_of(left, need)
            if short is not None and not self._may_borrow(key, holder):
                self._waits[key] = Wait(_KINDS[holder.scope, bool(holder.user)], str(short))
                if need[short] <= budget.allowed[short] and holder.scope is not Scope.SHARE:  # else it never starts, and must not be waited for
                    left[short] = 0
                return False
        self._waits.pop(key, None)
        return True

    def _budgets_of(self, key: ClassKey) -> list[tuple[Holder, Budget, list[int]]]:
        """Those that bind a job: a few at most."""
        which = key.queue, key.user, key.qos
        found = self._binding.get(which)
        if found is None:
            budgets = self._world.budgets
            found = self._binding[which] = [(h, budgets[h], self._left[h]) for h in holders_of(*which) if h in budgets]
        return found

    def _may_borrow(self, key: ClassKey, holder: Holder) -> bool:
        """Whether a job may start beyond the share of its queue: when all others have been asked, and none is short of what it takes."""
        if holder.scope is not Scope.SHARE:
            return False
        if key not in self._beyond:
            self._beyond.add(key)
            return False
        mine = self._need(key.request)
        return not any(_takes(mine, resource) for queue, short in self._lacking.items() if queue != key.queue for resource in short)

    def _need(self, request: Request) -> Need:
        if request not in self._needs:
            self._needs[request] = need_of(request, self._pool.inventory)
        return self._needs[request]

    def start(self, key: ClassKey, job_id: JobId) -> bool:
        """Start the job if the pool has what it asks for; when not, the class is noted as waiting."""
        if job_id in self._first:
            return True
        if self._may_pass_by:
            short = self._short_of_withheld(key.request)
            if short:
                self._passed.append((key, short))
                self._lacking.setdefault(key.queue, set()).add(short)
                return False
        shape = self._shape(key)
        grant = None if shape in self._refused else self._take(shape)
        if grant is None:
            self._refuse(key, shape)
            self._lacking.setdefault(key.queue, set()).add(self._refused[shape].resource)
            return False
        if self._keeper is not None:
            self._keeper.started(key.user, key.lasts_s, grant)
        self._free = None
        self._starts.append(Start(job_id, grant))
        self._begun(grant, shape)
        self._started.append(key)
        self._count(key)
        if self._withholds:
            self._beside_holds.append(grant)
        return True

    @property
    def _may_pass_by(self) -> bool:
        """Whether more need not be known of who is short of what is withheld; it has to be where others might make room for it."""
        return bool(self._holders) and self._keeper is None and not self._others_may_end

    def _count(self, key: ClassKey) -> None:
        """One more of this class starts, or will."""
        if key.queue in self._slots:
            self._slots[key.queue] -= 1
        if self._left:
            need = self._need(key.request)
            for _, _, left in self._budgets_of(key):
                left[:] = [has - takes for has, takes in zip(left, need, strict=True)]

    def _keep_promise(self, promise: Promise) -> None:
        """Others have made room for it: it goes first, and while they have not ended nobody takes what they leave."""
        key = promise.key
        if not self.has_slot(key):
            return
        if self.start(key, promise.job_id):
            self._first.add(promise.job_id)
            return
        self._withhold()
        if promise.grant is None:
            self._pool.hold(key.request)
        else:
            kept = Amounts()
            kept.add(promise.grant)
            self._pool.keep(kept)
        self._holders.setdefault(_PROMISE, promise.job_id)
        self._awaiting.add(promise.job_id)
        self._count(key)

    def _claim(self, key: ClassKey) -> bool:
        """Whether the limits let one more start, which is then counted; what was noted of the class stays."""
        noted = self._waits.get(key)
        if self.has_slot(key):
            self._count(key)
            return True
        self._waits.pop(key, None)
        if noted is not None:
            self._waits[key] = noted
        return False

    def must_hold(self, key: ClassKey) -> bool:
        """Whether the class was refused for want of a resource of which nothing is withheld yet."""
        if self._passed and self._passed[-1][0] is key:
            return False
        refusal = self._refused.get(self._shape(key))
        return refusal is not None and not refusal.hopeless and refusal.resource not in self._holders and self._waits.get(key) is None

    def kept_out(self, key: ClassKey) -> bool:
        """Whether nothing but a reservation keeps the class waiting: what is free until that begins is for those who end before."""
        refusal = self._refused.get(self._shape(key))
        return refusal is not None and bool(refusal.reservation)

    def hold(self, key: ClassKey, job_id: JobId) -> None:
        """From now on nobody gets what this refused job could use, so that no later job delays it."""
        if job_id in self._awaiting:
            return
        self._withhold()
        shape = self._shape(key)
        held = self._pool.hold(key.request, self._keeper.kept(shape.binding) if self._keeper is not None else None)
        if shape in self._refused:  # else it is short of what is withheld already
            self._holders.setdefault(self._refused[shape].resource, job_id)
        self._free = None
        self._withheld(held)

    def _withhold(self) -> None:
        """What is withheld from here on is free again at the end of the pass."""
        self._free = None
        if not self._withholds:
            self._holding.enter_context(self._pool.trial())
            self._withholds = True

    def behind(self, key: ClassKey, blocker: JobId) -> None:
        """The class is not even asked: `blocker` goes first."""
        self._waits[key] = Wait(WaitKind.BEHIND, blocker=blocker)

    def plan(self, *, more: bool = False) -> Plan:
        """The end of the pass. `more`: it stopped because it was `full`."""
        self._resolve()
        room = Room() if more else self._make_room()
        back = resumes(self._world.runs, room.evictions)
        starts = tuple(start for start in self._starts if start.job_id not in room.undone)
        return Plan(starts, self._waits, more, room.evictions, back, promises=room.promises)

    def _make_room(self) -> Room:
        """For those who were refused, and whom not only a reservation keeps out."""
        blocked = [key for key in dict.fromkeys(self._unresolved) if not self._refused[self._shape(key)].reservation]
        starts = list(zip(self._started, self._starts, strict=True))
        room = make_room(self._world, blocked, starts, first=self._first, claim=self._claim, planned=self._expected())
        for key, start in starts if room.undone else ():
            if start.job_id in room.undone:
                self.behind(key, room.undone[start.job_id])
        return room

    def _expected(self) -> Sequence[Planned]:
        """When those who wait are expected to start, as far as anybody has looked ahead."""
        return ()

    def _shape(self, key: ClassKey) -> Shape:
        return Shape(key.request, self._keeper.binding(key.user, key.lasts_s) if self._keeper is not None else ())

    def _take(self, shape: Shape) -> Grant | None:
        """A grant beside what is reserved for others."""
        if self._keeper is None or not shape.binding:
            return self._pool.take(shape.request)
        return self._take_beside(shape.request, self._keeper.kept(shape.binding))

    def _take_beside(self, request: Request, kept: Amounts) -> Grant | None:
        """A grant that leaves so much of what is free."""
        with self._pool.trial():
            self._pool.keep(kept)
            grant = self._pool.take(request)
        if grant is not None:
            self._pool.adopt(grant)
        return grant

    def _begun(self, grant: Grant, shape: Shape) -> None:
        """A start that is planned; for those who look ahead."""

    def _withheld(self, grant: Grant) -> None:
        """What is kept back until the end of the pass; for those who look ahead."""

    def _short_of_withheld(self, request: Request) -> str:
        """A resource of which the request cannot have enough, and for which somebody is waiting already; "": there may be none.

        Most of those that wait are short of that: they cost a comparison.
        """
        if request.exclusive:
            return ""
        if self._free is None:
            self._free = self._pool.free_amounts
        cpu_millis, memory_bytes, disk_bytes = self._free
        if request.cpu_millis > cpu_millis:
            short = CPU
        elif request.memory_bytes > memory_bytes:
            short = MEMORY
        elif request.disk_bytes > disk_bytes:
            short = DISK
        elif request.devices:
            short = self._short_devices.get(request.devices, "")
        else:
            return ""
        return short if short in self._holders else ""

    def _refuse(self, key: ClassKey, shape: Shape) -> None:
        self._unresolved.append(key)
        if shape in self._refused:
            return
        shortage = self._pool.shortage(key.request)
        resource = shortage.resource if shortage else ""
        if shortage is not None and resource not in (CPU, MEMORY, DISK, WHOLE_MACHINE):
            self._short_devices[key.request.devices] = resource
        kept_out = self._kept_out(shape, short_anyway=shortage is not None)
        if kept_out is not None:
            self._refused[shape] = kept_out
            return
        holder = self._holders.get(resource, next(iter(self._holders.values()), None))
        self._refused[shape] = Refusal(resource, holder)

    def _kept_out(self, shape: Shape, *, short_anyway: bool) -> Refusal | None:
        """The refusal of what only a reservation keeps out now, or will keep out whatever ends before."""
        request, binding, _ = shape
        if self._keeper is None or not binding:
            return None
        hopeless = self._keeper.hopeless(binding, request)
        if short_anyway and not hopeless:
            return None
        with self._pool.trial():
            self._pool.keep(self._keeper.kept(binding))
            shortage = self._pool.shortage(request)
        resource = shortage.resource if shortage else ""
        return Refusal(resource, None, self._keeper.named(binding, resource), hopeless)

    def _resolve(self) -> None:
        """Tell those that do not fit beside what runs from those that only what is withheld keeps out.

        The holds are undone for it; what was started beside them is taken once more.
        """
        self._holding.close()
        for grant in self._beside_holds:
            self._pool.adopt(grant)
        reasons = {shape: self._reason(shape, refusal) for shape, refusal in self._refused.items()}
        for key in self._unresolved:
            self._waits[key] = reasons[self._shape(key)]
        if not self._withholds:
            self._waits.update((key, _short_of(resource)) for key, resource in self._passed)
            return
        known: dict[Request, Wait] = {}
        for key, resource in self._passed:
            if key.request not in known:
                known[key.request] = self._reason_of(key.request, resource, self._holders[resource])
            self._waits[key] = known[key.request]

    def _reason(self, shape: Shape, refusal: Refusal) -> Wait:
        if refusal.reservation:
            return Wait(WaitKind.RESERVATION, refusal.resource, reservation=refusal.reservation)
        if refusal.holder is None:
            return Wait(WaitKind.RESOURCES, refusal.resource)
        return self._reason_of(shape.request, refusal.resource, refusal.holder)

    def _reason_of(self, request: Request, resource: str, holder: JobId) -> Wait:
        shortage = self._pool.shortage(request)
        return Wait(WaitKind.BEHIND, resource, holder) if shortage is None else _short_of(shortage.resource)


@cache
def _short_of(resource: str) -> Wait:
    """One for all: most of those that wait have the same reason."""
    return Wait(WaitKind.RESOURCES, resource)


def _takes(need: Need, resource: str) -> bool:
    """Whether a job that needs so much takes some of a resource that a shortage names."""
    if resource in (CPU, MEMORY):
        return bool(need.cpu_millis if resource == CPU else need.memory_bytes)
    return resource == WHOLE_MACHINE or (bool(need.gpu_millis) and resource.startswith(GPU))

"""Who holds what of the machine: all-or-nothing grants, what-if trials, and what is short."""

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import Enum

from aiosd.resources.accelerators import Accelerators
from aiosd.resources.amounts import Amounts
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.inventory import Device, Inventory
from aiosd.resources.limits import check_sane, never_fits
from aiosd.resources.processors import WHOLE, Processors
from aiosd.resources.request import DeviceRequest, Request
from aiosd.resources.shortage import CPU, DISK, MEMORY, WHOLE_MACHINE, Shortage, format_amount
from aiosd.units import format_bytes, format_millis

__all__ = ["Pool", "Shortage", "format_amount"]


class _Step(Enum):
    """What a trial has to undo."""

    TAKEN = "taken"
    RETURNED = "returned"
    WITHHELD = "withheld"


class _Trial(AbstractContextManager["Pool"]):
    """One what-if of a pool; a class, because a generator costs more than a small job's grant."""

    __slots__ = ("_pool", "begin")

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self.begin = 0

    def __enter__(self) -> "Pool":
        self.begin = self._pool.begin(self)
        return self._pool

    def __exit__(self, *_: object) -> None:
        self._pool.end(self)


class Pool:
    """The one book of what is free. What is free is always the machine less the grants held (and withheld, in a trial)."""

    def __init__(self, inventory: Inventory, parents: Mapping[str, str] | None = None) -> None:
        """`parents`: of parts of devices that were here before and may still be held, the device."""
        self.inventory = inventory
        self._processors = Processors(inventory.cpus, inventory.numa_nodes)
        self._accelerators = Accelerators(inventory.devices, inventory.links, parents)
        self._memory_bytes = inventory.memory_bytes
        self._disk_bytes = inventory.disk_bytes
        self._held: dict[Grant, int] = {}  # a multiset: two small jobs may hold equal grants
        self._withheld = 0
        self._trials: list[_Trial] = []  # those that are open, the outermost first
        self._undo: list[tuple[_Step, Grant]] = []
        self._idle: Pool | None = None  # an empty pool of the same machine, made when first asked what it could hold

    # Taking and giving back

    def take(self, request: Request) -> Grant | None:
        """A grant for all of the request, now held; None, and nothing changed, when it does not fit beside what is held."""
        if self._lacks_amounts(request):
            return None
        devices: tuple[DeviceGrant, ...] = ()
        if request.devices:
            picked = self._accelerators.pick(request.devices, lambda: self._processors.nodes_with(request.cpu_millis))
            if isinstance(picked, DeviceRequest):
                return None
            devices = picked
        if request.exclusive:
            grant = self.free()
        else:
            near = self._accelerators.nodes_of(devices) if devices else ()
            grant = Grant(self._processors.pick(request.cpu_millis, near), request.memory_bytes, devices, request.disk_bytes)
        self._book(grant)
        return grant

    def assign(self, grant: Grant) -> None:
        """Hold exactly this grant. Raises ValueError naming what of it is not free; a device that is out of use now counts as free."""
        problem = self.problem(grant)
        if problem:
            raise ValueError(f"cannot assign this grant: {problem}")
        self._book(grant)

    def adopt(self, grant: Grant) -> None:
        """Hold this grant whether it is free or not: a run that lives keeps what it has on a machine that has become smaller."""
        self._book(grant)

    def give_back(self, grant: Grant) -> None:
        """End the holding of exactly this grant. Raises ValueError when it is not held: a bug, never hidden."""
        self._unbook(grant)

    def _book(self, grant: Grant) -> None:
        size = len(self._held)
        count = self._held.setdefault(grant, 1)  # one look-up where it is the first of its kind
        if len(self._held) == size:
            self._held[grant] = count + 1
        self._change(grant, -1)
        if self._trials:
            self._undo.append((_Step.TAKEN, grant))

    def _unbook(self, grant: Grant) -> None:
        count = self._held.pop(grant, 0)
        if not count:
            raise ValueError(f"not held: {grant}")
        if count > 1:
            self._held[grant] = count - 1
        self._change(grant, +1)
        if self._trials:
            self._undo.append((_Step.RETURNED, grant))

    def _change(self, grant: Grant, sign: int) -> None:
        self._memory_bytes += sign * grant.memory_bytes
        self._disk_bytes += sign * grant.disk_bytes
        self._processors.change(grant.cpus, sign)
        if grant.devices:
            self._accelerators.change(grant.devices, sign)

    # What-if

    def trial(self) -> AbstractContextManager["Pool"]:
        """A what-if: whatever is taken, given back or withheld inside the block is undone at its end.

        The end of an outer one is the end of those within it: one that an error has left open undoes nothing when it is closed at last.
        """
        return _Trial(self)

    def begin(self, trial: _Trial) -> int:
        """Of a trial alone: from here on everything is noted; how much is by now."""
        self._trials.append(trial)
        return len(self._undo)

    def end(self, trial: _Trial) -> None:
        """Of a trial alone: what was noted since its begin is undone."""
        if trial not in self._trials:
            return
        outer = self._trials[: self._trials.index(trial)]
        steps = self._undo[trial.begin :]
        del self._undo[trial.begin :]
        self._trials = []  # undoing is not itself to be undone
        for step, grant in reversed(steps):
            self._revert(step, grant)
        self._trials = outer

    def _revert(self, step: _Step, grant: Grant) -> None:
        match step:
            case _Step.TAKEN:
                self._unbook(grant)
            case _Step.RETURNED:
                self._book(grant)
            case _Step.WITHHELD:
                self._withheld -= 1
                self._change(grant, +1)

    def hold(self, request: Request, kept: Amounts | None = None) -> Grant:
        """Withhold as much of the request as is free, for a job that goes first: that is returned. Only in a trial, or it would never end.

        kept    what that job may not have either: it stays free for others
        """
        if not self._trials:
            raise ValueError("hold() outside of a trial would never be undone")
        if kept:
            with self.trial():
                self.keep(kept)
                held = self._as_much(request)
        else:
            held = self._as_much(request)
        self._withhold(held)
        return held

    def _as_much(self, request: Request) -> Grant:
        if request.exclusive:
            return self.free()
        devices = self._accelerators.pick_most(request.devices) if request.devices else ()
        cpus = self._processors.pick(min(max(0, request.cpu_millis), self._processors.free_millis), self._accelerators.nodes_of(devices))
        memory_bytes = min(request.memory_bytes, max(0, self._memory_bytes))
        return Grant(cpus, memory_bytes, devices, min(request.disk_bytes, max(0, self._disk_bytes)))

    def keep(self, amounts: Amounts) -> None:
        """Withhold these amounts, as far as they are free: they are not for whoever asks next. Only in a trial."""
        if not self._trials:
            raise ValueError("keep() outside of a trial would never be undone")
        if not amounts:
            return
        cpus = self._processors.pick(min(amounts.cpu_millis, self._processors.free_millis))
        memory_bytes = min(amounts.memory_bytes, max(0, self._memory_bytes))
        devices = self._accelerators.of(amounts.devices)
        self._withhold(Grant(cpus, memory_bytes, devices, min(amounts.disk_bytes, max(0, self._disk_bytes))))

    def _withhold(self, grant: Grant) -> None:
        self._withheld += 1
        self._change(grant, -1)
        self._undo.append((_Step.WITHHELD, grant))

    # Questions

    @property
    def free_amounts(self) -> tuple[int, int, int]:
        """What is free of processors (thousandths), memory and disk (bytes); never below 0."""
        return self._processors.free_millis, max(0, self._memory_bytes), max(0, self._disk_bytes)

    @property
    def free_devices(self) -> tuple[DeviceGrant, ...]:
        """What is free of every device that may be handed out, be it nothing."""
        return self._accelerators.of({device.id: (WHOLE, device.memory_bytes) for device in self.inventory.devices if device.usable})

    def matching(self, wish: DeviceRequest) -> list[Device]:
        """The devices that may be handed out for this wish, by index."""
        return self._accelerators.devices_for(wish)

    def shortage(self, request: Request) -> Shortage | None:
        """The first resource that is short for this request right now; None when `take` would grant it."""
        short = self._short_amount(request)
        if short is not None or not request.devices:
            return short
        unmet = self._accelerators.pick(request.devices)
        return self._short_device(unmet, request) if isinstance(unmet, DeviceRequest) else None

    def _lacks_amounts(self, request: Request) -> bool:
        """Whether anything but devices is short: what `_short_amount` tells in words."""
        return (
            request.cpu_millis > self._processors.free_millis
            or request.memory_bytes > self._memory_bytes
            or request.cpu_millis <= 0
            or request.disk_bytes > self._disk_bytes
            or (request.exclusive and bool(self._held or self._withheld))
        )

    def _short_amount(self, request: Request) -> Shortage | None:
        """The shortage of anything but devices. Nothing runs without some processor, so 0 of it is never granted."""
        if request.exclusive and (self._held or self._withheld):
            return Shortage(WHOLE_MACHINE, WHOLE, 0, WHOLE)
        if request.cpu_millis > self._processors.free_millis or request.cpu_millis <= 0:
            return Shortage(CPU, request.cpu_millis, self._processors.free_millis, self.inventory.cpu_millis)
        if request.memory_bytes > self._memory_bytes:
            return Shortage(MEMORY, request.memory_bytes, max(0, self._memory_bytes), self.inventory.memory_bytes)
        if request.disk_bytes > self._disk_bytes:
            return Shortage(DISK, request.disk_bytes, max(0, self._disk_bytes), self.inventory.disk_bytes)
        return None

    def _short_device(self, wish: DeviceRequest, request: Request) -> Shortage:
        """Why `wish` is not met: by itself, or because the other wishes of its kind need the same devices."""
        short = self._accelerators.shortage(wish)
        if short is not None:
            return short
        together = sum(other.millis for other in request.devices if other.kind == wish.kind)
        return Shortage(wish.kind, together, *self._accelerators.together(wish.kind))

    def check_ever_fits(self, request: Request) -> None:
        """Refuse what this machine could not run even if idle. Raises NeverFits, and InvalidArgument for senseless numbers."""
        check_sane(request)
        if self._idle is None:
            self._idle = Pool(self.inventory.promise)
        short = self._idle.shortage(request)
        if short is not None:
            raise never_fits(short, self.inventory)

    def used(self) -> Grant:
        """The sum of all grants held: by processor, by device."""
        cpus: Counter[int] = Counter()
        devices: dict[str, DeviceGrant] = {}
        memory_bytes = disk_bytes = 0
        for grant, count in self._held.items():
            memory_bytes += count * grant.memory_bytes
            disk_bytes += count * grant.disk_bytes
            for cpu in grant.cpus:
                cpus[cpu.cpu] += count * cpu.millis
            for part in grant.devices:
                before = devices.get(part.device_id)
                millis, memory = (before.millis, before.memory_bytes) if before else (0, 0)
                total = (millis + count * part.millis, memory + count * part.memory_bytes)
                devices[part.device_id] = DeviceGrant(part.device_id, part.kind, part.index, *total)
        shares = tuple(CpuGrant(cpu, cpus[cpu]) for cpu in sorted(cpus))
        return Grant(shares, memory_bytes, tuple(sorted(devices.values(), key=lambda d: (d.kind, d.index, d.device_id))), disk_bytes)

    def free(self) -> Grant:
        """All that could be granted now; devices that are out of use are not in it."""
        cpus, devices = self._processors.all_free(), self._accelerators.all_free()
        return Grant(cpus, max(0, self._memory_bytes), devices, max(0, self._disk_bytes))

    def with_inventory(self, inventory: Inventory) -> "Pool":
        """A pool of the machine as it is now, with everything held that this one holds, be it ill or gone."""
        if self._trials:
            raise ValueError("the machine cannot change within a trial")
        pool = Pool(inventory, self._accelerators.parents)
        for grant, count in self._held.items():
            for _ in range(count):
                pool.adopt(grant)
        return pool

    def grants(self) -> list[Grant]:
        """All that is held, equal ones as often as they are."""
        return [grant for grant, count in self._held.items() for _ in range(count)]

    def problem(self, grant: Grant) -> str:
        """What of the grant is not free; empty when all of it is."""
        problems = []
        if grant.memory_bytes > max(0, self._memory_bytes):
            problems.append(f"{format_bytes(grant.memory_bytes)} of memory, of which {format_bytes(max(0, self._memory_bytes))} are free")
        if grant.disk_bytes > max(0, self._disk_bytes):
            problems.append(f"{format_bytes(grant.disk_bytes)} of disk, of which {format_bytes(max(0, self._disk_bytes))} are free")
        cpus: Counter[int] = Counter()
        for cpu in grant.cpus:
            cpus[cpu.cpu] += cpu.millis
        for number, millis in cpus.items():
            free = self._processors.free_of(number)
            if millis > free:
                problems.append(f"{format_millis(millis)} of processor {number}, of which {format_millis(free)} is free")
        wanted: Counter[str] = Counter()
        memory: Counter[str] = Counter()
        for part in grant.devices:
            wanted[part.device_id] += part.millis
            memory[part.device_id] += part.memory_bytes
        for device_id, millis in wanted.items():
            free, free_memory = self._accelerators.free_of(device_id)
            if millis > free or memory[device_id] > free_memory:
                problems.append(f"{format_millis(millis)} of {device_id}, of which {format_millis(free)} is free")
        return "; ".join(problems)

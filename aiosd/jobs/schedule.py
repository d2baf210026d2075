"""The five steps of dynamic scheduling as they stand: demand, availability, policy, execution, adjustment; looked up, never computed in a pass."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiosd.ids import JobId
from aiosd.jobs.history import Adjustment
from aiosd.jobs.peaks import Size
from aiosd.jobs.settings import Rightsize
from aiosd.jobs.state import State
from aiosd.resources.grant import describe_grant
from aiosd.resources.oversubscription import there_are
from aiosd.resources.shortage import CPU, DISK, MEMORY
from aiosd.scheduling.policy import ClassKey
from aiosd.scheduling.predict import Traits
from aiosd.scheduling.rules import SchedulingRules

MOST_RESERVATIONS = 100
IO = "io"


@dataclass(frozen=True, slots=True)
class Demand:
    """Of what waits, in the unit of the resource. `learned`: what such jobs used before, where that is known; else as asked."""

    resource: str
    asked: int
    learned: int
    total: int  # of the machine
    jobs: int


@dataclass(frozen=True, slots=True)
class Availability:
    """`used` is measured; `idle`: granted, and not used; `pressure` is PSI's, in [0, 1], of the last ten seconds."""

    resource: str
    total: int
    granted: int = 0
    used: int = 0
    pressure: float = 0.0
    idle: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """A start that backfill keeps room for."""

    job_id: JobId
    at_s: float  # wall
    grant: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of the machine at this moment."""

    cpu_busy_permille: float = 0.0
    memory_used_bytes: int = 0
    pressures: Mapping[str, float] = field(default_factory=dict)  # cpu, memory, io
    idle_gpus: int = 0


@dataclass(frozen=True, slots=True)
class Paces:
    """How long passes took lately; seconds."""

    p50_s: float = 0.0
    p99_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Held:
    """Of the predictions of one level: how many were checked, and which part held."""

    level: str
    predictions: int
    held: float


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """All five steps. `adjustments` are newest first."""

    demand: Sequence[Demand] = ()
    availability: Sequence[Availability] = ()
    policy: str = ""
    rules: SchedulingRules = SchedulingRules()
    rightsize: Rightsize = Rightsize.OFF
    passes: int = 0
    paces: Paces = Paces()
    starts: int = 0
    expected: Sequence[Expected] = ()
    adjustments: Sequence[Adjustment] = ()
    held_back: str = ""
    policy_fault: str = ""
    predictions: int = 0
    predictions_held: float = 0.0
    calibration: Sequence[Held] = ()
    runs_learned: int = 0


def schedule(state: State, measured: Measured, paces: Paces) -> ScheduleView:
    """As of the last pass."""
    predictor = state.history.predictor
    planned = sorted(state.planned.values(), key=lambda one: one.at_s)[:MOST_RESERVATIONS]
    return ScheduleView(
        demand=_demand(state),
        availability=_availability(state, measured),
        policy=state.policy,
        rules=state.settings.scheduling,
        rightsize=state.settings.rightsize,
        passes=state.passes,
        paces=paces,
        starts=state.starts,
        expected=[Expected(one.job_id, one.at_s, describe_grant(one.grant)) for one in planned],
        adjustments=list(reversed(state.history.adjustments)),
        held_back=state.held_back,
        policy_fault=state.policy_fault,
        predictions=predictor.checked,
        predictions_held=predictor.held / predictor.checked if predictor.checked else 0.0,
        calibration=[Held(name, one.checked, one.share) for name, one in predictor.table().items()],
        runs_learned=predictor.learned,
    )


def _totals(state: State) -> dict[str, int]:
    inventory = state.pool.inventory
    devices = Counter(device.kind for device in inventory.devices)
    return {CPU: inventory.cpu_millis, MEMORY: inventory.memory_bytes, DISK: inventory.disk_bytes} | {kind: 1000 * devices[kind] for kind in sorted(devices)}


def _demand(state: State) -> list[Demand]:
    """A row for each resource that somebody waits for; costs as much as there are classes."""
    asked: Counter[str] = Counter()
    learned: Counter[str] = Counter()
    jobs: Counter[str] = Counter()
    for queued in state.backlog.classes.values():
        size = _size(state, queued.key)
        for resource, amount in _amounts(queued.key):
            known = {CPU: size.cpu_millis, MEMORY: size.memory_bytes}.get(resource, 0) or amount
            asked[resource] += amount * queued.count
            learned[resource] += known * queued.count
            jobs[resource] += queued.count
    totals = _totals(state)
    return [Demand(resource, asked[resource], learned[resource], totals.get(resource, 0), jobs[resource]) for resource in asked]


def _size(state: State, key: ClassKey) -> Size:
    return state.history.peaks.size(Traits(key.user, key.work), 0) if key.work else Size()


def _amounts(key: ClassKey) -> list[tuple[str, int]]:
    request = key.request
    scalars = [(CPU, request.cpu_millis), (MEMORY, request.memory_bytes), (DISK, request.disk_bytes)]
    return [(name, amount) for name, amount in (*scalars, *((wish.kind, wish.millis) for wish in request.devices)) if amount]


def _availability(state: State, measured: Measured) -> list[Availability]:
    inventory, used, pressures = state.pool.inventory, state.pool.used(), measured.pressures
    granted: Counter[str] = Counter()
    for part in used.devices:
        granted[part.kind] += part.millis
    busy = int(measured.cpu_busy_permille * there_are(inventory.cpus))
    rows = [
        Availability(CPU, inventory.cpu_millis, used.cpu_millis, busy, pressures.get(CPU, 0.0)),
        Availability(MEMORY, inventory.memory_bytes, used.memory_bytes, measured.memory_used_bytes, pressures.get(MEMORY, 0.0)),
        Availability(DISK, inventory.disk_bytes, used.disk_bytes, 0, pressures.get(IO, 0.0)),
    ]
    for kind, total in list(_totals(state).items())[3:]:
        idle = min(granted[kind], 1000 * measured.idle_gpus) if kind == "gpu" else 0
        rows.append(Availability(kind, total, granted[kind], granted[kind] - idle, idle=idle))
    return rows

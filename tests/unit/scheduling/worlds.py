"""Small worlds for policies: a machine, classes of jobs, and a snapshot of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from aiosd.ids import JobId
from aiosd.resources.inventory import Cpu, Device, Inventory
from aiosd.resources.pool import Pool
from aiosd.resources.request import DeviceRequest, Request
from aiosd.scheduling.budgets import Budget, Holder, Scope
from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.lanes import Lanes
from aiosd.scheduling.policy import Basis, ClassKey, Estimate, HeldRun, Plan, Policy, Snapshot, no_estimate
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.reservations import Keeper
from aiosd.scheduling.rules import QueueSettings, SchedulingRules

GIB = 1 << 30
RULES = SchedulingRules()


def machine(cpus: int = 8, gpus: int = 0, memory_gib: int = 64) -> Inventory:
    devices = tuple(Device(f"GPU-{n}", "gpu", n, "H100", 80 * GIB) for n in range(gpus))
    return Inventory("box", tuple(Cpu(n, n, 0, 0) for n in range(cpus)), memory_gib * GIB, memory_gib * GIB, devices=devices)


def ask(cpus: float = 1, gpus: float = 0, memory_gib: float = 0) -> Request:
    devices = (DeviceRequest("gpu", int(gpus * 1000)),) if gpus else ()
    return Request(int(cpus * 1000), int(memory_gib * GIB), devices)


def key(
    request: Request,
    *,
    queue: str = "default",
    user: str = "ada",
    account: str = "",
    priority: int = 0,
    qos: str = "",
    nice: int = 0,
    work: str = "",
    lasts_s: float = 0.0,
) -> ClassKey:
    return ClassKey(queue, user, account, priority, request, lasts_s, qos, nice, work)


def run(pool: Pool, request: Request, ends_s: float = inf, *, number: int = 1000) -> HeldRun:
    """One that holds what it asked for until then, as it is expected."""
    grant = pool.take(request)
    assert grant is not None
    return HeldRun(JobId(number), key(request), grant, 0.0, ends_s, ends_s)


@dataclass
class Waiting:
    """A JobClass that counts how many of its jobs were looked at."""

    key: ClassKey
    ids: Sequence[JobId]
    looked_at: int = 0
    since: Mapping[JobId, float] = field(default_factory=dict)  # 0 for those that are not in it

    @property
    def count(self) -> int:
        return len(self.ids)

    @property
    def oldest(self) -> JobId:
        return self.ids[0]

    @property
    def eligible_at_s(self) -> float:
        return self.since_s(self.ids[0])

    def since_s(self, job_id: JobId) -> float:
        return self.since.get(job_id, 0.0)

    def __iter__(self) -> Iterator[JobId]:
        for job_id in self.ids:
            self.looked_at += 1
            yield job_id


def waiting(class_key: ClassKey, *numbers: int) -> Waiting:
    return Waiting(class_key, [JobId(n) for n in numbers])


def decide(
    policy: Policy,
    pool: Pool,
    classes: Sequence[Waiting],
    *,
    slots: Mapping[str, int] | None = None,
    usage: Mapping[str, float] | Mapping[Association, float] | None = None,
    shares: Mapping[str, float] | None = None,
    max_starts: int = 1000,
    budgets: Mapping[str, Budget] | Mapping[Holder, Budget] | None = None,
    rules: SchedulingRules = RULES,
    queues: Mapping[str, QueueSettings] | None = None,
    now_s: float = 0.0,
    estimate: Callable[[ClassKey], Estimate | None] = no_estimate,
    runs: Sequence[HeldRun] = (),
    keeper: Keeper | None = None,
) -> Plan:
    """What the policy plans, where usage and budgets are by user unless their keys say more; the pool is afterwards as it was before."""
    within = next(known.within for known in POLICIES.values() if known.policy is policy)
    lanes = Lanes(within(Basis(rules, queues or {}, pool.inventory, estimate)), rules)
    for job_class in classes:
        lanes.changed(job_class)
    charged = {Association("", whose) if isinstance(whose, str) else whose: used for whose, used in (usage or {}).items()}
    limits = {Holder(Scope.USER, whose) if isinstance(whose, str) else whose: budget for whose, budget in (budgets or {}).items()}
    with pool.trial():
        world = Snapshot(now_s, lanes.at(now_s), pool, slots or {}, charged, shares or {}, max_starts, keeper, limits, rules, queues or {}, runs, estimate)
        return policy(world)


def started(plan: Plan) -> list[int]:
    return [start.job_id.number for start in plan.starts]

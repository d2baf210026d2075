"""What users, queues and QoS may have at once: what their runs hold, what is left of their limits, and what is refused under them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosd.access.limits import UserLimits, UserUse
from aiosd.clock import Instant
from aiosd.errors import Exhausted, NeverFits
from aiosd.jobs.job import Job, JobSpec
from aiosd.resources.request import Request
from aiosd.scheduling.budgets import (
    UNLIMITED,
    Budget,
    Dimension,
    Holder,
    Need,
    Scope,
    allowed_by,
    allowed_in,
    holders_of,
    least,
    need_of,
    share_of,
    short_of,
)
from aiosd.scheduling.gpuhours import next_slot_in_s
from aiosd.scheduling.policy import ClassKey, LaneKey, Wait, WaitKind
from aiosd.scheduling.rules import QosSettings, QueueSettings
from aiosd.units import format_bytes, format_millis

if TYPE_CHECKING:
    from aiosd.jobs.state import State

_NOTHING = Need(0, 0, 0, 0, 0)


def limits_of(state: "State", user: str) -> UserLimits:
    """Those in force: the user's own, else the defaults of the configuration."""
    return state.holdings.limits.get(user, state.settings.limits)


def use_of(state: "State", user: str, now: Instant) -> UserUse:
    """What a user has at present."""
    held = state.holdings.held.get(user, _NOTHING)
    return UserUse(
        queued_jobs=state.holdings.queued[user],
        running_jobs=held.runs,
        cpu_millis=held.cpu_millis,
        memory_bytes=held.memory_bytes,
        gpu_millis=held.gpu_millis,
        gpu_hours=state.holdings.gpus.hours(user, now.wall_s),
    )


# The pass


def budgets(state: "State", lanes: Collection[LaneKey], now: Instant) -> dict[Holder, Budget]:
    """What those whose jobs are in these lanes may still start, as far as they have limits."""
    found: dict[Holder, Budget] = {}
    if state.holdings.limits or state.settings.limits.bounds_runs:
        limited = {lane.user: limits for lane in lanes if (limits := limits_of(state, lane.user)).bounds_runs}
        found |= {Holder(Scope.USER, user): _of_user(state, user, limits, now) for user, limits in limited.items()}
    bounded = {name for name, queue in state.queues.items() if _bounds(queue)}, {name for name, qos in state.settings.scheduling.qos.items() if _bounds(qos)}
    if any(bounded):
        holders = {h for lane in lanes for h in holders_of(lane.queue, lane.user, lane.qos) if h.name in bounded[h.scope is Scope.QOS]}
        found |= {h: budget for h in holders if (budget := _shared_budget(state, h)) is not None}
    return found


def _bounds(settings: QueueSettings | QosSettings) -> bool:
    """Whether any of its limits can keep a job from starting, beside the number of runs in a queue."""
    share = isinstance(settings, QueueSettings) and settings.share_permille
    return bool(share or allowed_in(settings) or allowed_in(settings, each=True))


def _of_user(state: "State", user: str, limits: UserLimits, now: Instant) -> Budget:
    over = limits.gpu_hours_per_day > 0 and state.holdings.gpus.hours(user, now.wall_s) >= limits.gpu_hours_per_day
    budget = _budget(allowed_by(limits), state.holdings.held.get(user, _NOTHING))
    return Budget(budget.allowed, budget.left._replace(gpu_time=0 if over else UNLIMITED))


def _shared_budget(state: "State", holder: Holder) -> Budget | None:
    """Of a queue or a QoS; None where it has no limit."""
    allowed = _allowed_in(state, holder)
    whose = Holder(Scope.QUEUE, holder.name) if holder.scope is Scope.SHARE else holder
    return _budget(allowed, state.holdings.held_in.get(whose, _NOTHING)) if allowed is not None else None


def _allowed_in(state: "State", holder: Holder) -> Need | None:
    if holder.scope is Scope.QOS:
        qos = state.settings.scheduling.qos.get(holder.name)
        return allowed_in(qos, each=bool(holder.user)) if qos is not None else None
    queue = state.queues.get(holder.name) if holder.scope is not Scope.USER else None
    if queue is None:
        return None
    share = share_of(queue, state.pool.inventory)
    if holder.scope is Scope.SHARE:
        return share if queue.borrow else None
    if holder.user:
        return allowed_in(queue, each=True)
    return least(allowed_in(queue), None if queue.borrow else share)


def _budget(allowed: Need, held: Need) -> Budget:
    return Budget(allowed, Need(*(most if most == UNLIMITED else most - has for most, has in zip(allowed, held, strict=True))))


def look_again(state: "State", waits: Mapping[ClassKey, Wait], now: Instant) -> None:
    """GPU time comes back by itself, when the day moves on."""
    waiting = any(wait.kind is WaitKind.USER_LIMIT and wait.resource == str(Dimension.GPU_TIME) for wait in waits.values())
    state.holdings.check_at_s = now.steady_s + next_slot_in_s(now.wall_s) if waiting else None


def check(state: "State", now: Instant) -> None:
    """Whether it has."""
    due_s = state.holdings.check_at_s
    if due_s is not None and now.steady_s >= due_s:
        state.holdings.check_at_s = None
        state.dirty = True


def may_follow(state: "State", key: ClassKey) -> bool:
    """Whether runs of this class may be followed at once by others: those take over what they hold, and so add nothing to it."""
    limits = limits_of(state, key.user)
    for holder in holders_of(key.queue, key.user, key.qos):
        budget = _shared_budget(state, holder)
        if budget is not None and min(budget.left) < 0:
            return False
    if not limits.bounds_runs:
        return True
    if limits.gpu_hours_per_day and any(device.kind == "gpu" for device in key.request.devices):
        return False
    held = state.holdings.held.get(key.user, _NOTHING)
    return all(has <= most for has, most in zip(held, allowed_by(limits), strict=True))


# What is refused


def check_submission(state: "State", user: str, specs: Sequence[JobSpec]) -> None:
    """Raises Exhausted when so many would wait, and NeverFits for a job that could never start under its limits."""
    for spec in {(spec.request, spec.queue, spec.qos): spec for spec in specs}.values():
        check_request(state, user, spec.request, spec.queue, spec.qos)
    asked_in: Counter[str] = Counter()
    for spec in specs:
        asked_in[spec.queue] += len(spec.array.indices) if spec.array is not None else 1
    for name, asked in asked_in.items():
        check_queue_room(state, name, asked)
    asked, waiting, most = asked_in.total(), state.holdings.queued[user], limits_of(state, user).queued_jobs
    if most and waiting + asked > most:
        raise Exhausted(
            f"{user} has {waiting} jobs waiting, and {asked} more would pass the limit of {most}",
            hint=f"wait for some to start, or ask an admin for more: `aiosctl admin user set {user} --max-queued N`",
            user=user,
            waiting=waiting,
            asked=asked,
            allowed=most,
        )


def check_queue_room(state: "State", name: str, asked: int) -> None:
    """Raises Exhausted when so many more would wait in a queue than it takes."""
    queue, waiting = state.queues.get(name), state.holdings.queued_in[name]
    if queue is not None and queue.max_queued and waiting + asked > queue.max_queued:
        raise Exhausted(
            f"{waiting} jobs wait in queue {name!r}, and {asked} more would pass its limit of {queue.max_queued}",
            hint="wait for some to start, use another queue, or ask the operator for more: `aiosctl queue set " + name + " --max-queued N`",
            queue=name,
            waiting=waiting,
            asked=asked,
            allowed=queue.max_queued,
        )


def most_memory_bytes(state: "State", user: str) -> int:
    """What one job of the user can have at most."""
    machine, allowed = state.pool.inventory.memory_bytes, limits_of(state, user).memory_bytes
    return min(machine, allowed) if allowed else machine


def check_request(state: "State", user: str, request: Request, queue: str = "", qos: str = "") -> None:
    """Raises NeverFits when one job asks for more than its user, its queue or its QoS may have in all."""
    need = need_of(request, state.pool.inventory)
    for holder in holders_of(queue, user, qos):
        limits = allowed_by(limits_of(state, user)) if holder.scope is Scope.USER else _allowed_in(state, holder)
        dimension = short_of(limits, need) if limits is not None and holder.scope is not Scope.SHARE else None
        if limits is None or dimension is None:
            continue
        asked, allowed, who = amount(dimension, need[dimension]), amount(dimension, limits[dimension]), describe(holder)
        command = raised_by(holder, dimension)
        raised = f"ask an admin for more: `{command}`" if holder.scope is not Scope.QOS else f"have an admin change {command}"
        raise NeverFits(
            f"the job asks for {asked}, and {who} may have {allowed} at once: it can never run under this limit",
            hint=f"ask for at most {allowed}, or {raised}",
            user=user,
            resource=dimension,
            asked=need[dimension],
            allowed=limits[dimension],
        )


FLAGS = {
    Dimension.RUNS: "--max-running",
    Dimension.CPU: "--max-cpus",
    Dimension.MEMORY: "--max-memory",
    Dimension.GPU: "--max-gpus",
    Dimension.GPU_TIME: "--gpu-hours-per-day",
}


def amount(dimension: Dimension, value: int) -> str:
    """In words: "4 processors", "64 GiB of memory", "2 GPUs"."""
    if dimension is Dimension.MEMORY:
        return f"{format_bytes(value)} of memory"
    if dimension is Dimension.RUNS:
        return f"{value} running jobs"
    return f"{format_millis(value)} {dimension}"


@dataclass(frozen=True, slots=True)
class Limited:
    """Which limit keeps a job waiting, in words; `command` raises it."""

    sentence: str
    resource: str
    asked: str = ""
    free: str = ""
    command: str = ""


def limited(state: "State", job: Job, wait: Wait, now: Instant) -> Limited:
    """As of now, for a job that had to wait for a limit in the last pass: of its user, its queue, or its QoS."""
    need, bound = need_of(job.request, state.pool.inventory), budgets_of(state, job, now)
    short = [(h, budget, dimension) for h, budget in bound if (dimension := short_of(budget.left, need)) is not None]
    if short:
        return _short_by(state, *short[0], need, now)
    waited_for = next((each for each in Dimension if str(each) == wait.resource), Dimension.RUNS)
    holder = next((h for h, budget in bound if budget.allowed[waited_for] != UNLIMITED), Holder(Scope.USER, job.owner.name))
    who = describe(holder)
    command = raised_by(holder, waited_for)
    text = f"another job of {who} goes first, which waits for the limit of {who} on {waited_for}"
    return Limited(text, str(waited_for), command=command)


def budgets_of(state: "State", job: Job, now: Instant) -> list[tuple[Holder, Budget]]:
    """Of those that bind a job and have limits: its user, its queue, its QoS."""
    bound = ((h, _budget_of(state, h, now)) for h in holders_of(job.spec.queue, job.owner.name, job.spec.qos))
    return [(holder, budget) for holder, budget in bound if budget is not None]


def _budget_of(state: "State", holder: Holder, now: Instant) -> Budget | None:
    if holder.scope is not Scope.USER:
        return _shared_budget(state, holder)
    limits = limits_of(state, holder.name)
    return _of_user(state, holder.name, limits, now) if limits.bounds_runs else None


def _short_by(state: "State", holder: Holder, budget: Budget, dimension: Dimension, need: Need, now: Instant) -> Limited:
    who, resource, allowed = describe(holder), str(dimension), budget.allowed[dimension]
    command = raised_by(holder, dimension)
    if dimension is Dimension.GPU_TIME:
        used_h, most_h = state.holdings.gpus.hours(holder.name, now.wall_s), limits_of(state, holder.name).gpu_hours_per_day
        return Limited(f"{who} has used {used_h:.2f} GPU hours in the last 24 hours, of {most_h:g} a day", resource, command=command)
    asked, free = amount(dimension, need[dimension]), amount(dimension, max(0, budget.left[dimension]))
    if dimension is Dimension.RUNS:
        return Limited(f"{who} runs as many jobs at once as its limit allows: {allowed}", resource, command=command)
    if holder.scope is Scope.SHARE:
        text = f"{who} has its share of the machine, {amount(dimension, allowed)}, and others wait for what it would borrow"
    elif need[dimension] > allowed:
        text = f"it asks for {asked}, and {who} may have {amount(dimension, allowed)} at once: it cannot start under this limit"
    else:
        text = f"it asks for {asked}, and of the {amount(dimension, allowed)} that {who} may have at once {free} are left"
    return Limited(text, resource, asked, free, command)


def describe(holder: Holder) -> str:
    """`alice`, `queue 'night'`, `alice in queue 'night'`."""
    what = {Scope.USER: holder.name, Scope.QOS: f"QoS {holder.name!r}"}.get(holder.scope, f"queue {holder.name!r}")
    return f"{holder.user} in {what}" if holder.user else what


def raised_by(holder: Holder, dimension: Dimension) -> str:
    """What sets the limit: a command, or for a QoS, which none can change, a place in the configuration."""
    flag = FLAGS[dimension]
    if holder.scope is Scope.USER:
        return f"aiosctl admin user set {holder.name} {flag} N"
    if holder.scope is Scope.QOS:
        return f"[qos.{holder.name}] in aiosd.toml"
    flag = "--share" if holder.scope is Scope.SHARE else flag.replace("--max-", "--user-") if holder.user else flag
    return f"aiosctl queue set {holder.name} {flag} N"

"""What users may have at once: what their runs hold, what is left of their limits, and what is refused under them."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiosd.access.limits import UserLimits, UserUse
from aiosd.clock import Instant
from aiosd.errors import Exhausted, NeverFits
from aiosd.jobs.actions import Set
from aiosd.jobs.job import Job, JobSpec
from aiosd.resources.grant import Grant
from aiosd.resources.request import Request
from aiosd.scheduling.budgets import UNLIMITED, Budget, Dimension, Need, allowed_by, held_by, need_of, short_of
from aiosd.scheduling.gpuhours import GpuLedger, next_slot_in_s
from aiosd.scheduling.policy import ClassKey, Wait, WaitKind
from aiosd.units import format_bytes, format_millis

if TYPE_CHECKING:
    from aiosd.jobs.state import State

PREFIX = "gpu_hours."  # of the settings that remember what has ended, one a user
_NOTHING = Need(0, 0, 0, 0, 0)


@dataclass(slots=True)
class Holdings:
    """What each user's runs hold, and for how long they held GPUs; `limits`: of those who have some of their own."""

    limits: dict[str, UserLimits] = field(default_factory=dict)
    held: dict[str, Need] = field(default_factory=dict)
    queued: Counter[str] = field(default_factory=Counter)  # not begun, by user; elements one by one
    live: Counter[str] = field(default_factory=Counter)  # jobs and arrays that have not ended, by user
    gpus: GpuLedger = field(default_factory=GpuLedger)
    changed: set[str] = field(default_factory=set)  # users whose GPU time is to be remembered
    check_at_s: float | None = None  # steady; when somebody may have GPU hours again

    def restore(self, stored: Mapping[str, object]) -> None:
        """What was remembered of GPU time, from the settings."""
        for name, value in stored.items():
            if name.startswith(PREFIX):
                self.gpus.restore(name.removeprefix(PREFIX), value)

    def begin(self, job: Job) -> None:
        """A run holds its grant from its dispatch on."""
        assert job.run is not None
        user, need = job.owner.name, held_by(job.run.grant)
        self.held[user] = _plus(self.held.get(user, _NOTHING), need)
        if need.gpu_millis:
            self.gpus.begin(user, job.id, need.gpu_millis, job.run.dispatched_at_s)

    def finish(self, job: Job, now: Instant) -> None:
        """The grant is given back."""
        assert job.run is not None
        user, need = job.owner.name, held_by(job.run.grant)
        left = _plus(self.held[user], Need(*(-n for n in need)))
        if left.runs:
            self.held[user] = left
        else:
            del self.held[user]
        if need.gpu_millis:
            self.gpus.finish(user, job.id, now.wall_s)
            self.changed.add(user)

    def resize(self, user: str, before: Grant, grant: Grant) -> None:
        """A run goes on with another grant, and with the same GPUs."""
        gone = Need(*(-n for n in held_by(before)))
        self.held[user] = _plus(_plus(self.held.get(user, _NOTHING), gone), held_by(grant))

    def remember(self) -> list[Set]:
        """What is to be stored in this turn, with the ends of the runs that it is about."""
        remembered = [Set(PREFIX + user, json.dumps(self.gpus.stored(user))) for user in sorted(self.changed)]
        self.changed.clear()
        return remembered


def _plus(a: Need, b: Need) -> Need:
    return Need(a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4])


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


def budgets(state: "State", users: Collection[str], now: Instant) -> dict[str, Budget]:
    """What those of `users` who have limits may still start."""
    if not state.holdings.limits and not state.settings.limits.bounds_runs:
        return {}
    limited = {user: limits for user in users if (limits := limits_of(state, user)).bounds_runs}
    return {user: _budget(state, user, limits, now) for user, limits in limited.items()}


def _budget(state: "State", user: str, limits: UserLimits, now: Instant) -> Budget:
    allowed, held = allowed_by(limits), state.holdings.held.get(user, _NOTHING)
    over = limits.gpu_hours_per_day > 0 and state.holdings.gpus.hours(user, now.wall_s) >= limits.gpu_hours_per_day
    left = [most if most == UNLIMITED else most - has for most, has in zip(allowed, held, strict=True)]
    left[Dimension.GPU_TIME] = 0 if over else UNLIMITED
    return Budget(allowed, Need(*left))


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
    if not limits.bounds_runs:
        return True
    if limits.gpu_hours_per_day and any(device.kind == "gpu" for device in key.request.devices):
        return False
    held = state.holdings.held.get(key.user, _NOTHING)
    return all(has <= most for has, most in zip(held, allowed_by(limits), strict=True))


# What is refused


def check_submission(state: "State", user: str, specs: Sequence[JobSpec]) -> None:
    """Raises Exhausted when so many would wait, and NeverFits for a job that could never start under the user's limits."""
    limits = limits_of(state, user)
    if not limits:
        return
    for request in {spec.request for spec in specs}:
        check_request(state, user, request)
    asked, waiting = sum(len(spec.array.indices) if spec.array is not None else 1 for spec in specs), state.holdings.queued[user]
    if limits.queued_jobs and waiting + asked > limits.queued_jobs:
        raise Exhausted(
            f"{user} has {waiting} jobs waiting, and {asked} more would pass the limit of {limits.queued_jobs}",
            hint=f"wait for some to start, or ask an admin for more: `aiosctl admin user set {user} --max-queued N`",
            user=user,
            waiting=waiting,
            asked=asked,
            allowed=limits.queued_jobs,
        )


def most_memory_bytes(state: "State", user: str) -> int:
    """What one job of the user can have at most."""
    machine, allowed = state.pool.inventory.memory_bytes, limits_of(state, user).memory_bytes
    return min(machine, allowed) if allowed else machine


def check_request(state: "State", user: str, request: Request) -> None:
    """Raises NeverFits when one job asks for more than the user may have in all."""
    limits = limits_of(state, user)
    need = need_of(request, state.pool.inventory)
    dimension = short_of(allowed_by(limits), need)
    if dimension is None:
        return
    asked, allowed = amount(dimension, need[dimension]), amount(dimension, allowed_by(limits)[dimension])
    raise NeverFits(
        f"the job asks for {asked}, and {user} may have {allowed} at once: it can never run under this limit",
        hint=f"ask for at most {allowed}, or ask an admin for more: `aiosctl admin user set {user} {FLAGS[dimension]} N`",
        user=user,
        resource=dimension,
        asked=need[dimension],
        allowed=allowed_by(limits)[dimension],
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
    """Which limit of its user keeps a job waiting, in words; `flag` sets it."""

    sentence: str
    resource: str
    flag: str
    asked: str = ""
    free: str = ""


def limited(state: "State", job: Job, wait: Wait, now: Instant) -> Limited:
    """As of now, for a job that had to wait for a limit in the last pass."""
    user, need = job.owner.name, need_of(job.request, state.pool.inventory)
    limits = limits_of(state, user)
    budget = _budget(state, user, limits, now)
    dimension = short_of(budget.left, need)
    if dimension is None:
        waited_for = next((each for each in Dimension if str(each) == wait.resource), Dimension.RUNS)
        return Limited(f"another job of {user} goes first, which waits for the limit of {user} on {waited_for}", str(waited_for), FLAGS[waited_for])
    resource, flag, allowed = str(dimension), FLAGS[dimension], budget.allowed[dimension]
    if dimension is Dimension.GPU_TIME:
        used_h = state.holdings.gpus.hours(user, now.wall_s)
        text = f"{user} has used {used_h:.2f} GPU hours in the last 24 hours, of {limits.gpu_hours_per_day:g} a day"
        return Limited(text, resource, flag)
    asked, free = amount(dimension, need[dimension]), amount(dimension, max(0, budget.left[dimension]))
    if dimension is Dimension.RUNS:
        return Limited(f"{user} runs as many jobs at once as its limit allows: {allowed}", resource, flag)
    if need[dimension] > allowed:
        text = f"it asks for {asked}, and {user} may have {amount(dimension, allowed)} at once: it cannot start under this limit"
    else:
        text = f"it asks for {asked}, and of the {amount(dimension, allowed)} that {user} may have at once {free} are left"
    return Limited(text, resource, flag, asked, free)

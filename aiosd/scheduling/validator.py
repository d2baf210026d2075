"""Between a plan and what is done about it: whether the plan can be followed at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import NamedTuple

from aiosd.ids import JobId
from aiosd.resources.grant import Grant
from aiosd.resources.pool import Pool
from aiosd.resources.request import Request
from aiosd.scheduling.policy import ClassKey, Eviction, Plan, Planned, Snapshot, Start
from aiosd.scheduling.rules import PreemptMode


@dataclass(frozen=True, slots=True)
class Fault:
    """A policy could not be followed, and another stands in until it is tried again, at `retry_at_s` of the steady clock."""

    policy: str
    what: str  # "it starts job 7 twice"
    at_s: float  # wall
    retry_at_s: float
    pause_s: float


class Place(NamedTuple):
    """Where a job waits: its class, and the record (its own, or its array's) of which `most` may start now."""

    key: ClassKey
    record: JobId
    most: int


Find = Callable[[JobId], Place | None]
"""The place of a job that may start now; None for any other."""


def fault_of(plan: object, world: Snapshot, find: Find) -> str:
    """What of the plan is impossible; "" when nothing is. The pool must be as it was before the pass.

    Costs about the number of starts: what they are granted is asked of the pool in one sum.
    """
    if not isinstance(plan, Plan):
        return f"it returned {type(plan).__name__}, which is no plan"
    checks = (_starts(plan.starts, world.pool, find), _evictions(plan, world, find), _reservations(plan.reservations, find))
    return next(filter(None, checks), "")


def _starts(starts: Sequence[Start], pool: Pool, find: Find) -> str:
    seen: set[JobId] = set()
    records: dict[JobId, int] = {}
    for start in starts:
        job_id = start.job_id
        if job_id in seen:
            return f"it starts job {job_id} twice"
        seen.add(job_id)
        place = find(job_id)
        if place is None:
            return f"it starts job {job_id}, which does not wait to be started"
        records[place.record] = records.get(place.record, 0) + 1
        if records[place.record] > place.most:
            return f"it starts more of job {place.record} than the {place.most} that may run"
        problem = _grant(start.grant, place.key.request, pool)
        if problem:
            return f"it gives job {job_id} {problem}"
    problem = pool.problem(_sum([start.grant for start in starts])) if starts else ""
    return f"it gives what is not free: {problem}" if problem else ""


def _grant(grant: Grant, request: Request, pool: Pool) -> str:
    """What is wrong with a grant by itself."""
    if not grant.cpus or min([cpu.millis for cpu in grant.cpus]) <= 0:
        return "no processor"
    if grant.memory_bytes < request.memory_bytes or grant.disk_bytes < request.disk_bytes:
        return "less memory or disk than it asks for"
    if not grant.devices and not request.devices:
        return ""
    if sum(part.millis for part in grant.devices) < sum(wish.millis for wish in request.devices):
        return "fewer devices than it asks for"
    for part in grant.devices:
        device = pool.inventory.device(part.device_id)
        if device is None or not device.usable:
            return f"{part.device_id}, which " + (device.trouble if device is not None else "this machine has not")
        if part.millis <= 0 or part.memory_bytes < 0:
            return f"nothing of {part.device_id}"
    return ""


def _sum(grants: Sequence[Grant]) -> Grant:
    if len(grants) == 1:
        return grants[0]
    cpus, devices = chain.from_iterable(g.cpus for g in grants), chain.from_iterable(g.devices for g in grants)
    return Grant(tuple(cpus), sum(g.memory_bytes for g in grants), tuple(devices), sum(g.disk_bytes for g in grants))


def _evictions(plan: Plan, world: Snapshot, find: Find) -> str:
    if not plan.evictions and not plan.resumes and not plan.promises:
        return ""
    runs = {run.job_id: run for run in world.runs}
    seen: set[JobId] = set()
    for eviction in plan.evictions:
        run = runs.get(eviction.job_id)
        if run is None or run.stopping:
            return f"it evicts job {eviction.job_id}, which does not run"
        if eviction.job_id in seen:
            return f"it evicts job {eviction.job_id} twice"
        if _pointless(eviction, find):
            return f"it evicts job {eviction.job_id} for job {eviction.beneficiary}, which does not wait to be started"
        if eviction.mode is PreemptMode.OFF:
            return f"it evicts job {eviction.job_id} and does not say how"
        seen.add(eviction.job_id)
    for promise in plan.promises:
        if find(promise.job_id) is None:
            return f"it has room made for job {promise.job_id}, which does not wait to be started"
    for job_id in plan.resumes:
        if job_id not in runs or not runs[job_id].suspended or job_id in seen:
            return f"it resumes job {job_id}, which is not suspended"
        seen.add(job_id)
    return ""


def _pointless(eviction: Eviction, find: Find) -> bool:
    return find(eviction.beneficiary) is None


def _reservations(planned: Sequence[Planned], find: Find) -> str:
    for each in planned:
        if not isfinite(each.at_s):
            return f"it plans to start job {each.job_id} at {each.at_s}, which is no time"
        if find(each.job_id) is None:
            return f"it keeps a place for job {each.job_id}, which does not wait to be started"
    return ""

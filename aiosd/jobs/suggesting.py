"""What would let a job start now: every suggestion has been tried on the policy in force, and none is made that was not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from aiosd.clock import Instant
from aiosd.jobs.holders import ends_s
from aiosd.jobs.job import Job, JobSpec
from aiosd.jobs.whatif import WhatIf
from aiosd.resources.kinds import plain
from aiosd.resources.processors import WHOLE
from aiosd.resources.request import DeviceRequest, Request
from aiosd.resources.shortage import CPU, MEMORY
from aiosd.scheduling.rules import QueueSettings
from aiosd.units import format_bytes, format_millis, format_seconds

MOST = 4  # suggestions
MOST_TRIES = 24  # passes of the policy
LEAST_PART = 8  # nobody is told to make do with less than this fraction of what was asked for
PARTS = (750, 500, 250)  # of a GPU
MOST_RUNS = 6  # whose end is tried
MOST_QUEUES = 5
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Wish:
    """The job as it would be, and how that is said: `ask` in words, `flags` of the command line, `again`: for a new submission only."""

    job: Job
    ask: str
    flags: str
    again: bool = False

    def told(self, target: str) -> str:
        how = f"submit it again with `{self.flags}`" if self.again else f"`aiosctl update {target} {self.flags}`"
        return f"{self.ask}: it starts now ({how})"


def suggestions(if_: WhatIf, job: Job, now: Instant) -> tuple[str, ...]:
    """At most four, the smallest changes first."""
    if not if_.complete:
        return ()
    target = str(job.id if job.id in if_.state.jobs else job.id.whole)  # an element without a record follows its array
    found: list[str] = []
    first = if_.asked
    kinds = (_smaller(if_, job), _devices(if_, job), _shorter(if_, job, now), _queues(if_, job))
    for wishes in kinds:
        for wish in wishes:
            if if_.asked - first >= MOST_TRIES or len(found) == MOST:
                return tuple(found)
            if if_.starts(wish.job):
                found.append(wish.told(target))
                break  # the first of a kind asks for the least change
    if len(found) < MOST:
        found += islice(_after_an_end(if_, now, first + MOST_TRIES), 1)
    return tuple(found)


# Less of what is short


def _smaller(if_: WhatIf, job: Job) -> Iterator[Wish]:
    """As much of processors and memory as is free, where that is a part that one could make do with."""
    changed = _that_fits(if_, job.request)
    if changed is None or changed == job.request:
        return
    asks, flags = [], []
    if changed.cpu_millis != job.request.cpu_millis:
        one = changed.cpu_millis == WHOLE
        asks.append(f"{format_millis(changed.cpu_millis)} processor{'' if one else 's'} instead of {format_millis(job.request.cpu_millis)}")
        flags.append(f"--cpus {format_millis(changed.cpu_millis)}")
    if changed.memory_bytes != job.request.memory_bytes:
        asks.append(f"{format_bytes(changed.memory_bytes)} of memory instead of {format_bytes(job.request.memory_bytes)}")
        flags.append(f"--memory {changed.memory_bytes // MIB}M")
    yield Wish(_asking(job, changed), f"ask for {' and '.join(asks)}", " ".join(flags))


def _that_fits(if_: WhatIf, request: Request) -> Request | None:
    pool, changed = if_.state.pool, request
    for _ in range(2):
        shortage = pool.shortage(changed)
        if shortage is None:
            return changed
        if shortage.resource not in (CPU, MEMORY) or shortage.free * LEAST_PART < shortage.asked:
            return None
        if shortage.resource == CPU:
            changed = replace(changed, cpu_millis=shortage.free // WHOLE * WHOLE or shortage.free)
        else:
            changed = replace(changed, memory_bytes=shortage.free // MIB * MIB)
    return changed if pool.shortage(changed) is None else None


# Fewer devices, or others


def _devices(if_: WhatIf, job: Job) -> Iterator[Wish]:
    """For the wish that is short: any model, another model, fewer of them, a part of one."""
    short = next((wish for wish in job.request.devices if if_.state.pool.shortage(replace(job.request, devices=(wish,))) is not None), None)
    if short is None:
        return
    kind = short.kind.upper()
    for model in _models(if_, short):
        yield _with(job, short, replace(short, model=model), f"ask for {model or f'any {kind}'} instead of {short.model}")
    count = short.millis // WHOLE
    for fewer in range(count - 1, max(0, count // LEAST_PART), -1):
        yield _with(job, short, replace(short, millis=fewer * WHOLE), f"ask for {fewer} {kind}{'s' if fewer > 1 else ''} instead of {count}")
    for part in PARTS:
        if part < short.millis and count <= 1:
            yield _with(job, short, replace(short, millis=part), f"ask for {format_millis(part)} of a {kind} instead of {format_millis(short.millis)}")


def _models(if_: WhatIf, short: DeviceRequest) -> Sequence[str]:
    if not short.model:
        return ()
    others = {d.model for d in if_.state.pool.inventory.devices if d.kind == short.kind and d.usable and plain(short.model) not in plain(d.model)}
    return (*sorted(others), "")[:3] if others else ()


def _with(job: Job, old: DeviceRequest, new: DeviceRequest, ask: str) -> Wish:
    devices = tuple(new if wish is old else wish for wish in job.request.devices)
    amount = format_millis(new.millis)
    flag = f"--gpus {plain(new.model)}:{amount}" if new.model else f"--gpus {amount}"
    return Wish(_asking(job, replace(job.request, devices=devices)), ask, flag if new.kind == "gpu" else f"--gres {new.kind}={amount}", again=True)


def _asking(job: Job, request: Request) -> Job:
    return replace(job, spec=replace(job.spec, request=request), memory_bytes=0)


# A shorter time


def _shorter(if_: WhatIf, job: Job, now: Instant) -> Iterator[Wish]:
    """A limit that lets it end before what is kept for others begins."""
    state, spec = if_.state, job.spec
    places = [(p.at_s, f"before job {p.job_id}'s reservation") for p in state.planned.values() if p.job_id != if_.target]
    places += [(r.from_s, f"before reservation {r.id} begins") for r in state.reservations.values() if job.owner.name not in r.members]
    limits = {int(at_s - now.wall_s - spec.grace_s) // 60 * 60: words for at_s, words in sorted(places, reverse=True) if at_s > now.wall_s}
    fit = [limit_s for limit_s in limits if limit_s > 0 and not 0 < spec.time_limit_s <= limit_s]
    for limit_s in sorted(fit, reverse=True)[:3]:
        told = format_seconds(limit_s)
        yield Wish(
            replace(job, spec=replace(spec, time_limit_s=float(limit_s))),
            f"a time limit of {told} or less lets it end {limits[limit_s]}",
            f"--time {told}",
        )


# Another queue


def _queues(if_: WhatIf, job: Job) -> Iterator[Wish]:
    others = (queue for name, queue in sorted(if_.state.queues.items()) if name != job.spec.queue and _admits(queue, job.owner.name, job.spec))
    for queue in islice(others, MOST_QUEUES):
        yield Wish(replace(job, spec=replace(job.spec, queue=queue.name)), f"submit it to queue {queue.name}", f"--queue {queue.name}")


def _admits(queue: QueueSettings, user: str, spec: JobSpec) -> bool:
    in_time = not queue.max_time_limit_s or 0 < spec.time_limit_s <= queue.max_time_limit_s
    return queue.open and queue.started and in_time and (not queue.allowed_users or user in queue.allowed_users)


# The end of a run


def _after_an_end(if_: WhatIf, now: Instant, most_asked: int) -> Iterator[str]:
    """The runs one by one, those that are expected to end soonest first: whose end alone lets it start."""
    state = if_.state
    ends = sorted((ends_s(state.jobs[job_id], now), job_id) for job_id in if_.runs)
    for _, job_id in ends[:MOST_RUNS]:
        if if_.asked >= most_asked:
            return
        run = if_.runs[job_id]
        with state.pool.trial():
            if_.end(job_id)
            starts = if_.starts()
        if_.again(run)
        if starts:
            yield f"it starts when job {job_id} of {state.jobs[job_id].owner.name} ends"

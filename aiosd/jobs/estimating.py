"""When a job will start: what backfill has planned, or what the policy does as the runs of now come to their ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from math import inf, isfinite

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.holders import ends_s
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.whatif import MOST_PASSES, WhatIf
from aiosd.scheduling.policy import ClassKey, Estimate, HeldRun, Snapshot

STEPS = 40  # moments that are looked at; beyond them the pace so far is taken to last
LEAST_STARTS = 3  # for a pace
LATER = 1.5  # of what a run has taken, when it has outlived all that was thought


@dataclass(frozen=True, slots=True)
class Start:
    """When it is expected to start, and between which moments nine times of ten; wall, `high_s` 0: nobody can say how late it may be."""

    expected_s: float
    low_s: float
    high_s: float
    basis: str


Lasting = Callable[[Estimate], float]


def _low(estimate: Estimate) -> float:
    return estimate.low_s


def _expected(estimate: Estimate) -> float:
    return estimate.expected_s


def _high(estimate: Estimate) -> float:
    return estimate.high_s


def start_of(if_: WhatIf, ahead_count: int, now: Instant) -> Start | None:
    """None where it cannot be said: a run that it waits for may go on for ever."""
    planned = if_.state.planned.get(if_.target)
    expected_s = planned.at_s if planned is not None and isfinite(planned.at_s) else _when(if_, ahead_count, now, _expected)
    if expected_s is None:
        return None
    low_s, high_s = _when(if_, ahead_count, now, _low), _when(if_, ahead_count, now, _high)
    expected_s = max(expected_s, now.wall_s)
    basis = _basis(if_)
    if planned is not None:
        basis = f"the place that backfill keeps for it, by {basis}"
    return Start(expected_s, min(low_s or now.wall_s, expected_s), max(high_s, expected_s) if high_s is not None else 0.0, basis)


def _when(if_: WhatIf, ahead_count: int, now: Instant, lasting: Lasting) -> float | None:
    """The moment at which the policy starts it, if every run lasts as long as `lasting` says."""
    if not if_.complete:
        return None
    saved = dict(if_.runs), {k: set(v) for k, v in if_.gone.items()}, dict(if_.freed), dict(if_.returned)
    try:
        with if_.state.pool.trial():
            return _play(if_, ahead_count, now, lasting)
    finally:
        if_.runs, if_.gone, if_.freed, if_.returned = saved


def _play(if_: WhatIf, ahead_count: int, now: Instant, lasting: Lasting) -> float | None:
    ends = [(_end_of(if_, run, now, lasting), job_id) for job_id, run in if_.runs.items()]
    if_.runs = {job_id: replace(if_.runs[job_id], expected_end_s=ends_s) for ends_s, job_id in ends}
    heapify(ends)
    now_s, begun = now.wall_s, 0
    for _ in range(STEPS):
        if if_.asked >= MOST_PASSES:
            break
        plan = if_.passes(now_s)
        for start in plan.starts:
            if start.job_id == if_.target:
                return now_s
            place = if_.state.backlog.place_of(start.job_id)
            assert place is not None
            end_s = now_s + max(1.0, lasting(_lasts(if_, start.job_id, place.key)))
            if_.begin(start.job_id, place.key, start.grant, now_s, end_s)
            heappush(ends, (end_s, start.job_id))
            begun += 1
        if not ends or ends[0][0] == inf:
            return None
        now_s = max(now_s, ends[0][0])
        while ends and ends[0][0] <= now_s:
            if_.end(heappop(ends)[1])
    if begun < LEAST_STARTS or now_s <= now.wall_s:
        return None
    return now.wall_s + (now_s - now.wall_s) * max(1.0, (ahead_count + 1) / begun)


def _end_of(if_: WhatIf, run: HeldRun, now: Instant, lasting: Lasting) -> float:
    return end_of(if_.state.jobs[run.job_id], run, _lasts(if_, run.job_id, run.key), now, lasting)


def end_of(job: Job, run: HeldRun, lasts: Estimate, now: Instant, lasting: Lasting = _expected) -> float:
    """When a run ends; wall, never before now. What has outlived what was thought is expected to take half as long again."""
    if job.stop is not None:
        return ends_s(job, now)
    if run.suspended or job.phase is Phase.SUSPENDED:
        return inf
    ran_s = max(0.0, now.wall_s - run.begun_s)
    lasts_s = lasting(lasts)
    if lasts_s <= ran_s:
        lasts_s = ran_s if lasting is _low else lasts.high_s if lasts.high_s > ran_s else ran_s * LATER + 1.0
    return max(now.wall_s, min(run.begun_s + lasts_s, run.latest_end_s, ends_s(job, now)))


def _lasts(if_: WhatIf, job_id: JobId, key: ClassKey) -> Estimate:
    job = if_.state.jobs.get(job_id) or if_.state.jobs[job_id.whole]
    return lasts(if_.world, job, key)


def lasts(world: Snapshot, job: Job, key: ClassKey) -> Estimate:
    """How long a run of this job lasts: as such runs did; up to its time limit; or for ever."""
    limit_s, known = job.spec.time_limit_s or inf, world.estimate(key)
    if known is not None and known.samples:
        return Estimate(min(known.expected_s, limit_s), min(known.low_s, limit_s), min(known.high_s, limit_s), known.samples)
    return Estimate(limit_s, 0.0, limit_s)


def _basis(if_: WhatIf) -> str:
    """`the time limits of 2 runs and how 3 others like them went before`."""
    kinds: Counter[bool] = Counter()
    for run in if_.runs.values():
        kinds[_lasts(if_, run.job_id, run.key).samples > 0] += 1
    limits, learned = kinds[False], kinds[True]
    parts = [f"the time limit{'s' if limits > 1 else ''} of {limits} run{'s' if limits > 1 else ''}"] if limits else []
    parts += [f"how long runs like the {learned} of now took before"] if learned else []
    return " and ".join(parts) or "what is free now"

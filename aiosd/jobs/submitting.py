"""What the engine does with a submission: all of its jobs are accepted, or none."""

from collections.abc import Sequence
from dataclasses import replace

from aiosd.clock import Instant
from aiosd.errors import AlreadyExists, Denied, Exhausted, InvalidArgument, NotFound
from aiosd.ids import JobId
from aiosd.jobs.actions import Remember, Submit
from aiosd.jobs.admit import admit, dependencies
from aiosd.jobs.dependencies import Verdict, describe, on_end, refuse_rings
from aiosd.jobs.job import ArrayProgress, Dependency, DependencyKind, Job, JobSpec, Owner, Phase
from aiosd.jobs.limiting import check_submission
from aiosd.jobs.permitted import check_permitted
from aiosd.jobs.ports import Submission
from aiosd.jobs.rightsizing import Sized, note, sized
from aiosd.jobs.running import skip, waiting_reason
from aiosd.jobs.state import State

KEY_LIFETIME_S = 86400.0


def submit(state: State, event: Submit, now: Instant) -> Sequence[Job]:
    """Admit every draft, give them numbers, and put them where they belong. Raises before anything has changed."""
    settings = state.settings
    if not 0 < len(event.drafts) <= settings.max_jobs_per_submit:
        raise InvalidArgument(f"a call submits 1 to {settings.max_jobs_per_submit} jobs, not {len(event.drafts)}", hint="use an array, or several calls")
    if event.owner.uid == 0 and not settings.allow_root_jobs:
        raise Denied("root submits no jobs here: isolation.allow_root_jobs is false", hint="submit it as the user whom it is for")
    admitted = [
        admit(draft, environment, settings, state.queues, state.pool.inventory) for draft, environment in zip(event.drafts, event.environments, strict=True)
    ]
    sizes = [sized(state, event.owner.name, spec) for spec in admitted]
    specs = [size.spec for size in sizes]
    for request in {spec.request for spec in specs}:
        state.pool.check_ever_fits(request)
    check_permitted(state, event.owner.name, event.groups, specs)
    numbers = range(state.next_number, state.next_number + len(specs))
    wanted = [dependencies(draft, at, numbers) for at, draft in enumerate(event.drafts)]
    refuse_rings(wanted, numbers)
    check_submission(state, event.owner.name, specs)
    _check_room(state, event.owner.name, len(specs))
    _check_elements(specs, wanted, numbers)
    verdicts = [_open_dependencies(state, event, deps, numbers) for deps in wanted]
    state.next_number = numbers.stop
    if event.key:
        _remember(state, event, numbers, now)
    rows = zip(numbers, sizes, wanted, verdicts, strict=True)
    jobs = [_create(state, number, size, deps, verdict, event.owner, now) for number, size, deps, verdict in rows]
    for job in jobs:
        if impossible := verdicts[job.id.number - numbers.start][1]:
            skip(state, job, impossible, now)
    return [state.latest(job) for job in jobs]


def submitted_before(state: State, uid: int, key: str, digest: str) -> range | None:
    """The numbers this key was answered with before. Raises AlreadyExists when it was for another request."""
    known = state.submissions.get((uid, key))
    if known is None:
        return None
    if known.digest != digest:
        raise AlreadyExists(f"the idempotency key {key!r} was used for a different submission", hint="use a new key for a new submission", key=key)
    return range(known.first, known.first + known.count)


def _remember(state: State, event: Submit, numbers: range, now: Instant) -> None:
    submission = Submission(event.owner.uid, event.key, event.digest, numbers.start, len(numbers), now.wall_s)
    while state.submissions and next(iter(state.submissions.values())).at_s < now.wall_s - KEY_LIFETIME_S:
        del state.submissions[next(iter(state.submissions))]
    state.submissions[event.owner.uid, event.key] = submission
    state.actions.append(Remember(submission))


def _check_room(state: State, user: str, asked: int) -> None:
    """Arrays count as one, however long: what has not begun of them is a list of numbers. Nobody's jobs leave no room for others'."""
    most, live = state.settings.max_queued, state.holdings.live
    if live.total() + asked > most:
        raise Exhausted(
            f"{live.total()} jobs have not ended; {asked} more would pass the limit of {most}",
            hint="wait for some to finish, or raise jobs.max_queued",
            asked=asked,
            allowed=most,
        )
    share = max(1, int(most * state.settings.queue_share))
    if live[user] + asked > share:
        raise Exhausted(
            f"{user} has {live[user]} jobs that have not ended; {asked} more would pass the {share} that one user may have of the {most} of this daemon",
            hint="wait for some to finish, or make one array of many jobs; an admin can raise jobs.max_queued",
            user=user,
            asked=asked,
            allowed=share,
        )


def _check_elements(specs: Sequence[JobSpec], wanted: Sequence[Sequence[Dependency]], numbers: range) -> None:
    """An element of a job of the same call must be one."""
    for job_id in (d.job_id for deps in wanted for d in deps if d.job_id.is_element and d.job_id.number in numbers):
        array = specs[job_id.number - numbers.start].array
        if array is None or job_id.index not in array.indices:
            raise NotFound(f"there is no job {job_id} to depend on", hint="see `aiosctl ps -a`", job=job_id)


def _open_dependencies(state: State, event: Submit, wanted: Sequence[Dependency], numbers: range) -> tuple[tuple[Dependency, ...], str]:
    """The dependencies that are still open, and why they can never be met ("" when they may)."""
    still_open = []
    for dependency in wanted:
        verdict = _verdict(state, event, dependency, numbers)
        if verdict is Verdict.IMPOSSIBLE:
            return (), f"it waited for {describe(dependency)}, which did not happen"
        if verdict is Verdict.OPEN:
            still_open.append(dependency)
    return tuple(still_open), ""


def _verdict(state: State, event: Submit, dependency: Dependency, numbers: range) -> Verdict:
    job_id = dependency.job_id
    if job_id.number in numbers:
        return Verdict.OPEN
    for named in (job_id, job_id.whole):  # an element that never had a record ended as its array did
        phase = state.recent.get(named) or event.ended.get(named)
        if phase is not None:
            return on_end(dependency.kind, phase)
    try:
        live = state.job(job_id)
    except NotFound:
        raise NotFound(f"there is no job {job_id} to depend on", hint="see `aiosctl ps -a`", job=job_id) from None
    return Verdict.MET if dependency.kind is DependencyKind.AFTER and _has_begun(live) else Verdict.OPEN


def _has_begun(job: Job) -> bool:
    if job.array is not None:
        return job.array.active + job.array.succeeded + job.array.failed > 0
    return job.attempt > 1 or job.retries_used > 0 or (job.run is not None and job.run.started_at_s > 0)


def _create(
    state: State, number: int, size: Sized, wanted: tuple[Dependency, ...], verdict: tuple[tuple[Dependency, ...], str], owner: Owner, now: Instant
) -> Job:
    (unmet, _), spec = verdict, size.spec
    waits = bool(unmet) or spec.begin_at_s > now.wall_s
    phase = Phase.HELD if spec.held else Phase.WAITING if waits else Phase.QUEUED
    job = Job(
        id=JobId(number),
        spec=_with_dependencies(spec, wanted),
        owner=owner,
        phase=phase,
        submitted_at_s=now.wall_s,
        eligible_at_s=now.wall_s if phase is Phase.QUEUED else 0.0,
        unmet=unmet,
        reason="held by its user" if phase is Phase.HELD else "",
        array=ArrayProgress(spec.array.indices) if spec.array is not None else None,
        rightsizing=size.told,
        rightsized=size.applied,
    )
    note(state, job, size, now)
    job = state.put(replace(job, reason=waiting_reason(job)) if phase is Phase.WAITING else job)
    state.arm(job, now)
    return job


def _with_dependencies(spec: JobSpec, wanted: tuple[Dependency, ...]) -> JobSpec:
    return replace(spec, dependencies=wanted) if wanted else spec

"""What is not shown of other users' jobs, and why no filter finds it out."""

from dataclasses import replace

from aios.v1 import jobs_pb2 as pb
from aios.v1 import node_pb2
from aiosd.access.permissions import SEES_ALL, sees
from aiosd.jobs.explain import Why, WhyKind
from aiosd.jobs.job import Job, JobSpec, Phase
from aiosd.jobs.ports import JobFilter
from aiosd.jobs.schedule import ScheduleView
from aiosd.rpc.auth import caller
from aiosd.rpc.convert_resources import to_grant, to_request
from aiosd.rpc.fields import printable

NOBODY = frozenset({""})
USERS_WORDS = (WhyKind.HELD, WhyKind.BACKOFF)  # their summaries hold what a person wrote, or what a command ended with


def narrowed(asked: JobFilter) -> JobFilter:
    """`asked`, where it searches for what the caller may see of its own jobs only: then only among those."""
    principal = caller()
    if principal.role >= SEES_ALL or not (asked.name or asked.labels):
        return asked
    mine = frozenset({principal.name})
    return replace(asked, users=(asked.users & mine or NOBODY) if asked.users else mine)


def redacted(job: Job, phase: pb.JobPhase, array: pb.ArrayProgress | None) -> pb.Job:
    """Somebody else's job: who, where it stands, what it asks for and holds, and when; so that one's own wait can be understood."""
    run, outcome = job.run, job.outcome
    return pb.Job(
        id=str(job.id),
        spec=_redacted_spec(replace(job.spec, request=job.request)),  # with the memory that it asks for since it ran out of it
        user=printable(job.owner.name),
        uid=job.owner.uid,
        phase=phase,
        reason=printable(job.reason) if job.phase is Phase.QUEUED and not job.attempt else "",  # the scheduler's own words
        submitted_at_s=job.submitted_at_s,
        eligible_at_s=job.eligible_at_s,
        attempt=job.attempt,
        run=pb.Run(started_at_s=run.started_at_s, grant=to_grant(run.grant)) if run else None,
        outcome=pb.Outcome(ended_at_s=outcome.ended_at_s, wait_s=outcome.wait_s, run_s=outcome.run_s) if outcome else None,
        array=array,
        revision=job.revision,
        redacted=True,
        preemptions=job.preemptions,
    )


def _redacted_spec(spec: JobSpec) -> pb.JobSpec:
    return pb.JobSpec(
        request=to_request(spec.request),
        array=spec.array.text if spec.array else "",
        time_limit_s=spec.time_limit_s,
        begin_at_s=spec.begin_at_s,
        priority=spec.priority,
        nice=spec.nice,
        queue=spec.queue,
        qos=spec.qos,
        preemptible=spec.preemptible,
    )


def redacted_why(why: Why) -> Why:
    """Why somebody else's job waits, without what its user said about it, and without how its runs went: what to ask for instead tells that."""
    if why.kind is WhyKind.OUT_OF_MEMORY:
        return Why(why.job_id, why.kind, "it ended out of memory", why.policy)
    why = replace(why, estimate_basis="", suggestions=())
    return replace(why, summary=f"it waits: {why.kind}") if why.kind in USERS_WORDS else why


def redacted_ahead(why: Why) -> Why:
    """Who goes first, without the accounts that other users charge."""
    principal = caller()
    if principal.role >= SEES_ALL:
        return why
    return replace(why, ahead_jobs=tuple(each if each.user == principal.name else replace(each, account="") for each in why.ahead_jobs))


def redacted_schedule(view: ScheduleView) -> ScheduleView:
    """Without what was adjusted of other users' jobs: it tells how their runs went."""
    principal = caller()
    return replace(view, adjustments=[each for each in view.adjustments if each.owner_uid is None or sees(principal, each.owner_uid)])


def redact_node(status: node_pb2.NodeStatus) -> node_pb2.NodeStatus:
    """The programs that other users run on this machine's devices have no names for the caller."""
    principal = caller()
    if principal.role < SEES_ALL:
        for use in status.foreign_use:
            if use.user != principal.name:
                use.program = ""
    return status

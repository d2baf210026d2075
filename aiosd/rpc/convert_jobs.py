"""Jobs between wire and records: what is asked, as drafts, and what is known of a job, as answers."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from aios.v1 import jobs_pb2 as pb
from aiosd.errors import InvalidArgument
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft, RetryDraft
from aiosd.jobs.job import ArrayProgress, ArraySpec, Dependency, DependencyKind, Job, JobSpec, Outcome, Phase, RetryCondition, RetryPolicy, Run
from aiosd.models.names import check_model_name, check_reference_name
from aiosd.models.ports import Use, UseRole
from aiosd.models.references import MAIN
from aiosd.models.version import Kind
from aiosd.monitoring.stats import Progress
from aiosd.rpc import limits, slices
from aiosd.rpc.convert_resources import from_request, to_grant, to_request, to_usage
from aiosd.rpc.fields import amount, by_name, choice, few, needed, pairs, printable, seconds, text, texts, turned
from aiosd.rpc.needs import ProgressReader
from aiosd.rpc.privacy import redacted

PHASES = by_name(Phase, pb.JobPhase.Value, "JOB_PHASE_")
DEPENDENCIES = by_name(DependencyKind, pb.Dependency.Kind.Value)
CONDITIONS = by_name(RetryCondition, pb.RetryPolicy.Condition.Value)
_DEPENDENCY_OF = turned(DEPENDENCIES)
_CONDITION_OF = turned(CONDITIONS)

_NO_REQUEST = RequestDraft()
_NO_RETRY = RetryDraft()
_SHOWN_AS = re.compile("%[jaA]")  # numbers, later


@dataclass(frozen=True, slots=True)
class SubmitWish:
    """A submission as it came. `digest` tells whether a key came again with the same request; "" without a key."""

    drafts: Sequence[JobDraft]
    key: str
    digest: str


async def from_submit(wire: pb.SubmitJobsRequest, most: int) -> SubmitWish:
    """At most `most` jobs, converted slice by slice. Raises InvalidArgument that names the field."""
    if not wire.specs:
        raise InvalidArgument("specs is empty: there is no job to submit", hint="give at least one job", field="specs")
    if len(wire.specs) > most:
        raise InvalidArgument(
            f"specs has {len(wire.specs)} jobs, and a call submits {most} at most",
            hint="use an array, or several calls",
            field="specs",
            given=len(wire.specs),
            allowed=most,
        )
    shared = from_environment(wire.environment, "")
    alone = len(wire.specs) == 1  # whoever submits one job does not think of it as the first of a list
    drafts = await slices.each(wire.specs, lambda place, spec: from_spec(spec, "" if alone else f"specs[{place}].", shared))
    key = text(wire.idempotency_key, "", "idempotency_key", limits.NAME)
    digest = _digest(wire) if key else ""
    return SubmitWish(drafts, key, digest)


def _digest(wire: pb.SubmitJobsRequest) -> str:
    """Of all but the values of secrets: it is stored, and a short value could be guessed from it."""
    if any(spec.secrets for spec in wire.specs):
        stripped = pb.SubmitJobsRequest()
        stripped.CopyFrom(wire)
        for spec in stripped.specs:
            for secret in spec.secrets:
                secret.ClearField("value")
        wire = stripped
    return hashlib.sha256(wire.SerializeToString(deterministic=True)).hexdigest()


def from_spec(wire: pb.JobSpec, at: str = "", shared: Mapping[str, str] | None = None) -> JobDraft:
    """`at` is put before the names of fields in errors; `shared` is the environment of a spec that brings none."""
    few(wire.command, at, "command", limits.ARGUMENTS)
    few(wire.dependencies, at, "dependencies", limits.SELECTED)
    few(wire.labels, at, "labels", limits.CHOICES)
    few(wire.request.devices, at, "request.devices", limits.CHOICES)
    few(wire.secrets, at, "secrets", limits.CHOICES)
    few(wire.model_outputs, at, "model_outputs", limits.CHOICES)
    few(wire.process_limits, at, "process_limits", limits.CHOICES)
    return JobDraft(
        name=text(wire.name, at, "name", limits.TEXT),
        command=texts(wire.command, at, "command"),
        cwd=text(wire.cwd, at, "cwd", limits.PATH),
        environment=from_environment(wire.environment, at) if wire.environment or shared is None else shared,
        request=from_request(wire.request, at + "request.") if wire.HasField("request") else _NO_REQUEST,
        array=text(wire.array, at, "array", limits.RANGES),
        dependencies=tuple(_from_dependency(each, f"{at}dependencies[{place}].") for place, each in enumerate(wire.dependencies)),
        time_limit_s=seconds(wire.time_limit_s, at, "time_limit_s"),
        grace_s=seconds(wire.grace_s, at, "grace_s"),
        retry=_from_retry(wire.retry, at + "retry.") if wire.HasField("retry") else _NO_RETRY,
        begin_at_s=seconds(wire.begin_at_s, at, "begin_at_s"),
        deadline_at_s=seconds(wire.deadline_at_s, at, "deadline_at_s"),
        priority=wire.priority,
        nice=wire.nice,
        queue=text(wire.queue, at, "queue", limits.TEXT),
        qos=text(wire.qos, at, "qos", limits.TEXT),
        account=text(wire.account, at, "account", limits.TEXT),
        labels=pairs(wire.labels, at, "labels"),
        held=wire.held,
        stdout_path=text(wire.stdout_path, at, "stdout_path", limits.PATH),
        stderr_path=text(wire.stderr_path, at, "stderr_path", limits.PATH),
        stdin_open=wire.stdin_open,
        preemptible=wire.preemptible,
        checkpoint_signal=text(wire.checkpoint_signal, at, "checkpoint_signal", limits.TEXT),
        notify_command=text(wire.notify_command, at, "notify_command", limits.COMMAND_TEXT),
        script=text(wire.script, at, "script"),
        io_read_bytes_per_s=wire.io_read_bytes_per_s,
        io_write_bytes_per_s=wire.io_write_bytes_per_s,
        io_weight=wire.io_weight,
        secrets=_from_secrets(wire.secrets, at),
        private_tmp=wire.private_tmp,
        login_environment=wire.login_environment,
        umask=wire.umask if wire.HasField("umask") else None,
        process_limits=tuple(
            (text(each.name, at, f"process_limits[{place}].name", limits.TEXT), each.soft, each.hard) for place, each in enumerate(wire.process_limits)
        ),
        model_outputs=tuple(_from_output(each, f"{at}model_outputs[{place}].") for place, each in enumerate(wire.model_outputs)),
    )


def _from_output(wire: pb.ModelOutput, at: str) -> tuple[str, str, str]:
    """Names are checked as they will be for one job, since the jobs domain does not know what the name of a model is."""
    model, branch = needed(wire.model, at, "model", limits.TEXT), wire.branch or MAIN
    check_model_name(_SHOWN_AS.sub("1", model), Kind.MODEL)
    check_reference_name(_SHOWN_AS.sub("1", branch))
    return model, branch, needed(wire.path, at, "path", limits.PATH)


def _from_secrets(wire: Sequence[pb.Secret], at: str) -> dict[str, bytes]:
    """Messages name the secret, and never say its value."""
    found: dict[str, bytes] = {}
    for place, secret in enumerate(wire):
        name = needed(secret.name, at, f"secrets[{place}].name", limits.TEXT)
        if name in found:
            raise InvalidArgument(f"{at}secrets names {name!r} twice", hint="give each secret a name of its own", field=f"{at}secrets")
        found[name] = secret.value
    return found


def from_environment(wire: Sequence[pb.EnvironmentVariable], at: str) -> dict[str, str]:
    """A variable named twice has its last value, as execve and every shell have it."""
    few(wire, at, "environment", limits.VARIABLES)
    variables: dict[str, str] = {}
    for place, variable in enumerate(wire):
        name, value = variable.name, variable.value
        if "\0" in name or "\0" in value:
            text(name, at, f"environment[{place}].name")
            text(value, at, f"environment[{name}]")
        variables[name] = value
    return variables


def _from_dependency(wire: pb.Dependency, at: str) -> tuple[str, str]:
    return choice(_DEPENDENCY_OF, wire.kind, at, "kind").value, needed(wire.job_id, at, "job_id", limits.TEXT)


def _from_retry(wire: pb.RetryPolicy, at: str) -> RetryDraft:
    few(wire.conditions, at, "conditions", limits.CHOICES)
    return RetryDraft(
        retries=wire.retries,
        conditions=tuple(choice(_CONDITION_OF, each, at, f"conditions[{place}]").value for place, each in enumerate(wire.conditions)),
        backoff_s=seconds(wire.backoff_s, at, "backoff_s"),
        backoff_max_s=seconds(wire.backoff_max_s, at, "backoff_max_s"),
        oom_memory_factor=seconds(wire.oom_memory_factor, at, "oom_memory_factor"),
        oom_memory_max_bytes=amount(wire.oom_memory_max_bytes, at, "oom_memory_max_bytes"),
    )


def from_update(wire: pb.UpdateJobRequest) -> JobChange:
    """What the request changes; what it does not mention stays."""
    has = wire.HasField
    few(wire.labels, "", "labels", limits.CHOICES)
    return JobChange(
        priority=wire.priority if has("priority") else None,
        time_limit_s=seconds(wire.time_limit_s, "", "time_limit_s") if has("time_limit_s") else None,
        begin_at_s=seconds(wire.begin_at_s, "", "begin_at_s") if has("begin_at_s") else None,
        deadline_at_s=seconds(wire.deadline_at_s, "", "deadline_at_s") if has("deadline_at_s") else None,
        queue=text(wire.queue, "", "queue", limits.TEXT) if has("queue") else None,
        qos=text(wire.qos, "", "qos", limits.TEXT) if has("qos") else None,
        name=text(wire.name, "", "name", limits.TEXT) if has("name") else None,
        cpu_millis=amount(wire.cpu_millis, "", "cpu_millis") if has("cpu_millis") else None,
        memory_bytes=amount(wire.memory_bytes, "", "memory_bytes") if has("memory_bytes") else None,
        array_limit=amount(wire.array_limit, "", "array_limit") if has("array_limit") else None,
        nice=wire.nice if has("nice") else None,
        labels=pairs(wire.labels, "", "labels"),
    )


def nothing_reported(_: Job) -> Progress | None:
    return None


def no_paths(_: Job) -> tuple[str, str]:
    return "", ""


@dataclass(frozen=True, slots=True)
class JobConverter:
    """Jobs as answers. What a record does not hold is asked for: what a job last reported, where its output is kept.

    registering  whether what a job left as models is not settled yet
    hides  whether a job is shown without what is private to its user; None: all is shown
    """

    progress_of: ProgressReader = nothing_reported
    log_paths_of: Callable[[Job], tuple[str, str]] = no_paths
    hides: Callable[[Job], bool] | None = None
    registering: Callable[[Job], bool] = lambda job: False

    def to_job(self, job: Job, *, with_environment: bool = False) -> pb.Job:
        if self.hides is not None and self.hides(job):
            return redacted(job, PHASES[job.phase], _to_array(job.array, job.spec.array) if job.array else None)  # type: ignore[arg-type]
        return pb.Job(
            id=str(job.id),
            spec=to_spec(_as_it_asks_now(job), with_environment=with_environment),
            user=printable(job.owner.name),
            uid=job.owner.uid,
            phase=PHASES[job.phase],  # type: ignore[arg-type]  # the generated stub wants the class; numbers are what the wire has
            reason=printable(job.reason),
            submitted_at_s=job.submitted_at_s,
            eligible_at_s=job.eligible_at_s,
            attempt=job.attempt,
            run=self._to_run(job, job.run) if job.run else None,
            outcome=to_outcome(job.outcome) if job.outcome else None,
            array=_to_array(job.array, job.spec.array) if job.array else None,
            revision=job.revision,
            preemptions=job.preemptions,
            rightsizing=printable(job.rightsizing),
            registering=self.registering(job),
        )

    def _to_run(self, job: Job, run: Run) -> pb.Run:
        stdout_path, stderr_path = self.log_paths_of(job)
        progress = self.progress_of(job)
        return pb.Run(
            started_at_s=run.started_at_s,
            pid=run.shim_pid,
            grant=to_grant(run.grant),
            stdout_path=printable(stdout_path),
            stderr_path=printable(stderr_path),
            progress=to_progress(progress) if progress else None,
        )


def add_uses(wire: pb.Job, uses: Sequence[Use]) -> None:
    lists = {
        (UseRole.READ, Kind.MODEL): wire.models_read, (UseRole.READ, Kind.DATASET): wire.datasets_read,
        (UseRole.MADE, Kind.MODEL): wire.models_made, (UseRole.MADE, Kind.DATASET): wire.datasets_made,
    }  # fmt: skip
    for use in uses:
        lists[use.role, use.kind].append(f"{use.model}@{use.version}")


def to_spec(spec: JobSpec, *, with_environment: bool = False) -> pb.JobSpec:
    variables = spec.environment.variables.items() if with_environment else ()
    return pb.JobSpec(
        name=spec.name,
        command=spec.command,
        cwd=spec.cwd,
        environment=[pb.EnvironmentVariable(name=name, value=value) for name, value in variables],
        request=to_request(spec.request),
        array=spec.array.text if spec.array else "",
        dependencies=[_to_dependency(each) for each in spec.dependencies],
        time_limit_s=spec.time_limit_s,
        grace_s=spec.grace_s,
        retry=_to_retry(spec.retry),
        begin_at_s=spec.begin_at_s,
        deadline_at_s=spec.deadline_at_s,
        priority=spec.priority,
        nice=spec.nice,
        queue=spec.queue,
        qos=spec.qos,
        account=spec.account,
        labels=spec.labels,
        held=spec.held,
        stdout_path=spec.stdout_path,
        stderr_path=spec.stderr_path,
        stdin_open=spec.stdin_open,
        preemptible=spec.preemptible,
        checkpoint_signal=spec.checkpoint_signal,
        notify_command=spec.notify_command,
        script=spec.script,
        io_read_bytes_per_s=spec.io_read_bytes_per_s,
        io_write_bytes_per_s=spec.io_write_bytes_per_s,
        io_weight=spec.io_weight,
        secrets=[pb.Secret(name=name) for name in spec.secrets],
        private_tmp=spec.private_tmp,
        login_environment=spec.login_environment,
        umask=spec.umask,
        process_limits=[pb.ProcessLimit(name=limit.name, soft=limit.soft, hard=limit.hard) for limit in spec.process_limits],
        model_outputs=[pb.ModelOutput(model=one.model, branch=one.branch, path=printable(one.path)) for one in spec.model_outputs],
    )


def _to_dependency(dependency: Dependency) -> pb.Dependency:
    return pb.Dependency(kind=DEPENDENCIES[dependency.kind], job_id=str(dependency.job_id))  # type: ignore[arg-type]


def _to_retry(retry: RetryPolicy) -> pb.RetryPolicy:
    conditions = sorted(CONDITIONS[each] for each in retry.conditions)
    return pb.RetryPolicy(
        retries=retry.retries,
        conditions=conditions,  # type: ignore[arg-type]
        backoff_s=retry.backoff_s,
        backoff_max_s=retry.backoff_max_s,
        oom_memory_factor=retry.oom_memory_factor,
        oom_memory_max_bytes=retry.oom_memory_max_bytes,
    )


def to_progress(progress: Progress) -> pb.Progress:
    return pb.Progress(done=progress.done, total=progress.total, metrics=progress.metrics, step=progress.step, at_s=progress.at_s)


def _as_it_asks_now(job: Job) -> JobSpec:
    """Its spec, with the memory that it asks for since it ran out of it."""
    return replace(job.spec, request=job.request) if job.memory_bytes else job.spec


def to_outcome(outcome: Outcome) -> pb.Outcome:
    return pb.Outcome(
        ended_at_s=outcome.ended_at_s,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        core_dumped=outcome.core_dumped,
        oom_killed=outcome.oom_killed,
        reason=printable(outcome.reason),
        usage=to_usage(outcome.usage),
        wait_s=outcome.wait_s,
        run_s=outcome.run_s,
    )


def _to_array(progress: ArrayProgress, array: ArraySpec | None) -> pb.ArrayProgress:
    return pb.ArrayProgress(
        total=len(array.indices) if array else 0,
        pending=len(progress.pending),
        active=progress.active,
        succeeded=progress.succeeded,
        failed=progress.failed + progress.cancelled,
        limit=array.limit if array else 0,
        pending_ranges=str(progress.pending),
    )

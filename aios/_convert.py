"""From the wire to the records of jobs: protobuf in, the SDK's own objects out. Values that are newer than this SDK become UNKNOWN."""

from aios import records, resources
from aios.records import State
from aios.v1 import jobs_pb2, resources_pb2

STATES: dict[int, State] = {number: State(name.removeprefix("JOB_PHASE_").lower()) for name, number in jobs_pb2.JobPhase.items() if number}
OUTPUTS = {jobs_pb2.STDOUT: records.Output.STDOUT, jobs_pb2.STDERR: records.Output.STDERR}
_DEPENDENCIES = {
    jobs_pb2.Dependency.AFTER: "after",
    jobs_pb2.Dependency.AFTER_OK: "after-ok",
    jobs_pb2.Dependency.AFTER_ANY: "after-any",
    jobs_pb2.Dependency.AFTER_FAILED: "after-failed",
}


def job_fields(job: jobs_pb2.Job) -> records.JobRecord:
    spec = job.spec
    return records.JobRecord(
        id=job.id,
        name=spec.name,
        state=STATES.get(job.phase, State.UNKNOWN),
        reason=job.reason,
        user=job.user,
        uid=job.uid,
        command=tuple(spec.command),
        cwd=spec.cwd,
        environment={variable.name: variable.value for variable in spec.environment},
        request=request(spec.request),
        array_spec=spec.array,
        array=_array(job.array) if job.HasField("array") else None,
        dependencies=tuple(records.Dependency(_DEPENDENCIES.get(one.kind, "unknown"), one.job_id) for one in spec.dependencies),
        time_limit_s=spec.time_limit_s,
        grace_s=spec.grace_s,
        retry=_retry(spec.retry),
        begin_at_s=spec.begin_at_s,
        deadline_at_s=spec.deadline_at_s,
        priority=spec.priority,
        nice=spec.nice,
        queue=spec.queue,
        qos=spec.qos,
        account=spec.account,
        labels=dict(spec.labels),
        stdin_open=spec.stdin_open,
        preemptible=spec.preemptible,
        checkpoint_signal=spec.checkpoint_signal,
        notify_command=spec.notify_command,
        script=spec.script,
        io_read_bytes_per_s=spec.io_read_bytes_per_s,
        io_write_bytes_per_s=spec.io_write_bytes_per_s,
        io_weight=spec.io_weight,
        secrets=tuple(secret.name for secret in spec.secrets),
        private_tmp=spec.private_tmp,
        login=spec.login_environment,
        umask=spec.umask if spec.HasField("umask") else None,
        limits={limit.name: (limit.soft, limit.hard) for limit in spec.process_limits},
        model_outputs={f"{one.model}:{one.branch}" if one.branch not in ("", "main") else one.model: one.path for one in spec.model_outputs},
        submitted_at_s=job.submitted_at_s,
        eligible_at_s=job.eligible_at_s,
        attempt=job.attempt,
        run=_run(job.run) if job.HasField("run") else None,
        outcome=_outcome(job.outcome) if job.HasField("outcome") else None,
        revision=job.revision,
        preemptions=job.preemptions,
        rightsizing=job.rightsizing,
        models_read=tuple(job.models_read),
        datasets_read=tuple(job.datasets_read),
        models_made=tuple(job.models_made),
        datasets_made=tuple(job.datasets_made),
        registering=job.registering,
        redacted=job.redacted,
    )


def request(wire: resources_pb2.Request) -> resources.Request:
    devices = tuple(resources.DeviceRequest(one.kind, one.millis, one.model, one.memory_bytes) for one in wire.devices)
    return resources.Request(wire.cpu_millis, wire.memory_bytes, devices, wire.disk_bytes, wire.exclusive)


def grant(wire: resources_pb2.Grant) -> resources.Grant:
    return resources.Grant(
        tuple(resources.CpuGrant(one.cpu, one.millis) for one in wire.cpus),
        wire.memory_bytes,
        tuple(resources.DeviceGrant(one.device_id, one.kind, one.index, one.millis, one.memory_bytes) for one in wire.devices),
        wire.disk_bytes,
    )


def why(wire: jobs_pb2.WhyResponse) -> records.Why:
    return records.Why(
        wire.id, wire.summary, wire.kind, wire.resource, wire.asked, wire.free, wire.machine_has,
        tuple(wire.ahead), wire.ahead_count, tuple(wire.suggestions), wire.policy, wire.estimated_start_at_s,
        wire.estimated_start_low_s, wire.estimated_start_high_s, wire.estimate_basis, wire.estimate_held_share,
        tuple(records.PriorityFactor(one.name, one.factor, one.weight, one.points) for one in wire.factors),
        tuple(records.AheadJob(one.id, one.user, one.account, one.share, one.usage, one.priority) for one in wire.ahead_jobs),
        wire.planned_grant,
    )  # fmt: skip


def stats(wire: jobs_pb2.JobStats) -> records.Stats:
    return records.Stats(
        wire.id,
        request(wire.requested),
        grant(wire.granted) if wire.HasField("granted") else None,
        tuple(_sample(one) for one in wire.samples),
        _usage(wire.usage) if wire.HasField("usage") else None,
        wire.run_s,
        tuple(records.ReportedSeries(one.name, tuple(one.steps), tuple(one.values)) for one in wire.reported),
    )


def _array(wire: jobs_pb2.ArrayProgress) -> records.ArrayProgress:
    return records.ArrayProgress(wire.total, wire.pending, wire.active, wire.succeeded, wire.failed, wire.limit, wire.pending_ranges)


def _retry(wire: jobs_pb2.RetryPolicy) -> records.Retry:
    names = {number: name.lower() for name, number in jobs_pb2.RetryPolicy.Condition.items()}
    return records.Retry(
        wire.retries,
        tuple(names.get(one, "unknown") for one in wire.conditions),
        wire.backoff_s,
        wire.backoff_max_s,
        wire.oom_memory_factor,
        wire.oom_memory_max_bytes,
    )


def _run(wire: jobs_pb2.Run) -> records.JobRun:
    progress = wire.progress
    reported = records.Progress(progress.done, progress.total, progress.step, dict(progress.metrics), progress.at_s) if wire.HasField("progress") else None
    return records.JobRun(wire.started_at_s, wire.pid, grant(wire.grant), wire.stdout_path, wire.stderr_path, reported)


def _outcome(wire: jobs_pb2.Outcome) -> records.Outcome:
    return records.Outcome(
        ended_at_s=wire.ended_at_s,
        exit_code=wire.exit_code if wire.HasField("exit_code") else None,
        signal=wire.signal if wire.HasField("signal") else None,
        core_dumped=wire.core_dumped,
        oom_killed=wire.oom_killed if wire.HasField("oom_killed") else None,
        reason=wire.reason,
        usage=_usage(wire.usage),
        wait_s=wire.wait_s,
        run_s=wire.run_s,
    )


def _usage(wire: jobs_pb2.Usage) -> records.Usage:
    return records.Usage(
        wire.cpu_user_s, wire.cpu_system_s, wire.memory_peak_bytes, wire.read_bytes, wire.write_bytes,
        wire.voluntary_switches, wire.involuntary_switches, wire.major_faults,
        wire.cpu_pressure_s, wire.memory_pressure_s, wire.io_pressure_s, wire.oom_kills,
    )  # fmt: skip


def _sample(wire: jobs_pb2.JobStats.Sample) -> records.Sample:
    return records.Sample(
        wire.at_s, wire.cpu_millis, wire.memory_bytes, wire.read_bytes_per_s, wire.write_bytes_per_s,
        wire.gpu_permille, wire.gpu_memory_bytes, wire.processes,
    )  # fmt: skip

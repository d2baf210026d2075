"""From what a user wrote to the wire: a JobSpec, a filter, a change, as protobuf."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from aios.devices import parse_devices, parse_gpus
from aios.errors import InvalidArgument
from aios.jobs import JobChanges
from aios.moments import parse_time
from aios.records import JobRecord, State
from aios.resources import DeviceRequest
from aios.spec import Duration, JobSpec, Moment
from aios.units import parse_bytes, parse_count, parse_millis, parse_seconds
from aios.v1 import jobs_pb2 as pb
from aios.v1 import resources_pb2

# What the daemon sets for each job: a job submitted from inside a job must not inherit its parent's.
_OF_ONE_JOB = frozenset({
    "AIOS_JOB_ID", "AIOS_JOB_NAME", "AIOS_ARRAY_INDEX", "AIOS_ATTEMPT", "AIOS_SCRATCH", "AIOS_CHECKPOINT_DIR", "AIOS_CHECKPOINT_SIGNAL",
    "AIOS_CPUS", "AIOS_CPU_MILLIS", "AIOS_MEMORY_BYTES", "AIOS_DEVICES", "AIOS_REPORT_FILE", "AIOS_QUEUE", "AIOS_RUN_KEY", "AIOS_SUBMIT_DIR",
    "AIOS_SECRETS",
})  # fmt: skip
_SECRET = frozenset({"AIOS_TOKEN"})  # would be kept with the job; on the machine itself a job needs none
# Thread counts that a job was given by its grant: a job submitted from inside it has a grant of its own.
_OF_ONE_GRANT = frozenset({
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
})  # fmt: skip
_DEPENDENCIES = (
    ("after", pb.Dependency.AFTER),
    ("after_ok", pb.Dependency.AFTER_OK),
    ("after_any", pb.Dependency.AFTER_ANY),
    ("after_failed", pb.Dependency.AFTER_FAILED),
)
_CONDITIONS = {name.lower(): name for name, number in pb.RetryPolicy.Condition.items() if number}


def ref_text(ref: str | int | JobRecord) -> str:
    """An id, a name or a Job as the text the daemon knows it by."""
    text = ref.id if isinstance(ref, JobRecord) else str(ref)
    if isinstance(ref, bool) or not isinstance(ref, str | int | JobRecord) or not text.strip():
        raise InvalidArgument(f"{ref!r} names no job", hint='allowed: an id (42, "42.7"), a unique name, or a Job')
    return _text(text.strip(), "job")


def submission(specs: Iterable[JobSpec], key: str) -> pb.SubmitJobsRequest:
    """All the specs of one call; those that add nothing to the caller's environment share one copy of it."""
    wires = [job_spec(spec) for spec in specs]
    if not wires:
        raise InvalidArgument("there is nothing to submit", hint="give at least one JobSpec")
    shared = _variables(captured_environment()) if any(not wire.environment for wire in wires) else []
    return pb.SubmitJobsRequest(specs=wires, idempotency_key=_text(key, "key"), environment=shared)


def job_spec(spec: JobSpec) -> pb.JobSpec:
    cwd = os.path.abspath(os.fspath(spec.cwd)) if spec.cwd is not None else os.getcwd()
    return pb.JobSpec(
        name=_text(spec.name, "name"),
        command=_command(spec),
        cwd=_text(cwd, "cwd"),
        environment=_environment(spec),
        request=_request(spec),
        array=_text(spec.array, "array"),
        dependencies=[pb.Dependency(kind=kind, job_id=ref) for name, kind in _DEPENDENCIES for ref in _refs(getattr(spec, name))],
        time_limit_s=_seconds(spec.time, "time"),
        grace_s=_seconds(spec.grace, "grace"),
        retry=_retry(spec),
        begin_at_s=0.0 if spec.begin is None else parse_time(spec.begin, what="begin"),
        deadline_at_s=0.0 if spec.deadline is None else parse_time(spec.deadline, what="deadline"),
        priority=parse_count(spec.priority, what="priority", least=-(1 << 31)),
        nice=parse_count(spec.nice, what="nice", least=-20, most=19),
        queue=_text(spec.queue, "queue"),
        qos=_text(spec.qos, "qos"),
        account=_text(spec.account, "account"),
        labels=_labels(spec.labels),
        held=spec.hold,
        stdout_path=_output_path(spec.output, cwd, "output"),
        stderr_path=_output_path(spec.error, cwd, "error"),
        stdin_open=spec.stdin,
        preemptible=spec.preemptible,
        checkpoint_signal=_text(spec.checkpoint_signal.upper().removeprefix("SIG"), "checkpoint_signal"),
        notify_command=_text(spec.notify, "notify"),
        script=_text(spec.script, "script"),
        io_read_bytes_per_s=0 if spec.io_read is None else parse_bytes(spec.io_read, what="io_read"),
        io_write_bytes_per_s=0 if spec.io_write is None else parse_bytes(spec.io_write, what="io_write"),
        io_weight=parse_count(spec.io_weight, what="io_weight", most=1000),
        secrets=[pb.Secret(name=_text(name, "secrets"), value=_secret(name, value)) for name, value in (spec.secrets or {}).items()],
        private_tmp=spec.private_tmp,
        login_environment=spec.login,
        umask=None if spec.umask is None else parse_count(spec.umask, what="umask", most=0o777),
        process_limits=[_limit(name, value) for name, value in (spec.limits or {}).items()],
        model_outputs=[_model_output(name, path) for name, path in (spec.model_outputs or {}).items()],
    )


def job_without_command(spec: JobSpec) -> pb.JobSpec:
    """What else is asked of a job whose command the daemon makes, with the whole environment."""
    wire = job_spec(replace(spec, command=["-"]))
    wire.ClearField("command")
    if not wire.environment:
        wire.environment.extend(_variables(captured_environment()))
    return wire


def _model_output(name: str, path: "str | os.PathLike[str]") -> pb.ModelOutput:
    model, colon, branch = _text(name, "model_outputs").partition(":")
    where = _text(os.fspath(path), f"model_outputs {name}")
    if not model or not where or (colon and not branch):
        raise InvalidArgument(f"model_outputs has {name!r}: {where!r}", hint='write it like {"digits": "model.onnx"} or {"digits:try": "model.onnx"}')
    return pb.ModelOutput(model=model, branch=branch, path=where)


def _secret(name: str, value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise InvalidArgument(f"secret {name!r} is neither bytes nor text", hint='for example {"TOKEN": Path("token").read_bytes()}')


def _limit(name: str, value: object) -> pb.ProcessLimit:
    soft, hard = value if isinstance(value, tuple) and len(value) == 2 else (value, value)
    numbers = [number for number in (soft, hard) if isinstance(number, int) and not isinstance(number, bool) and -1 <= number < 1 << 63]
    if len(numbers) != 2:
        raise InvalidArgument(f"limit {name} cannot be {value!r}", hint='give a number or (soft, hard), as in {"nofile": (1024, 4096)}; -1: no limit')
    return pb.ProcessLimit(name=_text(name, "limits"), soft=numbers[0], hard=numbers[1])


def captured_environment() -> dict[str, str]:
    """This process's environment, less what belongs to the job it may be, and less what is not text and cannot travel."""
    left_out = _SECRET | _OF_ONE_JOB | _OF_ONE_GRANT if "AIOS_JOB_ID" in os.environ else _SECRET | _OF_ONE_JOB
    return {name: value for name, value in os.environ.items() if name not in left_out and _is_text(name) and _is_text(value)}


def job_filter(
    ids: Iterable[str | int | JobRecord], states: Iterable[State | str], users: Iterable[str], queues: Iterable[str],
    labels: Mapping[str, str] | None, name: str, include_ended: bool, include_elements: bool,
) -> pb.JobFilter:  # fmt: skip
    phases = [_phase(state) for state in ([states] if isinstance(states, str) else states)]
    return pb.JobFilter(
        ids=[ref_text(ref) for ref in ([ids] if isinstance(ids, str | int | JobRecord) else ids)],
        phases=phases,
        users=[users] if isinstance(users, str) else users,
        queues=[queues] if isinstance(queues, str) else queues,
        labels=_labels(labels),
        name=_text(name, "name"),
        include_ended=include_ended,
        include_elements=include_elements,
    )


def update(ref: str, changes: JobChanges) -> pb.UpdateJobRequest:
    given = {name: value for name, value in changes.items() if value is not None}
    unknown = given.keys() - JobChanges.__annotations__.keys()
    if unknown or not given:
        what = f"cannot change {', '.join(sorted(unknown))}" if unknown else "nothing was named to change"
        raise InvalidArgument(f"job {ref}: {what}", hint=f"allowed: {', '.join(JobChanges.__annotations__)}")
    time, begin, deadline, cpus, memory = (changes.get(name) for name in ("time", "begin", "deadline", "cpus", "memory"))
    limit, nice = changes.get("array_limit"), changes.get("nice")
    return pb.UpdateJobRequest(
        id=ref,
        priority=changes.get("priority"),
        time_limit_s=None if time is None else parse_seconds(_amount(time), what="time", zero=True),
        begin_at_s=None if begin is None else parse_time(_amount(begin), what="begin"),
        deadline_at_s=None if deadline is None else parse_time(_amount(deadline), what="deadline"),
        queue=changes.get("queue"),
        qos=changes.get("qos"),
        name=changes.get("name"),
        cpu_millis=None if cpus is None else parse_millis(_amount(cpus)),
        memory_bytes=None if memory is None else parse_bytes(changes.get("memory") or 0, what="memory"),
        array_limit=None if limit is None else parse_count(limit, what="array_limit"),
        labels=_labels(changes.get("labels")),
        nice=None if nice is None else parse_count(nice, what="nice", least=-20, most=19),
    )


def _amount(value: object) -> str | float:
    if isinstance(value, str | int | float):
        return value
    raise InvalidArgument(f"{value!r} is neither text nor a number")


def _command(spec: JobSpec) -> list[str]:
    if isinstance(spec.command, str):
        words = ["/bin/sh", "-c", spec.command] if spec.command.strip() else []
    else:
        words = [os.fspath(word) if isinstance(word, os.PathLike) else word for word in spec.command]
    for word in words:
        if not isinstance(word, str):
            raise InvalidArgument(f"command has the word {word!r}, which is not text", hint='give every word as text: ["python", "train.py", "0.1"]')
    if not spec.script and (not words or not words[0]):
        raise InvalidArgument("command is empty: there is nothing to run", hint='for example ["python", "train.py"]')
    return [_text(word, "command") for word in words]


def _environment(spec: JobSpec) -> list[pb.EnvironmentVariable]:
    """Empty where the shared copy of the caller's environment is all that is wanted."""
    if not spec.env and spec.inherit_env:
        return []
    for name, value in (spec.env or {}).items():
        if not name or "=" in name:
            raise InvalidArgument(f"env has the name {name!r}", hint="a name is not empty and has no '='")
        _text(name, "env"), _text(value, f"env {name}")
    base = captured_environment() if spec.inherit_env else {}
    wanted = {**base, **(spec.env or {})}
    return _variables(wanted or {"PATH": os.defpath})  # an empty one would mean the shared copy


def _variables(environment: Mapping[str, str]) -> list[pb.EnvironmentVariable]:
    return [pb.EnvironmentVariable(name=name, value=value) for name, value in environment.items()]


def _request(spec: JobSpec) -> resources_pb2.Request:
    devices = [] if spec.gres is None else list(parse_devices(spec.gres))
    gpu = None if spec.gpus is None and spec.gpu_memory is None else parse_gpus(1 if spec.gpus is None else spec.gpus, memory=spec.gpu_memory)
    if gpu is not None:
        if any(one.kind == "gpu" for one in devices):
            raise InvalidArgument("gpus and gres both ask for GPUs", hint="name them once")
        devices.insert(0, gpu)
    return resources_pb2.Request(
        cpu_millis=0 if spec.cpus is None else parse_millis(spec.cpus, what="cpus"),
        memory_bytes=0 if spec.memory is None else parse_bytes(spec.memory, what="memory"),
        devices=[_device(one) for one in devices],
        disk_bytes=0 if spec.disk is None else parse_bytes(spec.disk, what="disk"),
        exclusive=spec.exclusive,
    )


def reservation(begin: Moment, length: Duration, users: str | Iterable[str], what: JobSpec, reason: str) -> resources_pb2.Reservation:
    """`what` is a job that asks for what is to be kept."""
    names = users.split(",") if isinstance(users, str) else list(users)
    from_s = parse_time(begin, what="begin")
    return resources_pb2.Reservation(
        from_s=from_s,
        until_s=from_s + parse_seconds(length, what="length"),
        users=[_text(name.strip(), "users") for name in names if name.strip()],
        request=_request(what),
        reason=_text(reason, "reason"),
    )


def _device(one: DeviceRequest) -> resources_pb2.DeviceRequest:
    return resources_pb2.DeviceRequest(kind=_text(one.kind, "gres"), millis=one.millis, model=_text(one.model, "gpus"), memory_bytes=one.memory_bytes)


def _retry(spec: JobSpec) -> pb.RetryPolicy:
    names = spec.retry_on.split(",") if isinstance(spec.retry_on, str) else list(spec.retry_on)
    names = [name.strip().lower() for name in names if name.strip()]
    for name in names:
        if name not in _CONDITIONS:
            raise InvalidArgument(f"retry_on {name!r} is not known", hint=f"allowed: {', '.join(_CONDITIONS)}")
    return pb.RetryPolicy(
        retries=parse_count(spec.retries, what="retries", most=1_000_000),
        conditions=[_CONDITIONS[name] for name in dict.fromkeys(names)],
        backoff_s=_seconds(spec.backoff, "backoff"),
        backoff_max_s=_seconds(spec.backoff_max, "backoff_max"),
        oom_memory_factor=_factor(spec.retry_memory_factor),
        oom_memory_max_bytes=0 if spec.retry_memory_max is None else parse_bytes(spec.retry_memory_max, what="retry_memory_max"),
    )


def _factor(given: float) -> float:
    """Of memory after running out of it; 0 leaves it to the daemon."""
    if given and not 1 <= given <= 100:
        raise InvalidArgument(f"retry_memory_factor must be 1 to 100, not {given}", hint="2 asks for twice as much after running out of memory")
    return float(given)


def _refs(given: "str | int | JobRecord | Iterable[str | int | JobRecord] | None") -> list[str]:
    if given is None or given == "":
        return []
    if isinstance(given, str):
        return [ref_text(part) for part in given.split(",")]
    if isinstance(given, int | JobRecord):
        return [ref_text(given)]
    return [ref_text(one) for one in given]


def _seconds(given: str | float | None, what: str) -> float:
    return 0.0 if given is None else parse_seconds(given, what=what)


def _labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    return {_text(name, "labels"): _text(value, f"labels {name}") for name, value in (labels or {}).items()}


def _output_path(given: "str | os.PathLike[str] | None", cwd: str, what: str) -> str:
    return "" if given is None or not os.fspath(given) else _text(os.path.join(cwd, os.path.expanduser(os.fspath(given))), what)


def _phase(state: State | str) -> str:
    try:
        known = State(str(state).lower().replace("-", "_"))
    except ValueError:
        known = State.UNKNOWN
    if known is State.UNKNOWN:
        raise InvalidArgument(f"state {state!r} is not known", hint=f"allowed: {', '.join(State)}")
    return f"JOB_PHASE_{known.upper()}"


def _text(value: object, what: str) -> str:
    """Text that can travel and that a system call takes."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{what} {value!r} is not text", hint=f'for example "{value}"')
    if "\0" in value:
        raise InvalidArgument(f"{what} {value[:60]!r} has a NUL byte", hint="no argument, name or variable of a process can hold one")
    if not _is_text(value):
        raise InvalidArgument(f"{what} {value[:60]!r} is not valid UTF-8", hint="rename the file or decode the bytes with their own encoding")
    return value


def _is_text(value: str) -> bool:
    return value.isascii() or not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)

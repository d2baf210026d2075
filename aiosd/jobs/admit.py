"""From a draft to a specification: checks everything a caller can get wrong, fills in every default."""

import math
import posixpath
import re
from collections.abc import Mapping, Sequence

from aiosd.errors import FailedPrecondition, InvalidArgument, NotFound
from aiosd.ids import JobId, parse_job_id
from aiosd.jobs.confine import check_limits, check_secrets, check_umask
from aiosd.jobs.draft import JobDraft, RetryDraft
from aiosd.jobs.job import ArraySpec, Dependency, DependencyKind, Environment, JobSpec, ModelOutput, RetryCondition, RetryPolicy
from aiosd.jobs.ranges import parse_array
from aiosd.jobs.settings import JobsSettings
from aiosd.resources.defaults import complete_request
from aiosd.resources.inventory import Inventory
from aiosd.resources.limits import check_amount
from aiosd.scheduling.rules import QosSettings, QueueSettings
from aiosd.units import format_bytes, format_seconds

MAX_ARGUMENT_BYTES = 131_071  # of the kernel (MAX_ARG_STRLEN less the terminating NUL): a longer one cannot be executed
MAX_NAME = 256
LEAST_RATE = 4096  # bytes a second: one page; less would stand still
_POSITION = re.compile(r"#\d{1,9}")  # int() of a longer one may raise ValueError
MAX_LABELS = 64
MAX_MEMORY_FACTOR = 100
MAX_OUTPUTS = 64
SIGNALS = frozenset({"HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "CONT", "WINCH", "URG", "ALRM"})


def admit(draft: JobDraft, environment: Environment, settings: JobsSettings, queues: Mapping[str, QueueSettings], inventory: Inventory) -> JobSpec:
    """The specification of a job. Raises InvalidArgument, NotFound or FailedPrecondition naming the field and the value.

    Dependencies on a position in the same call ("#1") are resolved by the engine, which knows the numbers.
    """
    queue, qos = open_queue(draft.queue or settings.default_queue, queues), known_qos(draft.qos, settings)
    _check_command(draft, environment, settings)
    wish = draft.request
    return JobSpec(
        name=_name(draft),
        command=draft.command,
        cwd=_directory(draft.cwd),
        environment=environment,
        request=complete_request(
            cpu_millis=wish.cpu_millis,
            memory_bytes=wish.memory_bytes,
            devices=wish.devices,
            disk_bytes=wish.disk_bytes,
            exclusive=wish.exclusive,
            inventory=inventory,
            default_cpu_millis=settings.default_cpu_millis,
        ),
        array=_array(draft.array, settings),
        time_limit_s=time_limit(draft.time_limit_s, queue, settings.scheduling.qos.get(qos)),
        grace_s=check_seconds("grace_s", draft.grace_s) or settings.grace_s,
        retry=_retry(draft.retry, settings, wish.memory_bytes),
        begin_at_s=check_seconds("begin_at_s", draft.begin_at_s),
        deadline_at_s=check_seconds("deadline_at_s", draft.deadline_at_s),
        priority=check_priority(draft.priority),
        nice=check_nice(draft.nice),
        queue=queue.name,
        qos=qos,
        account=_word("account", draft.account),
        labels=check_labels(draft.labels),
        held=draft.held,
        stdout_path=_no_nul("stdout_path", draft.stdout_path),
        stderr_path=_no_nul("stderr_path", draft.stderr_path),
        stdin_open=draft.stdin_open,
        preemptible=draft.preemptible,
        checkpoint_signal=_signal(draft.checkpoint_signal),
        notify_command=_no_nul("notify_command", draft.notify_command),
        script=_no_nul("script", draft.script),
        io_read_bytes_per_s=_rate("io_read_bytes_per_s", draft.io_read_bytes_per_s),
        io_write_bytes_per_s=_rate("io_write_bytes_per_s", draft.io_write_bytes_per_s),
        io_weight=_io_weight(draft.io_weight),
        secrets=check_secrets(draft.secrets),
        secrets_at=draft.secrets_at,
        private_tmp=draft.private_tmp or settings.private_tmp,
        login_environment=draft.login_environment,
        umask=settings.umask if draft.umask is None else check_umask(draft.umask),
        process_limits=check_limits(draft.process_limits),
        model_outputs=_outputs(draft.model_outputs),
        open_cpus=not wish.cpu_millis,
        open_memory=not wish.memory_bytes,
    )


def dependencies(draft: JobDraft, position: int, numbers: range) -> tuple[Dependency, ...]:
    """The draft's dependencies with "#1" (position in the same call) turned into ids. Itself, and what does not exist yet, is refused."""
    found = []
    for kind, text in draft.dependencies:
        if kind not in tuple(DependencyKind):
            raise InvalidArgument(f"dependency kind {kind!r} is not known", hint=f"use one of {', '.join(DependencyKind)}")
        found.append(Dependency(DependencyKind(kind), _dependency_id(text, position, numbers)))
    return tuple(dict.fromkeys(found))


def _dependency_id(text: str, position: int, numbers: range) -> JobId:
    if text.startswith("#"):
        if not _POSITION.fullmatch(text) or not int(text[1:]) < len(numbers):
            raise InvalidArgument(f"dependency {text[:40]!r} names no job of this call", hint=f"positions go from #0 to #{len(numbers) - 1}")
        job_id = JobId(numbers[int(text[1:])])
    else:
        parsed = parse_job_id(text)
        if parsed is None:
            raise InvalidArgument(f"dependency {text[:40]!r} is not a job id", hint='write "42", or "42.7" for one element of an array')
        job_id = parsed
    if job_id.number == numbers[position]:
        raise InvalidArgument(f"job {job_id} cannot depend on itself", hint="name a job that was submitted before")
    if job_id.number > numbers[-1]:
        raise NotFound(f"there is no job {job_id} to depend on", hint="see `aiosctl ps -a`")
    return job_id


def open_queue(name: str, queues: Mapping[str, QueueSettings]) -> QueueSettings:
    found = queues.get(name)
    if found is None:
        raise NotFound(f"there is no queue {name!r}", hint=f"queues: {', '.join(sorted(queues))}", queue=name)
    if not found.open:
        raise FailedPrecondition(f"queue {name!r} is closed: it takes no submissions", hint="use another queue, or ask the operator to open it", queue=name)
    return found


def known_qos(name: str, settings: JobsSettings) -> str:
    """Raises NotFound."""
    if name and name not in settings.scheduling.qos:
        known = ", ".join(settings.scheduling.qos) or "there are none: an operator adds a section [qos.NAME] to the configuration"
        raise NotFound(f"there is no QoS {name[:70]!r}", hint=f"known: {known}", qos=name[:70])
    return name


def time_limit(asked_s: float, queue: QueueSettings, qos: QosSettings | None = None) -> float:
    """The limit that applies in `queue` and under `qos`; 0 is none."""
    bounds = {f"queue {queue.name!r}": queue.max_time_limit_s, f"QoS {qos.name!r}" if qos is not None else "": qos.max_time_limit_s if qos is not None else 0.0}
    who, most_s = min(((who, most_s) for who, most_s in bounds.items() if most_s), key=lambda bound: bound[1], default=("", 0.0))
    chosen = check_seconds("time_limit_s", asked_s)
    if not chosen:
        chosen = min(queue.default_time_limit_s or most_s, most_s) if most_s else queue.default_time_limit_s
    if most_s and chosen > most_s:
        raise InvalidArgument(
            f"a time limit of {format_seconds(chosen)} is more than {who} allows: {format_seconds(most_s)}",
            hint=f"ask for at most {format_seconds(most_s)}",
            asked=chosen,
            allowed=most_s,
        )
    return chosen


def _check_command(draft: JobDraft, environment: Environment, settings: JobsSettings) -> None:
    if not draft.script and (not draft.command or not draft.command[0]):
        raise InvalidArgument("the command is empty", hint="give at least the program to run")
    total = 0
    for at, argument in enumerate(draft.command):
        _no_nul(f"argument {at}", argument)
        size = len(argument.encode("utf-8", "surrogateescape"))
        if size > MAX_ARGUMENT_BYTES:
            raise InvalidArgument(
                f"argument {at} of the command has {format_bytes(size)}; the kernel takes at most {MAX_ARGUMENT_BYTES} bytes in one",
                hint="put it into a file and pass the file's name",
                argument=at,
                size=size,
                allowed=MAX_ARGUMENT_BYTES,
            )
        total += size + 1
    if total > settings.max_command_bytes:
        raise InvalidArgument(
            f"the command has {format_bytes(total)}, more than the {format_bytes(settings.max_command_bytes)} allowed", hint="put its arguments into a file"
        )
    if len(draft.script.encode()) > settings.max_command_bytes:
        raise InvalidArgument(f"the script has {format_bytes(len(draft.script.encode()))}, more than the {format_bytes(settings.max_command_bytes)} allowed")
    _check_environment(environment.variables, settings.max_environment_bytes)


def _check_environment(variables: Mapping[str, str], allowed: int) -> None:
    total = 0
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name:
            raise InvalidArgument(f"environment variable name {name!r} is empty or has a '=' or NUL in it")
        _no_nul(f"environment variable {name}", value)
        size = len(name) + len(value.encode("utf-8", "surrogateescape")) + 2
        if size > MAX_ARGUMENT_BYTES:
            raise InvalidArgument(
                f"environment variable {name} has {format_bytes(size)}; the kernel takes at most {MAX_ARGUMENT_BYTES} bytes in one", hint="put it into a file"
            )
        total += size
    if total > allowed:
        raise InvalidArgument(
            f"the environment has {format_bytes(total)}, more than the {format_bytes(allowed)} allowed",
            hint="unset what the job does not need, or use files",
            size=total,
            allowed=allowed,
        )


def _name(draft: JobDraft) -> str:
    if draft.name:
        return check_name(draft.name)
    program = posixpath.basename(draft.command[0]) if draft.command else "script"
    return program if program and len(program) <= MAX_NAME and program.isprintable() and parse_job_id(program) is None else "job"


def check_name(name: str) -> str:
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidArgument(f"job name {name[:40]!r} is empty, not printable or longer than {MAX_NAME} characters")
    if parse_job_id(name) is not None:
        raise InvalidArgument(f"job name {name!r} looks like a job id", hint="use a name with a letter in it")
    return name


def _directory(cwd: str) -> str:
    if not cwd.startswith("/"):
        raise InvalidArgument(f"working directory {cwd!r} is not absolute", hint="give the full path")
    return _no_nul("cwd", cwd)


def _array(text: str, settings: JobsSettings) -> ArraySpec | None:
    if not text:
        return None
    indices, limit = parse_array(text, settings.max_array_elements)
    return ArraySpec(text, indices, limit)


def _retry(draft: RetryDraft, settings: JobsSettings, memory_bytes: int) -> RetryPolicy:
    if not 0 <= draft.retries <= 1000:
        raise InvalidArgument(f"retries must be 0 to 1000, not {draft.retries}")
    wrong = [c for c in draft.conditions if c not in tuple(RetryCondition)]
    if wrong:
        raise InvalidArgument(f"retry condition {wrong[0]!r} is not known", hint=f"use some of {', '.join(RetryCondition)}")
    factor, most = draft.oom_memory_factor or settings.oom_memory_factor, draft.oom_memory_max_bytes
    if not 1 <= factor <= MAX_MEMORY_FACTOR:
        raise InvalidArgument(f"the memory factor of retries must be 1 to {MAX_MEMORY_FACTOR}, not {factor}", hint="1 asks for as much as before")
    check_amount("oom_memory_max_bytes", most)
    if most and most < memory_bytes:
        raise InvalidArgument(
            f"retries may ask for at most {format_bytes(most)} of memory, and the job asks for {format_bytes(memory_bytes)} from the beginning",
            hint="raise the most that retries may ask for, or leave it out",
        )
    return RetryPolicy(
        retries=draft.retries,
        conditions=frozenset(map(RetryCondition, draft.conditions)) or RetryPolicy().conditions,
        backoff_s=check_seconds("backoff_s", draft.backoff_s) or settings.retry_backoff_s,
        backoff_max_s=check_seconds("backoff_max_s", draft.backoff_max_s) or settings.retry_backoff_max_s,
        oom_memory_factor=factor,
        oom_memory_max_bytes=most,
    )


def check_priority(priority: int) -> int:
    if not -1_000_000 <= priority <= 1_000_000:
        raise InvalidArgument(f"priority must be -1000000 to 1000000, not {priority}", asked=priority)
    return priority


def check_nice(nice: int) -> int:
    if not -20 <= nice <= 19:
        raise InvalidArgument(f"nice must be -20 to 19, not {nice}", asked=nice)
    return nice


def check_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    if len(labels) > MAX_LABELS:
        raise InvalidArgument(f"a job has at most {MAX_LABELS} labels, not {len(labels)}")
    for key, value in labels.items():
        if not key or len(key) > 63 or not key.isprintable() or len(value) > 255 or (value and not value.isprintable()):
            raise InvalidArgument(f"label {key[:63]!r}={value[:40]!r} is not fit", hint="keys have 1 to 63 printable characters, values at most 255")
    return dict(labels)


def check_seconds(field: str, value: float) -> float:
    if not math.isfinite(value) or value < 0 or value > 1e12:
        raise InvalidArgument(f"{field} must be a number of seconds from 0 to 1e12, not {value}", field=field)
    return value


def _rate(field: str, amount: int) -> int:
    if amount < 0 or 0 < amount < LEAST_RATE:
        raise InvalidArgument(
            f"{field} must be 0 (no limit) or at least {LEAST_RATE} bytes a second, not {amount}", hint="for example 200M", field=field, asked=amount
        )
    return amount


def _io_weight(weight: int) -> int:
    if not 0 <= weight <= 1000:
        raise InvalidArgument(f"io_weight must be 1 to 1000, or 0 for the default of 100, not {weight}", field="io_weight", asked=weight)
    return weight


def _outputs(given: Sequence[tuple[str, str, str]]) -> tuple[ModelOutput, ...]:
    if len(given) > MAX_OUTPUTS:
        raise InvalidArgument(f"a job has at most {MAX_OUTPUTS} model outputs, not {len(given)}", hint="register a directory", field="model_outputs")
    found = tuple(ModelOutput(model, branch, _no_nul("model_outputs", path)) for model, branch, path in given)
    names = [f"{one.model}:{one.branch}" for one in found]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise InvalidArgument(f"two model outputs are for {twice}", hint="give each a model or a branch of its own", field="model_outputs")
    return found


def _word(field: str, text: str) -> str:
    if len(text) > MAX_NAME or (text and not text.isprintable()):
        raise InvalidArgument(f"{field} {text[:40]!r} is not printable or longer than {MAX_NAME} characters")
    return text


def _signal(name: str) -> str:
    short = name.upper().removeprefix("SIG")
    if short and short not in SIGNALS:
        raise InvalidArgument(f"checkpoint signal {name!r} is not known", hint=f"use one of {', '.join(sorted(SIGNALS))}")
    return short


def _no_nul(field: str, text: str) -> str:
    if "\0" in text:
        raise InvalidArgument(f"{field} has a NUL byte in it at position {text.index(chr(0))}", field=field)
    return text

"""`show`: all about a job, in sections."""

import time
from collections.abc import Iterable, Iterator

import click

from aios.errors import AiosError
from aios.records import JobRecord
from aios.units import format_seconds
from aiosctl import describe, session
from aiosctl.completing import JOB
from aiosctl.failures import leave, status_of, tell
from aiosctl.lazy import verb
from aiosctl.options import output_options
from aiosctl.output import Shape, print_one, print_rows, section
from aiosctl.status import worst


@verb("aiosctl show 42", "aiosctl show 42 -o json", "aiosctl show 42.7 -o wide")
@click.argument("jobs", nargs=-1, required=True, type=JOB, metavar="JOB...")
@click.option("--env", "with_environment", is_flag=True, help="The environment too; -o wide has it in any case.")
@output_options
def show(jobs: tuple[str, ...], with_environment: bool, shape: Shape) -> None:
    """Show all about jobs: what was asked, what they hold, where they stand, how they ended."""
    found: list[JobRecord] = []
    statuses = [0]
    with session.connect() as client:
        for ref in jobs:
            try:
                found.append(client.job(ref, with_environment=with_environment or shape.format == "wide"))
            except AiosError as error:
                tell(str(error), error.hint)
                statuses.append(status_of(error))
    _print(found, shape, several=len(jobs) > 1)
    leave(worst(statuses))


def _print(found: list[JobRecord], shape: Shape, *, several: bool) -> None:
    """One as itself; several as a list in JSON and YAML, and with an empty line between them for people."""
    if several and shape.format in ("json", "yaml", "name"):
        print_rows(found, [], lambda job: job.id, shape)
        return
    for position, job in enumerate(found):
        if position:
            print()
        print_one(job, layout, lambda j: j.id, shape)


def layout(job: JobRecord, wide: bool) -> Iterator[str]:
    now_s = time.time()
    for title, pairs in _sections(job, wide, now_s):
        yield from section(title, pairs)


def _sections(job: JobRecord, wide: bool, now_s: float) -> Iterator[tuple[str, Iterable[tuple[str, str]]]]:
    yield f"Job {describe.job_id(job)}", _identity(job)
    yield "Asked for", _asked(job)
    yield "Holds" if job.state.active else "Held", _granted(job)
    yield "Times", _times(job, now_s)
    if job.array:
        yield "Array", _array(job)
    yield "Progress", [("said", describe.progress(job) if not job.array else ""), ("at", describe.moment(job.progress.at_s) if job.progress else "")]
    yield "End", _end(job)
    if job.run:
        yield "Output", [("stdout", describe.private(job, job.run.stdout_path)), ("stderr", describe.private(job, job.run.stderr_path))]
    yield "Models and data", [
        ("read", describe.versions((*job.datasets_read, *job.models_read))), ("made", describe.versions((*job.models_made, *job.datasets_made)))
    ]  # fmt: skip
    if job.environment or wide:
        yield "Environment", sorted(job.environment.items())
    if wide and job.script:
        yield "Script", [(str(number), line or " ") for number, line in enumerate(job.script.splitlines(), 1)]


def _identity(job: JobRecord) -> list[tuple[str, str]]:
    labels = " ".join(f"{name}={value}" for name, value in sorted(job.labels.items()))
    return [
        ("name", describe.name(job)), ("user", job.user), ("state", job.state.value), ("reason", job.reason), ("command", describe.command(job)),
        ("directory", describe.private(job, job.cwd)), ("queue", job.queue), ("QoS", job.qos), ("account", job.account), ("priority", str(job.priority)),
        ("labels", describe.private(job, labels)), ("hidden", "what is another user's alone" if job.redacted else ""),
    ]  # fmt: skip


def _asked(job: JobRecord) -> list[tuple[str, str]]:
    request = job.request
    after = ", ".join(f"{d.kind} {d.job_id}" for d in job.dependencies)
    conditions = f" on {', '.join(job.retry.conditions)}" if job.retry.conditions else ""
    return [
        ("cpus", describe.cpus(request)), ("memory", describe.size(request.memory_bytes) or describe.NONE), ("devices", describe.devices(request)),
        ("learned", job.rightsizing), ("disk", describe.size(request.disk_bytes)),
        ("time limit", format_seconds(job.time_limit_s) if job.time_limit_s else ""),
        ("begin", describe.moment(job.begin_at_s)), ("deadline", describe.moment(job.deadline_at_s)), ("dependencies", after),
        ("retries", f"{job.retry.retries}{conditions}{_raising(job)}" if job.retry.retries else ""), ("nice", str(job.nice) if job.nice else ""),
        ("disk traffic", _traffic(job)),
        ("preemptible", "yes" if job.preemptible else ""), ("notify", job.notify_command),
        ("secrets", ", ".join(job.secrets)), ("private /tmp", "yes" if job.private_tmp else ""), ("login", "yes" if job.login else ""),
        ("umask", f"{job.umask:03o}" if job.umask not in (None, 0o022) else ""), ("limits", describe.limits(job)),
        ("registers", ", ".join(f"{path} as {name}" for name, path in job.model_outputs.items()) + (" (under way)" if job.registering else "")),
    ]  # fmt: skip


def _raising(job: JobRecord) -> str:
    factor, most = job.retry.oom_memory_factor, job.retry.oom_memory_max_bytes
    if factor <= 1 or (job.retry.conditions and "oom" not in job.retry.conditions):
        return ""
    return f"; {factor:g} times the memory after running out of it" + (f", at most {describe.size(most)}" if most else "")


def _traffic(job: JobRecord) -> str:
    rates = (("read", job.io_read_bytes_per_s), ("write", job.io_write_bytes_per_s))
    words = [f"{what} {describe.size(rate)}/s" for what, rate in rates if rate]
    return ", ".join([*words, *([f"weight {job.io_weight}"] if job.io_weight else [])])


def _granted(job: JobRecord) -> list[tuple[str, str]]:
    if job.grant is None:
        return []
    pid = str(job.run.pid) if job.run and job.run.pid and job.state.active else ""
    return [
        ("processors", describe.granted_cpus(job.grant)),
        ("memory", describe.size(job.grant.memory_bytes)),
        ("devices", describe.granted_devices(job.grant)),
        ("pid", pid),
    ]


def _times(job: JobRecord, now_s: float) -> list[tuple[str, str]]:
    waited = format_seconds(job.outcome.wait_s) if job.outcome and job.run else ""
    return [
        ("submitted", describe.ago(job.submitted_at_s, now_s)), ("started", describe.ago(job.started_at_s, now_s)),
        ("ended", describe.ago(job.ended_at_s, now_s)),
        ("waited", waited), ("ran", describe.run_time(job, now_s) if job.run else ""), ("attempt", str(job.attempt) if job.attempt > 1 else ""),
        ("preempted", f"{job.preemptions} time{'s' if job.preemptions > 1 else ''}" if job.preemptions else ""),
    ]  # fmt: skip


def _array(job: JobRecord) -> list[tuple[str, str]]:
    array = job.array
    if array is None:
        return []
    limit = f" (at most {array.limit} at once)" if array.limit else ""
    waiting = f"{array.pending}" + (f": {array.pending_ranges}" if array.pending_ranges else "")
    ended = [("succeeded", str(array.succeeded)), ("failed", str(array.failed))]
    return [("elements", f"{array.total}{limit}"), ("waiting", waiting), ("active", str(array.active)), *ended]


def _end(job: JobRecord) -> list[tuple[str, str]]:
    if job.outcome is None:
        return []
    usage = job.outcome.usage
    oom = {True: "yes", False: "", None: ""}[job.outcome.oom_killed]
    return [
        ("how", describe.ending(job) or ("exit 0" if job.outcome.exit_code == 0 else "")), ("out of memory", oom),
        ("cpu time", f"{format_seconds(usage.cpu_user_s)} user, {format_seconds(usage.cpu_system_s)} system" if usage.cpu_user_s or usage.cpu_system_s else ""),
        ("memory peak", describe.size(usage.memory_peak_bytes)), ("waited for", _pressure(job)),
        ("killed for memory", f"{usage.oom_kills} processes" if usage.oom_kills > 1 else ""),
    ]  # fmt: skip


def _pressure(job: JobRecord) -> str:
    """How long it was held up, where that was long enough to be noticed."""
    if job.outcome is None:
        return ""
    usage = job.outcome.usage
    waits = (("processors", usage.cpu_pressure_s), ("memory", usage.memory_pressure_s), ("disks", usage.io_pressure_s))
    return ", ".join(f"{what} {format_seconds(seconds)}" for what, seconds in waits if seconds >= 0.1)

"""How the parts of a job read in one cell: ids, times, amounts, progress, reasons."""

import time
from collections.abc import Iterable

from aios.records import JobRecord, State
from aios.resources import DeviceRequest, Grant, Request
from aios.units import format_bytes, format_millis, format_seconds

COLOURS = {
    State.RUNNING: "green",
    State.STARTING: "green",
    State.SUCCEEDED: "dim",
    State.FAILED: "red",
    State.TIMED_OUT: "red",
    State.OUT_OF_MEMORY: "red",
    State.LOST: "red",
    State.CANCELLED: "yellow",
    State.SKIPPED: "yellow",
    State.STOPPING: "yellow",
    State.SUSPENDED: "cyan",
    State.HELD: "cyan",
}
NONE = "-"


def job_id(job: JobRecord) -> str:
    """`42`, `42.7`, and an array as `42[0-99%8]`."""
    return f"{job.id}[{job.array_spec}]" if job.is_array else job.id


def state_colour(job: JobRecord) -> str:
    return COLOURS.get(job.state, "")


def run_time(job: JobRecord, now_s: float) -> str:
    """How long it ran, or has run."""
    if job.outcome and job.run:
        return format_seconds(round(job.outcome.run_s, 2 if job.outcome.run_s < 10 else 0))
    if job.started_at_s and not job.ended:
        return format_seconds(max(0, int(now_s - job.started_at_s)))
    return NONE


def moment(at_s: float) -> str:
    """Local date and time, to the second; nothing for never."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s)) if at_s else ""


def ago(at_s: float, now_s: float) -> str:
    return f"{moment(at_s)} ({format_seconds(max(0, int(now_s - at_s)))} ago)" if at_s else ""


def amount(size_bytes: int) -> str:
    """A size without the space, for a column of a table: `1.5GiB`; `-` for the default. Elsewhere it is `1.5 GiB`."""
    return format_bytes(size_bytes).replace(" ", "") if size_bytes else NONE


def size(size_bytes: int) -> str:
    """A size where there is room for words; nothing for none."""
    return format_bytes(size_bytes) if size_bytes else ""


def cpus(request: Request) -> str:
    return "all" if request.exclusive else format_millis(request.cpu_millis) if request.cpu_millis else NONE


def device(request: DeviceRequest) -> str:
    """`2 gpu`, `1 gpu (a100)`, `0.5 gpu with 10 GiB`."""
    model = f" ({request.model})" if request.model else ""
    memory = f" with {format_bytes(request.memory_bytes)}" if request.memory_bytes else ""
    return f"{format_millis(request.millis)} {request.kind}{model}{memory}"


def gpus(request: Request) -> str:
    millis = sum(d.millis for d in request.devices if d.kind == "gpu")
    return format_millis(millis) if millis else NONE


def devices(request: Request) -> str:
    return ", ".join(device(d) for d in request.devices)


def granted_devices(grant: Grant) -> str:
    return ", ".join(f"{d.kind} {d.index}" + (f" ({format_millis(d.millis)})" if d.millis != 1000 else "") for d in grant.devices)


def granted_cpus(grant: Grant) -> str:
    """By number, `#0-3,8`; a processor that is shared with its part: `#4 (0.5)`."""
    whole = sorted(g.cpu for g in grant.cpus if g.millis >= 1000)
    shared = [f"{g.cpu} ({format_millis(g.millis)})" for g in grant.cpus if g.millis < 1000]
    numbers = ",".join([*_ranges(whole), *shared])
    return f"#{numbers}" if numbers else ""


def numbers(cpus: Iterable[int]) -> str:
    """`0-3,8`."""
    return ",".join(_ranges(sorted(cpus)))


def _ranges(numbers: list[int]) -> list[str]:
    out: list[tuple[int, int]] = []
    for number in numbers:
        if out and out[-1][1] == number - 1:
            out[-1] = (out[-1][0], number)
        else:
            out.append((number, number))
    return [str(a) if a == b else f"{a}-{b}" for a, b in out]


def number(value: float) -> str:
    """A metric in at most six figures: `0.125`, `1e-05`, `3`."""
    return f"{value:.6g}"


def progress(job: JobRecord) -> str:
    """What it has done: an array's elements, or what the job said of itself."""
    if job.array:
        failed = f", {job.array.failed} failed" if job.array.failed else ""
        return f"{job.array.ended}/{job.array.total}{failed}"
    said = job.progress
    if said is None:
        return ""
    done = f"{100 * said.done / said.total:.0f}% {number(said.done)}/{number(said.total)}" if said.total > 0 else ""
    metrics = " ".join(f"{name}={number(value)}" for name, value in sorted(said.metrics.items()))
    return " ".join(part for part in (done, metrics) if part)


def ending(job: JobRecord) -> str:
    """How it ended: `exit 3`, `signal 9 (SIGKILL)`, and the reason where it says more."""
    if job.outcome is None:
        return ""
    how = ""
    if job.outcome.signal is not None:
        how = f"signal {job.outcome.signal}{signal_name(job.outcome.signal)}" + (", core dumped" if job.outcome.core_dumped else "")
    elif job.outcome.exit_code:
        how = f"exit {job.outcome.exit_code}"
    return ": ".join(part for part in (how, "" if says_no_more(job) else job.outcome.reason) if part)


def says_no_more(job: JobRecord) -> bool:
    """Whether the reason of its end only repeats the exit status."""
    outcome = job.outcome
    return outcome is not None and outcome.reason in ("", f"exit code {outcome.exit_code}", f"ended by signal {outcome.signal}")


def versions(named: Iterable[str]) -> str:
    """`mnist@0123456789ab digits@…`, of whole ids."""
    return " ".join(f"{model}@{version[:12]}" for model, _, version in (each.partition("@") for each in named))


def limits(job: JobRecord) -> str:
    """`nofile 1024:4096, core 0`."""

    def number(value: int) -> str:
        return "unlimited" if value < 0 else str(value)

    return ", ".join(f"{name} {number(soft)}" + (f":{number(hard)}" if hard != soft else "") for name, (soft, hard) in job.limits.items())


def signal_name(number: int) -> str:
    from signal import Signals

    try:
        return f" ({Signals(number).name})"
    except ValueError:
        return ""


def reason(job: JobRecord) -> str:
    """The last column of `ps`: progress while it runs, the reason while it waits, the end when it has ended."""
    if job.ended:
        return ", ".join(part for part in (progress(job) if job.array else "", ending(job) or job.reason) if part)
    return progress(job) or job.reason if job.state.active else ", ".join(p for p in (progress(job), job.reason) if p)


def name(job: JobRecord) -> str:
    return private(job, job.name)


def private(job: JobRecord, text: str) -> str:
    """`text`, or `-` where the daemon does not tell it because the job is somebody else's."""
    return NONE if job.redacted else text


def command(job: JobRecord) -> str:
    """The command as one would type it; a script by its name; `-` of somebody else's job."""
    import shlex

    if job.redacted:
        return NONE

    words = shlex.join(job.command)
    return f"{job.name} {words}".rstrip() if job.script else words

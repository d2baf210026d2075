"""How long things take on an idle machine: a job's first instruction, an acknowledged submission, a command, a start."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import aios
from benchmarks import floors, machine, options
from benchmarks.daemon import PrivateDaemon, private_daemon
from benchmarks.report import Report, seconds

_DESCRIPTION = "Submission to first instruction, acknowledged submission, the command line, the daemon's start; each beside its floor."
_COOL_S = 2.5  # after so long without work the spawner has let its warm shims go
_LISTED = 20
_WARM_UP = 5


def add(report: Report, key: str, what: str, values_s: Sequence[float], beside: str = "") -> None:
    middle, most = machine.median(values_s), machine.percentile(values_s, 99)
    floor_s = report.results[beside]["p50_s"] if beside else None
    ratio = f"{middle / floor_s:.2g} x" if isinstance(floor_s, float) else ""
    shown = [seconds(middle), seconds(most), seconds(min(values_s)), ratio, str(len(values_s))]
    report.add(key, what, shown, p50_s=middle, p99_s=most, least_s=min(values_s), n=len(values_s))


def times_s(call: Callable[[], object], count: int) -> list[float]:
    found = []
    for _ in range(count):
        began_s = time.perf_counter()
        call()
        found.append(time.perf_counter() - began_s)
    return found


def first_acts(report: Report, client: aios.Client, command: list[str], count: int, cold: int) -> None:
    """The job tells the wall clock as its first act; its standard output is read when it has ended."""

    def job_s() -> tuple[float, float]:
        began_s = time.time()
        job = client.submit(command).wait(check=True)
        ended_s = time.time()
        return float(job.output()) - began_s, ended_s - began_s

    for _ in range(_WARM_UP):
        job_s()
        floors.first_act_s(command)
    bare, jobs = [], []
    for _ in range(count):
        bare.append(floors.first_act_s(command))
        jobs.append(job_s())
    cool = []
    for _ in range(cold):
        time.sleep(_COOL_S)
        cool.append(job_s()[0])
    add(report, "first_act_floor", "floor: posix_spawn to first instruction", bare)
    add(report, "first_act", "submit to first instruction", [first for first, _ in jobs], "first_act_floor")
    if cool:
        add(report, "first_act_cold", f"  the same after {_COOL_S:g} s of rest", cool, "first_act_floor")
    add(report, "known_end", "submit to known end (wait returns)", [end for _, end in jobs], "first_act_floor")


def submissions(report: Report, daemon: PrivateDaemon, client: aios.Client, count: int) -> None:
    """Of held jobs, so that only the submission is timed. What is acknowledged is on the disk."""
    sync_s = floors.page_sync_s(daemon.state)
    with grpc.insecure_channel(daemon.target) as channel:
        health, nothing = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()

        def empty_call() -> None:
            health.Check(nothing)

        def held() -> None:
            client.submit(["/bin/true"], hold=True)

        for _ in range(_WARM_UP):
            for call in (empty_call, held, sync_s):
                call()
        calls, syncs, submits = [], [], []
        for _ in range(count):
            calls += times_s(empty_call, 1)
            syncs.append(sync_s())
            submits += times_s(held, 1)
    add(report, "sync", "fdatasync of 4 KiB on the same disk", syncs)
    add(report, "empty_call", "empty unary call (health)", calls)
    add(report, "submit_floor", "floor: both together", [sync + call for sync, call in zip(syncs, calls, strict=True)])
    add(report, "submit", "acknowledged submit", submits, "submit_floor")
    client.cancel(*(job.id for job in client.jobs(states=["held"])))


def commands(report: Report, daemon: PrivateDaemon, client: aios.Client, count: int) -> None:
    for _ in range(_LISTED):
        client.submit(["/bin/true"], name="listed", hold=True)
    script = Path(sys.executable).with_name("aiosctl")
    aiosctl = [str(script)] if script.exists() else [sys.executable, "-m", "aiosctl"]
    timed = {
        "python": ("floor: python -c pass", [sys.executable, "-c", "pass"], ""),
        "import_grpc": ("floor: python -c 'import grpc'", [sys.executable, "-c", "import grpc"], ""),
        "help": ("aiosctl --help", [*aiosctl, "--help"], "python"),
        "ps": (f"aiosctl ps, {_LISTED} jobs", [*aiosctl, "ps"], "import_grpc"),
    }
    found: dict[str, list[float]] = {key: [] for key in timed}
    for at in range(count + 1):
        for key, (_, command, _) in timed.items():
            took_s = times_s(lambda command=command: _run(command, daemon), 1)  # type: ignore[misc]
            found[key] += took_s if at else []  # the first fills the caches
    for key, (what, _, beside) in timed.items():
        add(report, key, what, found[key], beside)


def _run(command: list[str], daemon: PrivateDaemon) -> None:
    subprocess.run(command, env=daemon.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, cwd=daemon.root)


def starts(report: Report, daemon: PrivateDaemon, fresh_s: float, count: int) -> None:
    """From exec to the first answered call; beside it, what importing alone costs."""
    found = []
    for _ in range(count):
        daemon.stop()
        found.append(daemon.start())
    imports = "import grpc, sqlalchemy, numpy, structlog, msgspec, google.protobuf"
    add(report, "import_daemon", "floor: importing its libraries", times_s(lambda: _run([sys.executable, "-c", imports], daemon), count))
    add(report, "start", "daemon start to first answer", found, "import_daemon")
    add(report, "start_fresh", "  the same with a new database", [fresh_s], "import_daemon")


def main(argv: Sequence[str] | None = None) -> None:
    parser = options.parser("latency", _DESCRIPTION)
    parser.add_argument("-n", type=options.count, default=200, metavar="N", help="jobs and submissions (default: 200)")
    parser.add_argument("--commands", type=options.count, default=20, metavar="N", help="runs of each command (default: 20)")
    parser.add_argument("--starts", type=options.count, default=5, metavar="N", help="starts of the daemon (default: 5)")
    parser.add_argument("--cold", type=int, default=10, metavar="N", help="jobs after a rest (default: 10; 0: none)")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="ab-") as scratch, private_daemon(state_in=chosen.directory, start=False) as daemon:
        fresh_s = daemon.start()
        program = floors.compiled(floors.FIRST_ACT_C, Path(scratch), "first-act")
        report = Report("latency", machine.facts(daemon.state, chosen.wait_quiet), ("p50", "p99", "least", "of floor", "n"))
        with daemon.client() as client:
            first_acts(report, client, [str(program)] if program else ["/bin/date", "+%s.%N"], chosen.n, chosen.cold)
            submissions(report, daemon, client, chosen.n)
            commands(report, daemon, client, chosen.commands)
        starts(report, daemon, fresh_s, chosen.starts)
    if program is None:
        report.note("there is no C compiler (cc): the job is `date`, whose first act comes after its dynamic linking")
    report.note(f"load after: {' '.join(f'{load:.2f}' for load in os.getloadavg())}")
    report.show()


if __name__ == "__main__":
    main()

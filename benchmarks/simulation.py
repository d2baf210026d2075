"""Jobs simulated in a second, and what each policy with each backfill makes of known traces: a table of markdown."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from numpy.random import default_rng

from aiosd.scheduling.rules import Backfill, BackfillOrder
from aiosd.simulation.cleaning import Rules, clean
from aiosd.simulation.metrics import Metrics, by_user, measure
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.setup import Setup, setup
from aiosd.simulation.traces import read_trace
from aiosd.simulation.workload import lublin
from aiosd.simulation.world import World, simulate
from benchmarks import machine
from benchmarks.options import count
from benchmarks.report import Report, seconds

POLICIES, BACKFILLS = ("fifo", "priority", "fair"), ("off", "easy", "conservative")
PREDICTED = (("fifo", "arrival"), ("fifo", "shortest"), ("fair", "arrival"))  # beside EASY, by what is learned instead of what was asked


@dataclass(frozen=True, slots=True)
class Workload:
    """`estimate`: "actual" where nobody asked for a time limit, so that the scheduler is told how long jobs run."""

    name: str
    machine: Machine
    jobs: Sequence[TraceJob]
    estimate: str = "asked"

    def setup(self, policy: str, backfill: str) -> Setup:
        return setup(policy, backfill, estimate=self.estimate)

    def setups(self, backfills: Sequence[str]) -> Iterator[Setup]:
        """The lines of the table."""
        for backfill in backfills:
            yield from (self.setup(policy, backfill) for policy in POLICIES)
        yield setup("fifo", "easy", "shortest", estimate=self.estimate)
        for policy, order in PREDICTED:
            by_limits = setup(policy, "easy", order, estimate="predicted")
            yield replace(by_limits, rules=replace(by_limits.rules, predict=True))


@dataclass(frozen=True, slots=True)
class Source:
    """A trace of the folder that AIOS_TRACES names; `scale` stretches its gaps."""

    name: str
    file: str
    machine: Machine
    scale: float = 1.0
    estimate: str = "asked"

    def read(self, folder: Path, most: int) -> Workload:
        unit = "gpu" if self.machine.gpus else "cpu"
        raw = read_trace((folder / self.file).read_bytes(), self.file)
        return Workload(self.name, self.machine, clean(raw, self.machine, unit, Rules(scale=self.scale, most=most)).jobs, self.estimate)


SOURCES = (
    Source("KTH-SP2, 100 processors", "hpc_kth_sp2.csv.gz", Machine(100_000)),
    Source("NASA iPSC, 128 nodes, gaps halved", "hpc_nasa_ipsc.csv.gz", Machine(128_000), 0.5, estimate="actual"),
    Source("Lublin-1, 256 processors", "syn_lublin_256.csv.gz", Machine(256_000), estimate="actual"),
    Source("Philly vc1, 8 GPUs, load 0.80", "gpu_philly_vc1.csv.gz", Machine(gpus=8), 18.9980, estimate="actual"),
    Source("Philly vc3, 8 GPUs, load 0.80", "gpu_philly_vc3.csv.gz", Machine(gpus=8), 6.2561, estimate="actual"),
)


def workloads(folder: Path | None, most: int, named: str) -> list[Workload]:
    """The traces that are named so; without a folder a made-up workload."""
    if folder is not None:
        return [source.read(folder, most) for source in SOURCES if named.lower() in source.name.lower()]
    jobs = lublin(default_rng(1), most or 5000, 128)
    return [Workload("made up (Lublin), 128 processors", Machine(128_000), [job._replace(submit_s=2 * job.submit_s) for job in jobs])]


def speed(work: Workload, sample: int) -> Report:
    """Kernel and daemon's code; wall time, and CPU time, which other work on the machine shakes less."""
    report = Report("simulation", {"cpus": machine.cpus(), "jobs": len(work.jobs), "trace": work.name, "sample": sample}, ("jobs/s", "CPU/job", "of"))
    for policy, backfill, events in (("fifo", "off", False), ("fifo", "easy", False), ("fifo", "easy", True)):
        chosen = setup(policy, backfill, estimate=work.estimate, events=events)
        begun_s, cpu_s = perf_counter(), process_time()
        simulate(work.jobs, work.machine, chosen)
        _add(
            report, f"{policy}, {backfill}{', a pass each event' if events else ''}", len(work.jobs), perf_counter() - begun_s, process_time() - cpu_s, "kernel"
        )
    for policy, backfill in (("fifo", "easy"), ("priority", "easy"), ("fair", "easy"), ("fair", "conservative")):
        begun_s, cpu_s = perf_counter(), process_time()
        World(work.jobs[:sample], work.machine, work.setup(policy, backfill)).run(lambda done: None)
        _add(report, f"{policy}, {backfill}", sample, perf_counter() - begun_s, process_time() - cpu_s, "the daemon's code")
    return report


def _add(report: Report, what: str, jobs: int, took_s: float, cpu_s: float, of: str) -> None:
    key = f"{what}, {of}"
    report.add(key, what, (f"{jobs / took_s:,.0f}", seconds(cpu_s / jobs), of), jobs_per_s=jobs / took_s, cpu_s_per_job=cpu_s / jobs)


def table(works: Sequence[Workload], backfills: Sequence[str]) -> None:
    """Printed line by line, because the whole of it takes a while."""
    for work in works:
        begun_s = perf_counter()
        print(f"\n### {work.name}: {len(work.jobs):,} jobs of {len({job.user for job in work.jobs}):,} users\n")
        print("| policy | backfill | run times | wait | bounded slowdown | worst | utilisation | median user | fairness | spread |")
        print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for chosen in work.setups(backfills):
            starts_s = simulate(work.jobs, work.machine, chosen)
            found, middle = measure(work.jobs, starts_s, work.machine), median(by_user(work.jobs, starts_s))
            print(_line(chosen, found, middle), flush=True)
        print(f"\n{perf_counter() - begun_s:.0f} s", file=sys.stderr)


def _line(chosen: Setup, found: Metrics, middle: float) -> str:
    backfill = f"{chosen.rules.backfill}{', shortest first' if chosen.rules.backfill_order is BackfillOrder.SHORTEST else ''}"
    knows = "-" if chosen.rules.backfill is Backfill.OFF else chosen.estimate
    slowdowns = f"{found.bounded_slowdown_mean:,.1f} | {found.bounded_slowdown_max:,.0f}"
    users = f"{middle:,.1f} | {found.fairness:.3f} | {found.user_spread:,.0f}" if found.users > 1 else "- | - | -"
    return f"| {chosen.policy} | {backfill} | {knows} | {_hours(found.wait_mean_s)} | {slowdowns} | {100 * found.utilisation:.1f} % | {users} |"


def _hours(seconds_: float) -> str:
    return f"{seconds_ / 3600:,.2f} h" if seconds_ < 360_000 else f"{seconds_ / 86_400:,.0f} d"


def main(arguments: Sequence[str]) -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__, allow_abbrev=False)
    options.add_argument("--jobs", type=count, default=0, metavar="N", help="only the first N of each trace")
    options.add_argument("--sample", type=count, default=2000, metavar="N", help="jobs for the speed of the daemon's own code")
    options.add_argument("--only", default="", metavar="TEXT", help="only traces whose name has it: kth, nasa, lublin, philly")
    options.add_argument("--table", action="store_true", help="policies x traces instead, as markdown: minutes")
    options.add_argument("--backfills", default=",".join(BACKFILLS), metavar="NAMES", help="of the table; conservative is slow where many wait")
    chosen = options.parse_args(arguments)
    named = os.environ.get("AIOS_TRACES", "")
    if not named:
        print("AIOS_TRACES names no folder of traces: a made-up workload stands in", file=sys.stderr)
    works = workloads(Path(named) if named else None, chosen.jobs, chosen.only)
    if not works:
        options.error(f"no trace is named {chosen.only!r}")
    if chosen.table:
        unknown = set(named_backfills := chosen.backfills.split(",")) - set(BACKFILLS)
        if unknown:
            options.error(f"there is no backfill {min(unknown)!r}: choose among {', '.join(BACKFILLS)}")
        table(works, named_backfills)
        return 0
    speed(works[0], min(chosen.sample, len(works[0].jobs))).show()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

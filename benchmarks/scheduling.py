"""What a pass of the scheduler costs, by how many jobs wait and how alike they are: the policy code of the daemon, without the daemon."""

import argparse
import gc
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from time import thread_time

from aiosd.ids import JobId
from aiosd.jobs.backlog import Backlog, Entry
from aiosd.resources.inventory import Cpu, Device, Inventory
from aiosd.resources.pool import Pool
from aiosd.resources.request import DeviceRequest, Request
from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.policy import Basis, ClassKey, HeldRun, Plan, Snapshot, no_estimate
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import Backfill, QueueSettings, SchedulingRules
from benchmarks import machine, options
from benchmarks.report import Report, seconds

GIB = 1 << 30
CPUS_PER_GPU = 16
DEPTH = 1000


@dataclass(frozen=True)
class Load:
    """What waits. `alike`: there are twelve shapes and four lengths; else no job is like another."""

    queued: int
    users: int
    alike: bool
    gpus: int

    @property
    def name(self) -> str:
        return f"{self.queued:,} of {self.users:,} user{'s' if self.users > 1 else ''}, {'12 shapes' if self.alike else 'all different'}, {self.gpus} GPUs"


@dataclass
class Site:
    """A machine that is full, and a backlog; `turn` is what the daemon does when a run has ended and a job has come."""

    load: Load
    policy: str
    rules: SchedulingRules
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    now_s: float = 1e9
    next_number: int = 1
    runs: dict[JobId, HeldRun] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = self.load.gpus
        devices = tuple(Device(f"GPU-{n}", "gpu", n, "H100", 80 * GIB, numa_node=n * 2 // count) for n in range(count))
        cpus = tuple(Cpu(n, n, n * 2 // (CPUS_PER_GPU * count), n * 2 // (CPUS_PER_GPU * count)) for n in range(CPUS_PER_GPU * count))
        memory = 128 * GIB * count
        self.pool = Pool(Inventory("box", cpus, memory, memory, devices=devices, disk_bytes=1 << 50))
        self.backlog = Backlog()
        self.queues = {"default": QueueSettings("default")}
        self.backlog.order_by(POLICIES[self.policy].within(Basis(self.rules, self.queues, self.pool.inventory, no_estimate)), self.rules)
        self.usage = {Association("", f"user{n}"): self.chance.random() for n in range(self.load.users)}

    def submit(self) -> None:
        """One more job, whose wish is one of a few or like no other."""
        chance, number = self.chance, self.next_number
        self.next_number += 1
        gpus, cpus, hours = chance.choice((0, 0, 500, 1000, 2000, 4000)), chance.choice((4, 16)), chance.choice((0.5, 1, 4, 24))
        memory, lasts_s = 16 * GIB, hours * 3600.0
        if not self.load.alike:
            memory += number << 10
            lasts_s += number * 1e-3
        request = Request(1000 * cpus, memory, (DeviceRequest("gpu", gpus),) if gpus else ())
        self.backlog.put(JobId(number), ClassKey("default", f"user{number % self.load.users}", "", 0, request, lasts_s), Entry(1, self.now_s))

    def turn(self) -> int:
        """How many started."""
        plan = self._plan()
        for start in plan.starts:
            key = self.backlog.where[start.job_id]
            self.pool.assign(start.grant)
            ends_s = self.now_s + (key.lasts_s or inf)
            self.runs[start.job_id] = HeldRun(start.job_id, key, start.grant, self.now_s, ends_s, ends_s)
            self.backlog.drop(start.job_id)
        return len(plan.starts)

    def _plan(self) -> Plan:
        with self.pool.trial():
            return POLICIES[self.policy].policy(
                Snapshot(
                    now_s=self.now_s,
                    lanes=self.backlog.lanes.at(self.now_s),
                    pool=self.pool,
                    usage=self.usage,
                    rules=self.rules,
                    queues=self.queues,
                    runs=tuple(self.runs.values()),
                )
            )

    def end_one(self) -> None:
        """A run is over before anybody expected it."""
        ended = self.runs.pop(self.chance.choice(list(self.runs)))
        self.pool.give_back(ended.grant)
        self.now_s += 1.0


def measure(load: Load, policy: str, backfill: Backfill, rounds: int) -> tuple[list[float], list[float], int]:
    """The seconds of each pass and of each submission, in order of size; and how many jobs the passes started."""
    site = Site(load, policy, SchedulingRules(backfill, backfill_depth=DEPTH))
    for _ in range(load.queued):
        site.submit()
    while site.turn():
        pass
    gc.collect()
    gc.freeze()
    passes, submissions, started = [], [], 0
    for _ in range(rounds):
        site.end_one()
        began_s = thread_time()
        site.submit()
        submitted_s = thread_time()
        started += site.turn()
        passes.append(thread_time() - submitted_s)
        submissions.append(submitted_s - began_s)
    gc.unfreeze()
    return sorted(passes), sorted(submissions), started


def quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def main() -> None:
    parser = options.parser("scheduling", __doc__ or "")
    parser.add_argument("--queued", type=options.count, nargs="+", default=[100, 10_000, 100_000], metavar="N", help="how many wait (default: %(default)s)")
    parser.add_argument("--users", type=options.count, nargs="+", default=[1, 1000], metavar="N")
    parser.add_argument("--gpus", type=options.count, nargs="+", default=[8, 64], metavar="N")
    parser.add_argument("--policies", nargs="+", choices=list(POLICIES), default=list(POLICIES))
    parser.add_argument("--backfill", nargs="+", type=Backfill, choices=list(Backfill), default=list(Backfill))
    parser.add_argument("--shapes", nargs="+", choices=("alike", "different"), default=["alike", "different"])
    parser.add_argument("--rounds", type=options.count, default=200, metavar="N", help="passes timed for each line (default: %(default)s)")
    run(parser.parse_args())


def run(asked: argparse.Namespace) -> None:
    report = Report("scheduling", machine.facts(asked.directory or Path(), asked.wait_quiet), ("pass p50", "p99", "most", "starts/pass", "submit p50", "p99"))
    for queued in asked.queued:
        for gpus in asked.gpus:
            for users in asked.users:
                for shapes in asked.shapes:
                    load = Load(queued, users, shapes == "alike", gpus)
                    for policy in asked.policies:
                        for backfill in asked.backfill:
                            _line(report, load, policy, backfill, asked.rounds)
    report.note(f"a pass follows the end of one run and the coming of one job; backfill looks at {DEPTH:,} candidates")
    report.show()


def _line(report: Report, load: Load, policy: str, backfill: Backfill, rounds: int) -> None:
    passes, submissions, started = measure(load, policy, backfill, rounds)
    p50, p99, submit_p50, submit_p99 = quantile(passes, 0.5), quantile(passes, 0.99), quantile(submissions, 0.5), quantile(submissions, 0.99)
    report.add(
        f"{policy} {backfill}: {load.name}",
        f"{policy} {backfill}: {load.name}",
        (seconds(p50), seconds(p99), seconds(passes[-1]), f"{started / rounds:.1f}", seconds(submit_p50), seconds(submit_p99)),
        pass_p50_s=p50,
        pass_p99_s=p99,
        pass_most_s=passes[-1],
        starts_a_pass=started / rounds,
        submit_p50_s=submit_p50,
        submit_p99_s=submit_p99,
    )
    print(f"  {report.rows[-1][0]}: {', '.join(report.rows[-1][1:])}", flush=True)


if __name__ == "__main__":
    main()

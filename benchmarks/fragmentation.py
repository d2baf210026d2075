"""How much of a box's GPUs is allocated, and how much of the rest nobody can use, with several ways to pack fractions of GPUs."""

import csv
import gzip
import heapq
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import machine
from benchmarks.options import count, parser
from benchmarks.packing import WHOLE, Box, Mix, Ours, Packer, Placed, Task, at_random, best_fit, descending, first_fit, fragmented, worst_fit
from benchmarks.report import Report

TRACE = "gpu_alibaba_2023.csv.gz"
_GPUS, _CPUS, _MEMORY_MIB = 8, 96, 393_216  # the most common box of the trace with so many GPUs
_LONGEST_S = 86_400.0  # services that run for months would fill every box for good
_TYPICAL = 40  # shapes by which fragmentation is measured
_UNTIL = 1.3  # GPUs asked for over GPUs there are: the flood ends there

# Without the trace: a mix like its own, by how many of a hundred tasks.
_MIX = {
    Task(1000, 11_000, 40_960): 48, Task(810, 11_900, 50_176): 13, Task(470, 8_000, 30_517): 10, Task(0, 8_000, 20_480): 13,
    Task(320, 6_000, 15_360): 4, Task(650, 8_000, 30_517): 3, Task(230, 4_000, 12_288): 2, Task(460, 6_000, 12_288): 2,
    Task(160, 4_000, 10_240): 2, Task(590, 8_000, 20_480): 1, Task(8000, 80_000, 339_968): 1, Task(2000, 16_000, 81_920): 1,
}  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What is asked for: tasks to draw from, each with its run time in seconds."""

    name: str
    tasks: Sequence[tuple[Task, float]]
    mix: Mix


@dataclass
class Found:
    """Sums over all boxes of a way to pack; shares of the box's GPUs."""

    first_refusal: list[float] = field(default_factory=list)
    at_full: list[float] = field(default_factory=list)
    at_end: list[float] = field(default_factory=list)
    useless: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    useless_while_busy: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> None:
    made = parser("fragmentation", __doc__ or "")
    made.add_argument("-n", "--boxes", type=count, default=200, help="boxes that are filled, and as many that are in use for a while (default: 200)")
    made.add_argument("--tasks", type=count, default=400, help="tasks that come to each box in use (default: 400)")
    made.add_argument("--load", type=float, default=1.2, help="GPUs that are asked for on the average, over those there are (default: 1.2)")
    made.add_argument("--cpus", type=count, default=_CPUS, help=f"processors of a box (default: {_CPUS}); memory in proportion")
    made.add_argument("--fractions", action="store_true", help="only the tasks that ask for a part of one GPU")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--trace", type=Path, default=default_trace(), help=f"a file with the columns of {TRACE} (default: that one, in $AIOS_TRACES)")
    options = made.parse_args(argv)
    box = Box([WHOLE] * _GPUS, options.cpus * WHOLE, options.cpus * _MEMORY_MIB // _CPUS)
    work = only_what_fits(read(options.trace) if options.trace else built_in(), box, fractions=options.fractions)
    facts = machine.facts(Path(), options.wait_quiet)
    facts |= {"requests of": work.name, "boxes": options.boxes, "cpus of each": options.cpus, "load": options.load, "seed": options.seed}
    report = Report("fragmentation", facts, ("first refusal", "asked 100 %", f"asked {_UNTIL:.0%}", "useless then", "in use", "useless", "refused"))
    for name, packer in ways(work.mix, options.seed).items():
        found = Found()
        for number in range(options.boxes):
            chance = f"{options.seed} {number}"  # the same for every way
            flood(packer(deepcopy(box)), work, random.Random(chance), found)
            in_use(packer(deepcopy(box)), work, random.Random(chance), found, options.tasks, options.load)
        add(report, name, found)
    report.note("allocated, in % of the GPUs: at the first refusal of a task with GPUs, when as much as there is was asked for, and at the end")
    report.note("useless: free, but of no use to the tasks of this mix on the average, in % of all GPUs; in use, useless: means over time")
    if not options.trace:
        report.note(f"a mix like the trace's own; for the trace itself: --trace {TRACE}")
    report.show()


def default_trace() -> Path | None:
    folder = os.environ.get("AIOS_TRACES", "")
    return Path(folder) / TRACE if folder else None


def ways(mix: Mix, seed: int) -> Mapping[str, Callable[[Box], Packer]]:
    """The ways to choose a GPU, by name; ours is the daemon's own pool."""
    choices = {"random": at_random(seed), "worst fit": worst_fit, "first fit": first_fit, "best fit": best_fit, "FGD": descending(mix)}
    return {name: partial(Packer, choose=choose) for name, choose in choices.items()} | {"AIOS": Ours}


def read(path: Path) -> Work:
    """The requests of a trace. Raises OSError, and ValueError for a file without its columns."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return work_of(path.name, [(task, run_s) for row in rows for task, run_s in _task(row)])


def _task(row: Mapping[str, str]) -> Iterator[tuple[Task, float]]:
    try:
        gpus, part, run_s = int(row["req"]), int(row["gpu_milli"] or 0), float(row["run_s"] or 0)
        task = Task(part if gpus == 1 else gpus * WHOLE, int(row["cpu_milli"]), int(row["mem_mib"]))
    except KeyError as missing:
        raise ValueError(f"the trace has no column {missing}") from None
    if run_s > 0:
        yield task, min(run_s, _LONGEST_S)


def work_of(name: str, tasks: Sequence[tuple[Task, float]]) -> Work:
    return Work(name, tasks, _mix(Counter(task for task, _ in tasks)))


def only_what_fits(work: Work, box: Box, *, fractions: bool) -> Work:
    """Without what is too large for the box, and without all but parts of GPUs where that is wanted. Raises ValueError when none is left."""
    largest = WHOLE - 1 if fractions else WHOLE * len(box.gpus)
    fits = [(task, run_s) for task, run_s in work.tasks if box.holds(task) and fractions <= task.gpu_millis <= largest]
    if not any(task.gpu_millis for task, _ in fits):
        raise ValueError(f"{work.name} has no task with GPUs that fits on such a box")
    return work_of(work.name, fits)


def built_in() -> Work:
    return work_of("a built-in mix", [(task, 3600.0) for task, number in _MIX.items() for _ in range(number)])


def _mix(counted: Counter[Task]) -> Mix:
    with_gpus = Counter({task: number for task, number in counted.items() if task.gpu_millis}).most_common(_TYPICAL)
    total = sum(number for _, number in with_gpus)
    return [(task, number / total) for task, number in with_gpus]


def flood(packer: Packer, work: Work, chance: random.Random, found: Found) -> None:
    """Tasks come and none ends, until `_UNTIL` of the GPUs were asked for; one that does not fit is lost."""
    asked, at_full = 0, -1.0
    first = -1.0
    while asked < _UNTIL * _GPUS * WHOLE:
        task, _ = chance.choice(work.tasks)
        if packer.place(task) is None and task.gpu_millis and first < 0:
            first = allocated(packer.box)
        asked += task.gpu_millis
        if at_full < 0 and asked >= _GPUS * WHOLE:
            at_full = allocated(packer.box)
    found.first_refusal.append(first if first >= 0 else allocated(packer.box))
    found.at_full.append(at_full)
    found.at_end.append(allocated(packer.box))
    found.useless.append(fragmented(packer.box, work.mix) / _GPUS / WHOLE)


def in_use(packer: Packer, work: Work, chance: random.Random, found: Found, tasks: int, load: float) -> None:
    """Tasks come by chance and end after their run time; one that does not fit is lost. Means over the second half of the tasks."""
    gpu_s = sum(task.gpu_millis / WHOLE * run_s for task, run_s in work.tasks) / len(work.tasks)
    gap_s = gpu_s / (load * _GPUS)
    ends: list[tuple[float, int, Task, Placed]] = []
    now_s = busy = useless = seconds = asked = refused = 0.0
    for number in range(tasks):
        until_s = now_s + chance.expovariate(1 / gap_s)
        while now_s < until_s:
            at_s = min(until_s, ends[0][0]) if ends else until_s
            if 2 * number >= tasks and at_s > now_s:
                busy += (at_s - now_s) * allocated(packer.box)
                useless += (at_s - now_s) * fragmented(packer.box, work.mix) / _GPUS / WHOLE
                seconds += at_s - now_s
            now_s = at_s
            while ends and ends[0][0] <= now_s:
                _, _, task, placed = heapq.heappop(ends)
                packer.remove(task, placed)
        task, run_s = chance.choice(work.tasks)
        placed_now = packer.place(task)
        if placed_now is not None:
            heapq.heappush(ends, (now_s + run_s, number, task, placed_now))
        if 2 * number >= tasks:
            asked += task.gpu_millis
            refused += task.gpu_millis * (placed_now is None)
    found.busy.append(busy / seconds)
    found.useless_while_busy.append(useless / seconds)
    found.refused.append(refused / asked if asked else 0.0)


def allocated(box: Box) -> float:
    return 1 - sum(box.gpus) / WHOLE / len(box.gpus)


def add(report: Report, name: str, found: Found) -> None:
    means = {key: sum(values) / len(values) for key, values in vars(found).items()}
    report.add(name, name, [f"{100 * mean:.1f} %" for mean in means.values()], **{f"{key}_share": mean for key, mean in means.items()})


if __name__ == "__main__":
    main()

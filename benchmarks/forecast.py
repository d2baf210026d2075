"""How long a forecast takes by the length of the history: reading it, fitting it, theory alone, one replay, and a target searched by replays."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from aiosd.simulation.fitting import fit
from aiosd.simulation.forecast import MOST_JOBS, forecast
from aiosd.simulation.history import TITLES
from aiosd.simulation.outlook import Question
from aiosd.simulation.past import Past, past_of
from aiosd.simulation.queueing import System, servers_for
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.setup import setup
from aiosd.simulation.table import read_table
from aiosd.simulation.workload import poisson
from aiosd.simulation.world import simulate
from benchmarks import machine, options
from benchmarks.report import Report, seconds

T = TypeVar("T")

BOX = Machine(cpu_millis=64_000, gpus=8)


def main(words: Sequence[str] | None = None) -> None:
    parser = options.parser("forecast", "How long a forecast takes, by its parts.")
    parser.add_argument("--jobs", type=options.count, default=100_000, help="ended jobs in the history (default: %(default)s)")
    parser.add_argument("--load", type=float, default=0.7, help="offered load (default: %(default)s)")
    parser.add_argument("--policy", default="fair", help="of the replay (default: %(default)s)")
    chosen = parser.parse_args(words)
    facts = machine.facts(chosen.directory or Path(tempfile.gettempdir()), chosen.wait_quiet)
    report = Report("forecast", {**facts, "jobs": chosen.jobs, "load": chosen.load, "policy": chosen.policy}, ("CPU time", "a job"))
    jobs = poisson(np.random.default_rng(1), chosen.jobs, BOX.gpus, chosen.load, 600.0, unit="gpu")
    measure(report, [job._replace(cpu_millis=1000) for job in jobs], chosen.policy)
    report.note(f"a forecast looks at the newest {MOST_JOBS} jobs: a replay of a longer history would take as much more")
    report.show()


def measure(report: Report, jobs: list[TraceJob], policy: str) -> None:
    text = TITLES + "".join(_line(job) for job in jobs)
    past, took_s = timed(lambda: past_of(read_table(text.splitlines(), "history")))
    _add(report, "read", "read the history", took_s, len(jobs))
    _, took_s = timed(lambda: fit([(job.submit_s, job.run_s) for job in jobs], BOX.gpus))
    _add(report, "fit", "fit, and test what theory assumes", took_s, len(jobs))
    _, took_s = timed(lambda: servers_for(System(8, 1.0, 5000.0), 1.0))
    _add(report, "theory", "servers for a target of 5,000 erlangs, by theory", took_s, 1)
    newest = past.newest(MOST_JOBS)
    for key, what, question in (
        ("replay", "one replay", Question()),
        ("target", "what if, and a target by replays", Question(servers_delta=1, target_wait_s=60.0)),
    ):
        _, took_s = timed(lambda question=question: ask(newest, question, policy))
        _add(report, key, what, took_s, len(newest.jobs))


def ask(past: Past, question: Question, policy: str) -> object:
    return forecast(past, BOX, question, lambda jobs, machine: simulate(jobs, machine, setup(policy)))


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What came of it, and the processor time it took."""
    begun_s = time.process_time()
    return work(), time.process_time() - begun_s


def _line(job: TraceJob) -> str:
    cells = {"submit_s": job.submit_s, "run_s": job.run_s, "user": job.user, "cpu_milli": job.cpu_millis, "gpus": job.gpu_millis / 1000, "orig_wait_s": 1.0}
    return ",".join(str(cells.get(title, "")) for title in TITLES.strip().split(",")) + "\n"


def _add(report: Report, key: str, what: str, took_s: float, jobs: int) -> None:
    report.add(key, what, (seconds(took_s), seconds(took_s / jobs)), cpu_s=took_s, jobs=jobs)


if __name__ == "__main__":
    main()

"""A small policy learns which job goes next, and is then compared with the daemon's own on jobs that it has not seen.

    python docs/examples/gym/train.py                          # workloads of the Lublin-Feitelson model, about a minute
    python docs/examples/gym/train.py --trace jobs.swf.gz      # the first part of a trace to learn from, the last to be compared on

The policy gives every waiting job a score, a weighted sum of what is seen of it, and the best that fits goes next; two more weights say
whether the oldest, where it does not fit, is worth waiting for. All eleven are found by the cross-entropy method (R. Y. Rubinstein, "The
cross-entropy method for combinatorial and continuous optimization", 1999): draw weights around a mean, keep the best, move the mean there,
draw again. What is good for short episodes on an idle machine need not be good for long ones, so the mean of each round is tried on longer
episodes, and the best of these is what was learned. Needs `pip install 'aiosd[gym]'`.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aiosd.errors import AiosError
from aiosd.simulation.cleaning import Rules, clean
from aiosd.simulation.gym import SchedulerEnv, Seen, of_trace
from aiosd.simulation.metrics import Metrics, measure
from aiosd.simulation.records import ONE, Machine, TraceJob
from aiosd.simulation.setup import setup
from aiosd.simulation.traces import read_trace
from aiosd.simulation.workload import lublin
from aiosd.simulation.world import simulate

Weights = np.ndarray
Decide = Callable[[Seen, np.ndarray], int]

JOB = ("waited", "lasts", "lasts not known", "size", "waited x size", "lasts x size", "waited x lasts", "waited squared", "lasts squared")
WAIT = ("hold for the oldest", "the longer it waits")
PEERS = (
    ("fifo", "off", "arrival"), ("fifo", "easy", "arrival"), ("fifo", "easy", "shortest"), ("priority", "off", "arrival"),
    ("priority", "easy", "shortest"), ("fair", "off", "arrival"), ("fair", "easy", "arrival"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried: so many candidates in so many rounds, each on so many episodes of so many jobs; and means on episodes LONGER times as long."""

    candidates: int
    rounds: int
    episodes: int
    length: int


FULL, QUICK = Effort(20, 8, 3, 150), Effort(6, 2, 2, 20)
LONGER = 4


def main(words: Sequence[str] | None = None) -> int:
    chosen = options().parse_args(words)
    effort = QUICK if chosen.quick else FULL
    try:
        machine, past, unseen = workload(chosen, effort)
    except (AiosError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{machine.words}: {len(past)} jobs to learn from, {len(unseen)} others to be compared on; reward: {chosen.reward}")
    env, long = (
        SchedulerEnv(of_trace(past, min(len(past), length)), machine, reward=chosen.reward, knows=chosen.knows)
        for length in (effort.length, LONGER * effort.length)
    )
    begun_s = time.monotonic()
    weights = learned(env, long, effort, np.random.default_rng(chosen.seed))
    print(f"learned in {time.monotonic() - begun_s:.0f} s: " + ", ".join(f"{name} {w:+.2f}" for name, w in zip((*JOB, *WAIT), weights, strict=True)))
    compare(env, unseen, weights, chosen)
    return 0


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", type=Path, help="SWF or CSV, packed by gzip or not; else workloads are made up")
    parser.add_argument("--cpus", type=int, default=0, help="processors of the machine; else as the trace says, or 256")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the machine; else as the trace says")
    parser.add_argument("--reward", choices=("wait", "slowdown", "utilisation"), default="slowdown", help="what is to be made good (default: %(default)s)")
    parser.add_argument("--knows", choices=("asked", "actual"), default="asked", help="of run times: limits that were asked for, or the truth")
    parser.add_argument("--seed", type=int, default=1, help="of all chance")
    parser.add_argument("--quick", action="store_true", help="hardly learn at all: shows that it runs")
    return parser


def workload(chosen: argparse.Namespace, effort: Effort) -> tuple[Machine, Sequence[TraceJob], Sequence[TraceJob]]:
    """The machine, jobs to learn from, and jobs to be compared on: those that came later, or another workload."""
    if chosen.trace is None:
        machine = Machine(cpu_millis=(chosen.cpus or 256) * ONE)
        first, second = (lublin(np.random.default_rng(chosen.seed + at), 20 * effort.length, machine.cpu_millis // ONE) for at in (0, 1))
        return machine, first, second[: 10 * effort.length]
    raw = read_trace(chosen.trace.read_bytes(), chosen.trace.name)
    unit = "gpu" if chosen.gpus else raw.unit or "cpu"
    count = chosen.gpus or chosen.cpus or raw.capacity
    machine = Machine(gpus=count) if unit == "gpu" else Machine(cpu_millis=count * ONE)
    jobs = clean(raw, machine, unit, Rules()).jobs
    cut = len(jobs) * 6 // 10
    return machine, jobs[:cut], jobs[cut : cut + 15 * effort.length]


def features(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Of each job that waits (a row each), and of holding resources for the oldest; the columns are JOB and WAIT."""
    queue = seen["queue"]
    waited, lasts, known = queue[:, 1], queue[:, 2], queue[:, 3]
    size = queue[:, 4] + queue[:, 5] + queue[:, 6]
    job = np.stack([waited, lasts, 1 - known, size, waited * size, lasts * size, waited * lasts, waited**2, lasts**2], axis=1)
    return job, np.array([1.0, waited[0]])


def decision(weights: Weights) -> Decide:
    """Wait, or the possible job of the highest score; with all weights 0 it is the oldest that fits."""

    def decide(seen: Seen, mask: np.ndarray) -> int:
        job, wait = features(seen)
        if mask[-1] and not mask[0] and wait @ weights[len(JOB) :] > 0:
            return len(mask) - 1
        scores = np.where(mask[:-1] > 0, job @ weights[: len(JOB)], -np.inf)
        return int(scores.argmax())

    return decide


def oldest_that_fits(seen: Seen, mask: np.ndarray) -> int:
    return int(mask.argmax())


def shortest_that_fits(seen: Seen, mask: np.ndarray) -> int:
    """By what is known of run times; of equal ones the oldest."""
    return int(np.where(mask[:-1] > 0, seen["queue"][:, 2], np.inf).argmin())


def played(env: SchedulerEnv, decide: Decide, **reset: Any) -> float:
    """The sum of rewards of one episode."""
    seen, info = env.reset(**reset)
    total, over = 0.0, False
    while not over:
        seen, reward, over, _, info = env.step(decide(seen, info["action_mask"]))
        total += reward
    return total


def learned(env: SchedulerEnv, long: SchedulerEnv, effort: Effort, chance: np.random.Generator) -> Weights:
    """Weights by the cross-entropy method; every candidate of a round plays the same episodes, and is measured against the oldest job first."""
    mean, spread = np.zeros(len(JOB) + len(WAIT)), np.ones(len(JOB) + len(WAIT))
    mean[len(JOB)] = -1.0  # at first nothing is held: it is the oldest that fits
    keep = max(2, effort.candidates // 4)
    tried = [(0.0, mean)]
    exam = chance.integers(2**31, size=effort.episodes).tolist()
    for turn in range(effort.rounds):
        seeds = chance.integers(2**31, size=effort.episodes).tolist()
        drawn = np.vstack([mean, mean + spread * chance.normal(size=(effort.candidates - 1, len(mean)))])
        gains = gains_of(env, drawn, seeds)
        best = drawn[np.argsort(gains)[::-1][:keep]]
        mean, spread = best.mean(axis=0), best.std(axis=0) + 0.3 / (turn + 1)
        tried.append((float(gains_of(long, [mean], exam)[0]), mean))
        print(f"round {turn + 1}: the best gained {np.max(gains):+.2f}, all {np.mean(gains):+.2f}, their mean on longer episodes {tried[-1][0]:+.2f}")
    return max(tried, key=lambda one: one[0])[1]


def gains_of(env: SchedulerEnv, candidates: Sequence[Weights], seeds: Sequence[int]) -> list[float]:
    """How much better than the oldest first each candidate is on these episodes: the mean of the logarithms of how many times."""
    usual = [played(env, oldest_that_fits, seed=seed) for seed in seeds]
    return [
        float(np.mean([gain(played(env, decision(weights), seed=seed), before) for seed, before in zip(seeds, usual, strict=True)])) for weights in candidates
    ]


def gain(reward: float, before: float) -> float:
    """How much better than before, whatever the size of an episode's rewards: costs are negative, utilisation is positive."""
    better, worse = (reward, before) if before > 0 else (-before, -reward)
    return float(np.log((better + 1e-9) / (worse + 1e-9)))


def compare(env: SchedulerEnv, unseen: Sequence[TraceJob], weights: Weights, chosen: argparse.Namespace) -> None:
    """A table over the jobs that were not learned from, the best first; it says as well when the learned policy is not the best."""
    rows = [("learned", of_env(env, unseen, decision(weights)))]
    rows += [("oldest that fits", of_env(env, unseen, oldest_that_fits)), ("shortest that fits", of_env(env, unseen, shortest_that_fits))]
    for policy, backfill, order in PEERS:
        name = f"{policy}, {backfill}" + (", shortest" if order == "shortest" else "")
        how = setup(policy, backfill, order, estimate=chosen.knows)
        rows.append((name, measure(unseen, simulate(unseen, env.machine, how), env.machine)))
    key = {"wait": lambda m: m.wait_mean_s, "slowdown": lambda m: m.bounded_slowdown_mean, "utilisation": lambda m: -m.utilisation}[chosen.reward]
    rows.sort(key=lambda row: key(row[1]))
    print(f"\n{'POLICY':<24}{'WAIT (h)':>10}{'SLOWDOWN':>10}{'WORST':>10}{'USED':>8}{'FAIRNESS':>10}")
    for name, found in rows:
        print(
            f"{name:<24}{found.wait_mean_s / 3600:>10.2f}{found.bounded_slowdown_mean:>10.1f}{found.bounded_slowdown_max:>10.0f}"
            f"{100 * found.utilisation:>6.1f} %{found.fairness:>10.3f}"
        )
    place = [name for name, _ in rows].index("learned") + 1
    print(f"\nOn jobs that it has not seen the learned policy is number {place} of {len(rows)} by {chosen.reward}; one trace is one trace.")


def of_env(env: SchedulerEnv, jobs: Sequence[TraceJob], decide: Decide) -> Metrics:
    """The figures of a policy that plays all the jobs as one episode."""
    played(env, decide, options={"jobs": jobs})
    starts_s = env.world.starts_s
    return measure(env.world.jobs, [starts_s[number] for number in range(len(jobs))], env.machine)


if __name__ == "__main__":
    sys.exit(main())

"""Many runs of one queueing system at once, by the recursion of Kiefer and Wolfowitz; and what twenty of them tell."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]

SEEDS = 20
STUDENT_99 = 2.861  # the 99.5 % quantile of Student's t with 19 degrees of freedom


def waits(gaps: Floats, services: Floats, servers: int) -> Floats:
    """The wait of each customer: (runs, customers). One line, first come first served.

    Source: J. Kiefer and J. Wolfowitz, "On the theory of queues with many servers", Trans. AMS 78, 1955: what each server has
    yet to do, smallest first; a customer adds its service to the smallest, and a gap takes from all.
    """
    runs, customers = gaps.shape
    backlog = np.zeros((runs, servers))
    found = np.empty((customers, runs))
    for at, (gap, service) in enumerate(zip(gaps.T, services.T, strict=True)):
        np.maximum(backlog - gap[:, None], 0.0, out=backlog)
        found[at] = backlog[:, 0]
        backlog[:, 0] += service
        backlog.sort(axis=1)
    return found.T


def simulated(draw_gap: Draw, draw_service: Draw, servers: int, customers: int = 50_000, warm_up: int = 5_000) -> Floats:
    """Waits after the warm-up, a row a seed; always the same for the same arguments."""
    shape = (1, customers)
    generators = [np.random.default_rng(seed) for seed in range(SEEDS)]
    gaps = np.vstack([draw_gap(generator, shape) for generator in generators])
    services = np.vstack([draw_service(generator, shape) for generator in generators])
    return waits(gaps, services, servers)[:, warm_up:]


def interval(of_seeds: Floats) -> tuple[float, float]:
    """Student's 99 % interval for the mean, of one value a seed."""
    half = STUDENT_99 * of_seeds.std(ddof=1) / np.sqrt(len(of_seeds))
    return float(of_seeds.mean() - half), float(of_seeds.mean() + half)

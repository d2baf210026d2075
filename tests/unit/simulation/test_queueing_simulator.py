"""The formulas and the daemon's own simulator tell the same of the systems that the formulas are exact for."""

import numpy as np
import pytest

from aiosd.simulation.queueing import System, steady, wait_tail
from aiosd.simulation.records import Machine
from aiosd.simulation.setup import setup
from aiosd.simulation.workload import poisson
from aiosd.simulation.world import simulate
from tests.unit.simulation.servers import SEEDS, interval

JOBS, WARM_UP, RUN_S = 2800, 700, 600.0


@pytest.mark.parametrize(("servers", "load", "backfill"), [(1, 0.6, "off"), (4, 0.8, "easy"), (32, 0.9, "off")])
def test_m_m_c_is_what_the_scheduler_does_with_jobs_of_one_gpu(servers: int, load: float, backfill: str) -> None:
    """20 seeds, Student's 99 % interval, the first quarter cut off. Where all jobs are of one size, backfill has nothing to do."""
    waits = np.empty((SEEDS, JOBS - WARM_UP))
    for seed in range(SEEDS):
        jobs = poisson(np.random.default_rng(seed), JOBS, servers, load, RUN_S, unit="gpu")
        starts_s = simulate(jobs, Machine(gpus=servers), setup("fifo", backfill, estimate="actual"))
        waits[seed] = [start_s - job.submit_s for start_s, job in zip(starts_s[WARM_UP:], jobs[WARM_UP:], strict=True)]
    system = System(servers, servers * load / RUN_S, RUN_S)
    for of_seeds, expected in (
        (waits.mean(axis=1), steady(system).wait_mean),
        ((waits > 0).mean(axis=1), steady(system).delayed),
        ((waits > RUN_S).mean(axis=1), wait_tail(system, RUN_S)),
    ):
        low, high = interval(of_seeds)
        assert low <= expected <= high
    low, high = interval(waits.mean(axis=1))
    assert not low <= steady(System(servers + 1, servers * load / RUN_S, RUN_S)).wait_mean <= high

"""The kernel of plain numbers decides as the reference does, and as the daemon's own code does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.scheduling.rules import QueueSettings, SchedulingRules
from aiosd.simulation import kernel
from aiosd.simulation.kernel import Kernel
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.setup import Setup, setup
from aiosd.simulation.world import World, simulate
from tests.unit.simulation.reference import easy
from tests.unit.simulation.traces import plain
from tests.unit.simulation.workloads import workloads

MACHINE = Machine(4000)
orders = st.sampled_from(("arrival", "shortest"))


def by_kernel(jobs: list[TraceJob], chosen: Setup) -> list[float]:
    assert kernel.applies(jobs, MACHINE, chosen)
    return Kernel(jobs, MACHINE, chosen).run(lambda done: None)


def by_world(jobs: list[TraceJob], chosen: Setup) -> list[float]:
    return World(jobs, MACHINE, chosen).run(lambda done: None)


@given(workloads(), orders, st.booleans())
def test_easy_starts_what_the_reference_starts(jobs: list[TraceJob], order: str, events: bool) -> None:
    expected = easy(plain(jobs), 4, shortest=order == "shortest", events=events)
    assert by_kernel(jobs, setup("fifo", "easy", order, events=events)) == expected


@given(workloads(limits=False), st.booleans())
def test_strict_order_starts_what_the_daemons_code_starts(jobs: list[TraceJob], events: bool) -> None:
    chosen = setup(events=events)
    assert by_kernel(jobs, chosen) == by_world(jobs, chosen)


JOB = TraceJob(0, 10, 1000, limit_s=20)


@pytest.mark.parametrize(
    ("jobs", "machine", "chosen"),
    [
        ([JOB], MACHINE, setup("fair")),
        ([JOB], MACHINE, setup("fifo", "conservative")),
        ([JOB], Machine(4000, 1 << 30), setup()),
        ([JOB], Machine(4000, 0, 1), setup()),
        ([JOB], Machine(), setup()),
        ([JOB, JOB._replace(queue="night")], MACHINE, setup()),
        ([JOB], MACHINE, Setup(queues={"default": QueueSettings("default", max_running=1)})),
        ([JOB._replace(limit_s=0)], MACHINE, setup("fifo", "easy")),
        ([JOB._replace(qos="low")], MACHINE, setup()),
        ([JOB._replace(gpu_millis=500)], Machine(gpus=2), setup()),
        ([JOB], MACHINE, Setup(rules=SchedulingRules(predict=True))),
    ],
)
def test_whatever_else_decides_is_left_to_the_daemons_code(jobs: list[TraceJob], machine: Machine, chosen: Setup) -> None:
    assert not kernel.applies(jobs, machine, chosen)


def test_whole_gpus_count_as_processors_do() -> None:
    jobs = [TraceJob(0, 10, 0, 0, 2000), TraceJob(0, 10, 0, 0, 1000), TraceJob(1, 5, 500, 0, 1000)]
    assert kernel.applies(jobs, Machine(gpus=2), setup())
    assert simulate(jobs, Machine(gpus=2), setup()) == World(jobs, Machine(gpus=2), setup()).run(lambda done: None) == [0, 10, 10]


def test_progress_is_told_until_the_end() -> None:
    told: list[int] = []
    simulate([JOB._replace(submit_s=at) for at in range(500)], MACHINE, setup(), told.append)
    assert told[-1] >= 497
    assert len(told) <= 251

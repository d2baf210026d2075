"""Arrival order, queue by queue."""

from aiosd.ids import JobId
from aiosd.resources.pool import Pool
from aiosd.scheduling.fifo import fifo
from aiosd.scheduling.policy import Wait, WaitKind
from tests.unit.scheduling.worlds import ask, decide, key, machine, started, waiting


def test_classes_of_a_queue_are_merged_by_age_whatever_their_priority() -> None:
    classes = [waiting(key(ask(1), priority=-5), 1, 4), waiting(key(ask(0.5), user="bob", priority=9), 2, 3)]
    assert started(decide(fifo, Pool(machine()), classes)) == [1, 2, 3, 4]


def test_the_first_that_does_not_fit_blocks_its_queue() -> None:
    big, small = key(ask(6)), key(ask(1))
    pool = Pool(machine(cpus=8))
    pool.take(ask(4))
    plan = decide(fifo, pool, [waiting(small, 1, 3), waiting(big, 2)])
    assert started(plan) == [1]
    assert plan.waits[big] == Wait(WaitKind.RESOURCES, "cpu")
    assert plan.waits[small] == Wait(WaitKind.BEHIND, blocker=JobId(2))


def test_other_queues_go_on_with_what_the_blocked_one_leaves() -> None:
    pool = Pool(machine(cpus=8, gpus=1))
    pool.take(ask(1, gpus=1))
    blocked, other = key(ask(4, gpus=1)), key(ask(1), queue="other")
    plan = decide(fifo, pool, [waiting(blocked, 1), waiting(other, 2, 3, 4, 5)])
    assert started(plan) == [2, 3, 4]  # 7 processors are free, 4 of them withheld
    assert plan.waits[blocked] == Wait(WaitKind.RESOURCES, "gpu")
    assert plan.waits[other] == Wait(WaitKind.BEHIND, "cpu", JobId(1))

"""Priority first, then age; and big jobs get their turn."""

from aiosd.ids import JobId
from aiosd.resources.pool import Pool
from aiosd.scheduling.policy import Wait, WaitKind
from aiosd.scheduling.priority import priority
from tests.unit.scheduling.worlds import ask, decide, key, machine, started, waiting


def test_the_highest_priority_goes_first_then_age() -> None:
    classes = [waiting(key(ask(2), priority=1), 5, 6), waiting(key(ask(2)), 1), waiting(key(ask(2), user="bob", priority=1), 4)]
    assert started(decide(priority, Pool(machine(cpus=8)), classes)) == [4, 5, 6, 1]


def test_lower_jobs_start_only_beside_what_is_withheld() -> None:
    pool = Pool(machine(cpus=8, memory_gib=10))
    pool.take(ask(2))
    blocked, small, other = key(ask(8, memory_gib=6), priority=1), key(ask(1)), key(ask(1, memory_gib=5))
    plan = decide(priority, pool, [waiting(blocked, 9), waiting(small, 1), waiting(other, 2)])
    assert started(plan) == []
    assert plan.waits[blocked] == Wait(WaitKind.RESOURCES, "cpu")
    assert plan.waits[small] == plan.waits[other] == Wait(WaitKind.BEHIND, "cpu", JobId(9))


def test_processors_are_not_kept_for_every_job_that_waits_for_a_gpu() -> None:
    pool = Pool(machine(cpus=4, gpus=1))
    pool.take(ask(1, gpus=1))
    for_gpu = [waiting(key(ask(1, gpus=1), user=f"user{n}", priority=5), n) for n in range(10)]
    plan = decide(priority, pool, [*for_gpu, waiting(key(ask(1)), 50, 51, 52)])
    assert started(plan) == [50, 51]  # one processor is withheld for the first that waits


def test_a_second_short_resource_is_withheld_too() -> None:
    pool = Pool(machine(cpus=8, gpus=4))
    pool.take(ask(6))
    pool.take(ask(1, gpus=2))
    wide, many_gpus, small = key(ask(4), priority=2), key(ask(0.001, gpus=4), priority=1), key(ask(0.001, gpus=1))
    with_cpu_left = [waiting(wide, 1), waiting(many_gpus, 2), waiting(small, 3)]
    assert started(decide(priority, pool, with_cpu_left)) == []


def test_small_jobs_do_not_starve_a_big_one() -> None:
    """A stream of small jobs keeps the machine busy; the big one starts as soon as those before it have ended."""
    pool = Pool(machine(cpus=4))
    big = waiting(key(ask(4)), 3)
    running = [(at, grant) for at in range(4) if (grant := pool.take(ask(1)))]  # ends at 0, 1, 2, 3
    for now in range(5):
        for ends_at, grant in running:
            if ends_at == now:
                pool.give_back(grant)
        plan = decide(priority, pool, [big, waiting(key(ask(1)), *range(100 + now, 200))])
        if plan.starts:
            break
    assert (now, started(plan)) == (3, [3])

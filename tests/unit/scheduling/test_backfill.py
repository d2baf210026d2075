"""Who may start before its turn, and who is never delayed by it."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import pytest

from aiosd.ids import JobId
from aiosd.resources.pool import Pool
from aiosd.scheduling.fifo import fifo
from aiosd.scheduling.policy import ClassKey, Estimate, Plan, Policy, Wait, WaitKind
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.reservations import Holding, Keeper, Reservation
from aiosd.scheduling.rules import Backfill, BackfillOrder, SchedulingRules
from tests.unit.scheduling import worlds
from tests.unit.scheduling.worlds import Waiting, ask, key, machine, run, started, waiting

EVERY = pytest.mark.parametrize("policy", [entry.policy for entry in POLICIES.values()], ids=list(POLICIES))
BOTH = pytest.mark.parametrize("mode", [Backfill.EASY, Backfill.CONSERVATIVE])
EASY, CONSERVATIVE = SchedulingRules(Backfill.EASY), SchedulingRules(Backfill.CONSERVATIVE)
SHORTEST = SchedulingRules(Backfill.EASY, BackfillOrder.SHORTEST)


def decide(policy: Policy, pool: Pool, jobs: Sequence[Waiting], **fields: object) -> Plan:
    """Jobs that cannot be told apart are one class."""
    members: dict[ClassKey, list[int]] = {}
    for job in jobs:
        members.setdefault(job.key, []).extend(job_id.number for job_id in job.ids)
    return worlds.decide(policy, pool, [waiting(class_key, *numbers) for class_key, numbers in members.items()], **fields)  # type: ignore[arg-type]


def _job(number: int, cpus: float, lasts_s: float = 0.0, **fields: object):  # type: ignore[no-untyped-def]
    return waiting(key(ask(cpus, **{f: fields.pop(f) for f in ("gpus", "memory_gib") if f in fields}), lasts_s=lasts_s, **fields), number)  # type: ignore[arg-type]


@EVERY
@BOTH
def test_a_job_that_ends_before_may_pass_and_one_that_does_not_may_not(policy: Policy, mode: Backfill) -> None:
    pool = Pool(machine(cpus=8))
    runs = [run(pool, ask(6), 100.0)]
    big, short, long = _job(1, 8, 50.0), _job(2, 1, 100.0), _job(3, 1, 101.0)
    plan = decide(policy, pool, [big, short, long], rules=SchedulingRules(mode), runs=runs)
    assert started(plan) == [2]
    assert plan.waits[big.key] == Wait(WaitKind.RESOURCES, "cpu")
    assert plan.waits[long.key].kind is WaitKind.BEHIND
    assert plan.waits[long.key].blocker == JobId(1)
    first = plan.reservations[0]
    assert (first.job_id, first.at_s, first.grant.cpu_millis) == (JobId(1), 100.0, 8000)


@EVERY
@BOTH
def test_a_job_that_leaves_what_is_planned_untouched_may_run_for_ever(policy: Policy, mode: Backfill) -> None:
    """With a whole node to reserve nobody could pass: on one machine that is no backfill at all."""
    pool = Pool(machine(cpus=16, gpus=4))
    runs = [run(pool, ask(4, gpus=4), 100.0)]
    training, cpu_only = _job(1, 4, 1000.0, gpus=4), _job(2, 8)
    plan = decide(policy, pool, [training, cpu_only], rules=SchedulingRules(mode), runs=runs)
    assert started(plan) == [2]
    assert plan.reservations[0].at_s == 100.0
    assert [(part.device_id, part.millis) for part in plan.reservations[0].grant.devices] == [(f"GPU-{n}", 1000) for n in range(4)]


def test_what_is_planned_is_rather_what_is_not_free_before() -> None:
    pool = Pool(machine(gpus=4))
    runs = [run(pool, ask(1, gpus=3), 100.0)]
    pair, one = _job(1, 1, gpus=2), _job(2, 1, gpus=1)
    plan = decide(fifo, pool, [pair, one], rules=EASY, runs=runs)
    assert started(plan) == [2], "the one free GPU is not among the two that the pair will get"
    assert pool.take(ask(1, gpus=1)) is not None


def test_devices_that_are_promised_are_left() -> None:
    """One GPU is free, two more come back: all three are promised, and only a job that ends before may have the free one."""
    pool = Pool(machine(gpus=3))
    runs = [run(pool, ask(1, gpus=2), 100.0)]
    plan = decide(fifo, pool, [_job(1, 1, gpus=3), _job(2, 1, gpus=0.5), _job(3, 1, 90.0, gpus=0.5)], rules=EASY, runs=runs)
    assert started(plan) == [3]


def test_a_short_job_that_ends_before_leaves_room_for_long_ones() -> None:
    """The big one needs 6 of 8 at 100; what the short one takes is back by then, so that two stay for others all the time."""
    pool = Pool(machine(cpus=8))
    runs = [run(pool, ask(4), 100.0)]
    jobs = [_job(1, 6), _job(2, 2, 60.0), _job(3, 2), _job(4, 1)]
    plan = decide(fifo, pool, jobs, rules=EASY, runs=runs)
    assert started(plan) == [2, 3]
    assert plan.reservations[0].at_s == 100.0


@EVERY
@BOTH
def test_without_any_known_end_nothing_passes_that_could_be_used(policy: Policy, mode: Backfill) -> None:
    pool = Pool(machine(cpus=8, gpus=1))
    runs = [run(pool, ask(4, gpus=1))]
    plan = decide(policy, pool, [_job(1, 2, gpus=1), _job(2, 1), _job(3, 2, 1.0)], rules=SchedulingRules(mode), runs=runs)
    assert started(plan) == [2], "two processors are held for job 1, whenever it gets its GPU"
    assert not plan.reservations, "nobody can say when"
    assert plan.waits[key(ask(2), lasts_s=1.0)] == Wait(WaitKind.BEHIND, "cpu", JobId(1))


def test_conservative_keeps_the_place_of_everybody_that_waits() -> None:
    """Under EASY the last one delays the second that waits, under conservative nobody."""
    pool = Pool(machine(cpus=8))
    runs = [run(pool, ask(4), 100.0), run(pool, ask(2), 200.0)]
    jobs = [_job(1, 6, 100.0), _job(2, 8, 50.0), _job(3, 2, 300.0)]
    assert started(decide(fifo, pool, jobs, rules=EASY, runs=runs)) == []
    pool = Pool(machine(cpus=8))
    runs = [run(pool, ask(4), 100.0)]
    jobs = [_job(1, 6, 100.0), _job(2, 8, 50.0), _job(3, 2, 300.0)]
    easy = decide(fifo, pool, jobs, rules=EASY, runs=runs)
    assert started(easy) == [3]
    careful = decide(fifo, pool, jobs, rules=CONSERVATIVE, runs=runs)
    assert started(careful) == []
    assert [(p.job_id.number, p.at_s) for p in careful.reservations] == [(1, 100.0), (2, 200.0), (3, 250.0)]


def test_conservative_plans_the_jobs_of_a_class_one_by_one() -> None:
    pool = Pool(machine(cpus=4))
    runs = [run(pool, ask(4), 10.0)]
    plan = decide(fifo, pool, [waiting(key(ask(2), lasts_s=10.0), 1, 2, 3)], rules=CONSERVATIVE, runs=runs)
    assert [(p.job_id.number, p.at_s) for p in plan.reservations] == [(1, 10.0), (2, 10.0), (3, 20.0)]


def test_the_shortest_goes_first_if_that_is_wanted() -> None:
    pool = Pool(machine(cpus=8))
    runs = [run(pool, ask(6), 100.0)]
    jobs = [_job(1, 8), _job(2, 2, 90.0), _job(3, 1, 50.0), _job(4, 1, 40.0), _job(5, 1, 40.0)]
    assert started(decide(fifo, pool, jobs, rules=EASY, runs=runs)) == [2]
    assert started(decide(fifo, pool, jobs, rules=SHORTEST, runs=runs)) == [4, 5]


def test_a_prediction_counts_in_place_of_a_limit_where_it_is_asked_for() -> None:
    def known(class_key: ClassKey) -> Estimate | None:
        return Estimate(60.0, 50.0, 70.0, 5) if class_key.lasts_s == 3600.0 else None

    pool = Pool(machine(cpus=8))
    runs = [run(pool, ask(6), 100.0)]
    jobs = [_job(1, 8), _job(2, 1, 3600.0), _job(3, 1, 7200.0)]
    assert started(decide(fifo, pool, jobs, rules=replace(EASY, predict=True), runs=runs, estimate=known)) == [2]
    assert started(decide(fifo, pool, jobs, rules=EASY, runs=runs, estimate=known)) == []


def test_no_more_candidates_are_looked_at_than_the_depth() -> None:
    pool = Pool(machine(cpus=8))
    runs = [run(pool, ask(6), 100.0)]
    jobs = [_job(1, 8), *(_job(n, 3 + n / 100, 10.0) for n in range(2, 12)), _job(50, 1, 10.0)]
    for mode in (Backfill.EASY, Backfill.CONSERVATIVE):
        plan = decide(fifo, pool, jobs, rules=SchedulingRules(mode, backfill_depth=10), runs=runs)
        assert (started(plan), len(plan.waits)) == ([], 11)
        assert started(decide(fifo, pool, jobs, rules=SchedulingRules(mode, backfill_depth=11), runs=runs)) == [50]


@BOTH
def test_who_waits_for_a_limit_keeps_nothing_from_others(mode: Backfill) -> None:
    pool = Pool(machine(cpus=8))
    plan = decide(fifo, pool, [_job(1, 8, queue="full"), _job(2, 4), _job(3, 4)], rules=SchedulingRules(mode), slots={"full": 0})
    assert started(plan) == [2, 3]
    assert plan.waits[key(ask(8), queue="full")].kind is WaitKind.QUEUE_LIMIT
    assert not plan.reservations


def test_one_that_is_short_of_something_else_gets_a_planned_start_too() -> None:
    """Or small jobs would start before the second one for as long as the first waits for its GPU."""
    pool = Pool(machine(cpus=8, gpus=1))
    runs = [run(pool, ask(1, gpus=1), 1000.0), run(pool, ask(3), 100.0)]
    plan = decide(fifo, pool, [_job(1, 1, gpus=1), _job(2, 6), _job(3, 2), _job(4, 2, 100.0)], rules=EASY, runs=runs)
    assert started(plan) == [4]
    assert [(p.job_id.number, p.at_s) for p in plan.reservations] == [(1, 1000.0), (2, 100.0)]


@BOTH
def test_the_whole_machine_comes_when_everybody_has_ended(mode: Backfill) -> None:
    pool = Pool(machine(cpus=8, gpus=2))
    runs = [run(pool, ask(1, gpus=1), 50.0), run(pool, ask(3), 100.0)]
    alone = waiting(key(replace(ask(1), exclusive=True), lasts_s=10.0), 1)
    plan = decide(fifo, pool, [alone, _job(2, 1, 101.0), _job(3, 1, 100.0)], rules=SchedulingRules(mode), runs=runs)
    assert started(plan) == [3]
    assert plan.reservations[0].at_s == 100.0
    assert plan.reservations[0].grant.cpu_millis == 8000
    assert len(plan.reservations[0].grant.devices) == 2


@BOTH
def test_one_that_wants_the_machine_for_itself_does_not_pass(mode: Backfill) -> None:
    pool = Pool(machine(cpus=8))
    alone = waiting(key(replace(ask(1), exclusive=True), lasts_s=10.0), 2)
    plan = decide(fifo, pool, [_job(1, 4, 10.0), alone], rules=SchedulingRules(mode))
    assert started(plan) == [1]


@BOTH
def test_a_planned_start_respects_what_is_reserved_for_others(mode: Backfill) -> None:
    """From 50 to 500 four of eight processors are eve's: a job of four that lasts for 100 cannot start at 20, when it would fit."""
    pool = Pool(machine(cpus=8))
    runs = [run(pool, ask(4), 20.0), run(pool, ask(2), 1000.0)]
    eves = Reservation(1, 50.0, 500.0, ("eve",), frozenset({"eve"}), ask(4))
    holdings = [Holding("ada", each.grant, each.expected_end_s) for each in runs]

    def plan(*jobs):  # type: ignore[no-untyped-def]
        return decide(fifo, pool, jobs, rules=SchedulingRules(mode), runs=runs, keeper=Keeper([eves], holdings, pool.inventory, 0.0))

    assert [p.at_s for p in plan(_job(1, 4, 100.0)).reservations] == [500.0]
    assert [p.at_s for p in plan(_job(1, 4, 30.0)).reservations] == [20.0]
    assert [p.at_s for p in plan(_job(1, 4, 100.0, user="eve")).reservations] == [20.0]
    assert started(plan(_job(1, 4, 100.0), _job(2, 2, 600.0))) == [2]
    assert started(plan(_job(1, 6, 100.0), _job(2, 2, 600.0))) == ([2] if mode is Backfill.EASY else []), "for job 1 there is no room beside eve's"


@BOTH
@EVERY
def test_a_pass_stops_at_its_limit_of_starts(policy: Policy, mode: Backfill) -> None:
    pool = Pool(machine(cpus=8))
    runs = [run(pool, ask(4), 100.0)]
    jobs = [_job(1, 8, 10.0), *(_job(n, 1, 10.0) for n in range(2, 6))]
    plan = decide(policy, pool, jobs, rules=SchedulingRules(mode), runs=runs, max_starts=2)
    assert (started(plan), plan.more) == ([2, 3], True)


def test_ends_that_are_overdue_are_still_to_come() -> None:
    pool = Pool(machine(cpus=8))
    runs = [run(pool, ask(6), 90.0)]
    plan = decide(fifo, pool, [_job(1, 8, 10.0), _job(2, 2, 10.0)], rules=EASY, runs=runs, now_s=100.0)
    assert started(plan) == []
    assert 100.0 < plan.reservations[0].at_s < 100.001
    assert plan.reservations[0].at_s != inf

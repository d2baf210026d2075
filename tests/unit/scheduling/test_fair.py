"""Who has used least of its share goes first."""

from aiosd.resources.pool import Pool
from aiosd.scheduling.fair import fair
from aiosd.scheduling.fairshare import Association, UsageLedger, dominant_share
from aiosd.scheduling.policy import WaitKind
from tests.unit.scheduling.worlds import ask, decide, key, machine, started, waiting

ADA, BOB = key(ask(1), user="ada"), key(ask(1), user="bob")


def test_a_hundred_jobs_at_once_do_not_slip_in() -> None:
    plan = decide(fair, Pool(machine(cpus=4)), [waiting(ADA, *range(100)), waiting(BOB, 100, 101)])
    assert started(plan) == [0, 100, 1, 101]


def test_what_was_used_counts_against_a_user() -> None:
    plan = decide(fair, Pool(machine(cpus=2)), [waiting(ADA, 1, 2), waiting(BOB, 3, 4)], usage={"ada": 1e6, "bob": 10.0})
    assert started(plan) == [3, 4]


def test_a_double_share_gets_twice_as_much() -> None:
    plan = decide(fair, Pool(machine(cpus=6)), [waiting(ADA, *range(10)), waiting(BOB, *range(10, 20))], shares={"bob": 2.0})
    assert sorted(started(plan)) == [0, 1, 10, 11, 12, 13]


def test_a_share_of_nothing_goes_last() -> None:
    plan = decide(fair, Pool(machine(cpus=2)), [waiting(ADA, 1), waiting(BOB, 2, 3)], shares={"ada": 0.0}, usage={"bob": 1e9})
    assert started(plan) == [2, 3]
    assert plan.waits[ADA].kind is WaitKind.RESOURCES


def test_within_a_user_priority_counts() -> None:
    urgent = key(ask(1), user="ada", priority=3)
    assert started(decide(fair, Pool(machine(cpus=2)), [waiting(ADA, 1, 2), waiting(urgent, 7, 8)])) == [7, 8]


def test_a_big_job_of_a_user_who_is_owed_is_not_starved() -> None:
    pool = Pool(machine(cpus=4))
    pool.take(ask(2))
    wide = key(ask(4), user="ada")
    plan = decide(fair, pool, [waiting(wide, 9), waiting(BOB, 1, 2)], usage={"bob": 100.0})
    assert started(plan) == []
    assert plan.waits[wide].kind is WaitKind.RESOURCES
    assert plan.waits[BOB].kind is WaitKind.BEHIND


def test_equal_shares_get_equal_amounts_over_time() -> None:
    """Ada submits wide and long jobs, Bob narrow and short ones; both always have more. Each gets half of the machine."""
    inventory = machine(cpus=8)
    pool, ledger = Pool(inventory), UsageLedger(half_life_s=36_000.0)
    shapes = {"ada": (ask(2), 700.0), "bob": (ask(1), 60.0)}
    delivered = dict.fromkeys(shapes, 0.0)
    running: list[tuple[float, float, str, object]] = []
    next_id, now = 0, 0.0
    while now < 150_000.0:
        classes = [waiting(key(request, user=user), *range(next_id + 20 * n, next_id + 20 * n + 20)) for n, (user, (request, _)) in enumerate(shapes.items())]
        user_of = {job_id: c.key.user for c in classes for job_id in c.ids}
        for start in decide(fair, pool, classes, usage=ledger.usage(now)).starts:
            pool.assign(start.grant)
            user = user_of[start.job_id]
            ledger.begin(Association("", user), dominant_share(start.grant, inventory), now)
            running.append((now + shapes[user][1], now, user, start.grant))
        next_id += 40
        now = min(running, key=lambda run: run[0])[0]
        for run in [run for run in running if run[0] <= now]:
            running.remove(run)
            _, begun, user, grant = run
            pool.give_back(grant)  # type: ignore[arg-type]
            share = dominant_share(grant, inventory)  # type: ignore[arg-type]
            ledger.finish(Association("", user), share, begun, now)
            delivered[user] += share * (now - begun)
    assert abs(delivered["ada"] - delivered["bob"]) < 0.1 * sum(delivered.values()) / 2
    assert sum(delivered.values()) > 0.9 * now

"""A snapshot that is written and read again is the same world to every policy."""

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.ids import JobId
from aiosd.resources.pool import Pool
from aiosd.scheduling.budgets import Budget, Holder, Need, Scope
from aiosd.scheduling.dump import dump, load
from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.lanes import Lanes
from aiosd.scheduling.policy import Basis, ClassKey, Estimate, HeldRun, Snapshot
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.reservations import Holding, Keeper, Reservation
from aiosd.scheduling.rules import PreemptMode, QosSettings, QueueSettings, SchedulingRules
from tests.unit.scheduling.worlds import Waiting, ask, key, machine, started, waiting


def world_of(classes: list[Waiting], policy: str = "fair") -> Snapshot:
    pool = Pool(machine(8, gpus=2))
    held = pool.take(ask(2, gpus=1))
    assert held is not None
    queues = {"default": QueueSettings("default", weights={"age": 2.0}, preempt_mode=PreemptMode.SUSPEND)}
    rules = SchedulingRules(qos={"urgent": QosSettings("urgent", preempts=("default",))})
    lanes = Lanes(POLICIES[policy].within(Basis(rules, queues, pool.inventory)), rules)
    for job_class in classes:
        lanes.changed(job_class)
    reservation = Reservation(3, 50.0, 90.0, ("eve",), frozenset({"eve"}), ask(2))
    run = HeldRun(JobId(1), key(ask(2, gpus=1)), held, -20.0, expected_end_s=30.0, latest_end_s=inf, preempt_mode=PreemptMode.REQUEUE)
    return Snapshot(
        now_s=10.0,
        lanes=lanes.at(10.0),
        pool=pool,
        slots={"default": 9},
        usage={Association("", "ada"): 3.5, Association("lab", "bob"): 0.0},
        shares={"ada": 0.0},
        budgets={Holder(Scope.USER, "bob"): Budget(Need(5, 1, 2, 3, 4), Need(4, 3, 2, 1, 0))},
        keeper=Keeper([reservation], [Holding("ada", held)], pool.inventory, 10.0),
        rules=rules,
        queues=queues,
        runs=(run,),
        estimate={classes[0].key: Estimate(60.0, 10.0, 90.0, 5)}.get if classes else lambda _: None,
    )


classes_of_jobs = st.lists(
    st.builds(ask, st.integers(1, 9), st.sampled_from([0, 0.5, 1, 2])).flatmap(
        lambda request: st.builds(key, st.just(request), user=st.sampled_from(["ada", "bob", "eve"]), priority=st.integers(-2, 2))
    ),
    max_size=8,
    unique=True,
)


@settings(max_examples=40, deadline=None)
@given(classes_of_jobs, st.sampled_from(["fifo", "priority", "fair"]))
def test_every_policy_plans_the_same(keys: list[ClassKey], name: str) -> None:
    classes = [waiting(each, 10 + n, 30 + n) for n, each in enumerate(keys)]
    world = world_of(classes, name)
    read = load(dump(world))
    policy = POLICIES[name].policy
    with world.pool.trial(), read.pool.trial():
        planned, again = policy(world), policy(read)
    assert started(again) == started(planned) and again.waits == planned.waits


def test_all_of_it_comes_back() -> None:
    classes = [waiting(key(ask(3))._replace(work="python train.py --token=x", lasts_s=5.0), 7)]
    world = world_of(classes)
    text = dump(world)
    read = load(text)
    assert '"unwritten": {}' in text and "token" not in text
    same = ("now_s", "slots", "usage", "shares", "budgets", "rules", "queues", "runs", "max_starts")
    assert {name: getattr(read, name) for name in same} == {name: getattr(world, name) for name in same}
    assert (read.pool.inventory, read.pool.grants()) == (world.pool.inventory, world.pool.grants())
    ((_, job_class),) = read.lanes[0]
    assert read.estimate(job_class.key) == Estimate(60.0, 10.0, 90.0, 5)
    assert read.keeper is not None and world.keeper is not None and read.keeper.reservations == world.keeper.reservations


def test_a_part_that_cannot_be_written_keeps_no_other_from_it() -> None:
    world = world_of([waiting(key(ask(1)), 7)])
    object.__setattr__(world, "usage", {Association("", "ada"): object()})
    text = dump(world)
    assert "usage" in text.partition("unwritten")[2] and load(text).usage == {}

"""What queues, QoS and accounts allow: who may use them, what is refused, what waits and why, and what a share lends."""

from dataclasses import replace
from typing import Any

import pytest

from aiosd.clock import Instant
from aiosd.errors import Denied, Exhausted, InvalidArgument, NeverFits, NotFound
from aiosd.ids import JobId
from aiosd.jobs import billing
from aiosd.jobs.actions import InventoryChanged, QueueChange, SetPolicy, SetQueue, Submit, UpdateJob
from aiosd.jobs.draft import JobChange, RequestDraft
from aiosd.jobs.job import Owner
from aiosd.jobs.limiting import limited
from aiosd.jobs.ports import Loaded
from aiosd.jobs.settings import JobsSettings
from aiosd.jobs.sharing import shares
from aiosd.resources.request import DeviceRequest, Request
from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.policy import WaitKind
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import AccountSettings, Backfill, PriorityWeights, QosSettings, QueueSettings, SchedulingRules
from tests.unit.jobs.world import ALICE, BOB, EMPTY, GIB, World, draft, machine

EVE = Owner(1002, 1002, "eve")
each_policy = pytest.mark.parametrize("policy", list(POLICIES))


def ask(cpus: int = 1, memory_gib: int = 0, gpus: float = 0) -> RequestDraft:
    return RequestDraft(cpu_millis=1000 * cpus, memory_bytes=memory_gib * GIB, devices=(DeviceRequest("gpu", round(1000 * gpus)),) if gpus else ())


def with_rules(policy: str = "fair", queues: tuple[QueueSettings, ...] = (), cpus: int = 8, gpus: int = 4, **rules: Any) -> World:
    every = {queue.name: queue for queue in (QueueSettings("default"), *queues)}
    return World(machine(cpus, 32 * GIB, gpus), JobsSettings(policy=policy, queues=every, scheduling=SchedulingRules(**rules)))


def running(world: World) -> list[int]:
    return [job_id.number for job_id in world.engine.state.shares]


def told(world: World, number: int) -> tuple[WaitKind, str, str]:
    """Why it waits: the kind, the resource, and the sentence about the limit."""
    state = world.engine.state
    job = state.jobs[JobId(number)]
    wait = state.waits[state.class_key(job)]
    limit = limited(state, job, wait, world.now)
    assert limit.resource == wait.resource or not wait.resource
    return wait.kind, wait.resource, limit.sentence


# Limits on what runs


@each_policy
@pytest.mark.parametrize(
    ("limits", "request_", "resource"),
    [({"cpu_millis": 5000}, ask(2), "processors"), ({"memory_bytes": 5 * GIB}, ask(1, 2), "memory"), ({"gpu_millis": 2000}, ask(1, 0, 1), "GPUs")],
)
def test_a_queue_bounds_what_its_jobs_hold_together(policy: str, limits: dict[str, int], request_: RequestDraft, resource: str) -> None:
    world = with_rules(policy, (QueueSettings("small", **limits),))  # type: ignore[arg-type]
    for owner in (ALICE, BOB, EVE):
        world.submit(draft(request=request_, queue="small"), owner=owner)
    world.submit(draft(request=request_), owner=EVE)
    assert running(world) == [1, 2, 4]
    kind, short, sentence = told(world, 3)
    assert (kind, short) == (WaitKind.QUEUE_LIMIT, resource)
    assert "that queue 'small' may have at once" in sentence
    world.begin()
    world.finish(JobId(1))
    assert sorted(running(world)) == [2, 3, 4]
    for number in (2, 3, 4):
        world.begin()
        world.finish(JobId(number))
    assert world.engine.state.holdings.held_in == {}, "nothing is left behind"


@each_policy
def test_a_user_in_a_queue_has_limits_of_its_own(policy: str) -> None:
    world = with_rules(policy, (QueueSettings("small", user_running=2, user_cpu_millis=3000, user_gpu_millis=1500),))
    world.submit(*[draft(queue="small") for _ in range(3)])
    world.submit(draft(queue="small"), draft(queue="small", request=ask(3)), owner=BOB)
    assert sorted(running(world)) == [1, 2, 4]
    assert told(world, 3) == (WaitKind.USER_LIMIT, "running jobs", "alice in queue 'small' runs as many jobs at once as its limit allows: 2")
    assert told(world, 5)[:2] == (WaitKind.USER_LIMIT, "processors")


@each_policy
def test_a_qos_bounds_its_jobs_across_queues(policy: str) -> None:
    qos = {"high": QosSettings("high", max_running=3, user_running=2, gpu_millis=2000)}
    world = with_rules(policy, (QueueSettings("other"),), qos=qos)
    world.submit(*[draft(qos="high", queue=queue) for queue in ("default", "other", "default")])
    world.submit(draft(qos="high"), draft(qos="high"), owner=BOB)
    assert sorted(running(world)) == [1, 2, 4]
    assert told(world, 3)[0] is WaitKind.USER_LIMIT
    assert told(world, 5) == (WaitKind.QOS_LIMIT, "running jobs", "QoS 'high' runs as many jobs at once as its limit allows: 3")
    again = World(world.inventory, world.settings, world.now, Loaded(list(world.saved.values()), (), {}, 9, 0))
    assert again.engine.state.holdings.held_in == world.engine.state.holdings.held_in, "a restart counts what runs anew"


def test_limits_can_be_set_while_it_runs() -> None:
    world = with_rules()
    world.do(SetQueue("default", QueueChange(cpu_millis=1000)))
    world.submit(draft(), draft())
    assert running(world) == [1]
    world.do(SetQueue("default", QueueChange(cpu_millis=0)))
    assert running(world) == [1, 2]


def test_what_can_never_start_under_a_limit_is_refused() -> None:
    world = with_rules(
        queues=(QueueSettings("small", cpu_millis=2000, user_gpu_millis=1000, share_permille=500),), qos={"tiny": QosSettings("tiny", gpu_millis=500)}
    )
    with pytest.raises(NeverFits, match="3 processors, and queue 'small' may have 2 processors at once") as caught:
        world.submit(draft(request=ask(3), queue="small"))
    assert "`aiosctl queue set small --max-cpus N`" in caught.value.hint
    with pytest.raises(NeverFits, match="alice in queue 'small'"):
        world.submit(draft(request=ask(1, 0, 2), queue="small"))
    with pytest.raises(NeverFits, match="QoS 'tiny'"):
        world.submit(draft(request=ask(1, 0, 1), qos="tiny"))
    world.submit(draft(request=ask(3), held=True))
    with pytest.raises(NeverFits):
        world.do(UpdateJob(JobId(1), JobChange(queue="small")))


def test_a_queue_takes_no_more_than_may_wait_in_it() -> None:
    world = with_rules(queues=(QueueSettings("short", max_queued=3),))
    world.submit(draft(array="0-1", queue="short", held=True))
    with pytest.raises(Exhausted, match="2 jobs wait in queue 'short', and 2 more would pass its limit of 3"):
        world.submit(draft(queue="short", held=True), draft(queue="short", held=True))
    world.submit(draft(queue="short", held=True), draft(held=True))
    with pytest.raises(Exhausted):
        world.do(UpdateJob(JobId(3), JobChange(queue="short")))
    assert world.engine.state.holdings.queued_in == {"short": 3, "default": 1}


# Shares of the machine


@each_policy
def test_a_share_without_borrowing_is_a_limit(policy: str) -> None:
    world = with_rules(policy, (QueueSettings("half", share_permille=500),))
    world.submit(*[draft(queue="half") for _ in range(6)])
    assert running(world) == [1, 2, 3, 4]
    assert told(world, 5)[0] is WaitKind.QUEUE_LIMIT
    world.do(InventoryChanged(machine(6, 32 * GIB, 4)))
    world.begin()
    world.finish(JobId(1))
    assert running(world) == [2, 3, 4], "a share of a machine that shrinks shrinks"


@each_policy
def test_a_queue_borrows_what_nobody_wants_after_all_others(policy: str) -> None:
    world = with_rules(policy, (QueueSettings("half", share_permille=500, borrow=True, priority=1000),))
    world.submit(*[draft(queue="half") for _ in range(6)])
    assert running(world) == [1, 2, 3, 4, 5, 6], "the machine is not left idle"
    world = with_rules(policy, (QueueSettings("half", share_permille=500, borrow=True, priority=1000),))
    world.do(Submit([draft(queue="half") for _ in range(6)] + [draft() for _ in range(3)], [EMPTY] * 9, ALICE))
    assert sorted(running(world)) == [1, 2, 3, 4, 5, 7, 8, 9], "its share first, and the last processor when nobody else wants it"


@each_policy
def test_nothing_is_borrowed_of_what_others_wait_for(policy: str) -> None:
    world = with_rules(policy, (QueueSettings("half", share_permille=500, borrow=True),))
    world.do(Submit([draft(queue="half") for _ in range(6)] + [draft(request=ask(6))], [EMPTY] * 7, ALICE))
    assert sorted(running(world)) == [1, 2, 3, 4], "job 7 waits for processors: none are lent"
    assert "its share of the machine" in told(world, 5)[2]
    world = with_rules(policy, (QueueSettings("half", share_permille=500, borrow=True),), cpus=16)
    first = [draft(request=ask(1, 0, 4))]
    world.do(Submit(first + [draft(request=ask(1, 0, 4))] + [draft(queue="half") for _ in range(10)], [EMPTY] * 12, ALICE))
    assert len(running(world)) >= 11, "job 2 waits for GPUs: processors are lent"


# Who may use them


def test_only_those_who_are_allowed() -> None:
    qos = {"high": QosSettings("high", allowed_users=("bob",))}
    world = with_rules(queues=(QueueSettings("staff", allowed_users=("bob", "@wheel")),), qos=qos)
    with pytest.raises(Denied, match="alice may not use queue 'staff': it is for bob, @wheel"):
        world.submit(draft(queue="staff"))
    with pytest.raises(Denied, match="alice may not use QoS 'high'"):
        world.submit(draft(qos="high"))
    world.submit(draft(queue="staff", qos="high"), owner=BOB)
    world.do(Submit([draft(queue="staff")], [EMPTY], ALICE, groups=frozenset({"wheel", "users"})))
    world.submit(draft(held=True))
    for change in (JobChange(queue="staff"), JobChange(qos="high")):
        with pytest.raises(Denied):
            world.do(UpdateJob(JobId(3), change))
    world.do(UpdateJob(JobId(3), JobChange(queue="staff"), frozenset({"wheel"})))
    assert world.engine.state.jobs[JobId(3)].spec.queue == "staff"


def test_accounts_are_those_of_the_configuration_where_there_are_any() -> None:
    free = with_rules()
    free.submit(draft(account="whatever"))
    accounts = {"lab": AccountSettings("lab", users={"bob": 1.0}), "open": AccountSettings("open", "lab")}
    world = with_rules(accounts=accounts)
    with pytest.raises(NotFound, match="there is no account 'whatever'") as caught:
        world.submit(draft(account="whatever"))
    assert caught.value.hint.startswith("yours: open;")
    with pytest.raises(Denied, match="alice may not charge account 'lab'"):
        world.submit(draft(account="lab"))
    world.submit(draft(account="open"), draft())
    world.submit(draft(account="lab"), owner=BOB)


def test_a_qos_has_a_longest_time_limit() -> None:
    qos = {"quick": QosSettings("quick", max_time_limit_s=60.0)}
    world = with_rules(queues=(QueueSettings("long", default_time_limit_s=600.0, max_time_limit_s=900.0),), qos=qos)
    with pytest.raises(InvalidArgument, match="more than QoS 'quick' allows: 1m"):
        world.submit(draft(qos="quick", queue="long", time_limit_s=61.0))
    with pytest.raises(InvalidArgument, match="more than queue 'long' allows"):
        world.submit(draft(queue="long", time_limit_s=901.0))
    jobs = world.submit(draft(qos="quick"), draft(qos="quick", queue="long"), draft(queue="long"), draft(queue="long", time_limit_s=700.0, held=True))
    assert [job.spec.time_limit_s for job in jobs] == [60.0, 60.0, 600.0, 700.0]
    with pytest.raises(InvalidArgument):
        world.do(UpdateJob(JobId(4), JobChange(qos="quick")))


# What is charged


def test_usage_is_charged_to_the_account_times_what_the_qos_costs() -> None:
    world = with_rules(qos={"double": QosSettings("double", usage_factor=2.0)}, accounts={"lab": AccountSettings("lab")})
    world.submit(draft(account="lab", qos="double"), draft())
    usage = world.engine.state.ledger.usage(world.now.wall_s)
    assert usage == {Association("lab", "alice"): pytest.approx(2 * 3600 / 8), Association("", "alice"): pytest.approx(3600 / 8)}
    world.begin()
    world.engine.state.use(replace(world.settings, scheduling=SchedulingRules()))
    world.finish(JobId(1))
    assert world.engine.state.ledger.usage(world.now.wall_s)[Association("lab", "alice")] == pytest.approx(0.0), "as it began, so it ends"


def test_labels_that_are_no_accounts_cost_nothing() -> None:
    """Anybody can make up one for each job: they are no lanes, and no lines in the ledger."""
    world = with_rules(cpus=4)
    world.submit(*[draft(account=f"label{n}") for n in range(50)])
    state = world.engine.state
    assert list(state.ledger.usage(world.now.wall_s)) == [Association("", "alice")]
    assert len(state.backlog.lanes.at(world.now.wall_s)) == 1
    accounts = {"label49": AccountSettings("label49")}
    state.use(replace(state.settings, scheduling=SchedulingRules(accounts=accounts)))
    assert sorted(lane.key.account for lane in state.backlog.lanes.at(world.now.wall_s)) == ["", "label49"]
    world.begin()
    for number in (1, 2, 3, 4):
        world.finish(JobId(number))
    assert len(state.charged) == len(state.shares) == 4


def test_a_run_that_holds_something_else_is_charged_for_that() -> None:
    world = with_rules(qos={"double": QosSettings("double", usage_factor=2.0)}, accounts={"lab": AccountSettings("lab")}, cpus=4)
    world.submit(draft(qos="double", account="lab"))
    world.begin()
    state, job = world.engine.state, world.engine.state.jobs[JobId(1)]
    assert job.run is not None
    world.wait(100.0)
    grant = state.pool.take(ask_for(2))
    assert grant is not None
    billing.change(state, job, grant, job.run.dispatched_at_s, world.now)
    whose = Association("lab", "alice")
    assert state.ledger.value(whose, world.now.wall_s) == pytest.approx(100 * 2 / 4, rel=1e-3)
    world.wait(100.0)
    assert state.ledger.value(whose, world.now.wall_s) == pytest.approx(100 * 2 / 4 + 100 * 2 * 2 / 4, rel=1e-3)
    state.pool.give_back(grant)


def ask_for(cpus: int) -> Request:
    return Request(1000 * cpus, 0)


def test_the_tree_is_shown() -> None:
    accounts = {"lab": AccountSettings("lab", shares=3.0, users={"alice": 1.0, "bob": 3.0}), "sub": AccountSettings("sub", "lab", 4.0)}
    world = with_rules(accounts=accounts, cpus=1)
    world.submit(draft(account="lab"))
    world.submit(draft(array="0-2", account="sub"), owner=BOB)
    found = {(node.name, node.parent): node for node in shares(world.engine.state, world.now)}
    lab, alice, bob, subs = found["lab", ""], found["alice", "lab"], found["bob", "lab"], found["bob", "sub"]
    assert [(node.name, node.depth) for node in found.values()] == [("lab", 0), ("alice", 1), ("bob", 1), ("sub", 1), ("bob", 2)]
    assert (lab.share, alice.share, bob.share, subs.share) == (1.0, 0.125, 0.375, 0.5)
    assert (lab.queued, lab.running, subs.queued, alice.running) == (3, 1, 3, 1)
    assert (alice.usage_share, alice.level_fair_share, bob.level_fair_share) == (1.0, 0.125, float("inf"))
    assert (alice.rank, bob.rank, subs.rank, lab.rank) == (3, 1, 1, 0)


# Rules that are set while it runs


def test_what_is_set_lasts_and_goes_before_the_configuration() -> None:
    world = with_rules("fifo", predict=True)
    world.do(SetPolicy(backfill=Backfill.CONSERVATIVE, predict=False, weights={"age": 5.0}))
    world.do(SetPolicy("priority", weights={"size": 7.0}))
    settings = {action.name: action.value for action in world.last if hasattr(action, "value")}
    assert world.engine.state.policy == "priority"
    configured = replace(world.settings, scheduling=SchedulingRules(backfill_depth=5, weights=PriorityWeights(nice=1.0)))
    again = World(world.inventory, configured, world.now, Loaded((), (), settings, 9, 0))
    for state in (world.engine.state, again.engine.state):
        rules = state.settings.scheduling
        assert (rules.backfill, rules.predict, rules.weights.age, rules.weights.size) == (Backfill.CONSERVATIVE, False, 5.0, 7.0)
    assert again.engine.state.settings.scheduling.weights.nice == 1.0, "what was not set is as it is configured"
    again.engine.state.use(replace(configured, scheduling=SchedulingRules(predict=True)))
    assert not again.engine.state.settings.scheduling.predict
    spoilt = Loaded((), (), {"scheduling": '{"backfill": "sometimes", "predict": 3, "weights": {"age": -1, "luck": 2, "nice": 4}}'}, 9, 0)
    rules = World(world.inventory, configured, world.now, spoilt).engine.state.settings.scheduling
    assert rules == replace(configured.scheduling, weights=PriorityWeights(nice=4.0)), "what nobody can follow is left out"


@pytest.mark.parametrize("weights", [{"luck": 1.0}, {"age": float("nan")}, {"age": -1.0}, {"age": float("inf")}, {"age_max_s": 5.0}])
def test_weights_that_are_none_are_refused(weights: dict[str, float]) -> None:
    world = with_rules()
    with pytest.raises(InvalidArgument):
        world.do(SetPolicy(weights=weights))
    with pytest.raises(InvalidArgument):
        world.do(SetQueue("default", QueueChange(weights=weights)))


def test_a_queue_cannot_preempt_one_that_is_not_there() -> None:
    world = with_rules(queues=(QueueSettings("night"),))
    with pytest.raises(InvalidArgument, match="there is no queue 'nihgt' to preempt") as refused:
        world.do(SetQueue("day", QueueChange(preempts=("night", "nihgt"))))
    assert refused.value.hint == "set it up first; queues: day, default, night"
    assert "day" not in world.engine.state.queues
    world.do(SetQueue("day", QueueChange(preempts=("night", "day"))))
    assert world.engine.state.queues["day"].preempts == ("night", "day")


def test_a_run_grows_no_further_than_its_queue_and_its_qos_allow() -> None:
    night = QueueSettings("night", user_cpu_millis=3000, memory_bytes=5 * GIB)
    world = with_rules(queues=(night, QueueSettings("lent", share_permille=250, borrow=True)), cpus=16, qos={"small": QosSettings("small", cpu_millis=5000)})
    world.submit(*[draft(request=ask(1, 2), queue="night")] * 2, *[draft(request=ask(2, 1), qos="small")] * 2, draft(request=ask(1, 1), queue="lent"))
    world.begin()
    for number, change, words in (
        (1, JobChange(cpu_millis=3000), "2 processors more, and of the 3 processors that alice in queue 'night' may have at once 1 processors are left"),
        (1, JobChange(memory_bytes=4 * GIB), "2 GiB of memory more, and of the 5 GiB of memory that queue 'night' may have at once 1 GiB of memory are left"),
        (3, JobChange(cpu_millis=4000), "2 processors more, and of the 5 processors that QoS 'small' may have at once 1 processors are left"),
    ):
        before = world.engine.state.pool.free()
        with pytest.raises(Exhausted, match=words):
            world.do(UpdateJob(JobId(number), change))
        assert world.engine.state.pool.free() == before
    world.do(UpdateJob(JobId(1), JobChange(cpu_millis=2000, memory_bytes=3 * GIB)))
    world.do(UpdateJob(JobId(5), JobChange(cpu_millis=5000)))  # beyond a share that may be passed
    runs = [job.run for job in world.engine.state.jobs.values()]
    assert [run.grant.cpu_millis for run in runs if run is not None] == [2000, 1000, 2000, 2000, 5000]


@pytest.mark.parametrize("change", [{"share_permille": 1001}, {"cpu_millis": -1}, {"allowed_users": ("",)}, {"preempts": ("a\nb",)}, {"max_queued": -1}])
def test_queues_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    world = with_rules()
    with pytest.raises(InvalidArgument):
        world.do(SetQueue("default", QueueChange(**change)))
    assert world.engine.state.queues["default"] == QueueSettings("default")


def test_a_wall_clock_that_goes_back_makes_nobody_wait_for_it() -> None:
    """Alice's job came in a year that is yet to come; bob's comes now, and waits as long from here on."""
    day_s = 86400.0
    world = with_rules("priority", weights=PriorityWeights(age_max_s=day_s), cpus=1)
    world.now = Instant(1e9, world.now.steady_s)
    world.submit(draft(), draft(array="0-1"))
    world.begin()
    world.now = Instant(world.now.wall_s - 365 * day_s, world.now.steady_s + 1.0)
    world.submit(draft(priority=1), owner=BOB)
    since = {each.key.user: each.eligible_at_s for each in world.engine.state.backlog.classes.values()}
    assert since == {"alice": world.now.wall_s, "bob": world.now.wall_s}
    world.now = Instant(world.now.wall_s + day_s, world.now.steady_s + day_s)
    world.submit(draft(priority=1_000_000), owner=BOB)
    world.finish(JobId(1))
    assert [(i.number, i.index) for i in world.engine.state.shares] == [(2, 0)], "what has waited for a day goes first"
    saved = [replace(job, eligible_at_s=world.now.wall_s + 1e9) if job.eligible_at_s else job for job in world.saved.values()]
    again = World(world.inventory, world.settings, world.now, Loaded(saved, (), {}, 9, 0))
    again.do()
    assert all(each.eligible_at_s <= world.now.wall_s for each in again.engine.state.backlog.classes.values())

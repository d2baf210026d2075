"""Why a job waits: one kind and one sentence for each reason there is."""

from dataclasses import replace

import pytest

from aiosd.errors import NotFound
from aiosd.ids import JobId
from aiosd.jobs.actions import QueueChange, SetDrained, SetPolicy, SetQueue, Steer, UpdateJob
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft, RetryDraft
from aiosd.jobs.explain import Why, WhyKind
from aiosd.jobs.settings import JobsSettings
from aiosd.jobs.telling import told
from aiosd.resources.request import DeviceRequest
from aiosd.scheduling.rules import QosSettings, SchedulingRules
from tests.unit.jobs.world import ALICE, BOB, GIB, World, draft, machine


def kind(world: World, number: int, index: int = -1) -> str:
    return str(world.engine.why(JobId(number, index), world.now).kind)


def test_every_kind_of_waiting() -> None:
    world = World(inventory=machine(2))
    world.do(SetPolicy("fifo"))
    world.submit(draft("runs"))
    world.submit(draft("wide", request=RequestDraft(cpu_millis=2000)), draft("behind"))
    world.submit(draft("held", held=True), draft("later", begin_at_s=world.now.wall_s + 90), draft("after", dependencies=(("after-ok", "1"),)))
    kinds = [kind(world, number) for number in range(1, 7)]
    assert kinds == ["not-waiting", "resources", "behind", "held", "begin-time", "dependency"]
    assert world.engine.why(JobId(5), world.now).estimated_start_at_s == world.now.wall_s + 90
    assert world.engine.why(JobId(3), world.now).ahead == (JobId(2),)
    world.do(SetQueue("default", QueueChange(started=False)))
    assert kind(world, 2) == WhyKind.QUEUE_STOPPED
    world.do(SetDrained(True))
    assert kind(world, 2) == WhyKind.DRAINED
    with pytest.raises(NotFound):
        kind(world, 99)


def test_retries_limits_and_elements() -> None:
    world = World(inventory=machine(8))
    world.do(SetQueue("default", QueueChange(max_running=2)))
    world.submit(draft("a", array="0-9%1", retry=RetryDraft(retries=1, backoff_s=5.0)), draft("b"), draft("c"))
    assert (kind(world, 1), kind(world, 1, 5), kind(world, 3)) == ("array-limit", "array-limit", "queue-limit")
    world.begin()
    world.finish(JobId(1, 0), 1)
    assert kind(world, 1, 0) == "backoff" and "exit code 1" in world.engine.why(JobId(1, 0), world.now).summary
    world.do(SetDrained(True))
    world.wait(6)
    world.do(SetDrained(False))
    assert kind(world, 1, 0) != "array-limit", "it keeps its place under the limit"


def test_the_first_in_line_hears_when_a_run_must_end() -> None:
    world = World(inventory=machine(1))
    world.submit(draft("a", time_limit_s=60.0), draft("b"))
    world.begin()
    world.wait(10)
    assert world.engine.why(JobId(2), world.now).estimated_start_at_s == pytest.approx(world.now.wall_s + 50)


def asking(cpus: float = 1, memory_bytes: int = GIB, **fields: object) -> JobDraft:
    devices = fields.pop("devices", ())
    return draft("x", request=RequestDraft(cpu_millis=int(1000 * cpus), memory_bytes=memory_bytes, devices=devices), **fields)  # type: ignore[arg-type]


def why(world: World, number: int, index: int = -1) -> Why:
    return world.engine.why(JobId(number, index), world.now)


def test_what_is_short_is_said_in_the_words_of_people() -> None:
    world = World(inventory=machine(4, gpus=1))
    world.submit(asking(3, 12 * GIB, devices=(DeviceRequest("gpu", 1000),)))
    world.submit(asking(2), asking(1, 6 * GIB), asking(1, devices=(DeviceRequest("gpu", 1000, "a100"),)), asking(1, devices=(DeviceRequest("gpu", 500),)))
    assert why(world, 2).summary.startswith("it needs 2 processors; 1 of 4 is free")
    assert why(world, 3).summary.startswith("it needs 6 GiB of memory; 4 GiB of 16 GiB is free")
    assert why(world, 4).summary.startswith("it needs 1 gpu (a100); 0 of 1 is free")
    assert why(world, 5).summary.startswith("it needs 0.5 gpu; at most 0 of one is free")


def test_a_suggestion_has_numbers_that_have_been_tried() -> None:
    world = World(inventory=machine(4, 16 * GIB + 5))
    world.submit(asking(3, 12 * GIB))
    world.submit(asking(2), asking(2, 6 * GIB), asking(1, 13 * GIB, array="0-3"))
    world.do(SetPolicy("fifo"))
    ends = "it starts when job 1 of alice ends"
    assert why(world, 2).suggestions == ("ask for 1 processor instead of 2: it starts now (`aiosctl update 2 --cpus 1`)", ends)
    assert why(world, 3).suggestions == (ends,), "with less it would fit, and would not pass by job 2"
    world.do(SetPolicy("priority"))
    world.do(UpdateJob(JobId(3), JobChange(priority=1)))
    less = "ask for 1 processor instead of 2 and 4 GiB of memory instead of 6 GiB: it starts now (`aiosctl update 3 --cpus 1 --memory 4096M`)"
    assert why(world, 3).suggestions == (less, ends)
    world.do(UpdateJob(JobId(4), JobChange(priority=2)))
    least = "ask for 4 GiB of memory instead of 13 GiB: it starts now (`aiosctl update 4 --memory 4096M`)"
    assert why(world, 4, 2).suggestions == why(world, 4).suggestions == (least, ends), "an element that has not begun follows its array"
    world.do(UpdateJob(JobId(2), JobChange(cpu_millis=1000, priority=9)))
    assert world.phase(2) == "starting"
    assert why(world, 3).suggestions == (), "there is nothing left to make do with, and no run whose end would be enough"


def test_nobody_is_told_to_make_do_with_next_to_nothing() -> None:
    world = World(inventory=machine(16))
    world.submit(asking(15.5))
    world.submit(asking(8), asking(1, devices=()))
    assert why(world, 2).suggestions == ("it starts when job 1 of alice ends",)
    world.do(SetPolicy("priority"))
    world.do(UpdateJob(JobId(3), JobChange(priority=1)))
    assert "--cpus 0.5" in why(world, 3).suggestions[0]


def test_who_is_ahead_depends_on_the_policy() -> None:
    world = World(inventory=machine(1))
    world.submit(asking())
    world.submit(*[asking(priority=priority) for priority in (1, 5, 3, -2)], asking(queue="default", priority=5), owner=BOB)
    ahead = {}
    for policy in ("fifo", "priority", "fair"):
        world.do(SetPolicy(policy))
        ahead[policy] = [(a.ahead_count, [i.number for i in a.ahead]) for a in (why(world, number) for number in (2, 5, 6))]
    assert ahead["fifo"] == [(0, []), (3, [4, 3, 2]), (4, [5, 4, 3, 2])]
    assert ahead["priority"] == [(3, [4, 6, 3]), (4, [2, 4, 6, 3]), (1, [3])]
    assert ahead["fair"] == ahead["priority"], "they are all of one user"


def test_under_fair_the_users_with_less_usage_are_ahead() -> None:
    world = World(inventory=machine(1), settings=JobsSettings(policy="fair"))
    world.submit(asking(), owner=ALICE)
    world.submit(asking(), asking(priority=9), owner=ALICE)
    world.submit(asking(), asking(), owner=BOB)
    assert (why(world, 2).ahead_count, why(world, 2).ahead) == (3, (JobId(3), JobId(5), JobId(4)))
    assert why(world, 4).ahead_count == 0
    assert why(world, 5).ahead == (JobId(4),)


def test_queues_that_start_nothing_are_ahead_of_nobody() -> None:
    world = World(inventory=machine(2))
    world.do(SetPolicy("priority"))
    world.do(SetQueue("off", QueueChange(started=False)))
    world.do(SetQueue("full", QueueChange(max_running=1)))
    world.submit(asking(queue="full"), asking())
    world.submit(asking(queue="off", priority=9), asking(queue="full", priority=9), asking())
    assert (why(world, 5).ahead_count, why(world, 4).ahead_count) == (0, 0)


def test_lists_have_the_reason_in_a_word() -> None:
    world = World(inventory=machine(2))
    world.do(SetPolicy("fifo"))
    world.do(SetQueue("full", QueueChange(max_running=1)))
    world.submit(draft("runs"), draft("runs", queue="full", array="0-1%1"), draft("waits", queue="full"))
    world.submit(asking(2), asking(1), draft("held", held=True))

    def words(number: int, index: int = -1) -> str:
        return told(world.engine.state, world.engine.state.job(JobId(number, index))).reason

    assert [words(1), words(2, 1), words(3), words(4), words(5)] == ["", "array limit", "queue limit", "waits for cpu", "behind job 4"]
    assert words(6) == world.engine.state.jobs[JobId(6)].reason != "", "what has a reason keeps it"
    assert world.engine.state.jobs[JobId(4)].reason == "", "it is not stored"
    world.do(SetQueue("default", QueueChange(started=False)))
    assert words(4) == "queue stopped"
    world.do(SetDrained(True))
    assert words(3) == "node drained"
    kept = replace(world.engine.state.jobs[JobId(4)], reason="it was requeued")
    assert told(world.engine.state, kept) is kept


def test_of_a_job_that_runs_it_is_told_since_when_on_what_and_until_when() -> None:
    world = World(inventory=machine(4, gpus=1))
    world.submit(asking(2, devices=(DeviceRequest("gpu", 500),), time_limit_s=600.0), asking(1))
    assert why(world, 1).summary == "it does not wait: it is starting"
    world.begin()
    world.wait(60)
    assert why(world, 1).summary == (
        "it does not wait: it is running, for 1m so far, on 2 processors, 1 GiB of memory, gpu 0 (0.5); it is expected to end in 9m"
    )
    assert why(world, 2).summary == "it does not wait: it is running, for 1m so far, on 1 processor, 1 GiB of memory", "nobody knows when it ends"
    world.steer(Steer.SUSPEND, JobId(1))
    world.wait(100)
    assert why(world, 1).summary.startswith("it does not wait: it is suspended, for 1m so far, on 2") and "expected" not in why(world, 1).summary
    world.steer(Steer.RESUME, JobId(1))
    assert why(world, 1).summary.endswith("it is expected to end in 9m")
    world.steer(Steer.CANCEL, JobId(1))
    assert why(world, 1).summary.endswith("it is expected to end in 30s"), "when its grace is over"


def test_limits_of_many_and_pressure_have_words() -> None:
    qos = {"urgent": QosSettings("urgent", cpu_millis=1000)}
    world = World(inventory=machine(4), settings=JobsSettings(scheduling=SchedulingRules(qos=qos)))
    world.do(SetQueue("night", QueueChange(max_running=1)))
    world.do(SetQueue("day", QueueChange(cpu_millis=1000)))
    for fields in ({"queue": "night"}, {"queue": "day"}, {"qos": "urgent"}):
        world.submit(asking(**fields), asking(**fields))  # type: ignore[arg-type]
    state = world.engine.state
    for number, kind, words, short in (
        (2, "queue-limit", "queue 'night' runs as many jobs at once as it may", "queue limit"),
        (
            4,
            "queue-limit",
            "it asks for 1 processors, and of the 1 processors that queue 'day' may have at once 0 processors are left",
            "queue limit: processors",
        ),
        (6, "qos-limit", "it asks for 1 processors, and of the 1 processors that QoS 'urgent' may have at once", "limit of qos urgent: processors"),
    ):
        assert (why(world, number).kind, told(state, state.jobs[JobId(number)]).reason) == (kind, short)
        assert why(world, number).summary.startswith(words)
    assert why(world, 4).suggestions[-1:] == ("`aiosctl queue set day --max-cpus N` raises the limit, or lifts it with 0; that takes an operator",)
    assert why(world, 6).suggestions[-1:] == ("[qos.urgent] in aiosd.toml has the limit; an admin raises it there, or lifts it with 0",)
    state.waits, state.held_back = {}, "97 % of the memory is used"
    assert (why(world, 2).kind, told(state, state.jobs[JobId(2)]).reason) == ("pressure", "memory pressure")
    assert why(world, 2).summary.endswith("97 % of the memory is used")


def test_under_priority_it_is_told_what_a_priority_is_made_of() -> None:
    world = World(inventory=machine(1), settings=JobsSettings(policy="priority"))
    world.submit(asking(), owner=BOB)
    world.submit(asking(), asking(priority=5, nice=3), owner=ALICE)
    world.wait(3600)
    told_why = why(world, 2)
    assert [factor.name for factor in told_why.factors] == ["age", "fair_share", "queue", "qos", "size", "nice", "explicit"]
    assert all(0 <= factor.factor <= 1 for factor in told_why.factors)
    points = {number: sum(factor.points for factor in why(world, number).factors) for number in (2, 3)}
    (ahead,) = told_why.ahead_jobs
    assert (ahead.job_id, ahead.user, ahead.priority) == (JobId(3), "alice", pytest.approx(points[3])) and points[3] > points[2]
    assert (ahead.share, ahead.usage) == (0.5, 0.0), "two users, and bob has used all that was used"

"""What would let a job start now: whatever is suggested is done here, and the job starts."""

import re
from dataclasses import replace

import pytest

from aiosd.ids import JobId
from aiosd.jobs.actions import QueueChange, Reserve, SetQueue, Steer, Submit, UpdateJob
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft
from aiosd.jobs.settings import JobsSettings
from aiosd.resources.inventory import Inventory
from aiosd.resources.request import DeviceRequest
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import Backfill, SchedulingRules
from tests.unit.jobs.world import ALICE, BOB, EMPTY, GIB, World, draft, machine

each_policy = pytest.mark.parametrize("policy", ["priority", "fair"])


def job(cpus: float = 1, gpus: float = 0, model: str = "", memory_gib: int = 1, limit_s: float = 0.0, **fields: object) -> JobDraft:
    devices = (DeviceRequest("gpu", int(1000 * gpus), model),) if gpus else ()
    return draft("x", request=RequestDraft(int(1000 * cpus), memory_gib * GIB, devices), time_limit_s=limit_s, **fields)


def two_models() -> Inventory:
    whole = machine(8, gpus=4)
    return replace(whole, devices=tuple(replace(d, model="NVIDIA H100") if d.index >= 2 else d for d in whole.devices))


def world(policy: str = "priority", inventory: Inventory | None = None) -> World:
    return World(inventory=inventory or machine(8, gpus=2), settings=JobsSettings(policy=policy))


def sooner(w: World, number: int) -> tuple[str, ...]:
    return w.engine.why(JobId(number), w.now).suggestions


@each_policy
def test_less_memory_and_fewer_processors(policy: str) -> None:
    w = world(policy)
    w.submit(job(5, memory_gib=10), job(4, memory_gib=8))
    assert (
        sooner(w, 2)[0] == "ask for 3 processors instead of 4 and 6 GiB of memory instead of 8 GiB: it starts now (`aiosctl update 2 --cpus 3 --memory 6144M`)"
    )
    w.do(UpdateJob(JobId(2), JobChange(cpu_millis=3000, memory_bytes=6 * GIB)))
    assert w.phase(2) == "starting"


@each_policy
def test_fewer_gpus_a_part_of_one_or_another_model(policy: str) -> None:
    w = world(policy, two_models())
    w.submit(job(gpus=1, model="A100"), job(gpus=0.75, model="A100"), job(gpus=1, model="A100"))
    assert sooner(w, 3)[0] == "ask for NVIDIA H100 instead of a100: it starts now (submit it again with `--gpus nvidiah100:1`)"
    w.submit(job(gpus=1, model="nvidiah100"))
    assert w.phase(4) == "starting"
    w.submit(job(gpus=1, model="H100"), job(gpus=1))
    assert [w.phase(5), w.phase(6)] == ["starting", "queued"]
    assert sooner(w, 6) == ("it starts when job 4 of alice ends",), "what is left of GPU 1 is kept for job 3"
    w.steer(Steer.CANCEL, JobId(3))
    assert sooner(w, 6)[0] == "ask for 0.25 of a GPU instead of 1: it starts now (submit it again with `--gpus 0.25`)"
    w.submit(job(gpus=0.25, priority=1), owner=BOB)
    assert w.phase(7) == "starting"


@each_policy
def test_as_many_gpus_as_are_free(policy: str) -> None:
    w = world(policy, two_models())
    w.submit(job(gpus=1), job(gpus=4))
    assert sooner(w, 2)[0] == "ask for 3 GPUs instead of 4: it starts now (submit it again with `--gpus 3`)"
    w.submit(job(gpus=3, priority=1), owner=BOB)
    assert w.phase(3) == "starting"


def test_a_time_limit_that_ends_before_a_reservation() -> None:
    w = world()
    now_s = w.now.wall_s
    w.do(Reserve(now_s + 3600, now_s + 7200, ("alice",), frozenset({"alice"}), RequestDraft(cpu_millis=8000)))
    w.submit(job(4, limit_s=7200.0), owner=BOB)
    told = sooner(w, 1)
    assert told == ("a time limit of 59m or less lets it end before reservation 1 begins: it starts now (`aiosctl update 1 --time 59m`)",)
    w.do(UpdateJob(JobId(1), JobChange(time_limit_s=59 * 60.0)))
    assert w.phase(1) == "starting"


@pytest.mark.parametrize("backfill", [Backfill.EASY, Backfill.CONSERVATIVE])
def test_a_time_limit_that_lets_it_pass_by_who_waits(backfill: Backfill) -> None:
    w = World(inventory=machine(4), settings=JobsSettings(policy="fifo", scheduling=SchedulingRules(backfill=backfill)))
    w.submit(job(3, limit_s=3600.0), job(4, limit_s=600.0), job(1, limit_s=7200.0))
    w.begin()
    told = w.engine.why(JobId(2), w.now)
    assert told.planned_grant == "4 processors, 1 GiB of memory" and told.estimate_basis.startswith("the place that backfill keeps for it")
    assert told.estimated_start_low_s <= told.estimated_start_at_s <= told.estimated_start_high_s
    assert sooner(w, 3)[0] == "a time limit of 1h or less lets it end before job 2's reservation: it starts now (`aiosctl update 3 --time 1h`)"
    w.do(UpdateJob(JobId(3), JobChange(time_limit_s=3600.0)))
    assert w.phase(3) == "starting"


def test_another_queue_that_lets_it_in() -> None:
    w = world()
    for name, change in {
        "full": QueueChange(max_running=1),
        "closed": QueueChange(open=False),
        "stopped": QueueChange(started=False),
        "theirs": QueueChange(allowed_users=("bob",)),
        "brief": QueueChange(max_time_limit_s=60.0),
        "ours": QueueChange(allowed_users=("alice",)),
    }.items():
        w.do(SetQueue(name, change))
    w.submit(job(queue="full"), job(queue="full"))
    told = sooner(w, 2)
    assert [text for text in told if "queue" in text] == ["submit it to queue default: it starts now (`aiosctl update 2 --queue default`)"]
    w.do(SetQueue("default", QueueChange(open=False)))
    assert "--queue ours" in sooner(w, 2)[0]
    w.do(UpdateJob(JobId(2), JobChange(queue="ours")))
    assert w.phase(2) == "starting"


def test_the_end_of_a_run_is_named_where_it_is_enough() -> None:
    w = world()
    w.submit(job(2, limit_s=60.0), job(5, limit_s=600.0), job(5))
    w.begin()
    assert sooner(w, 3)[-1] == "it starts when job 2 of alice ends", "that of job 1 would not be enough"
    w.finish(JobId(2))
    assert w.phase(3) == "starting"


def test_who_is_behind_others_is_told_nothing_that_does_not_help() -> None:
    w = world("fifo")
    w.submit(job(5, limit_s=60.0), job(8), job(4), job(1))
    assert sooner(w, 4) == (), "whatever it asks for, it does not pass by job 2"
    assert all("job 1" in text or "ask for 3" in text for text in sooner(w, 2))


@pytest.mark.parametrize("policy", ["fifo", "priority", "fair"])
def test_every_update_that_is_suggested_starts_the_job(policy: str) -> None:
    """Many small worlds, and whatever is suggested in them is done."""
    tried = 0
    for seed in range(40):
        w = world(policy)
        for n in range(6):
            at = (seed * 7 + n * 5) % 11
            w.do(Submit([job(1 + at % 6, gpus=(0, 0, 1, 0.5)[at % 4], memory_gib=1 + (at * 3) % 9, priority=at % 3)], [EMPTY], (ALICE, BOB)[n % 2]))
        waiting = [each for each in w.engine.state.jobs.values() if each.phase == "queued"]
        for each in waiting:
            for text in sooner(w, each.id.number):
                update = re.search(r"aiosctl update (\d+)(?: --cpus ([\d.]+))?(?: --memory (\d+)M)?`", text)
                if update is None or w.engine.state.jobs[each.id].phase != "queued":
                    continue
                number, cpus, memory = update.groups()
                change = JobChange(cpu_millis=int(1000 * float(cpus)) if cpus else None, memory_bytes=int(memory) << 20 if memory else None)
                w.do(UpdateJob(JobId(int(number)), change))
                assert w.phase(int(number)) == "starting", text
                tried += 1
    assert tried > 10


def test_few_passes_are_made_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    w = world()
    for name in "abcdefgh":
        w.do(SetQueue(name, QueueChange()))
    w.submit(*[job(1, limit_s=60.0) for _ in range(8)], job(8, gpus=2, memory_gib=15))
    passes = 0
    policy = POLICIES["priority"].policy

    def counted(*arguments: object) -> object:
        nonlocal passes
        passes += 1
        return policy(*arguments)  # type: ignore[arg-type]

    monkeypatch.setitem(POLICIES, "priority", POLICIES["priority"]._replace(policy=counted))
    sooner(w, 9)
    assert 0 < passes <= 120

"""Why a job waits: one kind and one sentence for each reason there is."""

import pytest

from aiosd.errors import NotFound
from aiosd.ids import JobId
from aiosd.jobs.actions import QueueChange, SetDrained, SetPolicy, SetQueue
from aiosd.jobs.draft import RequestDraft, RetryDraft
from aiosd.jobs.explain import WhyKind
from tests.unit.jobs.world import World, draft, machine


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

"""Which runs make room: only where a job then starts, and no more of them than that takes."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.ids import JobId
from aiosd.resources.grant import Grant
from aiosd.resources.pool import Pool
from aiosd.resources.request import Request
from aiosd.scheduling.lanes import Lanes
from aiosd.scheduling.ordering import by_age
from aiosd.scheduling.policy import ClassKey, HeldRun, Lane, Planned, Promise, Snapshot
from aiosd.scheduling.preemption import MOST, Room, after, kept_when_suspended, make_room, resumes
from aiosd.scheduling.reservations import Holding, Keeper, Reservation
from aiosd.scheduling.rules import PreemptMode, QueueSettings, SchedulingRules
from tests.unit.scheduling.worlds import Waiting, ask, machine, waiting

NOW_S = 10_000.0
QUEUES = {
    "high": QueueSettings("high", preempts=("mid", "low")),
    "mid": QueueSettings("mid", preempts=("low",)),
    "low": QueueSettings("low"),
    "other": QueueSettings("other"),
}
HIGH = JobId(100)


def key(request: Request, queue: str = "low", **more: object) -> ClassKey:
    return ClassKey(queue, "ada", "", 0, request, **more)  # type: ignore[arg-type]


def lanes_of(classes: Sequence[Waiting]) -> Sequence[Lane]:
    lanes = Lanes(by_age, SchedulingRules())
    for one in classes:
        lanes.changed(one)
    return lanes.at(NOW_S)


class Box:
    """A machine with runs on it."""

    def __init__(self, cpus: int = 8, gpus: int = 0) -> None:
        self.inventory = machine(cpus, gpus)
        self.pool = Pool(self.inventory)
        self.runs: list[HeldRun] = []

    def run(self, request: Request, queue: str = "low", *, mode: PreemptMode = PreemptMode.REQUEUE, begun: float = 100.0, **more: object) -> JobId:
        """`begun` so many seconds ago."""
        grant = self.pool.take(request)
        assert grant is not None
        job_id = JobId(len(self.runs) + 1)
        self.runs.append(HeldRun(job_id, key(request, queue), grant, NOW_S - begun, preempt_mode=mode, **more))  # type: ignore[arg-type]
        return job_id

    def room(self, *blocked: Waiting, rules: SchedulingRules | None = None, **more: object) -> Room:
        world = Snapshot(NOW_S, lanes_of(blocked), self.pool, runs=self.runs, queues=QUEUES, rules=rules or SchedulingRules(), can_preempt=True, **more)  # type: ignore[arg-type]
        free = self.pool.free()
        found = make_room(world, [one.key for one in blocked])
        assert self.pool.free() == free, "it was only asked"
        return found

    def victims(self, request: Request, queue: str = "high", **more: object) -> list[int]:
        found = self.room(waiting(key(request, queue), HIGH.number), **more)
        assert all(e.beneficiary == HIGH for e in found.evictions)
        return sorted(e.job_id.number for e in found.evictions)


def test_the_lowest_go_first_then_who_loses_least_then_the_fewest() -> None:
    box = Box(8)
    box.run(ask(2), "mid", begun=1.0)
    box.run(ask(2), begun=500.0)
    box.run(ask(2), begun=50.0)
    box.run(ask(2), begun=200.0)
    assert box.victims(ask(2)) == [3]
    assert box.victims(ask(4)) == [3, 4]
    assert box.victims(ask(8)) == [1, 2, 3, 4]
    assert box.victims(ask(2), "mid") == [3] and box.victims(ask(8), "mid") == []


def test_one_that_is_enough_is_rather_taken_than_several() -> None:
    box = Box(8)
    for _ in range(4):
        box.run(ask(1), mode=PreemptMode.CHECKPOINT)
    box.run(ask(4), mode=PreemptMode.CHECKPOINT)
    assert box.victims(ask(4)) == [5]
    assert len(box.victims(ask(1))) == 1


def test_who_saves_its_work_goes_before_who_loses_it() -> None:
    box = Box(4)
    box.run(ask(2), begun=10.0)
    box.run(ask(2), mode=PreemptMode.CHECKPOINT, begun=5000.0)
    assert box.victims(ask(2)) == [2]


@pytest.mark.parametrize(
    "unfit",
    [
        {"mode": PreemptMode.OFF},
        {"queue": "other"},
        {"queue": "high"},
        {"preemptible_from_s": NOW_S + 1},
        {"stopping": True},
        {"latest_end_s": NOW_S + 59},
    ],
)
def test_who_may_not_be_preempted(unfit: dict[str, object]) -> None:
    box = Box(4)
    box.run(ask(4), **unfit)  # type: ignore[arg-type]
    assert box.victims(ask(2)) == []


def test_nobody_is_preempted_where_that_would_not_be_enough() -> None:
    box = Box(4)
    box.run(ask(2))
    box.run(ask(2), "other")
    assert box.victims(ask(3)) == [] and box.victims(ask(2)) == [1]


def test_nobody_is_preempted_for_what_starts_soon_anyway() -> None:
    box = Box(4)
    box.run(ask(4))
    one = waiting(key(ask(4), "high"), HIGH.number)
    world = Snapshot(NOW_S, lanes_of([one]), box.pool, runs=box.runs, queues=QUEUES, can_preempt=True)
    grant = box.runs[0].grant
    assert make_room(world, [one.key], planned=[Planned(HIGH, NOW_S + 59, grant)]) == Room()
    assert make_room(world, [one.key], planned=[Planned(HIGH, NOW_S + 61, grant)]).evictions


def test_what_ends_by_itself_is_waited_for() -> None:
    box = Box(4)
    box.run(ask(2), stopping=True)
    box.run(ask(2))
    assert box.victims(ask(2)) == [] and box.victims(ask(4)) == [2]


def test_what_others_were_promised_is_not_counted_twice() -> None:
    box = Box(4)
    box.run(ask(2), stopping=True)
    box.run(ask(2))
    promised = Promise(JobId(50), key(ask(2), "high"), box.runs[0].grant)
    assert box.victims(ask(2), promised=[promised]) == [2]
    assert box.room(waiting(promised.key, 50), promised=[promised]) == Room(), "no second round for the same job"


def test_a_job_that_goes_first_keeps_what_is_free() -> None:
    """Unless who comes behind it could have preempted it: that one starts, and nobody needs to go for it."""
    box = Box(4)
    box.run(ask(1))
    box.run(ask(1), "other")
    behind = waiting(key(ask(2), "mid"), 51)
    assert box.room(waiting(key(ask(4), "high"), 50), behind) == Room()
    assert box.room(waiting(key(ask(4), "high"), 50), waiting(key(ask(1), "mid"), 51)).evictions != ()
    found = box.room(waiting(key(ask(4), "low"), 50), behind)
    assert [p.job_id.number for p in found.promises] == [51] and found.evictions == ()


def test_several_jobs_each_get_their_own_room() -> None:
    box = Box(8)
    for _ in range(4):
        box.run(ask(2))
    found = box.room(waiting(key(ask(3), "high"), 50), waiting(key(ask(2), "mid"), 51))
    assert {(e.beneficiary.number) for e in found.evictions} == {50, 51} and len(found.evictions) == 3
    assert [p.job_id.number for p in found.promises] == [50, 51]


def test_limits_that_allow_only_one_more() -> None:
    box = Box(8)
    for _ in range(4):
        box.run(ask(2))
    left = [1]

    def claim(_: ClassKey) -> bool:
        left[0] -= 1
        return left[0] >= 0

    lines = [waiting(key(ask(2), "high"), 50), waiting(key(ask(3), "high"), 51)]
    world = Snapshot(NOW_S, lanes_of(lines), box.pool, runs=box.runs, queues=QUEUES, can_preempt=True)
    found = make_room(world, [line.key for line in lines], claim=claim)
    assert [e.beneficiary.number for e in found.evictions] == [50]


def test_a_suspended_run_keeps_its_memory() -> None:
    box = Box(4)
    box.run(ask(4, memory_gib=60), mode=PreemptMode.SUSPEND)
    assert box.victims(ask(2, memory_gib=4)) == [1]
    assert box.victims(ask(2, memory_gib=5)) == [], "memory is what is short"


def test_a_suspended_run_keeps_its_whole_devices_and_the_memory_of_shared_ones() -> None:
    box = Box(4, 2)
    box.run(ask(1, 1), mode=PreemptMode.SUSPEND)
    box.run(ask(1, 0.5), mode=PreemptMode.SUSPEND)
    assert box.victims(ask(1, 1)) == []
    kept = kept_when_suspended(box.runs[0].grant)
    assert kept.devices == box.runs[0].grant.devices and kept.cpus == ()
    (part,) = kept_when_suspended(box.runs[1].grant).devices
    assert part.millis == 0 and part.memory_bytes == box.runs[1].grant.devices[0].memory_bytes
    unknown = replace(part, millis=500, memory_bytes=0)
    assert kept_when_suspended(Grant((), 0, (unknown,))).devices == (unknown,), "of such a device nothing is known"


def test_who_is_suspended_goes_on_when_it_has_all_of_its_own_again() -> None:
    box = Box(4)
    box.run(ask(2))
    box.run(ask(2))
    one, two = box.runs
    lent = replace(one, suspended=True, whole=one.grant, grant=kept_when_suspended(one.grant))
    back = replace(two, suspended=True, whole=two.grant)
    assert resumes([lent, back]) == (two.job_id,)
    frozen = replace(two, suspended=True, whole=two.grant, preempt_mode=PreemptMode.SUSPEND)
    box.runs = [one, frozen]
    found = box.room(waiting(key(ask(2), "high"), HIGH.number))
    assert [e.job_id for e in found.evictions] == [two.job_id] and resumes(box.runs, found.evictions) == ()


def test_a_reservation_that_binds_the_job_is_respected_without_the_victims() -> None:
    box = Box(4)
    box.run(ask(4))
    reservation = Reservation(1, NOW_S + 100, NOW_S + 200, ("bob",), frozenset({"bob"}), ask(2))
    keeper = Keeper([reservation], [Holding("ada", box.runs[0].grant, NOW_S + 50)], box.inventory, NOW_S)
    assert box.victims(ask(4), keeper=keeper) == [], "it could run past the beginning of the reservation"
    assert box.victims(ask(2), keeper=keeper) == [1]


def test_a_job_that_wants_the_machine_for_itself_gets_all_of_it_or_nobody_goes() -> None:
    box = Box(4)
    box.run(ask(1))
    box.run(ask(1))
    whole = Request(1000, 0, exclusive=True)
    assert box.victims(whole) == [1, 2]
    box.run(ask(1), mode=PreemptMode.SUSPEND)
    assert box.victims(whole) == [], "who is frozen is still there"


def test_nobody_goes_for_a_gpu_that_is_in_quarantine() -> None:
    box = Box(4, 1)
    box.run(ask(1, 1))
    ill = tuple(replace(device, quarantined=True) for device in box.inventory.devices)
    box.pool = box.pool.with_inventory(replace(box.inventory, devices=ill))
    assert box.victims(ask(1, 1)) == [] and box.victims(ask(4)) == [1]


def test_many_who_can_never_be_helped_do_not_keep_it_from_those_behind() -> None:
    box = Box(4)
    box.run(ask(2))
    box.run(ask(2), "other")
    hopeless = [waiting(key(ask(3, 0, n), "high"), 200 + n) for n in range(1, 3 * MOST)]
    found = box.room(*hopeless, waiting(key(ask(2), "high"), HIGH.number))
    assert [e.beneficiary for e in found.evictions] == [HIGH]


MODES = st.sampled_from([PreemptMode.OFF, PreemptMode.SUSPEND, PreemptMode.CHECKPOINT, PreemptMode.REQUEUE, PreemptMode.CANCEL])
REQUESTS = st.builds(lambda cpus, gpus, memory: ask(cpus, gpus, memory), st.integers(1, 4), st.sampled_from([0, 0, 0.5, 1, 2]), st.integers(0, 20))
RUNS = st.tuples(REQUESTS, st.sampled_from(["high", "mid", "low", "other"]), MODES, st.floats(0, 1000), st.booleans())
BLOCKED = st.lists(st.tuples(REQUESTS, st.sampled_from(["high", "mid", "low"])), min_size=1, max_size=4)


@given(runs=st.lists(RUNS, max_size=8), blocked=BLOCKED)
def test_it_leads_to_a_start_and_nobody_could_be_left_out(
    runs: Sequence[tuple[Request, str, PreemptMode, float, bool]], blocked: Sequence[tuple[Request, str]]
) -> None:
    box = Box(8, 2)
    for request, queue, mode, begun, stopping in runs:
        if box.pool.shortage(request) is None:
            box.run(request, queue, mode=mode, begun=begun, stopping=stopping)
    lines = [waiting(key(request, queue), 50 + nth) for nth, (request, queue) in enumerate(blocked) if box.pool.shortage(request) is not None]
    found = box.room(*lines)
    assert len({e.job_id for e in found.evictions}) == len(found.evictions)
    assert {e.beneficiary for e in found.evictions} <= {p.job_id for p in found.promises}
    by_id = {run.job_id: run for run in box.runs}
    for eviction in found.evictions:
        run = by_id[eviction.job_id]
        assert eviction.mode is run.preempt_mode is not PreemptMode.OFF and not run.stopping
    with box.pool.trial() as pool:
        for run in box.runs:
            if run.stopping or run.latest_end_s < inf:
                pool.give_back(run.grant)
        for promise in found.promises:
            mine = [by_id[e.job_id] for e in found.evictions if e.beneficiary == promise.job_id]
            for left_out in mine:
                with pool.trial():
                    for run in mine:
                        if run is not left_out:
                            _vacate(pool, run)
                    assert pool.take(promise.key.request) is None or len(found.promises) > 1 or len(lines) > 1, "it could have been left alone"
            for run in mine:
                _vacate(pool, run)
            assert pool.take(promise.key.request) is not None, "it starts"


def _vacate(pool: Pool, run: HeldRun) -> None:
    pool.give_back(run.grant)
    kept = after(run)
    if kept is not None:
        pool.adopt(kept)

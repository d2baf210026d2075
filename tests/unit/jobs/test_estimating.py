"""When a job will start: said before, checked by playing on, and how often that held."""

import pytest

from aiosd.ids import JobId
from aiosd.jobs.actions import Reserve, SetPolicy, UpdateJob
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft
from aiosd.jobs.explain import Why
from aiosd.jobs.settings import JobsSettings
from aiosd.jobs.waited import Calibration, Waited
from aiosd.scheduling.policy import Plan, Snapshot
from aiosd.scheduling.registry import POLICIES
from tests.unit.jobs.world import BOB, GIB, World, draft, machine


def job(cpus: int = 1, limit_s: float = 0.0, **fields: object) -> JobDraft:
    return draft("x", request=RequestDraft(cpu_millis=1000 * cpus, memory_bytes=GIB), time_limit_s=limit_s, **fields)


def world(policy: str = "priority", cpus: int = 4) -> World:
    return World(inventory=machine(cpus), settings=JobsSettings(policy=policy))


def why(w: World, number: int) -> Why:
    return w.engine.why(JobId(number), w.now)


def in_s(w: World, number: int) -> tuple[float, float, float]:
    """Expected, earliest, latest; seconds from now, None-like 0 where nothing is said."""
    told, now_s = why(w, number), w.now.wall_s
    return tuple(round(at_s - now_s, 3) if at_s else 0.0 for at_s in (told.estimated_start_at_s, told.estimated_start_low_s, told.estimated_start_high_s))  # type: ignore[return-value]


def play(w: World, until: int, lasts_s: dict[int, float]) -> float:
    """Let runs end when their time is over, until a job starts; how long that took."""
    begun = {}
    for second in range(10_000):
        w.begin()
        for each in list(w.engine.state.jobs.values()):
            if each.phase in ("running", "stopping"):
                begun.setdefault(each.id.number, second)
                if second - begun[each.id.number] >= lasts_s[each.id.number]:
                    w.finish(each.id)
        if w.phase(until) in ("starting", "running"):
            return second
        w.wait(1)
    raise AssertionError("it never starts")


@pytest.mark.parametrize("policy", ["fifo", "priority", "fair"])
def test_runs_that_last_as_long_as_they_may_let_it_start_when_it_was_said(policy: str) -> None:
    w = world(policy)
    lasts_s = {1: 100, 2: 40, 3: 60, 4: 30, 5: 20, 6: 10}
    w.submit(*[job(2, lasts_s[n]) for n in (1, 2)], *[job(3, lasts_s[n]) for n in (3, 4)], *[job(4, lasts_s[n]) for n in (5, 6)])
    w.begin()
    expected_s, low_s, high_s = in_s(w, 6)
    assert low_s < 10 and high_s == expected_s, "it may be soon, if all end soon; and no later than their limits let it"
    assert expected_s == 100 + 60 + 30 + 20
    assert play(w, 6, lasts_s) == pytest.approx(expected_s, abs=6), "it looks once a second"


def test_what_it_rests_on_is_said() -> None:
    w = world()
    w.submit(job(2, 60.0), job(2, 30.0), job(4, 10.0))
    w.begin()
    assert why(w, 3).estimate_basis == "the time limits of 2 runs"
    assert in_s(w, 3)[0] == 60


def test_nothing_is_said_where_a_run_may_go_on_for_ever() -> None:
    w = world()
    w.submit(job(4), job(1))
    w.begin()
    assert in_s(w, 2) == (0, 0, 0) and why(w, 2).estimate_basis == ""


def test_a_run_that_may_go_on_for_ever_is_in_nobodys_way_who_needs_nothing_of_it() -> None:
    w = world()
    w.submit(job(1), job(3, 50.0), job(2))
    w.begin()
    assert in_s(w, 3)[0] == 50


def test_what_runs_has_already_done_some_of_it() -> None:
    w = world()
    w.submit(job(4, 100.0), job(1))
    w.begin()
    w.wait(70)
    assert in_s(w, 2)[0] == 30


def test_a_long_line_is_estimated_by_its_pace() -> None:
    w = world(cpus=1)
    w.submit(*[job(1, 10.0) for _ in range(101)])
    w.begin()
    expected_s, _, _ = in_s(w, 101)
    assert expected_s == pytest.approx(1000, rel=0.05)


def test_a_reservation_of_others_is_known_to_the_future() -> None:
    w = world()
    w.submit(job(4, 100.0))
    w.begin()
    now_s = w.now.wall_s
    w.do(Reserve(now_s + 50, now_s + 500, ("alice",), frozenset({"alice"}), RequestDraft(cpu_millis=3000)))
    w.submit(job(2, 60.0), owner=BOB)
    assert in_s(w, 2)[0] == 500


def test_the_first_interval_counts_and_only_while_the_job_is_as_it_was() -> None:
    w = world(cpus=1)
    w.submit(job(1, 50.0), job(1, 20.0), job(1, 20.0))
    w.begin()
    for number in (2, 3):
        why(w, number)
    w.do(UpdateJob(JobId(1), JobChange(time_limit_s=200.0)))
    w.do(UpdateJob(JobId(3), JobChange(priority=-1)))
    w.wait(120)
    why(w, 2)
    w.finish(JobId(1))
    w.begin()
    w.finish(JobId(2))
    w.begin()
    assert list(w.engine.state.waited.calibration.held) == [False], "it was said to be 50 seconds at the most; of job 3 nothing was said since it was changed"


def test_a_policy_that_cannot_say_what_if_does_not_keep_the_reason_back(monkeypatch: pytest.MonkeyPatch) -> None:
    w = world()
    w.submit(job(4, 50.0), job(1))

    def fails(seen: Snapshot) -> Plan:
        raise ValueError("no idea")

    monkeypatch.setitem(POLICIES, "priority", POLICIES["priority"]._replace(policy=fails))
    told = why(w, 2)
    assert told.summary.startswith("it needs 1 processor; 0 of 4 is free") and "no idea" in told.estimate_basis and told.suggestions == ()
    assert w.engine.state.pool.used().cpu_millis == 4000


@pytest.mark.parametrize("kinds", [1, 60, 600])
def test_an_answer_costs_few_passes_whatever_waits(kinds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    w = world(cpus=8)
    w.submit(*[job(1 + n % 8, 60.0 + n % kinds, priority=n % 3) for n in range(1000)])
    w.begin()
    asked = []
    policy = POLICIES["priority"].policy
    monkeypatch.setitem(POLICIES, "priority", POLICIES["priority"]._replace(policy=lambda seen: asked.append(len(seen.lanes)) or policy(seen)))
    w.do(SetPolicy("priority"))
    asked.clear()
    for number in (20, 500, 1000):
        why(w, number)
    assert len(asked) <= 3 * 150
    assert w.engine.state.pool.used().cpu_millis == sum(j.request.cpu_millis for j in w.engine.state.jobs.values() if j.run is not None)


def test_the_mean_wait_follows_what_happened_lately() -> None:
    w = world(cpus=1)
    w.submit(job(), job(queue="default"))
    w.begin()
    waited = w.engine.state.waited
    assert waited.mean_s == {"default": 0.0}
    w.wait(100)
    w.finish(JobId(1))
    w.begin()
    assert waited.mean_s == {"default": pytest.approx(10.0)}


def test_what_is_remembered_is_bounded() -> None:
    calibration = Calibration()
    for number in range(5000):
        calibration.give(JobId(number), 0.0, 1.0)
    assert len(calibration.given) == 1000 and JobId(4999) in calibration.given
    for number in range(4000, 5000):
        calibration.started(JobId(number), 0.5 if number % 2 else 9.0)
    assert len(calibration.held) == 200 and calibration.share == 0.5
    assert Waited().calibration.share == 0.0

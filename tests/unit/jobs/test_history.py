"""What the engine learns from runs: predictions at their start, checked at their end, extended when they are outlived."""

from dataclasses import replace

import pytest

from aiosd.ids import JobId
from aiosd.jobs import history
from aiosd.jobs.actions import Steer
from aiosd.jobs.draft import JobDraft, RequestDraft
from aiosd.jobs.settings import JobsSettings
from aiosd.resources.usage import Usage
from aiosd.scheduling.rules import Backfill, SchedulingRules
from tests.unit.jobs.world import BOB, GIB, World, draft


def train(number: int = 1, **fields: object) -> JobDraft:
    fields.setdefault("name", f"train-{number}")
    return draft("python3", "train.py", **fields)


def ran(world: World, seconds: float, *drafts: JobDraft, **fields: object) -> JobId:
    """One job from its submission to its end."""
    (job,) = world.submit(*(drafts or (train(),)))
    world.begin()
    world.wait(seconds)
    world.finish(job.id, run_s=seconds, **fields)
    return job.id


def begun(world: World, *drafts: JobDraft) -> JobId:
    (job,) = world.submit(*(drafts or (train(),)))
    world.begin()
    return job.id


def told(world: World, job_id: JobId) -> history.Said:
    return world.engine.state.history.said[job_id]


def test_what_ran_before_is_expected_of_the_next_and_checked() -> None:
    world = World()
    for _ in range(4):
        ran(world, 100.0)
    job_id = begun(world)
    assert told(world, job_id).prediction.estimate.expected_s == 100.0
    assert told(world, job_id).prediction.estimate.basis == "4 runs of the same command by alice"
    predictor = world.engine.state.history.predictor
    assert (predictor.checked, predictor.held) == (3, 3)
    world.wait(100.0)
    world.finish(job_id, run_s=5000.0)
    assert (predictor.checked, predictor.held) == (4, 3)
    assert world.engine.state.history.said == {}


def test_a_job_of_another_number_is_the_same_work() -> None:
    world = World()
    for number in range(3):
        ran(world, 50.0, train(number, request=RequestDraft(cpu_millis=1000 * (number + 1))))
    spec = world.engine.state.jobs[begun(world, train(99))].spec
    assert history.work_of(spec) == "train-*\ntrain.py"
    assert history.work_of(replace(spec, name="python3")) == "train.py"
    assert history.work_of(replace(spec, name="job", command=(), script="echo")) == ""


def test_a_cancelled_run_is_learned_as_longer_than_it_was() -> None:
    world = World()
    for _ in range(3):
        ran(world, 100.0)
    job_id = begun(world)
    world.wait(1.0)
    world.steer(Steer.CANCEL, job_id)
    world.finish(job_id, None, signal=15, run_s=1.0)
    assert world.engine.state.history.predictor.checked == 2, "it says nothing about the prediction"
    estimate = told(world, begun(world)).prediction.estimate
    assert (estimate.expected_s, estimate.samples) == (100.0, 4)
    assert estimate.low_s > 1.0


def test_a_failure_counts_as_it_is_and_a_lost_run_not_at_all() -> None:
    world = World()
    ran(world, 100.0)
    ran(world, 2.0, exit_code=1)
    job_id = begun(world)
    world.lose(job_id)
    assert world.engine.state.history.predictor.learned == 2
    assert told(world, begun(world)).prediction.estimate.low_s < 2.0


def test_time_in_which_a_run_was_suspended_does_not_count() -> None:
    world = World()
    job_id = begun(world)
    world.steer(Steer.SUSPEND, job_id)
    world.wait(1000.0)
    world.steer(Steer.RESUME, job_id)
    world.wait(60.0)
    assert history.ran_s(world.engine.state.jobs[job_id], world.now) == 60.0
    world.finish(job_id, run_s=1060.0)
    assert told(world, begun(world)).prediction.estimate.expected_s == 60.0


def test_a_run_at_its_time_limit_was_predicted_right() -> None:
    world = World()
    for _ in range(3):
        ran(world, 90.0, train(time_limit_s=100.0))
    job_id = begun(world, train(time_limit_s=100.0))
    assert told(world, job_id).prediction.estimate.high_s <= 130.0
    world.wait(101.0)
    world.finish(job_id, None, signal=15, run_s=100.5)
    predictor = world.engine.state.history.predictor
    assert (predictor.checked, predictor.held) == (3, 3)


def test_an_outlived_prediction_is_extended_told_and_planned_with_anew() -> None:
    world = World()
    for _ in range(3):
        ran(world, 100.0)
    job_id = begun(world)
    state = world.engine.state
    high_s = told(world, job_id).prediction.estimate.high_s
    wake_s = world.engine.next_wake_in_s(world.now)
    assert wake_s is not None
    assert wake_s <= high_s, "the engine wakes when it is outlived"
    world.wait(high_s + 1.0)
    (adjustment,) = state.history.adjustments
    assert (adjustment.job_id, adjustment.at_s) == (job_id, world.now.wall_s)
    assert adjustment.what.startswith("was expected to take ")
    assert world.signals == [], "an outlived prediction ends nobody"
    world.wait(100 * high_s)
    assert len(state.history.adjustments) > 1
    assert world.phase(job_id.number) == "running"


def test_a_run_that_was_suspended_when_it_was_overdue_is_looked_at_again() -> None:
    world = World()
    for _ in range(3):
        ran(world, 100.0)
    job_id = begun(world)
    high_s = told(world, job_id).prediction.estimate.high_s
    world.wait(10.0)
    world.steer(Steer.SUSPEND, job_id)
    world.wait(10 * high_s)
    assert not world.engine.state.history.adjustments
    world.steer(Steer.RESUME, job_id)
    world.wait(high_s - 20.0)
    assert not world.engine.state.history.adjustments, "it has not run for so long"
    world.wait(20.0)
    assert len(world.engine.state.history.adjustments) == 1


@pytest.mark.parametrize(
    ("rules", "limited", "apart"),
    [
        (SchedulingRules(), 0.0, False),
        (SchedulingRules(predict=True), 60.0, True),
        (SchedulingRules(backfill=Backfill.EASY), 0.0, True),
        (SchedulingRules(backfill=Backfill.EASY), 60.0, False),
    ],
)
def test_classes_tell_work_apart_only_where_somebody_predicts(rules: SchedulingRules, limited: float, apart: bool) -> None:
    world = World(settings=JobsSettings(scheduling=rules))
    one, two = world.submit(train(time_limit_s=limited), train(name="eval", time_limit_s=limited))
    state = world.engine.state
    assert (state.class_key(one) != state.class_key(two)) is apart


def test_classes_are_made_anew_when_the_rules_change() -> None:
    world = World()
    world.submit(draft("big", request=RequestDraft(cpu_millis=4000)))
    world.submit(*(train(name=name, request=RequestDraft(cpu_millis=4000)) for name in ("one", "two")))
    state = world.engine.state
    assert len(state.backlog.classes) == 1
    state.use(replace(state.settings, scheduling=SchedulingRules(predict=True)))
    assert len(state.backlog.classes) == 2


def test_the_estimate_of_a_class_follows_what_is_learned() -> None:
    world = World(settings=JobsSettings(scheduling=SchedulingRules(predict=True)))
    (held,) = world.submit(train(held=True))
    state = world.engine.state
    key = state.class_key(held)
    assert state.estimate(key) is None
    for _ in range(3):
        ran(world, 70.0)
    found = state.estimate(key)
    assert found is not None
    assert found.expected_s == 70.0
    assert state.estimate(key._replace(user="bob", work="other", request=replace(key.request, cpu_millis=9))) is None


def test_a_simulated_engine_may_do_without() -> None:
    world = World(settings=JobsSettings(learn=False, scheduling=SchedulingRules(predict=True)))
    ran(world, 100.0)
    (job,) = world.submit(train())
    assert world.engine.state.history.predictor.learned == 0
    assert world.engine.state.class_key(job).work == ""


def test_the_ring_of_adjustments_keeps_the_latest() -> None:
    kept = history.History()
    for number in range(300):
        kept.note(float(number), "x")
    assert [kept.adjustments[0].at_s, len(kept.adjustments)] == [200.0, 100]


def test_peaks_are_learned_by_user() -> None:
    world = World()
    usage = Usage(cpu_user_s=30.0, memory_peak_bytes=GIB)
    for _ in range(3):
        ran(world, 60.0, usage=usage)
    state = world.engine.state
    mine = history.traits_of(world.submit(train(held=True))[0])
    assert state.history.peaks.size(mine, 200).memory_bytes >= GIB
    theirs = history.traits_of(world.submit(train(held=True), owner=BOB)[0])
    assert state.history.peaks.size(theirs, 200).runs == 0

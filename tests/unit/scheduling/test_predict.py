"""How long runs will take: which earlier ones are asked, what the interval means, and how it is kept honest."""

from math import inf
from random import Random

import pytest

from aiosd.resources.request import Request
from aiosd.scheduling import predict
from aiosd.scheduling.policy import Estimate
from aiosd.scheduling.predict import LEVELS, Predictor, Traits, extended
from aiosd.scheduling.samples import MOST, Sample

SMALL, LARGE = Request(1000, 1 << 30), Request(8000, 1 << 34)
TRAIN = Traits("alice", "train\npython train.py", SMALL, 0.0, "digest")


def taught(*runs: float, traits: Traits = TRAIN) -> Predictor:
    predictor = Predictor()
    for ran_s in runs:
        predictor.learn(traits, ran_s)
    return predictor


def estimate(predictor: Predictor, traits: Traits = TRAIN, ran_s: float = 0.0) -> Estimate:
    found = predictor.predict(traits, ran_s=ran_s)
    assert found is not None
    return found.estimate


def test_nothing_is_said_of_what_was_never_seen() -> None:
    assert Predictor().predict(TRAIN) is None
    assert taught(10.0).predict(Traits("bob", "other", LARGE)) is None


def test_runs_that_are_alike_are_expected_again() -> None:
    found = estimate(taught(*[100.0] * 10))
    assert found.expected_s == 100.0
    assert found.low_s < 100.0 < found.high_s
    assert (found.samples, found.basis) == (10, "10 runs of the same command by alice")


@pytest.mark.parametrize(
    ("asked", "level"),
    [
        (TRAIN, "command"),
        (TRAIN._replace(command="another"), "work, request and limit"),
        (TRAIN._replace(command="another", request=LARGE), "work"),
        (TRAIN._replace(work="eval", command="x"), "user, request and limit"),
        (Traits("alice", "eval", LARGE), "user"),
        (TRAIN._replace(user="bob"), "work of all"),
        (Traits("bob", "eval", SMALL), "request of all"),
    ],
)
def test_the_most_specific_group_that_is_known_is_asked(asked: Traits, level: str) -> None:
    found = taught(50.0, 60.0, 70.0).predict(asked)
    assert found is not None
    assert LEVELS[found.level].name == level


def test_one_run_is_not_enough_where_a_wider_group_has_more() -> None:
    predictor = taught(1000.0)
    for ran_s in (10.0, 11.0, 12.0):
        predictor.learn(TRAIN._replace(command="other"), ran_s)
    found = predictor.predict(TRAIN)
    assert found is not None
    assert LEVELS[found.level].name == "work, request and limit"


def test_the_latest_runs_count_most() -> None:
    assert estimate(taught(*[10.0] * 20, *[500.0] * 8)).expected_s == 500.0


def test_no_prediction_is_above_the_time_limit() -> None:
    found = estimate(taught(100.0, 200.0, 3000.0), TRAIN._replace(lasts_s=150.0, request=LARGE))
    assert found.low_s <= found.expected_s <= found.high_s <= 150.0


def test_a_run_that_was_cut_short_says_only_that_it_would_have_lasted_longer() -> None:
    predictor = taught(100.0, 100.0, 100.0)
    for _ in range(3):
        predictor.learn(TRAIN, 20.0, censored=True)
    assert estimate(predictor).expected_s == 100.0
    assert estimate(predictor).low_s > 20.0


def test_where_all_were_cut_short_nothing_is_said() -> None:
    """What was preempted or cancelled after 40 s would have gone on, and nobody knows for how long."""
    predictor = Predictor()
    for _ in range(5):
        predictor.learn(TRAIN, 40.0, censored=True)
    assert predictor.predict(TRAIN) is None
    predictor.learn(TRAIN, 100.0)
    assert estimate(predictor).expected_s == 100.0


def test_where_the_nearest_were_cut_short_those_that_ended_are_asked() -> None:
    predictor = taught(100.0, 100.0, traits=TRAIN._replace(command="other"))
    predictor.learn(TRAIN, 40.0, censored=True)
    found = predictor.predict(TRAIN)
    assert found is not None
    assert (LEVELS[found.level].name, found.estimate.expected_s) == ("work, request and limit", 100.0)


def test_runs_that_ended_are_forgotten_like_all_others() -> None:
    predictor = taught(100.0)
    for _ in range(MOST):
        predictor.learn(TRAIN, 40.0, censored=True)
    assert predictor.predict(TRAIN) is None


def test_censoring_is_kaplan_and_meiers() -> None:
    """1, 2+, 3, 4 of equal weight: the survivor function steps by 1/4 at 1, then by half of what is left at 3."""
    sample = Sample()
    for value, censored in ((1.0, False), (2.0, True), (3.0, False), (4.0, False)):
        sample.add(value, censored=censored)
    ordered = dict(sample._in_order())
    assert set(ordered) == {1.0, 3.0, 4.0}
    total = sum(ordered.values())
    newest = [0.5 ** (ago / 6.0) for ago in (3, 2, 1, 0)]
    assert ordered[1.0] / total == pytest.approx(newest[0] / sum(newest))
    assert ordered[3.0] / ordered[4.0] == pytest.approx(newest[2] / newest[3])


@pytest.mark.parametrize("senseless", [float("nan"), inf, -1.0])
def test_what_is_no_time_is_not_learned(senseless: float) -> None:
    assert taught(senseless).predict(TRAIN) is None


def test_a_run_of_no_time_is_one() -> None:
    assert estimate(taught(0.0, 0.0)).expected_s == pytest.approx(0.001)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "MOST_GROUPS", 100)
    predictor = Predictor()
    for number in range(1000):
        predictor.learn(Traits(f"user{number}", f"work{number}", SMALL, 0.0, f"{number}"), 10.0)
    for _ in range(1000):
        predictor.learn(TRAIN, 10.0)
    assert len(predictor.groups) <= 100
    assert predictor.predict(TRAIN) is not None, "what was learned last is kept"
    assert max(map(len, predictor.groups.values())) == MOST
    assert predictor.learned == 2000


# What a run has lasted already


def test_a_run_that_goes_on_is_expected_to_last_as_those_did_that_went_on() -> None:
    predictor = taught(10.0, 10.0, 10.0, 300.0, 300.0)
    assert estimate(predictor, ran_s=50.0).expected_s == 300.0


def test_a_prediction_that_proves_wrong_is_extended_step_by_step() -> None:
    told = Estimate(100.0, 80.0, 120.0, 5, "5 runs")
    assert extended(told, 50.0) == told
    assert extended(told, 110.0).expected_s == 120.0
    later = [extended(told, ran_s).expected_s for ran_s in (130.0, 150.0, 159.0)]
    assert later == [160.0, 160.0, 160.0], "the same, whenever it is asked"
    assert extended(told, 161.0).expected_s > 161.0
    for ran_s in (1e3, 1e5, 1e8):
        found = extended(told, ran_s)
        assert ran_s <= found.low_s <= found.expected_s <= found.high_s


def test_it_is_extended_to_the_time_limit_at_most() -> None:
    told = Estimate(100.0, 80.0, 120.0, 5)
    assert extended(told, 130.0, limit_s=140.0).expected_s == 140.0
    assert extended(told, 150.0, limit_s=140.0) == Estimate(140.0, 140.0, 140.0, 5)


# Calibration


def hits(draw: Random, predictor: Predictor, runs: int) -> float:
    for _ in range(runs):
        ran_s = draw.lognormvariate(5.0, 1.0)
        said = predictor.predict(TRAIN)
        if said is not None:
            predictor.check(said, ran_s)
        predictor.learn(TRAIN, ran_s)
    return predictor.held / predictor.checked


def test_nine_of_ten_intervals_hold() -> None:
    predictor = Predictor()
    assert hits(Random(7), predictor, 2000) == pytest.approx(0.9, abs=0.02)
    assert list(predictor.table()) == ["command"]


def test_the_margin_follows_when_runs_become_less_predictable() -> None:
    predictor = taught(*[100.0] * MOST)
    said = predictor.predict(TRAIN)
    assert said is not None
    for _ in range(5):
        assert predictor.check(said, 1000.0) is False
    wider = predictor.predict(TRAIN)
    assert wider is not None
    assert wider.estimate.high_s > said.estimate.high_s
    assert predictor.calibrations[wider.level].share == 0.0


def test_a_run_that_was_cut_short_is_checked_only_where_it_says_something() -> None:
    predictor = taught(100.0, 100.0)
    said = predictor.predict(TRAIN)
    assert said is not None
    assert predictor.check(said, 5.0, censored=True) is None
    assert predictor.check(said, 10_000.0, censored=True) is False
    assert predictor.checked == 1


def test_a_rehearsal_moves_the_margins_and_is_not_counted() -> None:
    predictor = taught(100.0, 100.0)
    said = predictor.predict(TRAIN)
    assert said is not None
    before = predictor.calibrations[said.level].margin
    predictor.check(said, 9999.0, rehearsal=True)
    assert predictor.checked == 0
    assert predictor.calibrations[said.level].margin > before

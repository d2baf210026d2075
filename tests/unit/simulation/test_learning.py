"""What a simulated scheduler learns from the runs that have ended."""

from dataclasses import replace
from math import inf

from aiosd.scheduling.policy import ClassKey
from aiosd.scheduling.rules import BackfillOrder
from aiosd.simulation.kernel import applies
from aiosd.simulation.learning import Learning
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.setup import setup
from aiosd.simulation.world import World, request_of

MACHINE = Machine(4000)
JOB = TraceJob(0, 100, 1000, limit_s=1000, user="ada")
REQUEST = request_of(JOB, MACHINE)
KEY = ClassKey("default", "ada", "", 0, REQUEST, 1000.0)


def taught(*runs_s: float, job: TraceJob = JOB) -> Learning:
    learning = Learning()
    for number, run_s in enumerate(runs_s):
        learning.ended(number, job._replace(run_s=run_s), REQUEST)
    return learning


def test_runs_that_are_over_tell_how_long_the_next_one_takes() -> None:
    assert taught().estimate(KEY) is None
    known = taught(100, 100, 100).estimate(KEY)
    assert known is not None and known.expected_s == 100


def test_a_run_that_was_ended_at_its_limit_would_have_gone_on() -> None:
    at_limit, by_itself = taught(1000, 100, 100, 1000).estimate(KEY), taught(999, 100, 100, 999).estimate(KEY)
    assert at_limit is not None and by_itself is not None
    assert by_itself.expected_s < at_limit.expected_s <= 1000


def test_what_is_expected_of_a_run_is_asked_when_it_has_begun_and_when_it_has_outlived_that() -> None:
    learning = taught(100, 100, 100)
    learning.begun(7, JOB, REQUEST, 50.0)
    assert learning.due(49.0) == []
    assert learning.due(50.0) == [7]
    assert learning.expected_end_s(7, KEY, 50.0, 1050.0, 50.0) == 150.0
    assert learning.due(149.0) == []
    assert learning.due(150.0) == [7]
    known = learning.estimate(KEY)
    assert known is not None and learning.expected_end_s(7, KEY, 50.0, 1050.0, 150.0) == 50.0 + known.high_s
    assert learning.due(50.0 + known.high_s) == [7]
    assert learning.expected_end_s(7, KEY, 50.0, 1050.0, 1049.5) == 1050.0


def test_of_what_nobody_knows_the_limit_is_expected() -> None:
    learning = Learning()
    learning.begun(7, JOB, REQUEST, 50.0)
    assert learning.due(50.0) == [7]
    assert learning.expected_end_s(7, KEY, 50.0, 1050.0, 50.0) == 1050.0
    assert learning.due(inf) == []


def test_backfill_sees_what_was_learned() -> None:
    """Ada asks for 1000 s and takes 10: once that is known, and is to count, hers go beside the head that waits for a run of 200 s."""
    earlier = [TraceJob(float(at), 10, 1000, limit_s=1000, user="ada") for at in range(0, 60, 20)]
    jobs = [*earlier, TraceJob(100, 200, 3000, limit_s=200, user="bob"), TraceJob(101, 50, 4000, limit_s=50, user="bob"), JOB._replace(submit_s=102, run_s=10)]
    by_limits = setup("fifo", "easy", estimate="predicted")
    by_guess = replace(by_limits, rules=replace(by_limits.rules, predict=True))
    limits, guessed = (World(jobs, MACHINE, chosen).run(lambda done: None) for chosen in (by_limits, by_guess))
    assert limits == [0, 20, 40, 100, 300, 350]
    assert guessed == [0, 20, 40, 100, 300, 102]


def test_who_is_expected_to_end_soonest_goes_first() -> None:
    """All of one user who asks for as long; the works differ, and so does what is known of them."""
    runs_s = {"quick": 10.0, "slow": 30.0}
    jobs = [TraceJob(0, runs_s[work], 2000, limit_s=1000, user="ada", work=work) for work in ("quick", "slow") * 2]
    jobs += [TraceJob(100, 100, 4000, limit_s=100, user="ada")]
    jobs += [TraceJob(110, runs_s[work], 4000, limit_s=1000, user="ada", work=work) for work in ("slow", "quick")]
    chosen = setup("priority", "off", estimate="predicted")
    by_age = World(jobs, MACHINE, chosen).run(lambda done: None)
    by_length = World(jobs, MACHINE, replace(chosen, rules=replace(chosen.rules, predict=True))).run(lambda done: None)
    assert (by_age[-2:], by_length[-2:]) == ([200, 230], [210, 200])


def test_the_kernel_leaves_predictions_to_the_daemons_code() -> None:
    assert applies([JOB], MACHINE, setup("fifo", "off", estimate="predicted"))
    assert applies([JOB], MACHINE, setup("fifo", "easy", estimate="actual"))
    assert not applies([JOB], MACHINE, setup("fifo", "easy", str(BackfillOrder.SHORTEST), estimate="predicted"))

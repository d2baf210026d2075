"""Model, replay and measurement side by side: where theory is exact they agree, and where it is not, that is said."""

from collections.abc import Sequence
from heapq import heappop, heappush
from math import inf

import numpy as np
import pytest

from aiosd.errors import FailedPrecondition, InvalidArgument, NotFound
from aiosd.simulation.fitting import Verdict
from aiosd.simulation.forecast import forecast
from aiosd.simulation.outlook import Figures, Question, Report
from aiosd.simulation.past import Past
from aiosd.simulation.records import ONE, Machine, TraceJob
from aiosd.simulation.workload import poisson


def first_come(jobs: Sequence[TraceJob], machine: Machine) -> list[float]:
    """Strict arrival order over GPUs and processors as mere numbers."""
    free = {"gpu": machine.gpus * ONE, "cpu": machine.cpu_millis}
    ends: list[tuple[float, int, int]] = []
    starts, now_s = [], 0.0
    for job in jobs:
        now_s = max(now_s, job.submit_s)
        while ends and (ends[0][0] <= now_s or job.gpu_millis > free["gpu"] or job.cpu_millis > free["cpu"]):
            end_s, gpu, cpu = heappop(ends)
            now_s = max(now_s, end_s)
            free["gpu"], free["cpu"] = free["gpu"] + gpu, free["cpu"] + cpu
        free["gpu"], free["cpu"] = free["gpu"] - job.gpu_millis, free["cpu"] - job.cpu_millis
        heappush(ends, (now_s + job.run_s, job.gpu_millis, job.cpu_millis))
        starts.append(now_s)
    return starts


BOX = Machine(cpu_millis=64_000, gpus=4)


def markovian(jobs: int = 20_000, load: float = 0.8, gpus: int = 4, seed: int = 1) -> list[TraceJob]:
    return poisson(np.random.default_rng(seed), jobs, gpus, load, 600.0, unit="gpu")


def past(jobs: Sequence[TraceJob], machine: Machine = BOX) -> Past:
    """The past in which the machine served first come, first served."""
    starts = first_come(jobs, machine)
    return Past(jobs, [start_s - job.submit_s for job, start_s in zip(jobs, starts, strict=True)])


def ask(jobs: Sequence[TraceJob], machine: Machine = BOX, **question: object) -> Report:
    return forecast(past(jobs, machine), machine, Question(**question), first_come)


def by(figures: Sequence[Figures], name: str) -> Figures:
    return next(one for one in figures if one.by == name)


def test_where_theory_is_exact_all_three_agree() -> None:
    report = ask(markovian())
    assert [one.by for one in report.figures] == ["M/M/c", "G/G/c", "replay", "measured"]
    model, replay, measured = (by(report.figures, name) for name in ("M/M/c", "replay", "measured"))
    for field in ("wait_mean_s", "wait_p95_s", "delayed", "queue_mean", "utilisation"):
        assert getattr(model, field) == pytest.approx(getattr(replay, field), rel=0.12), field
    assert (replay.wait_mean_s, replay.wait_p95_s) == (measured.wait_mean_s, measured.wait_p95_s)
    assert model.wait_p50_s == pytest.approx(replay.wait_p50_s, abs=60)
    assert (report.resource, report.units, report.servers, report.width_mean, report.jobs) == ("gpu", 4, 4.0, 1.0, 20_000)
    assert report.load == pytest.approx(0.8, rel=0.03)
    assert {check.verdict for check in report.checks} == {Verdict.HOLDS}
    assert report.notes == ()


def test_one_more_server_and_more_arrivals_move_model_and_replay_alike() -> None:
    report = ask(markovian(load=0.6), servers_delta=1, arrivals_factor=1.5)
    what_if = report.what_if
    assert what_if is not None
    assert (what_if.units, what_if.arrivals_factor) == (5, 1.5)
    assert what_if.load == pytest.approx(0.6 * 1.5 * 4 / 5, rel=0.03)
    model, replay = by(what_if.figures, "M/M/c"), by(what_if.figures, "replay")
    assert model.wait_mean_s == pytest.approx(replay.wait_mean_s, rel=0.15)
    assert model.utilisation == pytest.approx(replay.utilisation, rel=0.03)
    assert [one.by for one in what_if.figures] == ["M/M/c", "G/G/c", "replay"]
    assert ask(markovian(1000)).what_if is None


def test_a_target_wait_is_met_by_so_many_and_not_by_one_less() -> None:
    jobs = markovian(5000, load=0.95)
    report = ask(jobs, target_wait_s=60.0)
    assert report.target is not None
    count = report.target.by["replay"]
    assert count is not None
    waits = {
        gpus: np.mean([start - job.submit_s for job, start in zip(jobs, first_come(jobs, Machine(64_000, 0, gpus)), strict=True)])
        for gpus in (count, count - 1)
    }
    assert waits[count] <= 60.0 < waits[count - 1]
    assert report.target.by["M/M/c"] == pytest.approx(count, abs=1)
    twice = ask(jobs, target_wait_s=60.0, arrivals_factor=2.0).target
    assert twice is not None
    assert (twice.by["replay"] or 0) > count


def test_no_number_of_gpus_helps_where_processors_are_short() -> None:
    jobs = [job._replace(cpu_millis=16_000) for job in markovian(2000, load=1.5)]
    report = ask(jobs, resource="gpu", target_wait_s=10.0)
    assert report.target is not None
    assert report.target.by["replay"] is None
    assert report.target.by["M/M/c"] == 11  # it does not know of processors


def test_an_overloaded_machine_is_said_to_be_one() -> None:
    report = ask(markovian(2000, load=1.3))
    assert by(report.figures, "M/M/c").wait_mean_s == inf
    assert 0 < by(report.figures, "replay").wait_mean_s < inf
    assert "more work arrives than 4 GPUs can do (load 1.3" in report.notes[0]


def test_wide_jobs_make_fewer_servers_and_a_note() -> None:
    jobs = [job._replace(gpu_millis=2000) for job in markovian(2000, load=0.3)]
    report = ask(jobs)
    assert (report.width_mean, report.width_max, report.servers) == (2.0, 2.0, 2.0)
    assert report.load == pytest.approx(0.6, rel=0.1)
    assert "a job takes 2 GPUs on average while it runs: the model takes 4 as 2 servers" in report.notes[0]
    halves = ask([job._replace(gpu_millis=500) for job in markovian(2000, load=0.9)])
    assert halves.servers == 8.0
    assert halves.load == pytest.approx(0.45, rel=0.1)


def test_parts_of_processors_are_counted_too() -> None:
    jobs = [job._replace(gpu_millis=0, cpu_millis=250) for job in markovian(2000)]
    report = ask(jobs, Machine(cpu_millis=1000), resource="cpu", target_wait_s=5.0)
    assert (report.resource, report.units, report.servers) == ("cpu", 1.0, 4.0)
    assert report.target is not None
    assert report.target.by["M/M/c"] == 2


def test_the_scarcer_resource_is_taken_where_none_is_named() -> None:
    mixed = [job._replace(cpu_millis=15_000) for job in markovian(500, load=0.5)]
    assert ask(mixed, Machine(16_000, 0, 4)).resource == "cpu"
    assert ask(mixed, Machine(128_000, 0, 4)).resource == "gpu"
    assert ask([job._replace(gpu_millis=0, cpu_millis=1000) for job in mixed], Machine(16_000)).resource == "cpu"


def test_waits_of_a_queue_or_a_user_beside_those_of_everybody() -> None:
    jobs = [job._replace(queue="night" if number % 2 else "day") for number, job in enumerate(markovian(3000))]
    everybody, night = ask(jobs), ask(jobs, queue="night")
    assert (everybody.selected, night.selected, night.jobs) == (3000, 1500, 3000)
    assert by(night.figures, "M/M/c") == by(everybody.figures, "M/M/c")
    assert by(night.figures, "measured") != by(everybody.figures, "measured")
    assert by(night.figures, "measured").utilisation == by(everybody.figures, "measured").utilisation
    assert "replay and measurement are of queue night; the model knows one line only" in night.notes[-1]
    assert ask(jobs, user="user3", queue="day").selected == sum(job.user == "user3" and job.queue == "day" for job in jobs)
    with pytest.raises(NotFound, match="no job of queue day and user nobody has ended here"):
        ask(jobs, user="nobody", queue="day")


def test_what_is_not_markovian_is_said() -> None:
    jobs = sorted((job._replace(submit_s=job.submit_s // 3000 * 3000) for job in markovian(2000)), key=lambda job: job.submit_s)
    report = ask(jobs)
    assert any(check.sentence.startswith("arrivals are not Poisson (CV ") for check in report.checks)
    assert "the replay, which assumes nothing of that kind, is the better guess" in report.notes[-1]


def test_too_little_history_is_said_in_numbers() -> None:
    with pytest.raises(FailedPrecondition, match="12 jobs with GPUs have ended; at least 30 are needed") as refused:
        ask(markovian(12))
    assert "--since" in refused.value.hint
    with pytest.raises(FailedPrecondition, match="0 jobs with processors have ended; at least 30 are needed"):
        ask([job._replace(cpu_millis=0) for job in markovian(100)], resource="cpu")


def test_a_machine_without_the_resource() -> None:
    jobs = [job._replace(gpu_millis=0, cpu_millis=1000) for job in markovian(50)]
    with pytest.raises(FailedPrecondition, match="this machine has no GPUs"):
        ask(jobs, Machine(cpu_millis=4000), resource="gpu")


def test_what_a_smaller_machine_could_not_run_is_left_out_there_and_said() -> None:
    jobs = [job._replace(gpu_millis=4000 if number % 50 == 0 else 1000) for number, job in enumerate(markovian(500, load=0.3))]
    report = ask(jobs, servers_delta=-1)
    assert report.what_if is not None
    assert report.what_if.notes == ("10 of 500 jobs ask for more than 64 processors and 3 GPUs, and are left out",)


@pytest.mark.parametrize(
    "question",
    [
        {"resource": "fpga"}, {"arrivals_factor": 0.0}, {"arrivals_factor": -1.0}, {"arrivals_factor": float("nan")}, {"arrivals_factor": 1e9},
        {"target_wait_s": -1.0}, {"target_wait_s": inf}, {"target_wait_s": float("nan")},
    ],
)  # fmt: skip
def test_no_such_question(question: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        Question(**question)


def test_nothing_left_of_the_machine_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="-4 would leave nothing of 4 GPUs"):
        ask(markovian(50), servers_delta=-4)

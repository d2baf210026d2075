"""What runs used, and what the next like them should ask for."""

import pytest

from aiosd.jobs import peaks
from aiosd.jobs.peaks import LEAST_MEMORY_BYTES, MIB, Peaks, Size, Used, rounded_cpus, rounded_memory
from aiosd.scheduling.predict import Traits

GIB = 1 << 30
TRAIN = Traits("alice", "train", None, 0.0, "digest")


def used(memory_bytes: int, cpu_millis: int = 400, **fields: object) -> Used:
    return Used(memory_bytes, cpu_millis, 1000, 60.0, **fields)  # type: ignore[arg-type]


def learned(*runs: Used) -> Size:
    found = Peaks()
    for run in runs:
        found.learn(TRAIN, run)
    return found.size(TRAIN, 200)


def test_nothing_is_said_after_two_runs() -> None:
    assert learned(used(GIB), used(GIB)) == Size()


def test_a_fifth_is_added_to_the_high_quantile_and_rounded_up() -> None:
    size = learned(*[used(GIB)] * 3)
    assert size == Size(rounded_memory(GIB * 6 // 5), 500, 3)
    assert GIB * 6 // 5 <= size.memory_bytes <= GIB * 6 // 5 * 9 // 8


def test_one_high_peak_among_a_few_counts() -> None:
    assert learned(*[used(GIB)] * 10, used(8 * GIB)).memory_bytes >= 8 * GIB


def test_a_run_that_did_not_finish_only_raises() -> None:
    few = [used(GIB)] * 3
    assert learned(*few, *[used(MIB, complete=False)] * 20) == learned(*few)
    assert learned(*few, used(4 * GIB, complete=False)).memory_bytes >= 4 * GIB


def test_a_run_that_ran_out_of_memory_would_have_used_more() -> None:
    assert learned(*[used(GIB)] * 3, used(2 * GIB, complete=False, ran_out=True)).memory_bytes >= 3 * GIB


def test_a_run_that_used_all_its_processors_may_have_wanted_more() -> None:
    assert learned(*[used(GIB, 950)] * 3).cpu_millis == 2000, "the whole that it had, and the margin"


def test_short_runs_say_nothing_about_processors() -> None:
    assert learned(*[Used(GIB, 10, 1000, 1.0)] * 5).cpu_millis == 0


def test_small_jobs_keep_a_sane_least() -> None:
    size = learned(*[used(MIB, 1)] * 3)
    assert (size.memory_bytes, size.cpu_millis) == (LEAST_MEMORY_BYTES, 250)


def test_the_memory_of_groups_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "MOST_GROUPS", 50)
    found = Peaks()
    for number in range(500):
        found.learn(Traits(f"u{number}", "w"), used(GIB))
    assert len(found.groups) == 50


@pytest.mark.parametrize(("millis", "rounded"), [(1, 250), (251, 500), (1000, 1000), (1001, 2000), (7500, 8000)])
def test_processors_are_rounded_up(millis: int, rounded: int) -> None:
    assert rounded_cpus(millis) == rounded


def test_like_requests_stay_alike() -> None:
    assert len({rounded_memory(GIB + step * MIB) for step in range(1024)}) <= 9
    assert all(rounded_memory(amount) >= amount for amount in (1, MIB, GIB + 1, 7 * GIB - 3))

"""Which rows become jobs, and what is told of the others."""

import pytest

from aiosd.errors import InvalidArgument
from aiosd.simulation.cleaning import Rules, clean
from aiosd.simulation.records import Machine
from aiosd.simulation.rows import RawTrace, Row

MACHINE = Machine(8000)


def raw(*rows: Row) -> RawTrace:
    return RawTrace("t.csv", rows)


def test_the_archives_rules() -> None:
    rows = (
        Row(2, 10, 100, 4, 50), Row(3, 5, 100, 8), Row(4, 20, 0, 1), Row(5, 20, -1, 1), Row(6, 20, 10, 0), Row(7, 20, 10, 9), Row(8, 30, 10, 1, status="pending"),
    )  # fmt: skip
    found = clean(raw(*rows), MACHINE, "cpu", Rules())
    assert [(job.submit_s, job.run_s, job.cpu_millis, job.limit_s) for job in found.jobs] == [(0, 100, 8000, 0), (5, 50, 4000, 50)]
    assert found.notes == (
        "3 of 7 jobs never ran (no run time, or pending), and are left out",
        "1 of 7 jobs ask for no processor and no GPU, and are left out",
        "1 of 7 jobs ask for more than the machine has, and are left out",
        "1 of 7 jobs ran longer than they had asked for, and are cut at their limit",
    )


def test_strict_refuses_what_would_be_left_out() -> None:
    with pytest.raises(InvalidArgument, match=r"t\.csv, line 9: this job asks for more than the machine has"):
        clean(raw(Row(8, 0, 1, 1), Row(9, 0, 1, 9)), MACHINE, "cpu", Rules(strict=True))


def test_not_cut() -> None:
    assert clean(raw(Row(2, 0, 100, 4, 50)), MACHINE, "cpu", Rules(cut=False)).jobs[0].run_s == 100


def test_equal_arrivals_stay_as_they_stood_and_time_begins_at_the_first() -> None:
    found = clean(raw(Row(2, 90, 3, 1), Row(3, 70, 1, 1), Row(4, 70, 2, 1)), MACHINE, "cpu", Rules(scale=2))
    assert [(job.submit_s, job.run_s) for job in found.jobs] == [(0, 1), (0, 2), (40, 3)]


def test_until_and_most() -> None:
    rows = [Row(line, 10.0 * line, 1, 1) for line in range(10)]
    found = clean(raw(*rows), MACHINE, "cpu", Rules(until_s=45, most=3))
    assert (len(found.jobs), found.notes) == (3, ("7 later jobs are left out, as was asked",))


@pytest.mark.parametrize(("gpu_millis", "becomes"), [(460.0, 460), (0.5, 1), (1000.0, 1000), (1500.0, 2000), (None, 3000)])
def test_parts_of_gpus_stay_parts_and_more_than_one_are_whole(gpu_millis: float | None, becomes: int) -> None:
    [job] = clean(raw(Row(2, 0, 1, 3, cpu_millis=100, gpu_millis=gpu_millis)), Machine(gpus=4), "gpu", Rules()).jobs
    assert (job.gpu_millis, job.cpu_millis) == (becomes, 100)


def test_a_machine_without_memory_to_speak_of_holds_any() -> None:
    row = Row(2, 0, 1, 1, memory_bytes=1 << 50)
    assert len(clean(raw(row), MACHINE, "cpu", Rules()).jobs) == 1
    with pytest.raises(InvalidArgument, match=r"no job that 8 processors and 1 GiB of memory could run"):
        clean(raw(row), Machine(8000, 1 << 30), "cpu", Rules())

"""`aiosctl schedule`: five sections that can be read by eye."""

from dataclasses import replace

from aios.schedule import Adjustment, Availability, Calibration, Demand, Expected, Schedule
from aiosctl.schedule import layout

GIB = 1 << 30
FULL = Schedule(
    demand=(Demand("cpu", 5000, 1250, 4000, 5), Demand("memory", 20 * GIB, 20 * GIB, 16 * GIB, 1)),
    availability=(Availability("cpu", 4000, 1000, 2000, 0.25, 0), Availability("gpu", 2000, 2000, 1000, 0.0, 1000)),
    policy="fair",
    backfill="easy",
    backfill_order="arrival",
    predict=True,
    rightsize="suggest",
    passes=12,
    pass_p50_s=0.0005,
    pass_p99_s=0.0021,
    starts=30,
    reservations=(Expected("42", 1_700_000_000.0, "2 processors, 4 GiB of memory"),),
    adjustments=(Adjustment(1_700_000_000.0, "has more", "42"), Adjustment(1_600_000_000.0, "nothing new starts", "")),
    held_back="",
    policy_fault="",
    predictions=40,
    predictions_held=0.9,
    calibration=(Calibration("command", 40, 0.9),),
    runs_learned=55,
)
EMPTY = replace(FULL, demand=(), availability=(), passes=0, starts=0, reservations=(), adjustments=(), predictions=0, calibration=(), runs_learned=0)


def lines(found: Schedule, wide: bool = False) -> list[str]:
    return [" ".join(line.split()) for line in layout(found, wide)]


def test_the_five_steps_are_five_sections() -> None:
    shown = lines(FULL)
    assert [line for line in shown if line[:1].isdigit() and line[1] == " "] == ["1 Demand", "2 Availability", "3 Policy", "4 Execution", "5 Adjustment"]
    assert "cpu 5 asked by 5 jobs, 1.25 by what such jobs used before; the machine has 4" in shown
    assert "memory 20 GiB asked by 1 job; the machine has 16 GiB" in shown
    assert "cpu 1 of 4 granted, 2 used, pressure 25%" in shown
    assert "gpu 2 of 2 granted, 1 used, 1 idle" in shown
    assert "backfill easy, arrival" in shown
    assert "passes 12, half of them within 0.50 ms, 99 of 100 within 2.10 ms" in shown
    assert any(line.startswith("job 42 expected ") and line.endswith(": 2 processors, 4 GiB of memory") for line in shown)
    assert "predictions learned from 55 runs, 90% of 40 intervals held" in shown
    assert any(line.endswith("ago job 42 has more") for line in shown)


def test_what_is_wrong_stands_under_the_policy() -> None:
    shown = lines(replace(FULL, held_back="only 1 GiB is available", policy_fault="it raised ValueError"))
    assert "held back only 1 GiB is available" in shown
    assert "fault it raised ValueError" in shown


def test_a_machine_on_which_nothing_happened() -> None:
    shown = lines(EMPTY)
    assert "waiting nothing" in shown
    assert "predictions learned from 0 runs, none was checked yet" in shown


def test_wide_has_all_of_it() -> None:
    many = replace(FULL, adjustments=tuple(Adjustment(1.0, f"adjustment {n}", "") for n in range(50)))
    assert sum("adjustment" in line for line in lines(many)) == 10
    assert sum("adjustment" in line for line in lines(many, wide=True)) == 50
    assert "by command 90% of 40 held" in lines(many, wide=True)

"""When nothing new may start for want of memory, and when it may again."""

import pytest

from aiosd.monitoring.pressure import PressureLook, PressureRules, PressureSettings

GIB = 1 << 30


def look(pressure: float | None = 0.0, available: int = 32 * GIB) -> PressureLook:
    return PressureLook(available, 64 * GIB, pressure)


def judged(*looks: PressureLook, settings: PressureSettings | None = None) -> list[bool]:
    rules = PressureRules(settings or PressureSettings())
    return [bool(rules.judge(each)) for each in looks]


def test_a_machine_with_room_starts_jobs() -> None:
    assert judged(look(), look(None), look(0.19)) == [False, False, False]


def test_processes_that_wait_for_memory_hold_starts_back() -> None:
    rules = PressureRules(PressureSettings())
    assert rules.judge(look(0.35)) == "processes waited for memory 35% of the last 10 s (PSI), and from 20% on nothing new starts"


def test_starts_go_on_after_two_calm_looks_only() -> None:
    assert judged(look(0.3), look(0.15), look(0.05), look(0.15), look(0.05), look(0.05)) == [True, True, True, True, True, False]


@pytest.mark.parametrize("pressure", [None, 0.0])
def test_little_available_memory_holds_starts_back_with_and_without_psi(pressure: float | None) -> None:
    rules = PressureRules(PressureSettings(available_bytes=4 * GIB))
    assert rules.judge(look(pressure, 3 * GIB)) == "only 3 GiB of the machine's memory are available, and below 4 GiB nothing new starts"
    assert [bool(rules.judge(look(pressure, available))) for available in (4 * GIB, 6 * GIB, 6 * GIB)] == [True, True, False]


def test_both_can_be_switched_off() -> None:
    assert judged(look(1.0, 0), settings=PressureSettings(0.0, 0)) == [False]


@pytest.mark.parametrize(("total", "least"), [(16 * GIB, 16 * GIB // 50), (1024 * GIB, GIB), (0, 0)])
def test_the_least_that_is_available_follows_the_size_of_the_machine(total: int, least: int) -> None:
    assert PressureSettings().least_bytes(total) == least

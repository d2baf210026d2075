"""Which devices count as ill, on recorded answers and one by one."""

import pytest

from aiosd.monitoring.illness import Illness
from aiosd.monitoring.looks import DeviceLook


def health(*looks: DeviceLook, every_s: float = 1.0) -> list[str]:
    illness = Illness()
    said = []
    for n, look in enumerate(looks):
        illness.see(look, n * every_s)
        said.append(illness.health(n * every_s)["GPU-0"])
    return said


def look(trouble: str = "", *xids: int, memory_errors: int | None = None) -> DeviceLook:
    return DeviceLook("GPU-0", "gpu 0", trouble=trouble, xids=xids, memory_errors=memory_errors)


def test_one_bad_answer_is_a_glitch_and_three_are_an_illness() -> None:
    assert health(look(), look("Unknown Error"), look("Unknown Error"), look(), look("GPU is lost")) == ["ok"] * 5
    assert health(*[look("GPU is lost")] * 4) == ["ok", "ok", "GPU is lost", "GPU is lost"]


def test_it_recovers_after_five_good_answers() -> None:
    assert health(*[look("GPU is lost")] * 3, *[look()] * 5)[3:] == [*["GPU is lost"] * 4, "ok"]


@pytest.mark.parametrize("xid", [48, 63, 64, 74, 79, 94, 95, 119])
def test_what_the_driver_reports_of_the_device_counts_at_once_and_for_a_minute(xid: int) -> None:
    said = health(look("", xid), *[look()] * 7, every_s=10.0)
    assert all(text.startswith(f"XID {xid}: ") for text in said[:7]) and said[7] == "ok"


@pytest.mark.parametrize("xid", [13, 31, 43, 45])
def test_what_a_program_causes_is_not_the_device_s_illness(xid: int) -> None:
    assert health(look("", xid), look()) == ["ok", "ok"]


def test_new_memory_errors_count_and_old_ones_do_not() -> None:
    assert health(look(memory_errors=7), look(memory_errors=7), look(), look(memory_errors=9)) == ["ok", "ok", "ok", "2 new uncorrectable memory errors"]
    assert health(look(memory_errors=7), look(memory_errors=0), look(memory_errors=0)) == ["ok"] * 3  # the driver was loaded anew

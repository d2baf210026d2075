"""Each refusal of a field names it, says what was given, and what to do."""

from math import inf, nan

import pytest

from aiosd.errors import InvalidArgument
from aiosd.ids import JobId
from aiosd.rpc import fields


@pytest.mark.parametrize("value", [nan, inf, -inf, -0.001])
def test_times_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(InvalidArgument, match=r"^specs\[2\]\.time_limit_s is ") as caught:
        fields.seconds(value, "specs[2].", "time_limit_s")
    assert caught.value.facts == {"field": "specs[2].time_limit_s", "given": str(value)}
    assert caught.value.hint


@pytest.mark.parametrize("value", [0.0, 1e-9, 1e300])
def test_times_that_are_some_pass_unchanged(value: float) -> None:
    assert fields.seconds(value, "", "grace_s") == value


def test_negative_amounts_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"request\.memory_bytes is -1, and cannot be negative"):
        fields.amount(-1, "request.", "memory_bytes")


def test_nul_is_refused_wherever_it_is() -> None:
    with pytest.raises(InvalidArgument, match="cwd has a NUL character at position 2"):
        fields.text("/a\0b", "", "cwd")
    with pytest.raises(InvalidArgument, match=r"command\[1\] has a NUL"):
        fields.texts(["a", "\0"], "", "command")
    with pytest.raises(InvalidArgument, match=r"labels\[k\] has a NUL"):
        fields.pairs({"k": "\0"}, "", "labels")
    with pytest.raises(InvalidArgument, match="one of labels has a NUL"):
        fields.pairs({"\0": "v"}, "", "labels")


def test_what_must_be_there_is_asked_for() -> None:
    with pytest.raises(InvalidArgument, match="id is missing"):
        fields.needed("", "", "id")
    assert fields.needed("42", "", "id") == "42"


def test_ids_are_ids() -> None:
    assert fields.job_id("42.7", "", "ids[0]") == JobId(42, 7)
    with pytest.raises(InvalidArgument, match=r"filter\.ids\[0\] is 'resnet', which is not a job id"):
        fields.job_id("resnet", "filter.", "ids[0]")


def test_what_utf8_cannot_hold_is_escaped() -> None:
    assert fields.printable("/data/\udcff") == "/data/\\udcff"
    assert fields.printable("/dätä") == "/dätä"

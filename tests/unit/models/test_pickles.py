"""A pickle is walked as its loader would go, and nothing of what it says is done."""

import io
import os
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path

import pytest

from aiosd.models import pickles
from aiosd.models.pickles import Global, Made, Opaque, Pairs, Persistent, Walk
from aiosd.models.reading import Limits, Malformed, Region, TooMuch


def walk(data: bytes, **limits: int) -> Walk:
    return Walk(Region(io.BytesIO(data), Limits(**limits)))


class Evil:
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("protocol", range(6))
def test_values_of_every_protocol_are_what_they_were(protocol: int) -> None:
    value = [1, -5, 1 << 70, 2.5, True, False, None, "text", "ünï\n", (1, 2), (1, 2, 3, 4), (), ("a",)]
    found = walk(pickle.dumps(value, protocol)).load()
    assert found == value


@pytest.mark.parametrize("protocol", range(6))
def test_dictionaries_and_objects_show_their_parts(protocol: int) -> None:
    found = walk(pickle.dumps({"a": OrderedDict(x=1), 3: {1, 2}}, protocol)).load()
    assert isinstance(found, Pairs)
    made = found.get("a")
    assert isinstance(made, Made)
    assert made.made_by == "collections.OrderedDict"
    assert [key for key, _ in found.pairs] == ["a", 3]
    assert found.get("b") is None


@pytest.mark.parametrize("protocol", range(6))
def test_what_would_be_called_is_told_and_not_called(protocol: int, tmp_path: Path) -> None:
    looked = walk(pickle.dumps(Evil(str(tmp_path / "done")), protocol))
    made = looked.load()
    assert looked.called == {Global(os.system.__module__, "system")}
    assert isinstance(made, Made)
    assert made.arg(0) == f"touch {tmp_path / 'done'}"
    assert made.arg(1) is None
    assert not list(tmp_path.iterdir())


def test_names_are_found_however_they_are_written() -> None:
    for data, expected in (
        (b"cos\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"S'o\\x73'\nS'system'\n\x93.", "os.system"),  # an escape in a text of protocol 0
        (b"Vo\\u0073\nVsystem\n\x93.", "os.system"),
        (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93.", "os.system"),  # by way of the memo
        (b"(ios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\no.", "os.system"),
        (b"\x80\x04\x8c\x02os)\x93.", "?.?"),
        (b"\x82\x05.", "copyreg.extension 5"),
        (b"\x80\x04\x8c\x02os\x8c\x0bpath.system\x93.", "os.path.system"),
    ):
        looked = walk(data)
        looked.load()
        assert [str(one) for one in looked.globals] == [expected], data


def test_persistent_ids_are_told() -> None:
    looked = walk(b"Pfirst\n(\x8c\x07storage\x8c\x012tQ\x86.")
    found = looked.load()
    assert isinstance(found, tuple)
    assert all(isinstance(one, Persistent) for one in found)
    assert looked.persistent == ["first", ("storage", "2")]


def test_what_was_found_before_a_pickle_breaks_off_is_kept() -> None:
    looked = walk(b"cos\nsystem\n(S'id'\ntR!")
    with pytest.raises(Malformed, match="no opcode"):
        looked.load()
    assert looked.called == {Global("os", "system")}


def test_long_values_stay_where_they_are() -> None:
    data = pickle.dumps([b"x" * 100_000, "y" * 5000], 5)
    found = walk(data, read_bytes=50_000).load()
    assert isinstance(found, list)
    assert isinstance(found[0], Opaque)
    assert data[found[0].offset : found[0].offset + found[0].size] == b"x" * 100_000


def test_one_pickle_after_the_other_is_walked() -> None:
    region = Region(io.BytesIO(pickle.dumps(1) + pickle.dumps("two")))
    first = Walk(region)
    assert first.load() == 1
    assert Walk(region, first.at).load() == "two"


def test_a_thing_that_contains_itself_is_walked() -> None:
    loop: list[object] = []
    loop.append(loop)
    found = walk(pickle.dumps(loop)).load()
    assert isinstance(found, list)
    assert found[0] is found


def test_shared_parts_cost_what_they_take_in_the_file() -> None:
    """2 to the power of 5000 leaves, were it unfolded."""
    found = walk(b")" + b"2\x86" * 5000 + b".").load()
    assert isinstance(found, tuple)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "1 bytes at offset 0 are claimed"),
        (b".", "opcode STOP at offset 0 has nothing"),
        (b"R.", "opcode REDUCE at offset 0 has nothing to work on"),
        (b"t.", "opcode TUPLE at offset 0 has nothing"),
        (b"h\x05.", "opcode BINGET at offset 0 has nothing"),
        (b"0.", "opcode POP at offset 0 has nothing"),
        (b"(o.", "opcode OBJ at offset 1 has nothing"),
        (b"\xff", "is no opcode"),
        (b"Ihello\n.", "'hello' at offset 1 is no decimalnl_short"),
        (b"L" + b"9" * 5000 + b"L\n.", "is no decimalnl_long"),
        (b"Fx\n.", "is no floatnl"),
        (b"Vno end", "the line at offset 1 does not end"),
        (b"V" + b"a" * 100_000 + b"\n.", "the line at offset 1 does not end"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", "claims 9223372036854775807 bytes"),
        (b"T\xff\xff\xff\xff", "claims -1 bytes"),
    ],
)
def test_what_is_no_pickle_is_refused_with_the_place(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        walk(data).load()


def test_a_pickle_of_very_many_opcodes_is_left() -> None:
    with pytest.raises(TooMuch, match="more than 1000 items"):
        walk(b"N0" * 5000, items=1000).load()


def test_every_opcode_that_python_knows_is_known() -> None:
    assert set(pickles._ACTIONS) | {"STOP"} == {one.name for one in pickletools.opcodes}

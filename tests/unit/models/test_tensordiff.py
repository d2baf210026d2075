"""Tensors of two versions are paired by name, compared byte by byte, and the way that they moved is measured."""

import io
import math
from collections.abc import Mapping

import numpy as np
import pytest

from aiosd.models import tensordiff
from aiosd.models.diff import TensorChange, TensorDiff
from aiosd.models.formats.directory import FileReport, inspect
from aiosd.models.reading import StoredTensor
from aiosd.models.tensordiff import compare
from tests.unit.models.formats import builders

Files = Mapping[str, bytes]


def diff(before: Files, after: Files) -> TensorDiff:
    reports = [inspect({path: len(data) for path, data in files.items()}, lambda path, files=files: io.BytesIO(files[path])).files for files in (before, after)]

    def read(files: Files) -> tensordiff.Read:
        return lambda tensor, at, count: files[tensor.file][tensor.offset + at : tensor.offset + at + count]

    return compare(*reports, read(before), read(after))


def one(dtype: str, before: bytes, after: bytes, shape: tuple[int, ...] = (1,)) -> TensorDiff:
    """A tensor of a type that numpy does not have."""

    def report(data: bytes) -> dict[str, FileReport]:
        return {"f": FileReport("x", [StoredTensor("t", dtype, shape, 0, len(data))])}

    return compare(report(before), report(after), lambda _, at, count: before[at : at + count], lambda _, at, count: after[at : at + count])


def test_every_kind_of_change_is_told() -> None:
    base = {"same": np.ones(3, np.float32), "moved": np.array([3.0, 4.0]), "typed": np.ones(2, np.float32), "shaped": np.ones(4), "gone": np.ones(1)}
    new = {"same": base["same"], "moved": np.array([3.0, 4.5]), "typed": np.ones(2, np.float16), "shaped": np.ones((2, 2)), "fresh": np.ones(5)}
    found = diff({"a.safetensors": builders.safetensors(base)}, {"b.safetensors": builders.safetensors(new)})
    assert found.unchanged == 1
    assert [(change.name, change.change, change.before, change.after) for change in found.changes] == [
        ("moved", "changed", "float64 [2]", "float64 [2]"),
        ("typed", "dtype", "float32 [2]", "float16 [2]"),
        ("shaped", "shape", "float64 [4]", "float64 [2, 2]"),
        ("fresh", "added", "", "float64 [5]"),
        ("gone", "removed", "float64 [1]", ""),
    ]
    assert found.changes[0].relative_norm == pytest.approx(0.1)
    assert found.changes[0].file == "b.safetensors"


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "uint8", "int64"])
def test_the_norm_is_what_numpy_says_over_many_blocks(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensordiff, "BLOCK_BYTES", 64)
    rng = np.random.default_rng(5)
    a = (rng.normal(size=1001) * 50 + 60).astype(dtype)
    b = a.copy()
    b[::7] += np.ones(1, dtype)
    (change,) = diff({"a.safetensors": builders.safetensors({"t": a})}, {"a.safetensors": builders.safetensors({"t": b})}).changes
    expected = np.linalg.norm(a.astype(float) - b.astype(float)) / np.linalg.norm(a.astype(float))
    assert change.relative_norm == pytest.approx(expected)


def test_halves_of_a_float_and_small_floats_are_decoded() -> None:
    def bf16(*values: float) -> bytes:
        return (np.array(values, np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()

    assert one("bfloat16", bf16(3, 4), bf16(3, 4.5), (2,)).changes[0].relative_norm == pytest.approx(0.1)
    assert one("complex64", np.array([3 + 4j], np.complex64).tobytes(), np.array([3 + 4.5j], np.complex64).tobytes()).changes[0].relative_norm == pytest.approx(
        0.1
    )
    for dtype, one_is, two_is in (("float8_e4m3fn", 0x38, 0x40), ("float8_e5m2", 0x3C, 0x40), ("float8_e4m3fnuz", 0x40, 0x48), ("float8_e5m2fnuz", 0x40, 0x44)):
        assert one(dtype, bytes([one_is]), bytes([two_is])).changes[0].relative_norm == pytest.approx(1.0), dtype


def test_small_floats_are_those_of_their_papers() -> None:
    table = {(dtype, code): tensordiff._small(code, *tensordiff._SMALL[dtype]) for dtype in tensordiff._SMALL for code in range(256)}
    assert table["float8_e4m3fn", 0x7E] == 448
    assert table["float8_e4m3fn", 0x01] == 2.0**-9
    assert table["float8_e5m2", 0x7B] == 57344
    assert table["float8_e5m2", 0xFC] == -math.inf
    assert table["float8_e4m3fnuz", 0x7F] == 240
    assert table["float8_e5m2fnuz", 0x7F] == 57344
    for code in range(256):  # the upper byte of a half
        half = np.array([code << 8], "<u2").view(np.float16)[0]
        assert table["float8_e5m2", code] == half or np.isnan(half)
    assert all(math.isnan(table[key]) for key in [("float8_e4m3fn", 0x7F), ("float8_e4m3fnuz", 0x80), ("float8_e5m2", 0x7D)])


@pytest.mark.parametrize(
    ("dtype", "before", "after", "note"),
    [
        ("q4_k", b"a" * 144, b"b" * 144, "elements of q4_k are not decoded"),
        ("int4", b"a", b"b", "elements of int4 are not decoded"),
        ("float32", bytes(4), np.ones(1, np.float32).tobytes(), "it was all zero"),
        ("float32", np.array([np.nan], np.float32).tobytes(), bytes(4), "not finite"),
        ("float64", np.array([1e300]).tobytes(), bytes(8), "not finite, or very large"),
    ],
)
def test_where_there_is_no_norm_it_says_why(dtype: str, before: bytes, after: bytes, note: str) -> None:
    (change,) = one(dtype, before, after).changes
    assert (change.change, change.relative_norm) == ("changed", None)
    assert note in change.note


def test_what_lies_in_no_one_place_or_in_another_order_is_said() -> None:
    def report(size: int, stride: tuple[int, ...] = ()) -> dict[str, FileReport]:
        return {"f": FileReport("x", [StoredTensor("t", "float32", (2, 1), 0, size, stride=stride)])}

    def read(_: StoredTensor, at: int, count: int) -> bytes:
        return bytes(count)

    assert compare(report(-1), report(8), read, read).changes[0].change == "unknown"
    assert "another order" in compare(report(8), report(8, (1, 2)), read, read).changes[0].note
    assert compare(report(8), report(8), read, read) == TensorDiff([], 1)


def test_shards_are_one_model_and_models_beside_each_other_are_not() -> None:
    a, b = ({"w": np.ones(2, np.float32)}, {"v": np.ones(3, np.float32)})
    whole = {"model.safetensors": builders.safetensors(a | b)}
    shards = {"m-00001-of-00002.safetensors": builders.safetensors(a), "m-00002-of-00002.safetensors": builders.safetensors(b)}
    assert diff(whole, shards) == TensorDiff([], 2)
    two = {"one.safetensors": builders.safetensors(a), "two.safetensors": builders.safetensors(a)}
    assert diff(two, two) == TensorDiff([], 2)


def test_tensors_beside_the_model_are_compared_there() -> None:
    model = builders.onnx_model(builders.onnx_graph([builders.onnx_external("w", [2], location="w.bin", length="8")]))
    before = {"m/a.onnx": model, "m/w.bin": np.array([3, 4], np.float32).tobytes()}
    after = before | {"m/w.bin": np.array([3, 4.5], np.float32).tobytes()}
    assert diff(before, before).unchanged == 1
    (change,) = diff(before, after).changes
    assert change == TensorChange("w", "changed", "float32 [2]", "float32 [2]", pytest.approx(0.1), "", "m/w.bin")


def test_quantised_tensors_move_as_the_numbers_that_they_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensordiff, "BLOCK_BYTES", 64)  # of which no block is a part

    def halves(*values: float) -> bytes:
        return np.array(values, "<f2").tobytes()

    q8 = halves(0.5) + np.arange(-16, 16, dtype=np.int8).tobytes()
    moved = halves(0.75) + q8[2:]
    assert one("q8_0", q8 * 9, moved * 9, (288,)).changes[0].relative_norm == pytest.approx(0.5)
    q4 = bytes(range(16))  # nibbles 0 to 15, and sixteen zeros
    numbers = np.array([*range(16), *[0] * 16], float)
    for dtype, before, after, least in (("q4_0", halves(2), halves(1), (-16, -8)), ("q4_1", halves(2, 3), halves(1, 3), (3, 3))):
        was, now = 2 * numbers + least[0], numbers + least[1]
        norm = one(dtype, (before + q4) * 9, (after + q4) * 9, (288,)).changes[0].relative_norm
        assert norm == pytest.approx(np.linalg.norm(was - now) / np.linalg.norm(was))


def test_the_foremost_changes_come_first() -> None:
    def moved(name: str, norm: float | None) -> TensorChange:
        return TensorChange(name, "changed", relative_norm=norm)

    all_ = [moved("little", 0.01), TensorChange("new", "added"), moved("unknown", None), moved("far", 0.5), TensorChange("gone", "removed")]
    found = TensorDiff(all_, 7, ["a note"]).foremost(4)
    assert [change.name for change in found.changes] == ["new", "gone", "unknown", "far"]
    assert (found.unchanged, found.notes, found.left_out) == (7, ["a note"], 1)
    assert TensorDiff(all_).foremost(9).left_out == 0

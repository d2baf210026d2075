"""A safetensors file is read without its tensors, and refused when its header does not fit it."""

import io
import re

import numpy as np
import pytest

from aiosd.models.formats import safetensors
from aiosd.models.reading import Limits, Malformed, Region, TooMuch
from tests.unit.models.formats import builders

TWO = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array([7], dtype=np.int64)}


def region(data: bytes, **limits: int) -> Region:
    return Region(io.BytesIO(data), Limits(**limits))


def entry(dtype: str = "F32", shape: object = (1,), place: object = (0, 4)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": place}


def test_it_says_what_is_in_it_and_where() -> None:
    data = builders.safetensors(TWO, {"format": "pt", "note": "mine"})
    found = safetensors.read(region(data))
    assert (found.schema.format, found.schema.framework, found.schema.tensors) == ("safetensors", "pytorch", 2)
    assert found.schema.parameters == 6  # the counter of steps is no weight
    assert found.schema.metadata == {"format": "pt", "note": "mine"}
    first, second = found.tensors
    assert (first.name, first.dtype, first.shape) == ("layer.weight", "float32", (2, 3))
    assert data[first.offset : first.offset + first.size] == TWO["layer.weight"].tobytes()
    assert data[second.offset :] == TWO["steps"].tobytes()


def test_one_without_tensors_is_well() -> None:
    assert safetensors.read(region(builders.safetensors({}))).schema.tensors == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "8 bytes at offset 0 are claimed, the file has 0"),
        (builders.safetensors(TWO)[:-1], "the file ends at"),
        (builders.safetensors(TWO)[:40], "its header claims"),
        (builders.safetensors(TWO) + b"x", "33 bytes of tensors, its header accounts for 32"),
        (b"\xff" * 8 + b"{}", "its header claims 18446744073709551615 bytes"),
        (builders.safetensors_with(b"{" * 5000), "no JSON"),
        (builders.safetensors_with(b'{"a":' * 20000 + b"1" + b"}" * 20000), "no JSON"),
        (builders.safetensors_with(b"[1]"), "no JSON object"),
        (builders.safetensors_with(b"\xff\xfe"), "not UTF-8"),
        (builders.safetensors_with({"a": 3}), "tensor 'a' is described by '3'"),
        (builders.safetensors_with({"a": entry(shape=[-1])}, bytes(4)), "tensor 'a' is described by"),
        (builders.safetensors_with({"a": entry(shape=[True])}, bytes(4)), "tensor 'a' is described by"),
        (builders.safetensors_with({"a": entry(shape=[2])}, bytes(4)), "takes 8 bytes; it has 4"),
        (builders.safetensors_with({"a": entry(shape=[1 << 40, 1 << 40])}, bytes(4)), "elements or more"),
        (builders.safetensors_with({"a": entry(place=[4, 0])}, bytes(4)), "tensor 'a' is described by"),
        (builders.safetensors_with({"a": entry(), "b": entry(place=[2, 6])}, bytes(6)), "'a' and 'b' lie over each other"),
        (builders.safetensors_with({"a": entry(), "b": entry(place=[8, 12])}, bytes(12)), "12 bytes of tensors, its header accounts for 8"),
        (builders.safetensors_with(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', b"12"), "two tensors 'a'"),
        (builders.safetensors_with({"a": entry(), "__metadata__": [1]}, bytes(4)), "__metadata__ must be one object"),
        (builders.safetensors_with({"a\x1b[2J": 1}), re.escape("'a\N{REPLACEMENT CHARACTER}[2J'")),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        safetensors.read(region(data))


def test_a_header_too_large_to_be_parsed_is_left() -> None:
    with pytest.raises(TooMuch, match="its header has"):
        safetensors.read(region(builders.safetensors(TWO), header_bytes=20))
    with pytest.raises(TooMuch, match="more than 3 items"):
        safetensors.read(region(builders.safetensors(TWO), items=3))


def test_types_that_are_not_known_are_called_as_the_file_does() -> None:
    found = safetensors.read(region(builders.safetensors_with({"a": entry("F3_NEW", [9], [0, 4])}, bytes(4))))
    assert (found.tensors[0].dtype, found.tensors[0].size) == ("f3_new", 4)


def test_it_knows_its_files_by_name_or_by_their_beginning() -> None:
    assert safetensors.matches("a.safetensors", b"")
    assert safetensors.matches("a.bin", builders.safetensors(TWO)[:64])
    assert not safetensors.matches("a.bin", b"\0" * 64)

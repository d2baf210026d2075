"""A GGUF file tells its metadata, its quantised types and where its tensors lie; claims that its size belies are refused."""

import io
import struct

import pytest

from aiosd.models.formats import gguf
from aiosd.models.reading import Limits, Malformed, Region, TooMuch
from tests.unit.models.formats import builders


def read(data: bytes, **limits: int) -> gguf.Contents:
    return gguf.read(Region(io.BytesIO(data), Limits(**limits)))


def test_it_says_what_is_in_it_and_where() -> None:
    data = builders.gguf()
    found = read(data)
    assert (found.schema.format, found.schema.framework, found.schema.tensors, found.schema.parameters) == ("gguf", "ggml", 2, 68)
    assert found.schema.metadata == {"general.architecture": "llama", "tokenizer.ggml.tokens": "[2 elements]", "llama.heads": "4"}
    weight, norm = found.tensors
    assert (weight.name, weight.dtype, weight.shape, weight.size) == ("blk.0.weight", "q4_1", (2, 32), 40)
    assert struct.unpack("<4f", data[norm.offset : norm.offset + norm.size]) == (1.0, 1.0, 1.0, 1.0)


def test_a_big_endian_file_is_read_as_well() -> None:
    data = b"GGUF" + struct.pack(">IQQ", 3, 1, 0) + struct.pack(">Q1sIQIQ", 1, b"a", 1, 2, 0, 0)
    found = read(data + bytes(-len(data) % 32) + bytes(8))
    assert [(one.name, one.shape, one.dtype) for one in found.tensors] == [("a", (2,), "float32")]


def test_types_that_are_not_known_are_counted_and_said() -> None:
    found = read(builders.gguf_with([], [builders.gguf_tensor("a", 99, [1], 0)], b""))
    assert (found.schema.tensors, found.tensors) == (1, [])
    assert "1 of its tensors" in found.schema.notes[0]


NESTED = struct.pack("<IQ", 9, 1) * 200 + struct.pack("<IQ", 0, 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GGML", "does not begin with GGUF"),
        (b"GGUF\3\0", "4 bytes at offset 4 are claimed"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "claims 1152921504606846976 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "claims 1152921504606846976 keys"),
        (builders.gguf()[:-1], "'norm' claims bytes"),
        (builders.gguf_with([builders.gguf_key("a", 8, b"\xff" * 8)], [], b""), "18446744073709551615 bytes at offset"),
        (builders.gguf_with([struct.pack("<Q", 1 << 40)], [], b""), "a name of 1099511627776 bytes"),
        (builders.gguf_with([builders.gguf_key("a", 77, b"")], [], b""), "a value of type 77"),
        (builders.gguf_with([builders.gguf_key("a", 9, struct.pack("<IQ", 4, 1 << 62))], [], b""), "bytes at offset"),
        (builders.gguf_with([builders.gguf_key("a", 9, struct.pack("<IQ", 8, 1 << 62))], [], b""), "elements of an array"),
        (builders.gguf_with([builders.gguf_key("a", 9, NESTED)], [], b""), "arrays 64 deep"),
        (builders.gguf_with([builders.gguf_key("a", 0, b"1")] * 2, [], b""), "twice"),
        (builders.gguf_with([builders.gguf_key("general.alignment", 4, bytes(4))], [], b""), "general.alignment is '0'"),
        (builders.gguf_with([], [builders.gguf_tensor("a", 0, [1], 0)] * 2, bytes(8)), "two tensors 'a'"),
        (builders.gguf_with([], [builders.gguf_tensor("a", 0, [2], 0), builders.gguf_tensor("b", 0, [2], 4)], bytes(64)), "lie over each other"),
        (builders.gguf_with([], [builders.gguf_tensor("a", 2, [31], 0)], bytes(64)), "multiples of 32"),
        (builders.gguf_with([], [builders.gguf_tensor("a", 0, [1 << 62, 1 << 62], 0)], bytes(64)), "elements or more"),
        (builders.gguf_with([], [builders.gguf_tensor("a", 0, [1] * 9, 0)], bytes(64)), "9 dimensions"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(data)


def test_versions_to_come_and_costly_files_are_left() -> None:
    with pytest.raises(TooMuch, match="version 4"):
        read(b"GGUF" + struct.pack("<IQQ", 4, 0, 0))
    with pytest.raises(TooMuch, match="more than 3 items"):
        read(builders.gguf(), items=3)

"""A TensorFlow Lite model is read table by table, and no offset leads out of it."""

import io
import struct

import numpy as np
import pytest

from aiosd.models.formats import tflite
from aiosd.models.reading import Contents, Limits, Malformed, Region, TooMuch
from aiosd.models.version import Tensor
from tests.unit.models.formats import frameworks


def read(data: bytes, **limits: int) -> Contents:
    return tflite.read(Region(io.BytesIO(data), Limits(**limits)))


def test_it_says_what_is_in_it_and_where() -> None:
    data = frameworks.tflite()
    found = read(data)
    schema = found.schema
    assert (schema.format, schema.tensors, schema.parameters) == ("tflite", 1, 4)
    assert schema.inputs == (Tensor("x", "float32", (-1, 4)),)
    assert schema.outputs == (Tensor("weights", "float32", (-1, 4)),)
    assert schema.metadata == {"schema version": "3", "description": "by hand"}
    (weights,) = found.tensors
    assert data[weights.offset : weights.offset + weights.size] == np.arange(4, dtype=np.float32).tobytes()


def replaced(old: bytes, new: bytes) -> bytes:
    """The last of them: that of the weights."""
    before, found, after = frameworks.tflite().rpartition(old)
    assert found
    return before + new + after


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"TFL3", "TFL3 is not at its offset 4"),
        (frameworks.tflite()[:-1], "16 items of 1 bytes are claimed"),
        (frameworks.tflite()[:12], "are claimed, the file has 12"),
        (b"\xff\xff\xff\xffTFL3" + bytes(100), "are claimed, the file has"),
        (replaced(struct.pack("<I2i", 2, 1, 4), struct.pack("<I2i", 2, 1, 5)), "takes 20 bytes; it has 16"),
        (replaced(struct.pack("<Ii", 1, 0), struct.pack("<Ii", 1, 7)), "is tensor 7 of 2"),
        (replaced(b"weights", b"\xff\xfe\xff\xff\xff\xff\xff"), "not UTF-8"),
        (replaced(struct.pack("<I", 7) + b"weights", struct.pack("<I", 1 << 31) + b"weights"), "items of 1 bytes are claimed"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(data)


def test_tables_that_point_at_each_other_end() -> None:
    with pytest.raises((Malformed, TooMuch)):
        read(struct.pack("<I", 8) + b"TFL3" + struct.pack("<i", -4) + b"\xff\xff" * 3 + b"\x04\0" * 4000, items=20_000)

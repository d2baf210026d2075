"""A SavedModel tells its signatures, and the index beside it where its variables lie."""

import io
import struct

import pytest

from aiosd.models.formats import savedmodel
from aiosd.models.reading import Malformed, Region, StoredTensor, TooMuch
from aiosd.models.version import Tensor
from tests.unit.models.formats import frameworks
from tests.unit.models.formats.builders import chunk, number

VARIABLES = {"dense/kernel/.ATTRIBUTES/VARIABLE_VALUE": (1, [2, 3], 0, 24), "dense/steps": (9, [], 24, 8), "_CHECKPOINTABLE_OBJECT_GRAPH": (7, [], 32, 9)}


def region(data: bytes) -> Region:
    return Region(io.BytesIO(data))


def index(**more: object) -> list[StoredTensor]:
    return savedmodel.read_index(region(frameworks.tf_index({**VARIABLES, **more})), "variables/variables.data")


def test_it_says_what_it_takes_and_gives() -> None:
    schema = savedmodel.read(region(frameworks.saved_model())).schema
    assert (schema.format, schema.framework) == ("savedmodel", "tensorflow 2.15.0")
    assert schema.inputs == (Tensor("x", "float32", (-1, 3)),)
    assert schema.outputs == (Tensor("y", "float32"),)
    assert schema.metadata == {"tags 1": "serve", "schema version": "1", "signatures": "__init, serving_default"}


def test_one_without_a_signature_says_so() -> None:
    assert "no signature" in savedmodel.read(region(chunk(2, b""))).schema.notes[0]


def test_variables_are_found_in_the_files_that_have_them() -> None:
    kernel, steps = index()
    assert kernel == StoredTensor("dense/kernel", "float32", (2, 3), 0, 24, "variables/variables.data-00000-of-00001")
    assert (steps.name, steps.dtype, steps.offset) == ("dense/steps", "int64", 24)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it has no graph"),
        (b"hello world", "claims|field number"),
        (frameworks.saved_model()[:-3], "its message ends at"),
        (number(2, 1), "is no message"),
    ],
)
def test_what_is_no_savedmodel_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        savedmodel.read(region(data))


FOOTER = struct.pack("<Q", 0xDB4775248B80FB57)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not end like a table"),
        (frameworks.tf_index(VARIABLES)[:-1], "does not end like a table"),
        (b"\0\0\xff\xff\x7f\xff\x7f".ljust(40, b"\0") + FOOTER, "a block of its index claims"),
        (struct.pack("<I", 1 << 31) + bytes(5) + b"\0\0\0\4".ljust(40, b"\0") + FOOTER, "2147483648 places in 4 bytes"),
        (b"\5\5\5" + bytes(4) + bytes(5) + b"\0\0\0\7".ljust(40, b"\0") + FOOTER, "leaves its block"),
    ],
)
def test_what_is_no_index_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        savedmodel.read_index(region(data), "v")


def test_variables_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(Malformed, match="takes 24 bytes; it has 20"):
        index(zz=(1, [6], 0, 20))
    with pytest.raises(Malformed, match="no shape, or no place"):
        index(zz=(1, [1], -5, 4))
    data = frameworks.tf_index(VARIABLES)
    at = len(data) - 48 - 5
    with pytest.raises(TooMuch, match="packed"):
        savedmodel.read_index(region(data[:at] + b"\1" + data[at + 1 :]), "v")

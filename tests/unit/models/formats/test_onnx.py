"""An ONNX model tells its inputs, outputs, opset and tensors, also those inside nodes and in files beside it."""

import io

import numpy as np
import pytest

from aiosd.models.formats import onnx
from aiosd.models.reading import Limits, Malformed, Region, TooMuch
from aiosd.models.version import Tensor
from tests.unit.models.formats import builders
from tests.unit.models.formats.builders import chunk, number


def read(data: bytes, **limits: int) -> onnx.Contents:
    return onnx.read(Region(io.BytesIO(data), Limits(**limits)))


def with_tensor(tensor: bytes) -> bytes:
    return builders.onnx_model(builders.onnx_graph([tensor]))


def test_it_says_what_is_in_it_and_where() -> None:
    data = builders.onnx()
    found = read(data)
    schema = found.schema
    assert (schema.format, schema.framework, schema.opset) == ("onnx", "pytorch 2.3", 17)
    assert schema.inputs == (Tensor("x", "float32", (-1, 3)),)
    assert schema.outputs == (Tensor("y", "float32", (-1, 2)),)
    assert schema.metadata == {"ir_version": "8", "task": "x", "nodes": "2"}
    assert (schema.tensors, schema.parameters) == (4, 6 + 4 + 2)  # the int64 axes are no weights
    places = {one.name: data[one.offset : one.offset + one.size] for one in found.tensors}
    assert places["weight"] == np.arange(6, dtype=np.float32).tobytes()
    assert places["half"] == np.ones(4, np.float16).tobytes()
    assert places["inner"] == np.ones(2, np.float32).tobytes()


def test_inputs_that_are_stored_are_no_inputs() -> None:
    graph = builders.onnx_graph([builders.onnx_tensor("w", np.ones(1, np.float32))], inputs=[builders.onnx_value(name, 1, [1]) for name in "xw"])
    assert [one.name for one in read(builders.onnx_model(graph)).schema.inputs] == ["x"]


def test_an_input_need_not_be_a_tensor_nor_have_a_shape() -> None:
    bare = chunk(1, "a") + chunk(2, chunk(1, number(1, 7)))
    sequence = chunk(1, "b") + chunk(2, chunk(4, b""))
    schema = read(builders.onnx_model(builders.onnx_graph(inputs=[bare, sequence]))).schema
    assert schema.inputs == (Tensor("a", "int64"), Tensor("b", "sequence"))


def test_numbers_in_fields_of_their_own_are_found() -> None:
    packed = number(1, 2) + number(2, 1) + chunk(8, "a") + chunk(4, np.ones(2, np.float32).tobytes())
    loose = number(1, 2) + number(2, 7) + chunk(8, "b") + number(7, 5) + number(7, -1)
    found = read(builders.onnx_model(builders.onnx_graph([packed, loose]))).tensors
    assert [(one.name, one.size) for one in found] == [("a", 8), ("b", -1)]


def test_tensors_in_a_file_beside_it_are_named_with_their_place() -> None:
    found = read(with_tensor(builders.onnx_external("a", [3], location="./data/w.bin", offset="4096", length="12"))).tensors
    assert [(one.file, one.offset, one.size) for one in found] == [("data/w.bin", 4096, 12)]


@pytest.mark.parametrize("location", ["../secret", "/etc/shadow", "a/../../b", "", "a\\b"])
def test_no_tensor_is_kept_outside_of_the_models_directory(location: str) -> None:
    with pytest.raises(Malformed, match="no file beside the model"):
        read(with_tensor(builders.onnx_external("a", [3], location=location)))


DEEP = b""
for _ in range(300):
    DEEP = builders.onnx_graph(nodes=[builders.onnx_node("If", "y", chunk(6, DEEP))])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it has 0 graphs"),
        (b"hello, this is no model", "claims|field number|graphs"),
        (builders.onnx()[:-4], "claims .* bytes; its message ends at"),
        (builders.onnx_model(b"") + chunk(7, b""), "it has 2 graphs"),
        (b"\xff" * 40, "does not end"),
        (number(7, 3), "is no message"),
        (chunk(7, chunk(5, number(1, 1 << 62) + number(1, 4) + number(2, 1))), "elements or more"),
        (chunk(7, chunk(5, number(1, -3) + number(2, 1))), "has a dimension of -3"),
        (with_tensor(number(1, 3) + number(2, 1) + chunk(9, bytes(8))), "takes 12 bytes; it has 8"),
        (with_tensor(number(1, 1 << 40) + number(2, 7) + chunk(7, b"\1")), "claims 1099511627776 elements in 1 bytes"),
        (with_tensor(builders.onnx_external("a", [3], location="w", offset="x")), "'x' as its offset"),
        (with_tensor(builders.onnx_external("a", [3], location="w", length="5")), "takes 12 bytes; 5 are kept"),
        (builders.onnx_model(builders.onnx_graph([builders.onnx_tensor("a", np.ones(1, np.float32))] * 2)), "two tensors 'a'"),
        (builders.onnx_model(DEEP), "messages 64 deep"),
        (builders.onnx_model(builders.onnx_graph([number(2, 1) + chunk(8, b"\xff")])), "not UTF-8"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(data)


def test_a_costly_one_is_left() -> None:
    with pytest.raises(TooMuch, match="more than 50 items"):
        read(builders.onnx_model(builders.onnx_graph(nodes=[b""] * 100)), items=50)

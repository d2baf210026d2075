"""An archive of Keras tells its layers and inputs; HDF5 only whether it is whole, and that the rest is not read."""

import io
import json

import pytest

from aiosd.models.formats import keras
from aiosd.models.reading import Limits, Malformed, Region, TooMuch
from aiosd.models.version import Schema, Tensor
from tests.unit.models.formats import frameworks


def read(data: bytes, **limits: int) -> Schema:
    return keras.read(Region(io.BytesIO(data), Limits(**limits))).schema


def test_an_archive_tells_its_inputs_and_layers() -> None:
    schema = read(frameworks.keras())
    assert (schema.format, schema.framework) == ("keras", "keras 3.5.0")
    assert schema.inputs == (Tensor("x", "float32", (-1, 28, 28)),)
    assert schema.metadata == {"class": "Functional", "layers": "2", "saved": "today"}
    assert "HDF5, which is not read" in schema.notes[0]


def test_one_without_an_input_layer_was_built_for_a_shape() -> None:
    assert read(frameworks.keras({"build_config": {"input_shape": [None, 4]}})).inputs == (Tensor("input", "float32", (-1, 4)),)


@pytest.mark.parametrize("version", range(4))
def test_hdf5_is_whole_or_refused(version: int) -> None:
    schema = read(frameworks.hdf5(version))
    assert (schema.format, schema.parameters) == ("keras", 0)
    assert "not read" in schema.notes[0]
    with pytest.raises(Malformed, match="must have 201 bytes and has 200"):
        read(frameworks.hdf5(version, claimed=201))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", "neither an archive of Keras 3 nor HDF5"),
        (frameworks.zip_of({"config.json": b"{}"}), "has the members"),
        (frameworks.zip_of({"config.json": b"[", "metadata.json": b"{}"}), "config.json is no JSON"),
        (frameworks.zip_of({"config.json": b"[1]", "metadata.json": b"{}"}), "config.json is no JSON object"),
        (frameworks.zip_of({"config.json": b"[" * 100_000, "metadata.json": b"{}"}), "no JSON"),
        (frameworks.zip_of({"config.json": b"\xff", "metadata.json": b"{}"}), "not UTF-8"),
        (b"\x89HDF\r\n\x1a\n", "are claimed"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(data)


def test_whatever_the_layers_are_it_does_not_stumble() -> None:
    for odd in (5, [5], {"layers": [5, {"class_name": "InputLayer", "config": 5}, {"class_name": "InputLayer", "config": {"batch_shape": [True, -1]}}]}):
        assert all(one.shape is None for one in read(frameworks.keras({"config": odd})).inputs)


def test_versions_to_come_and_large_layers_are_left() -> None:
    with pytest.raises(TooMuch, match="version 9"):
        read(b"\x89HDF\r\n\x1a\n\x09" + bytes(100))
    with pytest.raises(TooMuch, match="more than the 1000"):
        read(frameworks.keras(json.loads(json.dumps({"x": "y" * 2000}))), unpacked_bytes=1000)

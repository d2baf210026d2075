"""In a directory the model is found, its shards are one, and a bad file beside it is told."""

import io
import json
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
import pytest

from aiosd.models.formats.directory import FileReport, Inspection, inspect, tensor_names
from aiosd.models.reading import Limits
from tests.unit.models.formats import builders, frameworks


def look(files: Mapping[str, bytes], **limits: int) -> Inspection:
    def open(path: str) -> BinaryIO:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return io.BytesIO(files[path])

    return inspect({path: len(data) for path, data in files.items()}, open, Limits(**limits))


def weights(count: int, name: str = "w") -> bytes:
    return builders.safetensors({name: np.ones(count, np.float32)}, {"format": "pt"})


def test_one_file_is_what_it_is_whatever_its_name() -> None:
    found = look({"blob": builders.gguf()})
    assert found.schema.format == "gguf"
    assert found.files["blob"].format == "gguf"
    assert not found.refused


def test_what_is_no_model_has_an_empty_schema() -> None:
    found = look({"a.txt": b"hello"})
    assert (found.schema.format, found.files) == ("other", {})


def test_shards_are_one_model_with_what_their_configuration_says() -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    config = {"model_type": "bert", "architectures": ["BertModel"], "torch_dtype": "float32", "hidden_size": 3}
    files = {
        "model-00001-of-00002.safetensors": weights(3, "a"),
        "model-00002-of-00002.safetensors": weights(4, "b"),
        "model.safetensors.index.json": json.dumps(index).encode(),
        "config.json": json.dumps(config).encode(),
        "onnx/model.onnx": builders.onnx(),
    }
    found = look(files)
    assert (found.schema.format, found.schema.parameters, found.schema.tensors, found.schema.notes) == ("safetensors", 7, 2, ())
    assert found.schema.metadata == {
        "format": "pt",
        "model_type": "bert",
        "architectures": "BertModel",
        "torch_dtype": "float32",
        "file": "2 files",
        "other models": "onnx/model.onnx (onnx)",
    }
    assert set(tensor_names(found.files.values())) >= {"a", "b", "weight"}
    del files["model-00002-of-00002.safetensors"]
    assert look(files).schema.notes == ("1 of its 2 files are there", "its index names files that are not there: model-00002-of-00002.safetensors")


def test_a_savedmodel_is_read_with_its_variables() -> None:
    files = {"saved_model.pb": frameworks.saved_model(), "variables/variables.index": frameworks.tf_index({"k": (1, [2, 3], 0, 24)})}
    found = look(files)
    assert (found.schema.format, found.schema.parameters, found.schema.tensors) == ("savedmodel", 6, 1)
    assert found.files["saved_model.pb"].tensors[0].file == "variables/variables.data-00000-of-00001"
    alone = look({"m/saved_model.pb": frameworks.saved_model(), "m/notes.txt": b""})
    assert "it has no variables beside it" in alone.schema.notes


def test_the_nearest_of_the_first_format_is_the_model() -> None:
    assert look({"a/b.safetensors": weights(1), "c.tflite": frameworks.tflite(), "d.onnx": builders.onnx()}).schema.format == "onnx"
    assert look({"small.safetensors": weights(1), "large.safetensors": weights(9)}).schema.metadata["file"] == "large.safetensors"


def test_a_bad_file_is_refused_with_its_reason_and_the_others_are_read() -> None:
    found = look({"a.onnx": b"nothing", "b.safetensors": weights(2), "c.safetensors": b"version https://git-lfs.github.com/spec/v1\n"})
    assert found.schema.format == "safetensors"
    assert set(found.refused) == {"a.onnx", "c.safetensors"}
    assert "git lfs pull" in found.refused["c.safetensors"]
    assert any(note.startswith("a.onnx: ") for note in found.schema.notes)


def test_what_costs_too_much_or_cannot_be_opened_is_left() -> None:
    found = look({"a.safetensors": weights(2)}, header_bytes=5)
    assert found.files["a.safetensors"].left.startswith("its header has")
    assert not found.refused
    unopened = inspect({"a.onnx": 5}, lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied", path)))
    assert unopened.files["a.onnx"] == FileReport(left="it cannot be read: Permission denied")


def test_of_very_many_models_the_first_are_read() -> None:
    found = look({f"{index}.bin": b"x" for index in range(2003)} | {"model.gguf": builders.gguf()})
    assert found.schema.notes[-1] == "4 more files that look like models were not read"


@pytest.mark.parametrize("config", [b"[", b"[1]", b"\xff", b"[" * 100_000, b'{"architectures": [[[]]], "model_type": 5}'])
def test_a_configuration_that_is_none_does_no_harm(config: bytes) -> None:
    assert look({"a.safetensors": weights(2), "config.json": config}).schema.parameters == 2

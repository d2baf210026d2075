"""Models that somebody trained, as their packages bring them: what is read of each is what its makers say."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from aiosd.host import inspecting
from aiosd.models.formats import registry
from aiosd.models.formats.directory import Inspection
from aiosd.models.version import Tensor
from tests import models_cache

pytestmark = [pytest.mark.models, pytest.mark.timeout(900)]  # the first of all may have to fetch


@contextmanager
def opened(path: Path) -> Iterator[inspecting.Model]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield inspecting.Model(fd, path.name)
    finally:
        os.close(fd)


def look(path: Path) -> Inspection:
    with opened(path) as model:
        found = inspecting.inspect(model)
    assert not found.refused
    assert not [one for one in found.files.values() if one.left]
    return found


def test_minilm_in_safetensors_with_its_configuration() -> None:
    found = look(models_cache.directory("minilm"))
    schema = found.schema
    assert (schema.format, schema.framework, schema.parameters, schema.tensors) == ("safetensors", "pytorch", 22_713_216, 104)
    assert schema.metadata["model_type"] == "bert"
    tensors = {one.name: one for one in found.files["model.safetensors"].tensors}
    assert tensors["embeddings.word_embeddings.weight"].shape == (30522, 384)


def test_minilm_in_int8_keeps_its_shape() -> None:
    schema = look(models_cache.directory("minilm-int8") / "model.onnx").schema
    assert (schema.format, schema.framework, schema.opset, schema.parameters) == ("onnx", "pytorch 2.11.0+cpu", 17, 22_617_152)
    assert [one.name for one in schema.inputs] == ["input_ids", "attention_mask", "token_type_ids"]
    assert schema.outputs == (Tensor("last_hidden_state", "float32", (-1, -1, 384)),)


def test_paraphrase_in_onnx() -> None:
    (file,) = models_cache.directory("paraphrase").rglob("*.onnx")
    schema = look(file).schema
    assert (schema.framework, schema.opset, schema.parameters) == ("pytorch 2.3.0", 17, 17_241_999)
    assert [(one.name, one.dtype, one.shape) for one in schema.inputs] == [(name, "int64", (-1, -1)) for name in ("input_ids", "attention_mask")]


def test_one_network_of_silero_in_three_formats() -> None:
    found = look(models_cache.directory("silero"))
    assert (found.schema.format, found.schema.parameters) == ("safetensors", 309_633)
    formats = {path: report.format for path, report in found.files.items()}
    assert formats["silero_vad.jit"] == "torchscript"
    assert {one.dtype for one in found.files["silero_vad_half.onnx"].tensors} == {"float32", "int64"}  # whatever its name promises
    script = look(models_cache.directory("silero") / "silero_vad.jit").schema
    assert (script.inputs, script.parameters) == ((Tensor("x", "tensor"), Tensor("sr", "int")), 545_282)
    assert script.metadata == {"class": "vad.model.vad_annotator.VADRNNJITMerge"}


def test_one_network_of_basic_pitch_in_three_formats() -> None:
    place = models_cache.directory("basic-pitch")
    saved, onnx, lite = (look(place / name).schema for name in ("nmp", "nmp.onnx", "nmp.tflite"))
    assert (saved.format, saved.framework) == ("savedmodel", "tensorflow 2.4.1")
    assert saved.inputs == (Tensor("input_2", "float32", (-1, 43844, 1)),)
    assert [(one.name, one.shape) for one in saved.outputs] == [("contour", (-1, 172, 264)), ("note", (-1, 172, 88)), ("onset", (-1, 172, 88))]
    assert saved.tensors > 50
    assert lite.inputs == onnx.inputs == (Tensor("serving_default_input_2:0", "float32", (-1, 43844, 1)),)
    assert abs(lite.parameters - onnx.parameters) < 10


def test_magika_and_rapidocr_in_onnx() -> None:
    magika = look(models_cache.directory("magika") / "model.onnx").schema
    assert magika.outputs == (Tensor("target_label", "float32", (-1, 214)),)
    rapidocr = look(models_cache.directory("rapidocr"))
    assert {report.format for report in rapidocr.files.values()} == {"onnx"}
    assert rapidocr.schema.metadata["file"] == "ch_PP-OCRv4_rec_infer.onnx"
    assert rapidocr.schema.parameters == 2_690_352


def test_smollm2_in_gguf() -> None:
    (file,) = models_cache.directory("smollm2").glob("*.gguf")
    found = look(file)
    assert (found.schema.format, found.schema.parameters, found.schema.tensors) == ("gguf", 134_515_008, 272)
    assert found.schema.metadata["general.architecture"] == "llama"
    tensors = {one.name: one for one in found.files[file.name].tensors}
    assert (tensors["token_embd.weight"].dtype, tensors["token_embd.weight"].shape) == ("q8_0", (49152, 576))
    assert {one.dtype for one in tensors.values()} == {"float32", "q4_1", "q8_0"}
    assert max(one.offset + one.size for one in tensors.values()) == file.stat().st_size


def test_two_versions_of_ddddocr_have_the_same_weights() -> None:
    """What its makers changed is the end of the network, and no weight: so a store by tensors keeps next to nothing of the second."""
    before, after = (models_cache.directory(f"ddddocr-{number}") / "common.onnx" for number in (1, 2))
    with opened(before) as old, opened(after) as new:
        found = inspecting.compare(old, new)
    assert found.unchanged == 63
    assert not found.changes
    old_schema, new_schema = look(before).schema, look(after).schema
    assert (old_schema.outputs[0].dtype, new_schema.outputs[0].dtype) == ("int64", "float32")


def test_legacy_pickles_are_read_and_not_loaded() -> None:
    resemblyzer = look(models_cache.directory("resemblyzer") / "pretrained.pt")
    assert resemblyzer.schema.metadata == {"layout": "legacy pickle"}
    names = {one.name for one in resemblyzer.files["pretrained.pt"].tensors}
    assert "model_state.lstm.weight_ih_l0" in names
    assert {path.name: look(path).schema.parameters for path in models_cache.directory("facenet").glob("*.pt")} == {
        "onet.pt": 389_040,
        "pnet.pt": 6_632,
        "rnet.pt": 100_178,
    }


def test_boundaries_cut_where_the_weights_are() -> None:
    file = models_cache.directory("silero") / "silero_vad_16k.safetensors"
    data = file.read_bytes()
    edges = registry.boundaries(file.name, io.BytesIO(data))
    first = np.frombuffer(data[edges[0] : edges[1]], np.float32)
    assert first.size == 258 * 1 * 256
    assert np.isfinite(first).all()

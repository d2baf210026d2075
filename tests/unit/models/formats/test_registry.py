"""A file finds its reader, and its tensors give the store the places where to cut."""

import io

import numpy as np
import pytest

from aiosd.models.formats import registry
from aiosd.models.reading import Malformed
from tests.unit.models.formats import builders


@pytest.mark.parametrize(
    ("name", "data", "format"),
    [
        ("A.ONNX", builders.onnx(), "onnx"),
        ("a.safetensors", builders.safetensors({}), "safetensors"),
        ("blob", builders.safetensors({"a": np.ones(1)}), "safetensors"),
        ("blob", builders.gguf(), "gguf"),
    ],
)
def test_a_file_finds_its_reader(name: str, data: bytes, format: str) -> None:
    contents = registry.read(name, io.BytesIO(data))
    assert contents is not None
    assert contents.schema.format == format


def test_other_files_have_none() -> None:
    assert registry.read("notes.txt", io.BytesIO(b"hello")) is None
    assert registry.boundaries("notes.txt", io.BytesIO(b"hello")) == ()


def test_boundaries_are_where_tensors_begin_and_end() -> None:
    data = builders.safetensors({"a": np.ones(2, np.float32), "b": np.ones(3, np.float32), "none": np.ones(0, np.float32)})
    base = len(data) - 20
    assert registry.boundaries("m.safetensors", io.BytesIO(data)) == (base, base + 8)
    outside = builders.onnx_model(builders.onnx_graph([builders.onnx_external("a", [3], location="w.bin")]))
    assert registry.boundaries("m.onnx", io.BytesIO(outside)) == ()


def test_a_pointer_of_git_lfs_is_not_taken_for_the_model() -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    with pytest.raises(Malformed, match="pointer of Git LFS") as refused:
        registry.read("model.onnx", io.BytesIO(pointer))
    assert "git lfs pull" in refused.value.hint

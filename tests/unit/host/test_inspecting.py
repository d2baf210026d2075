"""Models are read by another process, which ends at its limits and not the daemon at its own."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from aiosd.errors import Exhausted
from aiosd.host import inspecting
from aiosd.host.inspecting import Allowance, Model
from tests.unit.models.formats import builders


@contextmanager
def opened(path: Path) -> Iterator[Model]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield Model(fd, path.name)
    finally:
        os.close(fd)


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_file_and_a_directory_are_read(tmp_path: Path) -> None:
    file = written(tmp_path / "m" / "deep" / "model.onnx", builders.onnx())
    (tmp_path / "m" / "link.onnx").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "m" / "pipe.onnx")
    written(tmp_path / "m" / os.fsdecode(b"not text \xff.onnx"), b"")
    with opened(file) as model:
        alone = inspecting.inspect(model)
    assert (alone.schema.format, alone.schema.opset) == ("onnx", 17)
    with opened(tmp_path / "m") as model:
        found = inspecting.inspect(model)
    assert found.refused == {"not text \\xff.onnx": "its name is not UTF-8"}  # as a registration does
    assert list(found.files) == ["deep/model.onnx", *found.refused]
    assert found.files["deep/model.onnx"].tensors == list(alone.files["model.onnx"].tensors)
    assert found.schema.inputs == alone.schema.inputs


def test_a_bad_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    with opened(written(tmp_path / "a.gguf", b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0))) as model:
        assert "claims 1152921504606846976 tensors" in inspecting.inspect(model).refused["a.gguf"]


@pytest.mark.root
def test_it_reads_as_the_user_whose_model_it_is(tmp_path: Path) -> None:
    """The directory is passed to it open; the files in it are opened with the rights of the user."""
    written(tmp_path / "mine.onnx", builders.onnx()).chmod(0o644)
    written(tmp_path / "secret.onnx", builders.onnx()).chmod(0o600)
    tmp_path.chmod(0o755)
    with opened(tmp_path) as model:
        found = inspecting.inspect(model, as_user=(65534, 65534))
    assert found.files["mine.onnx"].format == "onnx"
    assert found.files["secret.onnx"].left == "it cannot be read: Permission denied"


def test_a_process_that_meets_a_limit_is_a_note(tmp_path: Path) -> None:
    with opened(written(tmp_path / "a.onnx", builders.onnx())) as model:
        small = inspecting.inspect(model, allowance=Allowance(answer_bytes=10))
    assert small.schema.notes == ("it was not read: reading it took more room for the answer than is allowed",)
    header = b'{"__metadata__":{"a":"' + b"x" * (16 << 20) + b'"}}'
    with opened(written(tmp_path / "a.safetensors", builders.safetensors_with(header))) as model:
        large = inspecting.inspect(model, allowance=Allowance(memory_bytes=1 << 20))
    assert large.files["a.safetensors"].left == "reading it takes more than a reader is given: MemoryError"


def test_one_that_never_ends_is_ended(tmp_path: Path) -> None:
    with opened(written(tmp_path / "a.pkl", b"\x80\x04" + b"\x8c\x04name0" * 1_400_000 + b"N.")) as model:
        found = inspecting.inspect(model, allowance=Allowance(cpu_s=1))
    assert found.schema.notes == ("it was not read: reading it took more processor time than is allowed",)


def test_two_versions_are_compared(tmp_path: Path) -> None:
    before = written(tmp_path / "a" / "m.safetensors", builders.safetensors({"w": np.array([3.0, 4.0]), "same": np.ones(3)}))
    after = written(tmp_path / "b" / "m.safetensors", builders.safetensors({"w": np.array([3.0, 4.5]), "same": np.ones(3)}))
    written(tmp_path / "b" / "bad.gguf", b"GGUF")
    with opened(before.parent) as old, opened(after.parent) as new:
        found = inspecting.compare(old, new)
        assert [(one.name, one.change) for one in found.changes] == [("w", "changed")]
        assert found.changes[0].relative_norm == pytest.approx(0.1)
        assert found.unchanged == 1
        assert found.notes[0].startswith("bad.gguf: ")
        with pytest.raises(Exhausted):
            inspecting.compare(old, new, allowance=Allowance(answer_bytes=5))

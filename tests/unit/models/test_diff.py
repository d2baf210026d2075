"""What differs between two versions."""

from dataclasses import replace

from aiosd.models.diff import Change, FileChange, compared
from aiosd.models.manifest import FileEntry, Manifest
from aiosd.models.version import Commit, Kind, Lineage, Schema, Tensor, Version

FILES = Manifest((FileEntry("a", 1, "1", ()), FileEntry("b", 2, "2", ()), FileEntry("c", 3, "3", ())))
COMMIT = Commit(
    kind=Kind.MODEL, manifest="m", metrics={"accuracy": 0.9, "f1": 0.5}, labels={"team": "a"}, message="one",
    schema=Schema("onnx", opset=17, inputs=(Tensor("x", "float32", (-1, 64)),), outputs=(Tensor("y", "float32"),)), lineage=Lineage(packages={"numpy": "1"}),
)  # fmt: skip


def version(commit: Commit) -> Version:
    return Version(model="digits", number=1, id=commit.id, commit=commit, size=1, files=1, stored_bytes=1)


def changes(**change: object) -> list[Change]:
    return list(compared(version(COMMIT), version(replace(COMMIT, **change)), FILES, FILES).changes)  # type: ignore[arg-type]


def test_the_same_is_no_difference() -> None:
    assert changes() == []
    assert compared(version(COMMIT), version(COMMIT), FILES, FILES).files == ()


def test_what_is_said() -> None:
    assert changes(metrics={"accuracy": 0.95, "loss": 1e-20}) == [
        Change("metrics.accuracy", "0.9", "0.95"), Change("metrics.f1", "0.5", ""), Change("metrics.loss", "", "1e-20"),
    ]  # fmt: skip
    assert changes(labels={}, message="two") == [Change("labels.team", "a", ""), Change("message", "one", "two")]
    assert changes(lineage=Lineage(packages={"numpy": "2"}, git_dirty=True)) == [
        Change("lineage.git_dirty", "", "True"), Change("lineage.packages.numpy", "1", "2"),
    ]  # fmt: skip


def test_schema() -> None:
    schema = replace(COMMIT.schema, opset=18, inputs=(Tensor("x", "float16", (1, 64)), Tensor("mask", "bool")))
    assert changes(schema=schema) == [
        Change("schema.opset", "17", "18"), Change("schema.inputs.mask", "", "bool"), Change("schema.inputs.x", "float32 [?, 64]", "float16 [1, 64]"),
    ]  # fmt: skip


def test_files() -> None:
    new = Manifest((FileEntry("a", 1, "1", (), True), FileEntry("b", 9, "9", ()), FileEntry("d", 4, "4", ())))
    assert list(compared(version(COMMIT), version(COMMIT), FILES, new).files) == [
        FileChange("a", "changed", 1, 1), FileChange("b", "changed", 2, 9), FileChange("c", "removed", 3, 0), FileChange("d", "added", 0, 4),
    ]  # fmt: skip


def test_one_file_is_the_same_by_another_name() -> None:
    one, two = (Manifest((FileEntry(name, 1, digest, ()),), single=True) for name, digest in (("model.onnx", "1"), ("new.onnx", "2")))
    renamed = Manifest((FileEntry("new.onnx", 1, "1", ()),), single=True)
    assert list(compared(version(COMMIT), version(COMMIT), one, two).files) == [FileChange("new.onnx", "changed", 1, 1)]
    assert list(compared(version(COMMIT), version(COMMIT), one, renamed).files) == []

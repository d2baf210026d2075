"""Small ONNX models that are right about something: which of ten directions a point lies in; made here, so that nothing has to be fetched."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is imported
onnx = pytest.importorskip("onnx", reason="needs onnx and onnxruntime: pip install 'aiosd[optimize]'")
pytest.importorskip("onnxruntime", reason="needs onnx and onnxruntime: pip install 'aiosd[optimize]'")

CLASSES = 10
WIDTH = 64
DEEP = 256
OPSET = 17
IR = 9


def classifier(path: Path, batch: int | str = "n", external: bool = False) -> Path:
    """Two dense layers, `x` float32 [batch, 64] to `scores` [batch, 10]; 71 kB."""
    chance = np.random.default_rng(1)
    first = np.linalg.qr(chance.standard_normal((DEEP, WIDTH)))[0].T.astype(np.float32)
    second = (first.T @ _directions()).astype(np.float32)
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "first"], ["hidden"]), onnx.helper.make_node("Relu", ["hidden"], ["plus"]),
        onnx.helper.make_node("Neg", ["hidden"], ["turned"]), onnx.helper.make_node("Relu", ["turned"], ["minus"]),
        onnx.helper.make_node("Sub", ["plus", "minus"], ["whole"]), onnx.helper.make_node("Gemm", ["whole", "second", "bias"], ["scores"]),
    ]  # fmt: skip
    weights = {"first": first, "second": second, "bias": np.zeros(CLASSES, np.float32)}
    return _saved(path, nodes, weights, [batch, WIDTH], [batch, CLASSES], external)


def convolution(path: Path) -> Path:
    """A convolution, `x` float32 [1, 1, 8, 8] to `scores` [1, 10]: the whole picture at once."""
    weights = {"kernel": _directions().T.reshape(CLASSES, 1, 8, 8).copy(), "shape": np.array([1, CLASSES], np.int64)}
    nodes = [onnx.helper.make_node("Conv", ["x", "kernel"], ["wide"]), onnx.helper.make_node("Reshape", ["wide", "shape"], ["scores"])]
    return _saved(path, nodes, weights, [1, 1, 8, 8], [1, CLASSES])


def points(count: int = 200) -> dict[str, Any]:
    """`x` and the `labels` that the models above give them, but for one in ten."""
    chance = np.random.default_rng(2)
    labels = chance.integers(0, CLASSES, count)
    x = (_directions().T[labels] + 0.05 * chance.standard_normal((count, WIDTH))).astype(np.float32)
    wrong = chance.random(count) < 0.1
    return {"x": x, "labels": np.where(wrong, (labels + 1) % CLASSES, labels)}


def saved_points(path: Path, **other: Any) -> Path:
    np.savez(path, **{**points(), **other})
    return path


def _directions() -> Any:
    """float32 (64, 10), each column of length 1, all at right angles."""
    return np.linalg.qr(np.random.default_rng(3).standard_normal((WIDTH, CLASSES)))[0].astype(np.float32)


def _saved(path: Path, nodes: list[Any], weights: dict[str, Any], x: list[Any], scores: list[Any], external: bool = False) -> Path:
    value = onnx.helper.make_tensor_value_info
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = onnx.helper.make_graph(nodes, "net", [value("x", onnx.TensorProto.FLOAT, x)], [value("scores", onnx.TensorProto.FLOAT, scores)], tensors)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path), save_as_external_data=external, location=f"{path.name}.data" if external else None, size_threshold=0)
    return path

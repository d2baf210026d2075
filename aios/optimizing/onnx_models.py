"""ONNX: run by ONNX Runtime, quantised by its tools, pruned by magnitude."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from aios.errors import FailedPrecondition
from aios.optimizing.samples import Array, Feed, Input, Samples
from aios.optimizing.wish import INT8, INT8_DYNAMIC, Done, Wish, pruned

onnxruntime.set_default_logger_severity(4)  # its tools complain of what they do themselves, and errors are raised anyway
RUNTIME = f"ONNX Runtime {onnxruntime.__version__}"
CALIBRATES = True
_LARGE_BYTES = 1 << 30  # a protobuf message has 2 GiB at most, and a tool may hold a model twice in one
_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "Attention"}
_UNCALIBRATED = ["MatMul", "Attention", "LSTM", "Gather", "EmbedLayerNormalization"]  # Gemm becomes MatMul; convolutions without calibration are slower
_DTYPES = {"float": "float32", "double": "float64", "string": "str"}


class Runner:
    """A model that runs on `threads` processors. Raises FailedPrecondition where ONNX Runtime cannot load or run it."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have nothing in common
            raise FailedPrecondition(f"{path.name} cannot be loaded: {_first(error)}", hint=f"this is {RUNTIME}; a newer one may know more") from error
        self.inputs = [Input(each.name, _dtype(each.type), _shape(each.shape)) for each in self._session.get_inputs()]
        self.outputs = [each.name for each in self._session.get_outputs()]

    def __call__(self, feed: Feed) -> list[Array]:
        try:
            answers = self._session.run(None, dict(feed))
        except Exception as error:
            hint = "give it what it is made for: --calibrate FILE.npz, with an array for each input"
            raise FailedPrecondition(f"the model cannot be run with these samples: {_first(error)}", hint=hint) from error
        return [each if isinstance(each, np.ndarray) else np.empty(0, object) for each in answers]


def parts_of(file: Path) -> set[Path]:
    """The files that a model consists of: itself, and those with its weights."""
    tensors = _constants(onnx.load(str(file), load_external_data=False).graph)
    return {file} | {file.parent / entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}


def optimise(source: Path, target: Path, wish: Wish, samples: Samples) -> Done:
    """Writes `target`; beside it `target`.data where it is too large for one file. `samples` calibrate. Raises FailedPrecondition where nothing can be done."""
    model, done = onnx.load(str(source)), Done()
    parts = parts_of(source)
    large = len(parts) > 1 and sum(part.stat().st_size for part in parts) > _LARGE_BYTES  # one file alone fits into one file again
    if wish.prune:
        _prune(model, wish.prune, done)
    if wish.quantize in (INT8, INT8_DYNAMIC):
        _to_int8(model, target, samples if wish.quantize == INT8 and samples.given else None, large, done)
        return done
    if wish.quantize:
        from onnxruntime.transformers.float16 import convert_float_to_float16

        model = convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=large)
        done.did.append("fp16")
    _save(model, target, large)
    return done


def _to_int8(model: Any, target: Path, samples: Samples | None, large: bool, done: Done) -> None:
    from onnxruntime import quantization

    with TemporaryDirectory(dir=target.parent) as scratch:
        prepared = _prepared(model, Path(scratch), large)
        if samples is None:
            quantization.quantize_dynamic(
                prepared, target, op_types_to_quantize=_UNCALIBRATED, per_channel=True, weight_type=quantization.QuantType.QInt8, use_external_data_format=large
            )  # fmt: skip
            done.did.append("int8 (dynamic)")
        else:
            quantization.quantize_static(prepared, target, _Reader(samples), per_channel=True, use_external_data_format=large)
            done.did.append(f"int8 (static, calibrated with {samples.count} samples)")
    if _quantised(onnx.load(str(target), load_external_data=False)) <= _quantised(model):
        hint = "choose fp16, or int8 with samples to calibrate it: --calibrate FILE.npz" if samples is None else "choose fp16"
        raise FailedPrecondition("there is nothing in it that int8 is for", hint=hint)
    if samples is None and any(node.op_type == "Conv" for node in _nodes(model.graph)):
        done.notes.append("Convolutions stay as they are: they take samples (--calibrate).")


def _prepared(model: Any, scratch: Path, large: bool) -> Path:
    """Shapes are known in it, and what can be computed once is."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    plain, prepared = scratch / "plain.onnx", scratch / "prepared.onnx"
    _save(model, plain, large)
    quant_pre_process(plain, prepared, skip_symbolic_shape=True, save_as_external_data=large, all_tensors_to_one_file=True)
    return prepared


def _quantised(model: Any) -> int:
    """How many nodes there are that work with whole numbers, or go there and back."""
    kinds = [node.op_type.lower() for node in _nodes(model.graph)]
    return sum("quantize" in kind or "integer" in kind or kind.startswith("q") for kind in kinds)


class _Reader:
    """Samples as ONNX Runtime asks for them."""

    def __init__(self, samples: Samples) -> None:
        self._feeds = iter(samples.feeds)

    def get_next(self) -> dict[str, Array] | None:
        feed = next(self._feeds, None)
        return None if feed is None else dict(feed)


def _prune(model: Any, part: float, done: Done) -> None:
    used = {name for node in _nodes(model.graph) if node.op_type in _WEIGHTED for name in node.input}
    zeros = total = 0
    for tensor in _constants(model.graph):
        if (
            tensor.name not in used
            or len(tensor.dims) < 2
            or tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
        ):
            continue
        weights = pruned(numpy_helper.to_array(tensor), part)
        zeros, total = zeros + int((weights == 0).sum()), total + weights.size
        tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    if not total:
        raise FailedPrecondition("it has no weights to prune", hint="prune it before it is quantised")
    done.pruned(zeros, total, part)


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those within it, as of If and Loop."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _graphs(inner)


def _nodes(graph: Any) -> Iterator[Any]:
    return (node for each in _graphs(graph) for node in each.node)


def _constants(graph: Any) -> Iterator[Any]:
    """Initialisers, and the tensors of Constant nodes by the name of their output."""
    for each in _graphs(graph):
        yield from each.initializer
    for node in _nodes(graph):
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                attribute.t.name = node.output[0]
                yield attribute.t


def _save(model: Any, path: Path, large: bool) -> None:
    if large:
        onnx.save(model, str(path), save_as_external_data=True, location=f"{path.name}.data")
    else:
        onnx.save(model, str(path))


def _dtype(kind: str) -> str:
    inner = kind.removeprefix("tensor(").removesuffix(")")
    return _DTYPES.get(inner, inner)


def _shape(dims: Sequence[int | str | None]) -> tuple[int | str, ...]:
    return tuple(each if isinstance(each, int) and each >= 0 else str(each or "") for each in dims)


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]

"""Small valid files of each format, byte by byte, so that no framework is needed to test its reader."""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

SAFE_DTYPES = {"float32": "F32", "float16": "F16", "int64": "I64", "int8": "I8", "uint8": "U8", "float64": "F64"}


def safetensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> bytes:
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name, array in tensors.items():
        header[name] = {"dtype": SAFE_DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    return safetensors_with(header, b"".join(array.tobytes() for array in tensors.values()))


def safetensors_with(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


# --- protobuf


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def chunk(field: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


# --- ONNX

ONNX_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int64": 7, "float16": 10}


def onnx_tensor(name: str, array: np.ndarray) -> bytes:
    return b"".join(number(1, size) for size in array.shape) + number(2, ONNX_TYPES[array.dtype.name]) + chunk(8, name) + chunk(9, array.tobytes())


def onnx_external(name: str, shape: Sequence[int], **where: str) -> bytes:
    entries = b"".join(chunk(13, chunk(1, key) + chunk(2, value)) for key, value in where.items())
    return b"".join(number(1, size) for size in shape) + number(2, 1) + chunk(8, name) + entries + number(14, 1)


def onnx_value(name: str, elem_type: int, shape: Iterable[int | str]) -> bytes:
    dims = b"".join(chunk(1, chunk(2, size) if isinstance(size, str) else number(1, size)) for size in shape)
    return chunk(1, name) + chunk(2, chunk(1, number(1, elem_type) + chunk(2, dims)))


def onnx_node(op: str, output: str, *attributes: bytes) -> bytes:
    return chunk(2, output) + chunk(4, op) + b"".join(chunk(5, one) for one in attributes)


def onnx_graph(initializers: Iterable[bytes] = (), nodes: Iterable[bytes] = (), inputs: Iterable[bytes] = (), outputs: Iterable[bytes] = ()) -> bytes:
    parts = [(1, nodes), (5, initializers), (11, inputs), (12, outputs)]
    return b"".join(chunk(field, one) for field, ones in parts for one in ones)


def onnx_model(graph: bytes, opset: int = 17, producer: str = "pytorch", version: str = "2.3") -> bytes:
    return number(1, 8) + chunk(2, producer) + chunk(3, version) + chunk(7, graph) + chunk(8, number(2, opset)) + chunk(14, chunk(1, "task") + chunk(2, "x"))


def onnx(tensors: Mapping[str, np.ndarray] | None = None) -> bytes:
    arrays = tensors if tensors is not None else {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "axes": np.array([1, 2], dtype=np.int64)}
    constant = onnx_node("Constant", "half", chunk(1, "value") + chunk(5, onnx_tensor("", np.ones(4, np.float16))))
    inside = onnx_graph([onnx_tensor("inner", np.ones(2, np.float32))])
    branch = onnx_node("If", "y", chunk(1, "then_branch") + chunk(6, inside))
    return onnx_model(
        onnx_graph(
            [onnx_tensor(name, array) for name, array in arrays.items()],
            [constant, branch],
            [onnx_value("x", 1, ["batch", 3])],
            [onnx_value("y", 1, [-1, 2])],
        )
    )


# --- GGUF


def gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_key(key: str, kind: int, value: bytes) -> bytes:
    return gguf_text(key) + struct.pack("<I", kind) + value


def gguf_tensor(name: str, kind: int, shape: Sequence[int], offset: int) -> bytes:
    """`shape` as numpy has it: the slowest dimension first."""
    return gguf_text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", kind, offset)


def gguf_with(keys: Sequence[bytes], tensors: Sequence[bytes], data: bytes, version: int = 3) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


def gguf() -> bytes:
    words = struct.pack("<IQ", 8, 2) + gguf_text("a") + gguf_text("b")
    keys = [gguf_key("general.architecture", 8, gguf_text("llama")), gguf_key("tokenizer.ggml.tokens", 9, words), gguf_key("llama.heads", 4, b"\4\0\0\0")]
    tensors = [gguf_tensor("blk.0.weight", 3, [2, 32], 0), gguf_tensor("norm", 0, [4], 64)]
    return gguf_with(keys, tensors, bytes(64) + np.ones(4, np.float32).tobytes())

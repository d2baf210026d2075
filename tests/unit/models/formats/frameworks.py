"""Files as PyTorch, TensorFlow, Keras and joblib write them, made without any of them."""

import io
import json
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType

import numpy as np

from tests.unit.models.formats.builders import chunk, number, varint

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"float32": "FloatStorage", "int64": "LongStorage", "float16": "HalfStorage"}


# --- pickles that name what is not installed


def _stand_in(module: str, name: str) -> type:
    """A class that pickles by reference as `module.name`."""
    return type(name, (), {"__module__": module})


REBUILD, PARAMETER = _stand_in("torch._utils", "_rebuild_tensor_v2"), _stand_in("torch._utils", "_rebuild_parameter")
STORAGE_CLASSES = {dtype: _stand_in("torch", name) for dtype, name in STORAGES.items()}
WRAPPER = _stand_in("joblib.numpy_pickle", "NumpyArrayWrapper")
ESTIMATOR = _stand_in("sklearn.linear_model._logistic", "LogisticRegression")
SCRIPT = _stand_in("__torch__.net", "Net")


@contextmanager
def stand_ins() -> Iterator[None]:
    """For as long as it is pickled, the names can be imported: the pickler makes sure of that."""
    kept = dict(sys.modules)
    try:
        for one in (REBUILD, PARAMETER, WRAPPER, ESTIMATOR, SCRIPT, *STORAGE_CLASSES.values()):
            parts = one.__module__.split(".")
            for count in range(1, len(parts) + 1):
                sys.modules[".".join(parts[:count])] = sys.modules.get(".".join(parts[:count])) or ModuleType(parts[count - 1])
            setattr(sys.modules[one.__module__], one.__name__, one)
        yield
    finally:
        for name in set(sys.modules) - set(kept):
            del sys.modules[name]


class Stored:
    """A tensor in a storage: all of it, unless a part is named."""

    def __init__(self, key: str, array: np.ndarray, start: int = 0, shape: Sequence[int] | None = None, stride: Sequence[int] | None = None) -> None:
        self.key, self.array, self.start = key, array, start
        self.shape = tuple(array.shape if shape is None else shape)
        self.stride = tuple(stride if stride is not None else np.zeros(self.shape, np.int8).strides)

    def __reduce__(self) -> tuple[object, ...]:
        return REBUILD, (_Storage(self.key, self.array), self.start, self.shape, self.stride, False, OrderedDict())


class Parameter:
    def __init__(self, tensor: Stored) -> None:
        self.tensor = tensor

    def __reduce__(self) -> tuple[object, ...]:
        return PARAMETER, (self.tensor, True, OrderedDict())


class _Storage:
    def __init__(self, key: str, array: np.ndarray) -> None:
        self.key, self.array = key, array


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        if isinstance(obj, _Storage):
            return ("storage", STORAGE_CLASSES[obj.array.dtype.name], obj.key, "cpu", obj.array.size, *self.more)
        return None

    more: tuple[object, ...] = ()


def torch_pickle(root: object, *more: object) -> bytes:
    out = io.BytesIO()
    with stand_ins():
        pickler = _Pickler(out, 2)
        pickler.more = more
        pickler.dump(root)
    return out.getvalue()


# --- PyTorch


def torch_state() -> tuple[OrderedDict[str, object], dict[str, np.ndarray]]:
    arrays = {"0": np.arange(6, dtype=np.float32), "1": np.array([3], np.int64)}
    weight = Stored("0", arrays["0"], shape=(2, 3))
    return OrderedDict([("fc.weight", weight), ("fc.tied", weight), ("steps", Stored("1", arrays["1"]))]), arrays


def torch_zip(root: object = None, arrays: Mapping[str, np.ndarray] | None = None, more: Mapping[str, bytes] | None = None, prefix: str = "archive/") -> bytes:
    state, given = torch_state()
    members = {"data.pkl": torch_pickle(state if root is None else root), "byteorder": b"little", **(more or {}), "version": b"3\n"}
    members |= {f"data/{key}": array.tobytes() for key, array in (given if arrays is None else arrays).items()}
    return zip_of({prefix + name: data for name, data in members.items()})


def zip_of(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return out.getvalue()


def torch_legacy(root: object = None, arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    state, given = torch_state()
    arrays = given if arrays is None else arrays
    start = [pickle.dumps(one, 2) for one in (TORCH_MAGIC, 1001, {"protocol_version": 1001, "little_endian": True})]
    keys = pickle.dumps(list(arrays), 2)
    data = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays.values())
    return b"".join(start) + torch_pickle(state if root is None else root, None) + keys + data


CODE = b"""class Net(Module):
  __parameters__ = ["weight", ]
  def forward(self: __torch__.net.Net,
    x: Tensor,
    sizes: Dict[str, int]) -> Tensor:
    return x
"""


def torch_script() -> bytes:
    net = SCRIPT()
    net.weight = Stored("0", np.ones((2, 2), np.float32))
    constants = {"constants.pkl": torch_pickle((Stored("0", np.ones(3, np.float32)),)), "constants/0": np.ones(3, np.float32).tobytes()}
    return torch_zip(net, {"0": np.ones((2, 2), np.float32)}, {"code/__torch__/net.py": CODE, **constants}, "net/")


# --- joblib


class Wrapped:
    """An array as joblib puts it into a pickle; its bytes come in behind its description."""

    def __init__(self, array: np.ndarray, align: bool = True) -> None:
        self.array, self.align = array, align


def joblib_dump(parts: Sequence[object]) -> bytes:
    """An estimator whose attributes are `parts`: texts, numbers and `Wrapped` arrays."""
    out = io.BytesIO()
    with stand_ins():
        estimator = ESTIMATOR()
        estimator._sklearn_version = "1.5.2"
        estimator.parts = [_described(one) if isinstance(one, Wrapped) else one for one in parts]
        pickler = pickle._Pickler(out, 3)  # in Python, so that its output can be broken into
        _break_into(pickler, out, [one for one in parts if isinstance(one, Wrapped)])
        pickler.dump(estimator)
    return out.getvalue()


def _described(one: Wrapped) -> object:
    wrapper = WRAPPER()
    order = "F" if one.array.flags.f_contiguous and not one.array.flags.c_contiguous else "C"
    wrapper.__dict__.update(subclass=None, shape=one.array.shape, order=order, dtype=one.array.dtype, allow_mmap=True)
    wrapper.numpy_array_alignment_bytes = 16 if one.align else None
    return wrapper


def _break_into(pickler: object, out: io.BytesIO, arrays: list[Wrapped]) -> None:
    save = pickler.save
    left = iter(arrays)

    def saving(obj: object, *args: object, **kwargs: object) -> None:
        save(obj, *args, **kwargs)
        if type(obj) is WRAPPER:
            one = next(left)
            if one.align:
                gap = 16 - (out.tell() + 1) % 16
                out.write(bytes([gap]) + b"\xff" * gap)
            if one.array.dtype.hasobject:
                pickle.dump(one.array.tolist(), out, 2)
            else:
                out.write(one.array.tobytes("A"))

    pickler.save = saving


# --- TensorFlow


def tf_shape(shape: Sequence[int]) -> bytes:
    return b"".join(chunk(2, number(1, size)) for size in shape)


def tf_entry(field: int, key: str, value: bytes) -> bytes:
    return chunk(field, chunk(1, key) + chunk(2, value))


def saved_model() -> bytes:
    signature = tf_entry(1, "x", number(2, 1) + chunk(3, tf_shape([-1, 3]))) + tf_entry(2, "y", number(2, 1) + chunk(3, number(3, 1)))
    graph = chunk(1, chunk(4, "serve") + chunk(5, "2.15.0")) + tf_entry(5, "serving_default", signature) + tf_entry(5, "__init", b"")
    return number(1, 1) + chunk(2, graph)


def tf_index(variables: Mapping[str, tuple[int, Sequence[int], int, int]], shards: int = 1) -> bytes:
    """`variables`: (type, shape, offset, size) by name."""
    entries = {"": number(1, shards)}
    for name, (dtype, shape, offset, size) in sorted(variables.items()):
        entries[name] = number(1, dtype) + chunk(2, tf_shape(shape)) + number(4, offset) + number(5, size)
    data = tf_block(entries)
    index = tf_block({"zzz": varint(0) + varint(len(data) - 5)})
    handles = varint(0) + varint(0) + varint(len(data)) + varint(len(index) - 5)
    return data + index + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def tf_block(entries: Mapping[str, bytes]) -> bytes:
    out, before = b"", b""
    for name, value in entries.items():
        key = name.encode()
        shared = next((i for i, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), min(len(key), len(before)))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return out + struct.pack("<II", 0, 1) + b"\0" + bytes(4)


def tflite() -> bytes:
    """Offsets of flatbuffers lead forwards: so whatever is pointed to is written behind, and the root first."""
    return FlatWriter().model()


class FlatWriter:
    """Writes front to back: a place for each offset is left, and filled when its target is written."""

    def __init__(self) -> None:
        self.out = bytearray(b"\0\0\0\0TFL3")

    def table(self, scalars: Mapping[int, bytes], refs: Sequence[int]) -> dict[int, int]:
        """The places of the offsets, by field; that of the table itself is under -1."""
        fields = sorted([*scalars, *refs])
        count = max(fields, default=-1) + 1
        vtable_at, at = len(self.out), len(self.out) + 4 + 2 * count
        body, places, found = bytearray(struct.pack("<i", at - vtable_at)), [0] * count, {-1: at}
        for field in fields:
            places[field] = len(body)
            if field in scalars:
                body += scalars[field]
            else:
                found[field] = at + len(body)
                body += bytes(4)
        self.out += struct.pack(f"<HH{count}H", 4 + 2 * count, len(body), *places) + body
        return found

    def point(self, place: int, target: int) -> None:
        self.out[place : place + 4] = struct.pack("<I", target - place)

    def vector(self, place: int, data: bytes, count: int) -> None:
        self.point(place, len(self.out))
        self.out += struct.pack("<I", count) + data

    def tables(self, place: int, count: int) -> list[int]:
        """The places of the offsets of a vector of tables."""
        self.vector(place, bytes(4 * count), count)
        return list(range(len(self.out) - 4 * count, len(self.out), 4))

    def model(self) -> bytes:
        root = self.table({0: struct.pack("<I", 3)}, [2, 3, 4])
        self.point(0, root[-1])
        self.vector(root[3], b"by hand", 7)
        for place in self.tables(root[2], 1):
            graph = self.table({}, [0, 1, 2])
            self.point(place, graph[-1])
            self.vector(graph[1], struct.pack("<i", 0), 1)
            self.vector(graph[2], struct.pack("<i", 1), 1)
            for index, at in enumerate(self.tables(graph[0], 2)):
                self.tensor(at, index)
        for index, place in enumerate(self.tables(root[4], 2)):
            buffer = self.table({}, [0] if index else [])
            self.point(place, buffer[-1])
            if index:
                self.vector(buffer[0], np.arange(4, dtype=np.float32).tobytes(), 16)
        return bytes(self.out)

    def tensor(self, place: int, index: int) -> None:
        tensor = self.table({1: b"\0", 2: struct.pack("<I", index)}, [0, 3, 7])
        self.point(place, tensor[-1])
        self.vector(tensor[0], struct.pack("<2i", 1, 4), 2)
        self.vector(tensor[3], b"weights" if index else b"x", 7 if index else 1)
        self.vector(tensor[7], struct.pack("<2i", -1, 4), 2)


# --- Keras

KERAS_CONFIG = {
    "class_name": "Functional",
    "config": {
        "layers": [
            {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 28, 28], "dtype": "float32"}},
            {"class_name": "Dense", "config": {"name": "dense"}},
        ]
    },
}


def keras(config: object = None, **more: bytes) -> bytes:
    members = {"metadata.json": json.dumps({"keras_version": "3.5.0", "date_saved": "today"}).encode()}
    members["config.json"] = json.dumps(KERAS_CONFIG if config is None else config).encode()
    return zip_of({**members, "model.weights.h5": hdf5(), **more}, zipfile.ZIP_DEFLATED)


def hdf5(version: int = 0, size: int = 200, claimed: int = 200) -> bytes:
    if version < 2:
        head = b"\x89HDF\r\n\x1a\n" + bytes([version, 0, 0, 0, 0, 8, 8, 0]) + bytes(8 + 4 * version) + struct.pack("<QQQ", 0, (1 << 64) - 1, claimed)
    else:
        head = b"\x89HDF\r\n\x1a\n" + bytes([version, 8, 8, 0]) + struct.pack("<QQQ", 0, (1 << 64) - 1, claimed)
    return head.ljust(size, b"\0")

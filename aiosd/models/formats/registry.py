"""Which reader a file is for, and what it says: the one way into this folder for a single file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from aiosd.models.formats import gguf, joblib, keras, onnx, pytorch, safetensors, savedmodel, tflite
from aiosd.models.reading import Contents, Limits, Malformed, Region, StoredTensor

HEAD_BYTES = 512
_SUFFIXES = (
    ".safetensors", ".gguf", ".onnx", ".pt", ".pth", ".ckpt", ".bin", ".pt2", ".jit", ".ts", ".torchscript", ".tflite", ".keras", ".h5", ".hdf5",
    ".joblib", ".pkl", ".pickle", ".sav",
)  # fmt: skip
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    matches: Callable[[str, bytes], bool]
    read: Callable[[Region], Contents]


# The first that matches: those that know themselves by their first bytes before those that go by names.
FORMATS = (
    Format("gguf", gguf.matches, gguf.read),
    Format("safetensors", safetensors.matches, safetensors.read),
    Format("pytorch", pytorch.matches, pytorch.read),  # and TorchScript, which is the same archive with code in it
    Format("tflite", tflite.matches, tflite.read),
    Format("keras", keras.matches, keras.read),
    Format("savedmodel", savedmodel.matches, savedmodel.read),
    Format("onnx", onnx.matches, onnx.read),
    Format("joblib", joblib.matches, joblib.read),  # and pickles of anything else
)


def find(name: str, head: bytes) -> Format | None:
    """The reader for a file of this name that begins with `head`; None: it is of no format that is known here."""
    return next((one for one in FORMATS if one.matches(name.lower(), head)), None)


def may_be_one(name: str) -> bool:
    """By its name it may be a model; of 100,000 files not each is opened to look at how it begins."""
    return name.lower().endswith(_SUFFIXES) or name == savedmodel.MODEL_FILE


def read(name: str, file: BinaryIO, limits: Limits | None = None) -> Contents | None:
    """What a file says of itself; None: it is of no format that is known here. Raises Malformed and TooMuch."""
    region = Region(file, limits)
    head = region.head(HEAD_BYTES)
    found = find(name, head)
    if found is not None and head.startswith(_LFS_POINTER):
        raise Malformed("it is a pointer of Git LFS, not the model", hint="fetch the files themselves first: git lfs pull")
    return found.read(region) if found else None


def boundaries(name: str, file: BinaryIO, limits: Limits | None = None) -> tuple[int, ...]:
    """Where tensors begin and end, ascending, without 0 and the file's end; none for other files. Raises Malformed and TooMuch."""
    contents = read(name, file, limits)
    return edges(contents.tensors, file.seek(0, 2)) if contents else ()


def edges(tensors: Sequence[StoredTensor], size: int) -> tuple[int, ...]:
    """See `boundaries`."""
    own = [one for one in tensors if one.size > 0 and not one.file]
    return tuple(sorted({edge for one in own for edge in (one.offset, one.offset + one.size)} - {0, size}))

"""A program that gives mutated models to every reader, within limits: `python -m tests.unit.models.formats.fuzzing EXAMPLES`.

Ends with 0 when each was read or refused in the reader's own words; anything else, also a limit that is met, is a fault of a reader.
"""

import gzip
import io
import resource
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aiosd.models.formats import registry, savedmodel
from aiosd.models.pickles import Walk
from aiosd.models.reading import Harmful, Limits, Region, Unreadable
from aiosd.models.scanning.files import scan
from tests.unit.models.formats import builders, frameworks
from tests.unit.models.scanning.evil import families

LIMITS = Limits(read_bytes=8 << 20, items=100_000, unpacked_bytes=1 << 20)
MEMORY_BYTES, CPU_S_PER_EXAMPLE = 1 << 30, 0.5
PARTS = ["text", frameworks.Wrapped(np.arange(6.0)), frameworks.Wrapped(np.array([None], dtype=object), align=False)]


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def tar_of(name: str, data: bytes) -> bytes:
    out, info = io.BytesIO(), tarfile.TarInfo(name)
    info.size = len(data)
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


VALID = {
    "a.safetensors": [builders.safetensors({"a": np.ones(2), "b": np.ones(3, np.int8)}, {"format": "pt"})],
    "a.gguf": [builders.gguf()],
    "a.onnx": [builders.onnx(), builders.onnx_model(builders.onnx_graph([builders.onnx_external("a", [3], location="w.bin", offset="4", length="12")]))],
    "a.pt": [frameworks.torch_zip(), frameworks.torch_legacy(), frameworks.torch_script()],
    "a.tflite": [frameworks.tflite()],
    "saved_model.pb": [frameworks.saved_model()],
    "a.keras": [frameworks.keras(), frameworks.hdf5(), frameworks.hdf5(2)],
    "a.joblib": [frameworks.joblib_dump(PARTS), zlib.compress(frameworks.joblib_dump(PARTS))],
    "a.pkl": list(families("/nowhere").values()),
    "a.npy": [npy(np.ones(3)), npy(np.array([None], dtype=object))],
    "a.tar": [tar_of("a", b"text"), gzip.compress(tar_of("b/c", families("/nowhere")["inst"]))],
    "variables.index": [frameworks.tf_index({"w": (1, [2, 3], 0, 24), "wz": (9, [], 24, 8)})],
}
NUMBERS = [
    number.to_bytes(width, "little") for width in (1, 2, 4, 8) for number in (0, 1, 1 << (8 * width - 1), (1 << 8 * width) - 1, (1 << (8 * width - 1)) - 1)
]
Change = tuple[str, float, int, bytes]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "cut", "insert", "repeat", "end", "flip"]),
        st.floats(0, 1),
        st.integers(1, 64),
        st.sampled_from(NUMBERS) | st.binary(max_size=12),
    ),
    min_size=1,
    max_size=8,
)


def changed(data: bytes, changes: list[Change]) -> bytes:
    for kind, where, count, value in changes:
        at = int(where * len(data))
        before, after = data[:at], data[at:]
        data = {
            "put": before + value + after[len(value) :],
            "cut": before + after[count:],
            "insert": before + value + after,
            "repeat": before + after[:count] * 2 + after[count:],
            "end": before,
            "flip": before + bytes([after[0] ^ count]) + after[1:] if after else before,
        }[kind]
    return data


def read(name: str, data: bytes) -> None:
    try:
        if name == "variables.index":
            msgspec.json.encode(savedmodel.read_index(Region(io.BytesIO(data), LIMITS), "v"))
        else:
            msgspec.json.encode(registry.read(name, io.BytesIO(data), LIMITS))
            Walk(Region(io.BytesIO(data), LIMITS)).load()
    except Unreadable as error:
        assert str(error)
    try:
        msgspec.json.encode(scan(name, io.BytesIO(data)))
    except Harmful as error:
        assert str(error)


def fuzz(name: str, examples: int) -> Callable[[], None]:
    @settings(max_examples=examples, deadline=None, database=None, derandomize=examples < 1000, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(VALID[name]), CHANGES)
    @example(b"", [])
    def run(data: bytes, changes: list[Change]) -> None:
        read(name, changed(data, changes))

    return run


def main(examples: int) -> None:
    cpu_s = int(60 + CPU_S_PER_EXAMPLE * examples * len(VALID))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    for name, models in VALID.items():
        for data in models:
            read(name, data)
        fuzz(name, examples)()
    print(peak_kib())


def peak_kib() -> int:
    """Of this program: ru_maxrss would count the process that started it, too."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1])


if __name__ == "__main__":
    main(int(sys.argv[1]))

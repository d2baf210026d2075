"""The files that the benchmark of the model store registers: a new one, and its next versions with changes of each kind."""

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BLOCK_BYTES = 8 << 20
_LAYERS = 32


@dataclass(slots=True)
class Variant:
    """A file that is registered after `parent`, by the name of a variant."""

    what: str
    make: Callable[[], Iterator[bytes]]
    suffix: str = ""
    parent: str = ""


def variants(size: int) -> Mapping[str, Variant]:
    """Of the sizes and changes that the issue names. Random bytes from a fixed seed, made a block at a time."""
    seed, part = 1, size // 100

    def plain() -> Iterator[bytes]:
        chance = random.Random(seed)
        for at in range(0, size, BLOCK_BYTES):
            yield chance.randbytes(min(BLOCK_BYTES, size - at))

    def in_place() -> Iterator[bytes]:
        """One hundredth, from a third on, is other."""
        at, other = 0, random.Random(2)
        for block in plain():
            begin, end = max(size // 3 - at, 0), min(size // 3 + part - at, len(block))
            yield block[:begin] + other.randbytes(end - begin) + block[end:] if begin < end else block
            at += len(block)

    def inserted() -> Iterator[bytes]:
        yield random.Random(3).randbytes(1 << 20)
        yield from plain()

    def tensors(change: Callable[[int, bytes], bytes]) -> Iterator[bytes]:
        layer = size // _LAYERS // 4 * 4
        header = {f"layer.{at:02}": {"dtype": "F32", "shape": [layer // 4], "data_offsets": [at * layer, (at + 1) * layer]} for at in range(_LAYERS)}
        text = json.dumps(header).encode()
        yield len(text).to_bytes(8, "little") + text
        yield from (change(at, weights(layer, at)) for at in range(_LAYERS))

    return {
        "new": Variant("a new file", plain),
        "in place": Variant("1 % changed in place", in_place, parent="new"),
        "inserted": Variant("1 MiB inserted at the front", inserted, parent="new"),
        "tensors": Variant("a new file of tensors", lambda: tensors(lambda at, data: data), ".safetensors"),
        "frozen": Variant(
            "half of its tensors frozen", lambda: tensors(lambda at, data: data if at % 2 else weights(len(data), 100 + at)), ".safetensors", "tensors"
        ),
        "scattered": Variant("1 % of single bytes scattered", lambda: tensors(_scattered), ".safetensors", "tensors"),
        "moved": Variant("all weights moved by 1e-3", lambda: tensors(_moved), ".safetensors", "tensors"),
    }


def weights(size: int, seed: int) -> bytes:
    import numpy as np

    return np.random.default_rng(seed).standard_normal(size // 4, dtype=np.float32).tobytes()


def _scattered(at: int, data: bytes) -> bytes:
    import numpy as np

    chance, changed = np.random.default_rng(1000 + at), np.frombuffer(data, np.uint8).copy()
    where = chance.integers(0, len(changed), len(changed) // 100)
    changed[where] = chance.integers(0, 256, len(where), dtype=np.uint8)
    return changed.tobytes()


def _moved(at: int, data: bytes) -> bytes:
    import numpy as np

    old = np.frombuffer(data, np.float32)
    return (old * (1 + 1e-3 * np.random.default_rng(2000 + at).standard_normal(len(old), dtype=np.float32))).astype(np.float32).tobytes()


@contextmanager
def written(directory: Path, name: str, variant: Variant) -> Iterator[Path]:
    """On the disk, and in the page cache."""
    path = directory / f"{name.replace(' ', '-')}{variant.suffix}"
    with path.open("wb") as file:
        for block in variant.make():
            file.write(block)
        os.fsync(file.fileno())
    yield path
    path.unlink()


def small_files(directory: Path, count: int) -> Path:
    """A directory with so many files, each other than the rest."""
    tree = directory / "small"
    for at in range(count):
        path = tree / str(at // 1000) / str(at)
        if at % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(f"file {at}\n".encode() * 20)
    return tree

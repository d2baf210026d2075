"""Two versions compared tensor by tensor, as they come out of the store: whole, put together from differences, or encrypted."""

import asyncio
import json
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from aiosd.errors import DataLoss
from aiosd.models.diff import TensorDiff
from aiosd.models.manifest import Manifest
from tests import models_cache
from tests.integration.keeping import MIB, World, opened, safetensors


def moved(data: bytes, by: float) -> bytes:
    return (np.frombuffer(data, np.float32) * np.float32(1 + by)).astype(np.float32).tobytes()


def weights(world: World) -> dict[str, bytes]:
    return {f"layer.{at}": np.random.default_rng(at).normal(size=MIB // 4).astype(np.float32).tobytes() for at in range(4)}


async def compared(world: World, before: Path, after: Path) -> TensorDiff:
    first = (await world.take(before)).manifest
    second = (await world.take(after, first)).manifest
    return await world.vault.tensor_diff(first, second)


def told(found: TensorDiff) -> list[tuple[str, str, float | None]]:
    return [(one.name, one.change, one.relative_norm if one.relative_norm is None else round(one.relative_norm, 3)) for one in found.changes]


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_fine_tune_is_told_tensor_by_tensor(tmp_path: Path, encrypted: bool) -> None:
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    with opened(tmp_path) as plain:
        world = World(tmp_path, key_file=str(key)) if encrypted else plain
        old = weights(world)
        new = {"layer.0": old["layer.0"], "layer.1": moved(old["layer.1"], 1e-3), "layer.2": moved(old["layer.2"], 0.5), "head": old["layer.3"]}
        before, after = world.write("a.safetensors", safetensors(old)), world.write("b.safetensors", safetensors(new))
        found = asyncio.run(compared(world, before, after))
    assert told(found) == [("head", "added", None), ("layer.3", "removed", None), ("layer.2", "changed", 0.5), ("layer.1", "changed", 0.001)]
    assert found.unchanged == 1
    assert found.changes[2].before == found.changes[2].after == f"float32 [{MIB // 4}]"


def test_directories_are_compared_and_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with opened(tmp_path) as world:
        old = weights(world)
        for name, tensors in (("a", old), ("b", old | {"layer.1": moved(old["layer.1"], 0.1)})):
            world.write(f"{name}/deep/model.safetensors", safetensors(tensors))
            world.write(f"{name}/notes.txt", name.encode())
        found = asyncio.run(compared(world, world.files / "a", world.files / "b"))
        assert told(found) == [("layer.1", "changed", 0.1)]
        assert found.changes[0].file == "deep/model.safetensors"
        texts = asyncio.run(compared(world, world.write("x.txt", b"x"), world.write("y.txt", b"y")))
    assert texts == TensorDiff([], 0, [])


def test_damage_is_an_error_and_the_next_comparison_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        old = weights(world)
        first = (await world.take(world.write("a.safetensors", safetensors(old)))).manifest
        second = (await world.take(world.write("b.safetensors", safetensors(dict(list(old.items())[:3]))), first)).manifest
        lost = Manifest(tuple(type(entry)(entry.path, entry.size, "0" * 64, (type(entry.chunks[0])("0" * 64, entry.size),)) for entry in first.files))
        with pytest.raises(DataLoss):
            await world.vault.tensor_diff(first, lost)
        assert told(await world.vault.tensor_diff(first, second)) == [("layer.3", "removed", None)]

    with opened(tmp_path) as world:
        asyncio.run(story(world))


def test_who_goes_away_ends_a_comparison(tmp_path: Path) -> None:
    """The process that reads is gone, and the next one has its turn."""
    name = f"{tmp_path.name}.safetensors"

    async def story(world: World) -> None:
        old = weights(world)
        first = (await world.take(world.write(f"a/{name}", safetensors(old)))).manifest
        second = (await world.take(world.write(f"b/{name}", safetensors(old | {"x": b"1234"})), first)).manifest
        given_up = False
        while not given_up:  # on a busy machine it may have ended before it was seen
            waiting = asyncio.create_task(world.vault.tensor_diff(first, second))
            while not (waiting.done() or _reads(name)):
                await asyncio.sleep(0.005)
            given_up = waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        while _reads(name):
            await asyncio.sleep(0.005)
        assert told(await world.vault.tensor_diff(first, second)) == [("x", "added", None)]

    with opened(tmp_path) as world:
        asyncio.run(story(world))


def _reads(name: str) -> bool:
    """Whether some process was told to compare files of this name."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = line.read_bytes().split(b"\0")
            if any(b"host.inspector" in word for word in words) and any(name.encode() in word for word in words):
                return True
    return False


@pytest.mark.models
@pytest.mark.timeout(900)
def test_real_models(tmp_path: Path) -> None:
    """minilm in fp32 and int8 are other files altogether; silero's "half" has another graph; ddddocr's two versions the same weights."""

    def place(package: str, name: str) -> Path:
        return models_cache.directory(package) / name

    with opened(tmp_path) as world:
        ocr = asyncio.run(compared(world, place("ddddocr-1", "common.onnx"), place("ddddocr-2", "common.onnx")))
        assert (list(ocr.changes), ocr.unchanged) == ([], 63)
        silero = asyncio.run(compared(world, place("silero", "silero_vad.onnx"), place("silero", "silero_vad_half.onnx")))
        assert {one.change for one in silero.changes} <= {"added", "removed", "dtype", "shape", "changed"}
        assert silero.changes
        minilm = asyncio.run(compared(world, place("minilm", "model.safetensors"), place("minilm-int8", "model.onnx")))
        assert {one.change for one in minilm.changes} <= {"added", "removed"}
        assert sum(one.change == "removed" for one in minilm.changes) == 104
        tuned = _tuned(place("minilm", "model.safetensors"), tmp_path / "tuned.safetensors")
        found = asyncio.run(compared(world, place("minilm", "model.safetensors"), tuned))
        assert told(found) == [("embeddings.word_embeddings.weight", "changed", 0.01)]
        assert found.unchanged == 103


def _tuned(path: Path, to: Path) -> Path:
    """With the word embeddings one percent larger."""
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    begin, end = json.loads(data[8 : 8 + length])["embeddings.word_embeddings.weight"]["data_offsets"]
    data[8 + length + begin : 8 + length + end] = moved(bytes(data[8 + length + begin : 8 + length + end]), 0.01)
    to.write_bytes(data)
    return to

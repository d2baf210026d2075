"""Registering, storing and handing out models, each beside its floor in the same run: a copy, a pass of BLAKE3, SHA-256."""

import asyncio
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from aiosd.keeper.vault import BlobVault
from aiosd.models.manifest import Manifest
from aiosd.models.ports import Source, Taken
from aiosd.storage.blobs.settings import BlobSettings
from aiosd.storage.chunks import SqlChunks
from aiosd.storage.journal import SqlJournal
from benchmarks import machine, model_peers, options
from benchmarks.report import Report, mebibytes, seconds

_DESCRIPTION = "Time and room of each way to register a model, beside a copy and a hash; checkouts; how late the daemon's loop is meanwhile."
_BLOCK_BYTES = 8 << 20
_TICK_S = 0.002
_LAYERS = 32


@dataclass(slots=True)
class Shop:
    """A store in a directory of its own, with a database, as the daemon has it."""

    vault: BlobVault
    index: SqlChunks
    bytes_there: int = 0

    async def take(self, path: Path, base: Manifest | None = None) -> tuple[float, Taken]:
        """Until it is committed."""
        began_s = time.perf_counter()
        async with aclosing(self.vault.take(Source(str(path), os.getuid(), os.getgid(), "bench"), base)) as words:
            async for word in words:
                if isinstance(word, Taken):
                    await self.index.commit(word.chunks, ())
                    return time.perf_counter() - began_s, word
        raise RuntimeError(f"{path} was not taken")

    async def give(self, manifest: Manifest) -> tuple[float, Path]:
        began_s = time.perf_counter()
        async with aclosing(self.vault.give(manifest, Source("", os.getuid(), os.getgid(), "bench"))) as words:
            async for word in words:
                if isinstance(word, str):
                    return time.perf_counter() - began_s, Path(word)
        raise RuntimeError("nothing was given")

    async def forget(self) -> None:
        """Everything, as a sweep would, when no version is left."""

        async def nothing() -> AsyncIterator[Collection[str]]:
            return
            yield ()

        await self.vault.sweep(nothing(), 0.0, dry_run=False)


@asynccontextmanager
async def shop(directory: Path) -> AsyncIterator[Shop]:
    journal = await SqlJournal.open(f"sqlite:///{directory}/aiosd.db")
    index = SqlChunks(journal)
    vault = BlobVault(BlobSettings(directory=str(directory / "models")), index)
    vault.start(passable=False)
    try:
        yield Shop(vault, index)
    finally:
        await journal.close()


def floors(path: Path, target: Path) -> Mapping[str, Callable[[], object]]:
    """Each leaves nothing behind but, perhaps, `target`."""

    def through(update: Callable[[bytes], object], copy: bool) -> None:
        with path.open("rb", buffering=0) as source, target.open("wb", buffering=0) if copy else open(os.devnull, "wb") as sink:
            while data := source.read(_BLOCK_BYTES):
                update(data)
                if copy:
                    sink.write(data)
            if copy:
                os.fsync(sink.fileno())

    return {
        "cp": lambda: subprocess.run(["cp", "--reflink=never", path, target], check=True),
        "cp, synchronised": lambda: subprocess.run(f"cp --reflink=never '{path}' '{target}' && sync '{target}'", shell=True, check=True),
        "cp --reflink=always": lambda: subprocess.run(["cp", "--reflink=always", path, target], check=True, stderr=subprocess.DEVNULL),
        "BLAKE3": lambda: through(blake3().update, False),
        "copy and BLAKE3 in one pass": lambda: through(blake3().update, True),
        "SHA-256 (OpenSSL)": lambda: through(hashlib.sha256().update, False),
    }


def add_floors(report: Report, path: Path, target: Path, rounds: int) -> float:
    """The time of a copy plus that of a pass of BLAKE3: what a registration is measured by."""
    found: dict[str, float] = {}
    for name, act in floors(path, target).items():
        times = []
        for _ in range(rounds):
            began_s = time.perf_counter()
            try:
                act()
            except subprocess.CalledProcessError:
                break
            times.append(time.perf_counter() - began_s)
            target.unlink(missing_ok=True)
        if not times:
            report.note(f"{name}: this file system cannot")
            continue
        found[name] = min(times)
        report.add(name, name, [seconds(found[name]), "", ""], took_s=found[name])
    return found["cp, synchronised"] + found["BLAKE3"]


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
        for at in range(0, size, _BLOCK_BYTES):
            yield chance.randbytes(min(_BLOCK_BYTES, size - at))

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


def _half(at: int, data: bytes) -> bytes:
    return data if at % 2 else weights(len(data), 100 + at)


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


async def add_registrations(report: Report, bench: Shop, directory: Path, size: int, floor_s: float) -> dict[str, Manifest]:
    manifests: dict[str, Manifest] = {}
    for name, variant in variants(size).items():
        with written(directory, name, variant) as path:
            took_s, taken = await bench.take(path, manifests.get(variant.parent))
            manifests[name] = taken.manifest
            stored = taken.stored_bytes
            share = stored / taken.manifest.size
            report.add(f"register {name}", f"register {variant.what}", [seconds(took_s), f"{took_s / floor_s:.2f} x", f"{mebibytes(stored)} = {share:.1%}"],
                       took_s=took_s, of_floor=took_s / floor_s, stored_bytes=stored, share=share)  # fmt: skip
            if not variant.parent:
                took_s, again = await bench.take(path, taken.manifest)
                report.add(f"again {name}", "  the same once more", [seconds(took_s), f"{took_s / floor_s:.2f} x", mebibytes(again.stored_bytes)],
                           took_s=took_s, of_floor=took_s / floor_s, stored_bytes=again.stored_bytes)  # fmt: skip
    return manifests


async def add_checkouts(report: Report, bench: Shop, manifests: Mapping[str, Manifest]) -> None:
    for name, what in (("new", "check out a whole file"), ("scattered", "check out one that is put together")):
        for key, text in ((f"give {name}", what), (f"give {name} again", "  once more")):
            took_s, path = await bench.give(manifests[name])
            report.add(key, text, [seconds(took_s), "", ""], took_s=took_s)
        if path.stat().st_size != manifests[name].size:
            raise RuntimeError(f"{path} is not what was registered")
    began_s = time.perf_counter()
    async with aclosing(bench.vault.read(manifests["scattered"], manifests["scattered"].files[0].path, 0)) as pieces:  # type: ignore[type-var]
        await anext(pieces)
    took_s = time.perf_counter() - began_s
    report.add("first byte", "first byte of one in pieces", [seconds(took_s), "", ""], took_s=took_s)


async def add_small_files(report: Report, bench: Shop, directory: Path, count: int) -> None:
    tree = directory / "small"
    for at in range(count):
        path = tree / str(at // 1000) / str(at)
        if at % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(f"file {at}\n".encode() * 20)
    took_s, taken = await bench.take(tree)
    report.add("small", f"register {count:,} small files", [seconds(took_s), "", mebibytes(taken.stored_bytes)], took_s=took_s, files=count)
    shutil.rmtree(tree)


async def add_waiting(report: Report, bench: Shop, directory: Path, size: int) -> None:
    """How late the daemon's event loop is, on which every turn of the scheduler runs: alone, and while a registration works."""

    async def ticks(work: Awaitable[object]) -> list[float]:
        late, working = [], asyncio.ensure_future(work)
        while not working.done():
            began_s = time.perf_counter()
            await asyncio.sleep(_TICK_S)
            late.append(time.perf_counter() - began_s - _TICK_S)
        await working
        return late

    variant = Variant("another", lambda: (random.Random(9).randbytes(_BLOCK_BYTES) for _ in range(size // _BLOCK_BYTES)))
    with written(directory, "another", variant) as path:
        alone = await ticks(asyncio.sleep(3.0))
        busy = await ticks(bench.take(path))
    for key, what, late in (("loop alone", "the loop is late, alone", alone), ("loop busy", "  while a registration runs", busy)):
        shown = [seconds(machine.median(late)), f"p99 {seconds(machine.percentile(late, 99))}", f"most {seconds(max(late))}"]
        report.add(key, what, shown, p50_s=machine.median(late), p99_s=machine.percentile(late, 99), most_s=max(late))


async def measure(report: Report, directory: Path, chosen_mib: int, files: int, rounds: int) -> None:
    size = chosen_mib << 20
    async with shop(directory) as bench:
        with written(directory, "floor", variants(size)["new"]) as path:
            floor_s = add_floors(report, path, directory / "target", rounds)
        manifests = await add_registrations(report, bench, directory, size, floor_s)
        await add_checkouts(report, bench, manifests)
        await bench.forget()
        await add_waiting(report, bench, directory, size)
        await add_small_files(report, bench, directory, files)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    report.add("memory", "the most memory of a child", ["", "", mebibytes(most)], memory_bytes=most)


def main(argv: Sequence[str] | None = None) -> None:
    parser = options.parser("models", _DESCRIPTION)
    parser.add_argument("--mib", type=options.count, default=1024, metavar="N", help="size of each file in MiB (default: 1024)")
    parser.add_argument("--files", type=options.count, default=100_000, metavar="N", help="small files of a directory (default: 100,000)")
    parser.add_argument("-k", type=options.count, default=3, metavar="K", help="rounds of each floor, of which the best counts (default: 3)")
    parser.add_argument("--peers", action="store_true", help="install MLflow and DVC into an environment of their own, and do the same with them")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=chosen.directory, prefix="aios-models-") as made:
        directory = Path(made)
        report = Report("models", machine.facts(directory, chosen.wait_quiet) | {"MiB": chosen.mib}, ("took", "of copy + BLAKE3", "stored"))
        asyncio.run(measure(report, directory, chosen.mib, chosen.files, chosen.k))
        if chosen.peers:
            model_peers.add(report, directory, [variants(chosen.mib << 20)[name].make for name in ("new", "in place")])
        subprocess.run(["chmod", "-R", "u+w", made], check=False)
    report.show()


if __name__ == "__main__":
    main()

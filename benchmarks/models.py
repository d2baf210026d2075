"""Registering, storing and handing out models, each beside its floor in the same run: a copy, a pass of BLAKE3, SHA-256.

The floor of a registration is the quicker of `cp` with a pass of BLAKE3 after it, and both in one pass, synchronised. Rounds take turns. What
is as good as the machine allows is told by the time; what it costs those who compute beside it by the processor time of all processes.
"""

import asyncio
import hashlib
import os
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from blake3 import blake3

from aiosd.keeper.vault import BlobVault
from aiosd.models.manifest import Manifest
from aiosd.models.vault_ports import Source, Taken
from aiosd.storage.blobs.settings import BlobSettings
from aiosd.storage.chunks import SqlChunks
from aiosd.storage.journal import SqlJournal
from benchmarks import machine, model_turns, options
from benchmarks.model_files import BLOCK_BYTES, small_files, variants, written
from benchmarks.report import Report, mebibytes, seconds

_DESCRIPTION = "Time and room of each way to register a model, beside a copy and a hash; checkouts; how late the scheduler's turns are meanwhile."
_COLUMNS = ("took", "CPU", "of floor", "by CPU", "stored", "aim", "")
_OF_FLOOR, _STARTS_S, _GIVEN_S, _FIRST_S, _MEMORY_BYTES = 1.5, 0.5, 0.02, 0.1, 300e6
_ROOM = {"in place": 0.02, "frozen": 0.51, "scattered": 0.05}  # of the file, at most
_INSERTED_BYTES = 4 << 20  # the 1 MiB that is new, and 3 MiB
_LOOK_S = 0.02

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timed(Generic[T]):
    """`cpu_s`: of this process and of those that it has waited for."""

    wall_s: float
    cpu_s: float
    made: T


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(act: Callable[[], T]) -> Timed[T]:
    began_s, before_s = time.perf_counter(), _cpu_s()
    made = act()
    return Timed(time.perf_counter() - began_s, _cpu_s() - before_s, made)


async def awaited(act: Awaitable[T]) -> Timed[T]:
    began_s, before_s = time.perf_counter(), _cpu_s()
    made = await act
    return Timed(time.perf_counter() - began_s, _cpu_s() - before_s, made)


@dataclass(slots=True)
class Shop:
    """A store in a directory of its own, with a database, as the daemon has it."""

    vault: BlobVault
    index: SqlChunks

    async def take(self, path: Path, base: Manifest | None = None) -> Taken:
        """Until it is committed."""
        async with aclosing(self.vault.take(Source(str(path), os.getuid(), os.getgid(), "bench"), base)) as words:
            async for word in words:
                if isinstance(word, Taken):
                    await self.index.commit(word.chunks, ())
                    return word
        raise RuntimeError(f"{path} was not taken")

    async def give(self, manifest: Manifest) -> Path:
        async with aclosing(self.vault.give(manifest, Source("", os.getuid(), os.getgid(), "bench"))) as words:
            async for word in words:
                if isinstance(word, str):
                    return Path(word)
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
            while data := source.read(BLOCK_BYTES):
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


@dataclass(slots=True)
class Bench:
    """The rounds of everything that is done to one file, by name; `floor` is what a registration is measured by."""

    report: Report
    rounds: dict[str, list[Timed[object]]] = field(default_factory=dict)

    def keep(self, name: str, took: Timed[T]) -> Timed[T]:
        self.rounds.setdefault(name, []).append(took)  # type: ignore[arg-type]  # nobody looks at what was made
        return took

    def least_s(self, *names: str) -> float:
        return sum(min(one.wall_s for one in self.rounds[name]) for name in names)

    def cpu_s(self, *names: str) -> float:
        return sum(machine.median([one.cpu_s for one in self.rounds[name]]) for name in names)

    @property
    def floor(self) -> Sequence[str]:
        return min([("cp, synchronised", "BLAKE3"), ("copy and BLAKE3 in one pass",)], key=lambda names: self.least_s(*names))

    def add(self, name: str, what: str, stored_bytes: int | None = None, size: int = 0, aim: str = "", met: bool | None = None) -> None:
        """A line of what has been kept under this name."""
        wall_s, cpu_s = self.least_s(name), self.cpu_s(name)
        of_floor, by_cpu = wall_s / self.least_s(*self.floor), cpu_s / self.cpu_s(*self.floor)
        room = "" if stored_bytes is None else mebibytes(stored_bytes) + (f" = {stored_bytes / size:.1%}" if size else "")
        self.report.add(
            name, what, [seconds(wall_s), seconds(cpu_s), f"{of_floor:.2f} x", f"{by_cpu:.2f} x", room, aim, _verdict(met)],
            took_s=wall_s, median_s=machine.median([one.wall_s for one in self.rounds[name]]), cpu_s=cpu_s, of_floor=of_floor, by_cpu=by_cpu,
            stored_bytes=stored_bytes, met=met,
        )  # fmt: skip

    def line(self, key: str, what: str, took: Timed[T], aim: str = "", met: bool | None = None, stored: str = "") -> T:
        """A line of what is done once."""
        self.report.add(
            key, what, [seconds(took.wall_s), seconds(took.cpu_s), "", "", stored, aim, _verdict(met)], took_s=took.wall_s, cpu_s=took.cpu_s, met=met
        )
        return took.made


def _verdict(met: bool | None) -> str:
    return "" if met is None else "met" if met else "NOT met"


async def add_new(bench: Bench, keeper: Shop, directory: Path, size: int, rounds: int) -> None:
    """Floors and registrations in turn, each from an empty store."""
    with written(directory, "new", variants(size)["new"]) as path:
        cannot = set[str]()
        for _ in range(rounds):
            for name, act in floors(path, directory / "target").items():
                try:
                    bench.keep(name, timed(act))
                except subprocess.CalledProcessError:
                    cannot.add(name)
                (directory / "target").unlink(missing_ok=True)
            taken = bench.keep("register new", await awaited(keeper.take(path))).made
            again = bench.keep("again new", await awaited(keeper.take(path, taken.manifest))).made
            await keeper.forget()
    for name in floors(path, path):
        if name not in cannot:
            bench.add(name, name)
    for name in cannot:
        bench.report.note(f"{name}: this file system cannot")
    ratio = bench.least_s("register new") / bench.least_s(*bench.floor)
    bench.add("register new", "register a new file", taken.stored_bytes, size, f"<= {_OF_FLOOR} x", ratio <= _OF_FLOOR)
    least_s = bench.least_s("BLAKE3") + _STARTS_S
    met = not again.stored_bytes and bench.least_s("again new") <= least_s
    bench.add("again new", "  the same once more", again.stored_bytes, 0, f"0, BLAKE3 + {_STARTS_S:g} s", met)


async def add_versions(bench: Bench, keeper: Shop, directory: Path, size: int) -> dict[str, Manifest]:
    manifests: dict[str, Manifest] = {}
    for name, variant in variants(size).items():
        with written(directory, name, variant) as path:
            key = f"register {name}"
            taken = bench.keep(key, await awaited(keeper.take(path, manifests.get(variant.parent)))).made
            manifests[name] = taken.manifest
            stored, most = taken.stored_bytes, _ROOM.get(name)
            aim, met = (f"<= {most:.0%}", stored <= most * size) if most else ("", None)
            if name == "inserted":
                aim, met = "<= 3 MiB more", stored <= _INSERTED_BYTES
            if name != "new":
                bench.add(key, f"register {variant.what}", stored, size, aim, met)
    return manifests


async def add_checkouts(bench: Bench, keeper: Shop, manifests: Mapping[str, Manifest]) -> None:
    whole = await awaited(keeper.give(manifests["new"]))
    bench.line("give new", "check out a whole file", whole, f"<= {seconds(_GIVEN_S)}", whole.wall_s <= _GIVEN_S)
    bench.line("give scattered", "check out one that is put together", await awaited(keeper.give(manifests["scattered"])))
    bench.line("give again", "  once more", await awaited(keeper.give(manifests["scattered"])))

    async def first() -> bytes:
        chunks = manifests["scattered"].files[0].chunks
        async with aclosing(keeper.vault.chunks([(chunk, 0) for chunk in chunks])) as pieces:  # type: ignore[type-var]
            return (await anext(pieces))[2]

    byte = await awaited(first())
    bench.line("first byte", "first byte of one in pieces", byte, f"<= {seconds(_FIRST_S)}", byte.wall_s <= _FIRST_S)


async def add_small_files(bench: Bench, keeper: Shop, tree: Path, count: int) -> None:
    first = await awaited(keeper.take(tree))
    taken = bench.line("small", f"register {count:,} small files", first, stored=mebibytes(first.made.stored_bytes))
    bench.line("small again", "  the same once more", await awaited(keeper.take(tree, taken.manifest)))
    bench.line("small give", "  check them out", await awaited(keeper.give(taken.manifest)))
    bench.line("small give again", "  once more", await awaited(keeper.give(taken.manifest)))


@contextmanager
def watched() -> Iterator[Callable[[], int]]:
    """The most memory, in bytes, that any process of the keeper has had: each says so itself, since what wait4 says counts its parent, too."""
    most, over = 0, threading.Event()

    def look() -> None:
        nonlocal most
        while not over.wait(_LOOK_S):
            for child in machine.children(os.getpid()):
                most = max(most, machine.peak(child))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield lambda: most
    finally:
        over.set()
        watcher.join()


async def measure(report: Report, directory: Path, size: int, tree: Path, files: int, rounds: int) -> None:
    bench = Bench(report)
    with watched() as most:
        async with shop(directory) as keeper:
            await add_new(bench, keeper, directory, size, rounds)
            manifests = await add_versions(bench, keeper, directory, size)
            await add_checkouts(bench, keeper, manifests)
            await keeper.forget()
            await add_small_files(bench, keeper, tree, files)
    add_memory(report, "memory", "the most memory of a child", most())


def add_memory(report: Report, key: str, what: str, most: int) -> None:
    report.add(key, what, ["", "", "", "", mebibytes(most), "< 300 MB", _verdict(most < _MEMORY_BYTES)], memory_bytes=most, met=most < _MEMORY_BYTES)


def main(argv: Sequence[str] | None = None) -> None:
    parser = options.parser("models", _DESCRIPTION)
    parser.add_argument("--mib", type=options.count, default=1024, metavar="N", help="size of each file in MiB (default: 1024)")
    parser.add_argument("--files", type=options.count, default=100_000, metavar="N", help="small files of a directory (default: 100,000)")
    parser.add_argument("-k", type=options.count, default=3, metavar="K", help="rounds of floors and registrations; the best time, the median CPU (default: 3)")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=chosen.directory, prefix="aios-models-") as made:
        directory, size = Path(made), chosen.mib << 20
        report = Report("models", machine.facts(directory, chosen.wait_quiet) | {"MiB": chosen.mib}, _COLUMNS)
        tree = small_files(directory, chosen.files)
        asyncio.run(measure(report, directory, size, tree, chosen.files, chosen.k))
        shutil.rmtree(directory / "models", ignore_errors=True)
        with written(directory, "new", variants(size)["new"]) as path:
            peak = model_turns.add(report, directory, {"1 GiB" if chosen.mib == 1024 else f"{chosen.mib} MiB": path, f"{chosen.files:,} files": tree})
        add_memory(report, "memory of the daemon", "the most memory of the daemon", peak)
        subprocess.run(["chmod", "-R", "u+w", made], check=False)
    report.show()


if __name__ == "__main__":
    main()

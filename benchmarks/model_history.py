"""`python -m benchmarks.model_history`: log, ls, diff and references of a model with ten thousand versions, each with its CPU time."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median

from aiosd.access.principal import Principal, Role
from aiosd.models.manifest import Chunk, FileEntry, Manifest
from aiosd.models.model import Model, Move, RefKind
from aiosd.models.permits import Caller
from aiosd.models.ports import ModelChanges, ModelQuery, RefChange
from aiosd.models.read_service import ModelReader
from aiosd.models.version import Commit, Kind, Lineage, Schema, Tensor, Version
from aiosd.storage.journal import SqlJournal
from aiosd.storage.models import SqlModels
from benchmarks.options import count, parser
from benchmarks.report import Report

NAME, AT_ONCE = "digits", 500
MODEL = Model(kind=Kind.MODEL, name=NAME, owner="ada", owner_uid=1000, created_at_s=1.0)
PACKAGES = {f"package-{n}": f"{n}.0.1" for n in range(200)}
TENSORS = [f"layer.{n}.{part}" for n in range(100) for part in ("weight", "bias")]
SCHEMA = Schema("onnx", "pytorch 2.3", 17, (Tensor("x", "float32", (-1, 64)),))


def made(number: int) -> tuple[Manifest, dict[str, float]]:
    chunks = tuple(Chunk(f"{number * 8 + n:064x}", 128 << 10) for n in range(8))
    return Manifest((FileEntry("model.onnx", 1 << 20, f"{number:064x}", chunks),), single=True), {"accuracy": number / 10_000, "loss": 1 / number}


def changes(versions: int) -> Iterator[ModelChanges]:
    """A linear history, as a training that registers each epoch leaves it."""
    parents: tuple[str, ...] = ()
    for start in range(1, versions + 1, AT_ONCE):
        rows, manifests, moves = [], {}, []
        for number in range(start, min(versions + 1, start + AT_ONCE)):
            manifest, metrics = made(number)
            commit = Commit(
                kind=Kind.MODEL, manifest=manifest.digest, parents=parents, author="ada", created_at_s=1e9 + number, message=f"epoch {number}",
                metrics=metrics, labels={"team": "vision"}, schema=SCHEMA, lineage=Lineage(python="3.11", packages=PACKAGES),
            )  # fmt: skip
            parents = (commit.id,)
            rows.append((Version(model=NAME, number=number, id=commit.id, commit=commit, size=1 << 20, files=1, stored_bytes=1 << 16), commit.encode()))
            manifests[commit.manifest] = manifest.encode()
            moves.append(RefChange(Kind.MODEL, NAME, Move("main", RefKind.BRANCH, "", commit.id, "ada", commit.created_at_s, commit.message), None))
        tensors = dict.fromkeys(manifests, TENSORS)
        yield ModelChanges(models=[MODEL] if start == 1 else [], versions=rows, manifests=manifests, tensors=tensors, references=moves)


async def measure(versions: int, repeats: int, report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="aios-bench-") as directory:
        journal = await SqlJournal.open(f"sqlite:///{Path(directory)}/aiosd.db")
        try:
            store = SqlModels(journal)
            for change in changes(versions):
                await store.commit(change)
            by = Caller(Principal(1000, 1000, "ada", Role.USER), frozenset)
            reader = ModelReader(store, None)  # type: ignore[arg-type]  # no bytes are read here
            for what, ask in questions(reader, by).items():
                await timed(what, ask, repeats, report)
        finally:
            await journal.close()


def questions(reader: ModelReader, by: Caller) -> dict[str, Callable[[], Awaitable[object]]]:
    kind = Kind.MODEL
    return {
        "log, 20 newest": lambda: reader.log(kind, NAME, by, 0, 20),
        "log, 100 newest": lambda: reader.log(kind, NAME, by, 0, 100),
        "ls": lambda: reader.list(ModelQuery(), by, "", 100),
        "ls, accuracy>0.9": lambda: reader.list(ModelQuery(metrics=(("accuracy", ">", 0.9),)), by, "", 100),
        "ls epoch (in every version)": lambda: reader.list(ModelQuery(text="epoch"), by, "", 100),
        "ls digits epoch 9999": lambda: reader.list(ModelQuery(text="digits epoch 9999"), by, "", 100),
        "ls --tensor 'layer.*.bias'": lambda: reader.list(ModelQuery(tensor="layer.*.bias"), by, "", 100),
        "diff with the parent": lambda: reader.diff(kind, f"{NAME}~1", NAME, by),
        "show main~5000": lambda: reader.show(kind, f"{NAME}:main~5000", by),
        "moves, 100 newest": lambda: reader.moves(kind, NAME, "main", by, 0, 100),
    }


async def timed(what: str, ask: Callable[[], Awaitable[object]], repeats: int, report: Report) -> None:
    """The first answer by itself: it may have to read what is kept in memory afterwards."""
    walls, cpus = [], []
    for _ in range(repeats + 1):
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        await ask()
        walls.append((time.perf_counter() - wall_s) * 1e3)
        cpus.append((time.process_time() - cpu_s) * 1e3)
    first, wall, cpu = walls[0], median(walls[1:]), median(cpus[1:])
    report.add(what, what, (f"{first:.1f}", f"{wall:.1f}", f"{cpu:.1f}"), first_ms=first, median_ms=wall, cpu_ms=cpu)


def main() -> None:
    options = parser("model_history", "Questions about a model with many versions")
    options.add_argument("--versions", type=count, default=10_000)
    options.add_argument("--repeats", type=count, default=20)
    given = options.parse_args()
    report = Report("model_history", {"versions": given.versions}, ("first ms", "median ms", "CPU ms"))
    asyncio.run(measure(given.versions, given.repeats, report))
    report.show()


if __name__ == "__main__":
    main()

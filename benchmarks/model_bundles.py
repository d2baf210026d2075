"""Versions leaving for a file and coming from one, each beside a copy of the same bytes in the same run."""

import asyncio
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import structlog.testing

from aiosd.access.principal import Principal, Role
from aiosd.keeper.vault import BlobVault
from aiosd.models.care_service import ModelCare
from aiosd.models.draft import Draft
from aiosd.models.layouts import Form
from aiosd.models.permits import Caller
from aiosd.models.read_service import ModelReader
from aiosd.models.receive_service import ModelReceiver
from aiosd.models.send_service import Export, Import, ModelSender
from aiosd.models.service import ModelService
from aiosd.models.version import Kind
from aiosd.storage.blobs.settings import BlobSettings
from aiosd.storage.chunks import SqlChunks
from aiosd.storage.journal import SqlJournal
from aiosd.storage.models import SqlModels
from benchmarks import machine, options
from benchmarks.report import Report, mebibytes, seconds

_DESCRIPTION = "Export and import of a model as a bundle, an OCI layout and a hub's directory, beside `cp`."
_ME = Caller(Principal(os.getuid(), os.getgid(), "bench", Role.USER), frozenset)


@asynccontextmanager
async def store(directory: Path) -> AsyncIterator[ModelSender]:
    """A store in a directory of its own, with its services, as the daemon has them."""
    os.mkdir(directory)
    journal = await SqlJournal.open(f"sqlite:///{directory}/aiosd.db")
    try:
        models, vault = SqlModels(journal), BlobVault(BlobSettings(directory=str(directory / "models")), SqlChunks(journal))
        vault.start(passable=False)
        reader = ModelReader(models, vault)
        care = ModelCare(models, vault, reader, time.time, lambda user: 0, lambda: 1 << 40, lambda step: None)
        yield ModelSender(reader, ModelReceiver(ModelService(care)))
    finally:
        await journal.close()


async def done(steps: AsyncIterator[object]) -> None:
    async with aclosing(steps) as each:  # type: ignore[type-var]
        async for _ in each:
            continue


async def measure(report: Report, directory: Path, mib: int, rounds: int) -> None:
    model = directory / "model.bin"
    chance = random.Random(1)
    with model.open("wb") as file:
        for _ in range(mib):
            file.write(chance.randbytes(1 << 20))
    size = model.stat().st_size

    async def timed(what: Callable[[int], Awaitable[None]]) -> float:
        taken = []
        for at in range(rounds):
            os.sync()
            began_s = time.perf_counter()
            await what(at)
            taken.append(time.perf_counter() - began_s)
        return machine.median(taken)

    async def copy(at: int) -> None:
        target = directory / "copy"
        await asyncio.to_thread(subprocess.run, ["cp", "--reflink=never", str(model), str(target)], check=True)
        with target.open("rb") as file:
            os.fsync(file.fileno())

    floor_s = await timed(copy)
    report.add("cp", "cp, and synchronised", [seconds(floor_s), "1.00 x", mebibytes(size)], took_s=floor_s, of_floor=1.0, bytes=size)

    def add(key: str, what: str, took_s: float, written: int) -> None:
        shown = [seconds(took_s), f"{took_s / floor_s:.2f} x", mebibytes(written)]
        report.add(key, what, shown, took_s=took_s, of_floor=took_s / floor_s, bytes=written)

    async with store(directory / "here") as here:
        await done(here.receiver.models.register(Draft(model="m"), str(model), _ME))
        for form, name in ((Form.BUNDLE, "m.aios"), (Form.OCI, "m.tar"), (Form.HF, "hub")):
            await add_form(add, timed, here, directory, form, name)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    report.add("memory", "the most memory of a child", ["", "", mebibytes(most)], memory_bytes=most)


async def add_form(
    add: Callable[[str, str, float, int], None], timed: Callable[[Callable[[int], Awaitable[None]]], Awaitable[float]], here: ModelSender, directory: Path,
    form: Form, name: str,
) -> None:  # fmt: skip
    async def export(at: int) -> None:
        shutil.rmtree(directory / name, ignore_errors=True)
        await done(here.export(Export(kind=Kind.MODEL, refs=("m",), path=str(directory / name), form=form, replace=True), _ME))

    took_s = await timed(export)
    path = directory / name
    written = path.stat().st_size if path.is_file() else sum(each.stat().st_size for each in path.rglob("*"))
    add(f"export {form}", f"export as {form}", took_s, written)

    async def take(at: int) -> None:
        """Into a new store each time: what is there already is not written."""
        async with store(directory / f"there-{form}-{at}") as there:
            model = "" if form is Form.BUNDLE else "m"
            await done(there.import_(Import(kind=Kind.MODEL, path=str(path), form=form, model=model), _ME))
        shutil.rmtree(directory / f"there-{form}-{at}")

    add(f"import {form}", f"import of {form}", await timed(take), written)


def main(arguments: list[str] | None = None) -> None:
    parser = options.parser("model_bundles", _DESCRIPTION)
    parser.add_argument("--mib", type=options.count, default=256, help="the size of the model (default: %(default)s)")
    parser.add_argument("-k", "--rounds", type=options.count, default=3, help="the median of so many (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="aios-bench-", dir=chosen.directory) as made:
        facts = machine.facts(Path(made), chosen.wait_quiet)
        report = Report("model_bundles", facts | {"MiB": chosen.mib}, ("time", "of cp", "bytes"))
        with structlog.testing.capture_logs():  # the services say what they do, and the last line is for machines
            asyncio.run(measure(report, Path(made), chosen.mib, chosen.rounds))
    report.note("a bundle is verified chunk by chunk on both ways, and examined as what is registered is; cp looks at nothing")
    report.show()


if __name__ == "__main__":
    main()

"""Looks before a model is optimised whether it can be, so that no job is queued that could only fail."""

from collections.abc import Callable
from dataclasses import dataclass

from aiosd.errors import FailedPrecondition
from aiosd.models.model import ModelRole, RefKind
from aiosd.models.optimizing import OptimizeWish, check_samples, file_of, optimizer_of
from aiosd.models.permits import Caller
from aiosd.models.read_service import ModelReader
from aiosd.models.version import Kind


@dataclass(frozen=True, slots=True)
class ModelOptimizer:
    """`python`: the interpreter of the jobs; `installed`: whether it has a package."""

    reader: ModelReader
    python: str
    installed: Callable[[str], bool]

    async def command(self, wish: OptimizeWish, by: Caller) -> tuple[str, ...]:
        """What the job runs: every reference is made a version now, as it is meant now.

        raises  NotFound, Denied, FailedPrecondition (its format, its state, what is not installed, a branch that is a tag)
        """
        found = await self.reader.find(Kind.MODEL, wish.ref, by, ModelRole.WRITER, "optimise it, which registers a version")
        version = found.version
        await self.reader.check_usable(found, by)
        optimizer = optimizer_of(version, self.installed, self.python)
        check_samples(version, wish, optimizer)
        file = file_of(version, await self.reader.manifest(version), optimizer)
        there = {each.name: each for each in await self.reader.references(Kind.MODEL, version.model, by)}.get(wish.branch)
        if there is not None and there.kind is not RefKind.BRANCH:
            raise FailedPrecondition(f"{version.model}:{wish.branch} is no branch: its kind is {there.kind}", hint="name a branch", reference=wish.branch)
        words = wish.words(version, version.commit.schema.format, file, await self._data(wish.calibrate, by), there.version if there is not None else "")
        return (self.python, "-P", "-m", "aios.optimizing", *words)

    async def _data(self, calibrate: str, by: Caller) -> str:
        if not calibrate or calibrate.startswith("/"):
            return calibrate
        version = (await self.reader.find(Kind.DATASET, calibrate, by)).version
        return f"{version.model}@{version.id}"

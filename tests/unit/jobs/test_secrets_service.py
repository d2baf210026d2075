"""When secrets are kept and when they are dropped, through a whole service."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pytest

from aiosd.errors import AlreadyExists, Denied, FailedPrecondition, InvalidArgument
from aiosd.jobs.actions import Steer
from aiosd.jobs.job import Owner, Phase
from aiosd.jobs.secrets_service import Secrets
from aiosd.jobs.settings import JobsSettings
from tests.unit.jobs.serving import Bench, serving
from tests.unit.jobs.world import ALICE, draft


@dataclass
class FakeKeeper:
    kept: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    number: int = 0

    async def keep(self, values: Mapping[str, bytes]) -> str:
        self.number += 1
        self.kept[f"place-{self.number}"] = values
        return f"place-{self.number}"

    def drop(self, place: str) -> None:
        self.kept.pop(place, None)

    def sweep(self, places: Collection[str]) -> None:
        self.kept = {place: values for place, values in self.kept.items() if place in places}


def using(bench: Bench) -> FakeKeeper:
    keeper = FakeKeeper()
    bench.service.secrets = Secrets(keeper)
    return keeper


SECRET = replace(draft(), secrets={"TOKEN": b"hush"})


def test_a_job_names_its_secrets_and_its_end_drops_them() -> None:
    async def check() -> None:
        async with serving() as bench:
            keeper = using(bench)
            (job,) = await bench.service.submit([replace(SECRET, held=True)], owner=ALICE)
            assert (job.spec.secrets, job.spec.secrets_at, list(keeper.kept)) == (("TOKEN",), "place-1", ["place-1"])
            assert "hush" not in repr(job)
            await bench.service.steer(Steer.CANCEL, [str(job.id)])
            assert (await bench.service.get(str(job.id))).phase is Phase.CANCELLED
            assert keeper.kept == {}

    asyncio.run(check())


def test_an_array_keeps_its_secrets_until_all_of_it_is_over() -> None:
    async def check() -> None:
        async with serving() as bench:
            keeper = using(bench)
            (array,) = await bench.service.submit([replace(SECRET, array="0-2", held=True)], owner=ALICE)
            await bench.service.steer(Steer.CANCEL, [f"{array.id}.1"])
            assert list(keeper.kept) == ["place-1"]
            await bench.service.steer(Steer.CANCEL, [str(array.id)])
            assert keeper.kept == {}

    asyncio.run(check())


def test_a_refused_submission_and_a_repeated_one_keep_nothing_more() -> None:
    async def check() -> None:
        async with serving() as bench:
            keeper = using(bench)
            held = replace(SECRET, held=True)
            with pytest.raises(InvalidArgument):
                await bench.service.submit([replace(held, nice=99)], owner=ALICE)
            assert keeper.kept == {}
            (first,) = await bench.service.submit([held], owner=ALICE, key="k", digest="d")
            (again,) = await bench.service.submit([held], owner=ALICE, key="k", digest="d")
            with pytest.raises(AlreadyExists):
                await bench.service.submit([held], owner=ALICE, key="k", digest="other")
            assert (first.id, list(keeper.kept)) == (again.id, [first.spec.secrets_at])

    asyncio.run(check())


def test_a_wrong_name_is_refused_before_anything_is_kept() -> None:
    async def check() -> None:
        async with serving() as bench:
            keeper = using(bench)
            with pytest.raises(InvalidArgument, match="not fit"):
                await bench.service.submit([replace(SECRET, secrets={"../up": b"hush"})], owner=ALICE)
            assert keeper.number == 0

    asyncio.run(check())


def test_without_a_keeper_secrets_are_refused() -> None:
    async def check() -> None:
        async with serving() as bench:
            with pytest.raises(FailedPrecondition, match="keeps no secrets"):
                await bench.service.submit([SECRET], owner=ALICE)

    asyncio.run(check())


def test_what_no_live_job_names_is_swept_at_the_start() -> None:
    keeper = FakeKeeper({"left over": {}, "": {}})
    Secrets(keeper).sweep([])
    assert keeper.kept == {}


@pytest.mark.parametrize("allowed", [True, False])
def test_root_submits_where_it_may(allowed: bool) -> None:
    async def check() -> None:
        async with serving(settings=JobsSettings(allow_root_jobs=allowed)) as bench:
            asked = bench.service.submit([draft()], owner=Owner(0, 0, "root"))
            if allowed:
                assert len(await asked) == 1
            else:
                with pytest.raises(Denied, match="allow_root_jobs"):
                    await asked
            assert len(await bench.service.submit([draft()], owner=ALICE)) == 1

    asyncio.run(check())


def test_what_the_operator_has_set_fills_in_what_a_job_does_not_say() -> None:
    async def check() -> None:
        async with serving(settings=JobsSettings(umask=0o077, private_tmp=True)) as bench:
            (default, own) = await bench.service.submit([draft(), replace(draft(), umask=0o002)], owner=ALICE)
            assert (default.spec.umask, default.spec.private_tmp, own.spec.umask) == (0o077, True, 0o002)

    asyncio.run(check())

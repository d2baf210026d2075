"""Accounts over real services on fakes: who is known, what is in force, and that a change reaches the jobs at once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from aiosd.access.limits import UserLimits
from aiosd.access.person import Person
from aiosd.access.principal import Principal, Role
from aiosd.access.service import AccessService
from aiosd.access.users import UserChange
from aiosd.accounts import Accounts
from aiosd.errors import DiskFull, InvalidArgument, NotFound
from tests.fakes.access import FakeAccessStore
from tests.unit.jobs.serving import Bench, draft, serving

ROOT = Principal(0, 0, "root", Role.ADMIN)


@dataclass
class World:
    bench: Bench
    accounts: Accounts
    store: FakeAccessStore
    machine: dict[str, Person] = field(default_factory=lambda: {"alice": Person(1000, 1000, "alice", frozenset({"users"}))})


def play(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        store = FakeAccessStore()
        async with asyncio.timeout(30), serving() as bench, asyncio.TaskGroup() as tasks:
            access = AccessService(store, lambda name, gid: frozenset(), lambda: bench.clock.now().wall_s)
            await access.start()
            tasks.create_task(access.run())
            world = World(bench, Accounts(access, bench.service, lambda name: world.machine.get(name), bench.clock), store)
            try:
                await scenario(world)
            finally:
                access.stop()

    asyncio.run(run())


def test_a_change_of_limits_reaches_the_jobs_at_once() -> None:
    async def scenario(world: World) -> None:
        await world.accounts.set_user("alice", UserChange(limits=UserLimits(running_jobs=1)), ROOT)
        for _ in range(3):
            await world.bench.submit(draft())
        view = await world.accounts.user("alice")
        assert (view.use.running_jobs, view.use.queued_jobs, view.limits.running_jobs, view.limits_set) == (1, 2, 1, True)
        view = await world.accounts.set_user("alice", UserChange(default_limits=True), ROOT)
        assert (view.use.running_jobs, view.limits_set, view.limits) == (3, False, UserLimits())
        assert world.store.users == {}

    play(scenario)


def test_role_and_limits_are_set_apart() -> None:
    async def scenario(world: World) -> None:
        await world.accounts.set_user("alice", UserChange(limits=UserLimits(running_jobs=1)), ROOT)
        view = await world.accounts.set_user("alice", UserChange(role=Role.VIEWER), ROOT)
        assert (view.role.role, view.role.source, view.limits.running_jobs) == (Role.VIEWER, "set", 1)
        view = await world.accounts.set_user("alice", UserChange(role_by_groups=True), ROOT)
        assert (view.role.role, view.role.source, view.limits.running_jobs) == (Role.USER, "default", 1)
        assert [record.detail for record in world.store.trail] == ["running_jobs 1", "role viewer", "role by groups"]

    play(scenario)


@pytest.mark.parametrize(("name", "kind"), [("nobody-here", NotFound), ("", InvalidArgument), ("a\nb", InvalidArgument), ("x" * 300, InvalidArgument)])
def test_a_user_whom_nobody_knows_is_refused(name: str, kind: type[Exception]) -> None:
    async def scenario(world: World) -> None:
        for asking in (world.accounts.user(name), world.accounts.set_user(name, UserChange(role=Role.ADMIN), ROOT)):
            with pytest.raises(kind) as caught:
                await asking
            assert getattr(caught.value, "hint", "")
        with pytest.raises(kind):
            await world.accounts.create_token(name, None, 0.0, "", ROOT)
        assert world.store.trail == []

    play(scenario)


def test_a_user_who_is_gone_from_the_machine_is_still_shown_and_gets_no_token() -> None:
    async def scenario(world: World) -> None:
        await world.bench.submit(draft())
        await world.accounts.set_user("alice", UserChange(role=Role.OPERATOR), ROOT)
        world.machine.clear()
        view = await world.accounts.user("alice")
        assert (view.uid, view.role.role) == (1000, Role.OPERATOR)
        with pytest.raises(NotFound, match="on this machine"):
            await world.accounts.create_token("alice", None, 0.0, "", ROOT)

    play(scenario)


def test_users_are_those_with_jobs_and_those_with_something_set() -> None:
    async def scenario(world: World) -> None:
        world.machine["bob"] = Person(1001, 1001, "bob", frozenset())
        assert await world.accounts.users() == []
        await world.bench.submit(draft())
        await world.accounts.set_user("bob", UserChange(role=Role.VIEWER), ROOT)
        assert [(view.name, view.uid) for view in await world.accounts.users()] == [("alice", 1000), ("bob", 1001)]

    play(scenario)


def test_limits_that_make_no_sense_are_refused_before_anything_is_written() -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(InvalidArgument):
            await world.accounts.set_user("alice", UserChange(limits=UserLimits(running_jobs=-1)), ROOT)
        assert world.store.commits == 0

    play(scenario)


def test_what_cannot_be_written_does_not_count() -> None:
    async def scenario(world: World) -> None:
        world.store.failure = DiskFull("full")
        with pytest.raises(DiskFull):
            await world.accounts.set_user("alice", UserChange(limits=UserLimits(running_jobs=1)), ROOT)
        assert not (await world.accounts.user("alice")).limits_set
        world.store.failure = None

    play(scenario)

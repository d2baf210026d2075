"""The access service on a fake store: roles, tokens, the trail, and what happens while nothing can be written."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from aiosd.access import service as module
from aiosd.access.audit import AuditFilter, Head
from aiosd.access.limits import UserLimits
from aiosd.access.principal import Principal, Role
from aiosd.access.roles import GroupRoles
from aiosd.access.service import AccessService
from aiosd.access.users import RoleRules, UserRecord
from aiosd.errors import Denied, DiskFull, FailedPrecondition, InvalidArgument, NotFound, Unavailable
from tests.fakes.access import FakeAccessStore

ROOT = Principal(0, 0, "root", Role.ADMIN, "socket", "pid 1")
ALICE = Principal(1000, 1000, "alice", Role.USER)
FULL = DiskFull("the disk of the database x is full", hint="free some space")
RULES = RoleRules(GroupRoles({Role.ADMIN: frozenset({"wheel"}), Role.OPERATOR: frozenset({"ops"})}))


@dataclass
class World:
    store: FakeAccessStore = field(default_factory=FakeAccessStore)
    now_s: float = 1_000_000.0
    asked_groups: list[str] = field(default_factory=list)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)

    def groups_of(self, name: str, gid: int) -> frozenset[str]:
        self.asked_groups.append(name)
        return self.groups.get(name, frozenset())

    def service(self) -> AccessService:
        return AccessService(self.store, self.groups_of, lambda: self.now_s, RULES)


def play(world: World, scenario: Callable[[AccessService], Awaitable[None]]) -> None:
    """The scenario beside a service that runs; at the end it is stopped in order."""

    async def run() -> None:
        service = world.service()
        await service.start()
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(30):
            tasks.create_task(service.run())
            try:
                await scenario(service)
            finally:
                service.stop()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_the_role_is_what_is_set_else_the_groups_else_the_default() -> None:
    world = World(groups={"alice": frozenset({"ops"})})

    async def scenario(service: AccessService) -> None:
        assert service.role_of(1000, 1000, "alice") is Role.OPERATOR
        assert service.role_of(1001, 1001, "bob") is Role.USER
        assert service.role_of(0, 0, "root") is Role.ADMIN
        await service.set_user(UserRecord("alice", 1000, Role.VIEWER), ROOT)
        assert service.role_of(1000, 1000, "alice") is Role.VIEWER
        await service.set_user(UserRecord("alice", 1000), ROOT)
        assert service.role_of(1000, 1000, "alice") is Role.OPERATOR
        assert service.users() == []

    play(world, scenario)


def test_the_machine_is_asked_for_groups_now_and_then_not_each_time() -> None:
    world = World()

    async def scenario(service: AccessService) -> None:
        for _ in range(5):
            service.role_of(1000, 1000, "alice")
        assert world.asked_groups == ["alice"]
        world.groups["alice"] = frozenset({"wheel"})
        world.now_s += module.GROUPS_S
        assert service.role_of(1000, 1000, "alice") is Role.ADMIN
        assert world.asked_groups == ["alice", "alice"]

    play(world, scenario)


def test_what_is_set_is_there_after_a_restart() -> None:
    world = World()
    record = UserRecord("alice", 1000, Role.OPERATOR, UserLimits(running_jobs=4))

    async def first(service: AccessService) -> None:
        await service.set_user(record, ROOT, "role operator")
        assert world.store.users == {"alice": record}  # durable before it is answered

    async def second(service: AccessService) -> None:
        assert service.user("alice") == record
        assert service.limits_set() == {"alice": UserLimits(running_jobs=4)}
        (kept,) = await service.audit(AuditFilter())
        assert (kept.user, kept.method, kept.object, kept.detail) == ("root", "Access.SetUser", "user alice", "role operator")

    play(world, first)
    play(world, second)


def test_nobody_locks_the_superuser_out() -> None:
    async def scenario(service: AccessService) -> None:
        with pytest.raises(FailedPrecondition, match="admin always"):
            await service.set_user(UserRecord("root", 0, Role.VIEWER), ROOT)

    play(World(), scenario)


def test_a_secret_is_shown_once_kept_as_a_hash_and_opens() -> None:
    world = World()

    async def scenario(service: AccessService) -> None:
        token, secret = await service.create_token("alice", 1000, 100, None, 60.0, "ci", ROOT)
        assert secret.startswith(f"aios_{token.id}_")
        assert secret not in repr(world.store.tokens) + repr(world.store.trail)
        assert world.store.tokens[token.id] == token
        assert service.token(secret) == Principal(1000, 100, "alice", Role.USER, f"token {token.id}")
        assert service.token(secret[:-1] + ("A" if secret[-1] != "A" else "B")) is None
        assert service.token("") is None
        world.now_s += 60.0
        assert service.token(secret) is None
        assert service.tokens() == []
        assert [one.id for one in service.tokens(ended=True)] == [token.id]

    play(world, scenario)


def test_two_tokens_differ_and_a_restart_knows_both() -> None:
    world = World()
    made: list[str] = []

    async def first(service: AccessService) -> None:
        for _ in range(2):
            made.append((await service.create_token("alice", 1000, 100, None, 0.0, "", ROOT))[1])

    async def second(service: AccessService) -> None:
        found = [service.token(secret) for secret in made]
        assert None not in found
        assert len(set(made)) == 2

    play(world, first)
    play(world, second)


def test_a_token_has_at_most_what_its_maker_and_its_user_have() -> None:
    world = World(groups={"alice": frozenset({"ops"})})

    async def scenario(service: AccessService) -> None:
        with pytest.raises(Denied, match="cannot be made by one with the role user"):
            await service.create_token("alice", 1000, 100, Role.OPERATOR, 0.0, "", ALICE)
        with pytest.raises(FailedPrecondition, match="alice has the role operator") as caught:
            await service.create_token("alice", 1000, 100, Role.ADMIN, 0.0, "", ROOT)
        assert "aiosctl admin user set alice --role admin" in caught.value.hint
        token, secret = await service.create_token("alice", 1000, 100, None, 0.0, "", ROOT)
        assert token.role is Role.OPERATOR
        await service.set_user(UserRecord("alice", 1000, Role.VIEWER), ROOT)
        found = service.token(secret)
        assert found is not None
        assert found.role is Role.VIEWER  # who loses a role loses it everywhere

    play(world, scenario)


def test_nonsense_makes_no_token() -> None:
    world = World()

    async def scenario(service: AccessService) -> None:
        with pytest.raises(InvalidArgument, match="in the past"):
            await service.create_token("alice", 1000, 100, None, -1.0, "", ROOT)
        with pytest.raises(InvalidArgument, match="comment"):
            await service.create_token("alice", 1000, 100, None, 0.0, "a\nb", ROOT)
        assert world.store.tokens == {}

    play(world, scenario)


def test_a_revoked_token_opens_nothing_at_once_and_for_good() -> None:
    world = World()

    async def scenario(service: AccessService) -> None:
        token, secret = await service.create_token("alice", 1000, 100, None, 0.0, "", ROOT)
        revoked = await service.revoke_token(token.id, ROOT)
        assert service.token(secret) is None
        assert world.store.tokens[token.id] == revoked
        assert await service.revoke_token(token.id, ROOT) == revoked
        with pytest.raises(NotFound, match="nonsense"):
            await service.revoke_token("nonsense", ROOT)

    play(world, scenario)


def test_a_token_is_revoked_at_once_also_when_that_cannot_be_written_yet() -> None:
    world = World()

    async def scenario(service: AccessService) -> None:
        token, secret = await service.create_token("alice", 1000, 100, None, 0.0, "", ROOT)
        world.store.failure = FULL
        with pytest.raises(DiskFull):
            await service.revoke_token(token.id, ROOT)
        assert service.token(secret) is None
        world.store.failure = None
        await until(lambda: world.store.tokens[token.id].revoked_at_s > 0)

    play(world, scenario)


def test_the_last_use_is_remembered_to_the_minute() -> None:
    world = World()

    async def scenario(service: AccessService) -> None:
        token, secret = await service.create_token("alice", 1000, 100, None, 0.0, "", ROOT)
        service.token(secret)
        first_s = world.now_s
        await until(lambda: world.store.tokens[token.id].last_used_at_s == first_s)
        world.now_s += module.USED_S - 1
        service.token(secret)
        assert service.tokens()[0].last_used_at_s == first_s
        world.now_s += 1
        service.token(secret)
        await until(lambda: world.store.tokens[token.id].last_used_at_s == world.now_s)

    play(world, scenario)


def test_records_are_written_together_and_in_order() -> None:
    world = World()

    async def scenario(service: AccessService) -> None:
        for n in range(1_200):
            service.record(ALICE if n % 2 else None, "Jobs.Cancel", f"job {n}", n % 3 != 0)
        assert await service.audit(AuditFilter(limit=2_000)) == world.store.trail
        assert world.store.commits < 10
        assert [record.object for record in world.store.trail] == [f"job {n}" for n in range(1_200)]
        assert world.store.trail[0].uid == -1
        verdict = await service.verify()
        assert (verdict.intact, verdict.records) == (True, 1_200)

    play(world, scenario)


def test_a_burst_is_written_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_S", 60.0)
    world = World()

    async def scenario(service: AccessService) -> None:
        for n in range(5 * module.MOST_A_COMMIT):
            service.record(ALICE, "Jobs.Submit", f"job {n}", True)
        await until(lambda: len(world.store.trail) == 5 * module.MOST_A_COMMIT)

    play(world, scenario)


def test_what_was_recorded_before_the_end_is_written() -> None:
    world = World()

    async def scenario(service: AccessService) -> None:
        for n in range(1_200):
            service.record(ALICE, "Jobs.Cancel", f"job {n}", True)

    play(world, scenario)
    assert len(world.store.trail) == 1_200


def test_a_full_disk_loses_no_record_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    world = World()

    async def scenario(service: AccessService) -> None:
        world.store.failure = FULL
        service.record(ALICE, "Jobs.Cancel", "job 1", True)
        await until(lambda: service.trouble is not None)
        service.record(ALICE, "Jobs.Cancel", "job 2", True)
        assert "2 records wait" in service.warnings[0]
        with pytest.raises(DiskFull):
            await service.set_user(UserRecord("alice", 1000, Role.ADMIN), ROOT)
        assert service.role_of(1000, 1000, "alice") is Role.USER  # what is not durable does not count
        assert await service.audit(AuditFilter()) == []
        world.store.failure = None
        await until(lambda: service.trouble is None)
        assert [record.object for record in world.store.trail] == ["job 1", "job 2"]
        assert service.warnings == ()

    play(world, scenario)


def test_memory_is_bounded_and_what_was_not_kept_is_counted_in_the_trail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    monkeypatch.setattr(module, "MOST_KEPT", 3)
    world = World()

    async def scenario(service: AccessService) -> None:
        world.store.failure = FULL
        for n in range(8):
            service.record(ALICE, "Jobs.Cancel", f"job {n}", True)
        await until(lambda: service.trouble is not None)
        assert "5 could not be kept" in service.warnings[0]
        world.store.failure = None
        await until(lambda: len(world.store.trail) == 4)
        assert world.store.trail[-1].detail.startswith("5 records could not be kept")
        service.record(ALICE, "Jobs.Cancel", "job 9", True)
        await until(lambda: len(world.store.trail) == 5)
        assert (await service.verify()).intact

    play(world, scenario)


def test_a_commit_that_failed_and_was_made_is_not_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    world = World()

    async def scenario(service: AccessService) -> None:
        world.store.failure, world.store.lies = Unavailable("the connection was cut"), True
        service.record(ALICE, "Jobs.Cancel", "job 1", True)
        await until(lambda: service.trouble is not None)
        world.store.failure = None
        service.record(ALICE, "Jobs.Cancel", "job 2", True)
        await until(lambda: len(world.store.trail) == 2)
        assert [record.object for record in world.store.trail] == ["job 1", "job 2"]
        assert (await service.verify()).intact

    play(world, scenario)


def test_who_writes_in_the_trail_from_outside_is_noticed() -> None:
    world = World()

    async def scenario(service: AccessService) -> None:
        service.record(ALICE, "Jobs.Cancel", "job 1", True)
        assert (await service.verify()).intact
        world.store.trail[0] = replace(world.store.trail[0], user="bob")
        assert (await service.verify()).first_broken == 1
        world.store.trail.clear()
        world.store.stored_head = Head()
        assert not (await service.verify()).intact  # the daemon remembers how far it went

    play(world, scenario)


def test_who_goes_away_while_it_is_written_gets_it_all_the_same() -> None:
    world = World()

    async def scenario(service: AccessService) -> None:
        setting = asyncio.ensure_future(service.set_user(UserRecord("alice", 1000, Role.ADMIN), ROOT))
        await asyncio.sleep(0)
        setting.cancel()
        await until(lambda: service.role_of(1000, 1000, "alice") is Role.ADMIN)
        assert world.store.users["alice"].role is Role.ADMIN

    play(world, scenario)


def test_a_service_that_stops_takes_nothing_more() -> None:
    async def scenario(service: AccessService) -> None:
        service.stop()
        with pytest.raises(Unavailable):
            await service.set_user(UserRecord("alice", 1000, Role.ADMIN), ROOT)

    play(World(), scenario)

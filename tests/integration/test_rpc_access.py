"""The Access service over a real socket, by the SDK's own calls and by raw messages."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

import aios
from aios.errors import InvalidArgument, NotFound
from aios.v1 import access_pb2 as pb
from aios.v1.access_pb2_grpc import AccessStub
from aiosd.access.audit import AuditFilter
from aiosd.access.limits import UserLimits
from aiosd.access.principal import Role
from aiosd.access.users import UserChange
from tests.fakes.rpc_world import World, daemon, error_of

Talk = Callable[[Any, World], Awaitable[None]]


def with_daemon(directory: Path, talk: Talk) -> None:
    async def main() -> None:
        world = World()
        async with asyncio.timeout(30), daemon(directory, world) as (_, channel):
            await talk(AccessStub(channel), world)

    asyncio.run(main())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[aios.Client, World]]:
    """A client of the SDK, and the world of a daemon on a thread of its own."""
    world, started, ended = World(), threading.Event(), threading.Event()

    async def serve() -> None:
        async with daemon(tmp_path, world):
            started.set()
            while not ended.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(30)
        with aios.Client(f"unix:{tmp_path}/aiosd.sock", autostart=False) as client:
            yield client, world
    finally:
        ended.set()
        thread.join(30)


async def refused(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def test_who_calls_is_told_who_it_is(tmp_path: Path) -> None:
    async def talk(stub: Any, world: World) -> None:
        who = await stub.WhoAmI(pb.WhoAmIRequest())
        assert (who.user, who.uid, who.role, who.origin) == (world.caller.name, world.caller.uid, pb.ROLE_ADMIN, "socket")

    with_daemon(tmp_path, talk)


def test_a_user_sees_itself_and_an_operator_everybody(tmp_path: Path) -> None:
    async def talk(stub: Any, world: World) -> None:
        world.caller = replace(world.caller, role=Role.USER)
        assert (await stub.GetUser(pb.GetUserRequest())).name == world.caller.name
        error = await refused(stub.GetUser(pb.GetUserRequest(name="bob")))
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED
        world.caller = replace(world.caller, role=Role.OPERATOR)
        assert (await stub.GetUser(pb.GetUserRequest(name="bob"))).name == "bob"

    with_daemon(tmp_path, talk)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.SetUserRequest(name="ada"), "role"),
        (pb.SetUserRequest(name="", role=pb.ROLE_USER), "name"),
        (pb.SetUserRequest(name="ada", limits=pb.UserLimits(running_jobs=-1)), "running_jobs"),
        (pb.SetUserRequest(name="ada", limits=pb.UserLimits(gpu_hours_per_day=float("nan"))), "gpu_hours_per_day"),
        (pb.SetUserRequest(name="ada", limits=pb.UserLimits(), default_limits=True), "default_limits"),
        (pb.SetUserRequest(name="ada", role=77), "role"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_set_is_refused_by_field(tmp_path: Path, request_: pb.SetUserRequest, field: str) -> None:
    async def talk(stub: Any, world: World) -> None:
        error = await refused(stub.SetUser(request_))
        detail = error_of(error)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and detail is not None and detail.facts["field"] == field
        assert world.accounts.asked == []

    with_daemon(tmp_path, talk)


@pytest.mark.parametrize(
    "request_",
    [
        pb.AuditRequest(after_number=-1),
        pb.AuditRequest(limit=-1),
        pb.AuditRequest(since_s=float("inf")),
        pb.AuditRequest(until_s=-1),
        pb.AuditRequest(user="a\0b"),
    ],
)
def test_a_question_about_the_trail_that_is_none_is_refused(tmp_path: Path, request_: pb.AuditRequest) -> None:
    async def talk(stub: Any, world: World) -> None:
        async def all_of_it() -> list[pb.AuditRecord]:
            return [record async for record in stub.Audit(request_)]

        assert (await refused(all_of_it())).code() == grpc.StatusCode.INVALID_ARGUMENT

    with_daemon(tmp_path, talk)


def test_users_through_the_sdk(served: tuple[aios.Client, World]) -> None:
    client, _ = served
    (ada,) = client.users()
    assert (ada.name, ada.role, ada.role_from, ada.running_jobs, ada.limits.running_jobs, ada.gpu_hours_today) == ("ada", "operator", "group wheel", 2, 4, 1.25)
    with pytest.raises(NotFound) as caught:
        client.user("nobody-here")
    assert caught.value.hint


def test_setting_keeps_what_is_not_named(served: tuple[aios.Client, World]) -> None:
    client, world = served
    client.set_user("ada", role="viewer", max_cpus=1.5, max_memory="64G")
    limits = UserLimits(running_jobs=4, gpu_hours_per_day=2.5, cpu_millis=1500, memory_bytes=64 << 30)
    client.set_user("ada", role="default", default_limits=True)
    client.set_user("ada", max_running=0, max_gpus="0.5", gpu_hours_per_day=0, max_queued=7, max_model_bytes=5)
    by = world.caller.name
    assert world.accounts.asked == [
        ("ada", UserChange(Role.VIEWER, False, limits, False), by),
        ("ada", UserChange(None, True, None, True), by),
        ("ada", UserChange(limits=UserLimits(gpu_millis=500, queued_jobs=7, model_bytes=5)), by),
    ]


@pytest.mark.parametrize("wrong", [{"role": "king"}, {"max_cpus": -1}, {"max_memory": "lots"}, {"gpu_hours_per_day": float("nan")}, {"max_running": -1}, {"max_running": 1, "default_limits": True}])  # fmt: skip
def test_the_sdk_refuses_what_is_no_limit(served: tuple[aios.Client, World], wrong: dict[str, Any]) -> None:
    client, world = served
    with pytest.raises(InvalidArgument):
        client.set_user("ada", **wrong)
    assert world.accounts.asked == []


def test_tokens_through_the_sdk(served: tuple[aios.Client, World]) -> None:
    client, world = served
    made = client.create_token("ada", role="viewer", expires="30d", comment="ci")
    assert (made.secret, made.token.role, made.token.comment) == ("aios_00aa11bb22_secret", "viewer", "ci")
    assert made.secret not in repr(made)
    client.create_token("ada")
    assert world.accounts.asked == [("ada", Role.VIEWER, 30 * 86400.0, "ci", world.caller.name), ("ada", None, 0.0, "", world.caller.name)]
    assert [(one.id, one.expires_at_s, one.revoked_at_s) for one in client.tokens(include_ended=True)] == [
        ("00aa11bb22", 20.5, 0.0),
        ("ffffffffff", 20.5, 12.0),
    ]
    assert client.revoke_token("00aa11bb22").revoked_at_s == 12.0


def test_the_trail_through_the_sdk(served: tuple[aios.Client, World]) -> None:
    client, world = served
    first, second = client.audit(since_s=1.0, until_s=9.0, user="u", method="Jobs.Cancel", limit=5)
    assert (first.number, first.user, first.object, first.allowed, len(first.digest)) == (1, "ada", "job 4", True, 64)
    assert (second.user, second.uid, second.detail, second.allowed) == ("", 0xFFFFFFFF, "no pass", False)  # nobody could tell: not the superuser
    assert world.accounts.asked == [AuditFilter(since_s=1.0, until_s=9.0, user="u", method="Jobs.Cancel", limit=5)]
    assert [one.number for one in client.audit(denied_only=True)] == [2]
    verdict = client.verify_audit()
    assert (verdict.intact, verdict.records, verdict.last_digest) == (True, 2, second.digest)

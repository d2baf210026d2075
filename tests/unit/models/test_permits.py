"""Who may do what with a model."""

from dataclasses import replace

import pytest

from aiosd.access.principal import Principal, Role
from aiosd.errors import Denied, InvalidArgument, NotFound
from aiosd.models.model import Model, ModelRole, Visibility
from aiosd.models.permits import Caller, check, role_named, role_of, visibility_named
from aiosd.models.version import Kind

MODEL = Model(kind=Kind.MODEL, name="digits", owner="ada", owner_uid=1000, created_at_s=0.0)


def who(name: str, uid: int, *groups: str, role: Role = Role.USER) -> Caller:
    return Caller(Principal(uid, uid, name, role), lambda: frozenset(groups))


BOB = who("bob", 1001, "vision", "labs")


def test_its_owner_and_operators_may_do_all() -> None:
    assert role_of(MODEL, who("ada", 1000)) is ModelRole.OWNER
    assert role_of(MODEL, who("olga", 7, role=Role.OPERATOR)) is ModelRole.OWNER
    assert role_of(MODEL, who("ada", 4000)) is ModelRole.NONE  # of the same name on another machine


@pytest.mark.parametrize(
    ("change", "role"),
    [
        ({}, ModelRole.NONE),
        ({"visibility": Visibility.EVERYONE}, ModelRole.READER),
        ({"visibility": Visibility.GROUP, "group": "vision"}, ModelRole.READER),
        ({"visibility": Visibility.GROUP, "group": "sound"}, ModelRole.NONE),
        ({"group": "vision"}, ModelRole.NONE),
        ({"roles": {"bob": ModelRole.WRITER}}, ModelRole.WRITER),
        ({"roles": {"@labs": ModelRole.WRITER}}, ModelRole.WRITER),
        ({"roles": {"@sound": ModelRole.OWNER}}, ModelRole.NONE),
        ({"roles": {"bob": ModelRole.READER, "@labs": ModelRole.OWNER}}, ModelRole.OWNER),
        ({"roles": {"@labs": ModelRole.READER, "@vision": ModelRole.WRITER}}, ModelRole.WRITER),
        ({"roles": {"labs": ModelRole.WRITER}}, ModelRole.NONE),
    ],
)
def test_roles(change: dict[str, object], role: ModelRole) -> None:
    assert role_of(replace(MODEL, **change), BOB) is role  # type: ignore[arg-type]


def test_groups_are_asked_for_only_where_they_count() -> None:
    def never() -> frozenset[str]:
        raise AssertionError("asked")

    caller = Caller(BOB.principal, never)
    assert role_of(replace(MODEL, visibility=Visibility.EVERYONE), caller) is ModelRole.READER
    assert role_of(replace(MODEL, roles={"bob": ModelRole.WRITER, "@labs": ModelRole.READER}), caller) is ModelRole.WRITER


def test_whoever_may_not_read_is_told_that_there_is_none() -> None:
    with pytest.raises(NotFound, match="there is no model digits"):
        check(MODEL, BOB, ModelRole.READER, "read it")
    with pytest.raises(Denied, match="takes the role writer on model digits, and bob has reader") as raised:
        check(replace(MODEL, visibility=Visibility.EVERYONE), BOB, ModelRole.WRITER, "move references of it")
    assert "ask ada" in raised.value.hint


def test_words() -> None:
    assert role_named("writer") is ModelRole.WRITER
    assert role_named("") is ModelRole.NONE
    assert visibility_named("") is Visibility.PRIVATE
    for wrong in ("none", "NONE", "boss"):
        with pytest.raises(InvalidArgument, match="no role"):
            role_named(wrong)
    with pytest.raises(InvalidArgument, match="no visibility"):
        visibility_named("public")

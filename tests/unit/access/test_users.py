"""Which role is in force, and what a limit may be."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.access.limits import UserLimits, check_limits
from aiosd.access.principal import Role
from aiosd.access.roles import GroupRoles
from aiosd.access.users import RoleRules, UserRecord
from aiosd.errors import InvalidArgument

GROUPS = {Role.ADMIN: frozenset({"wheel"}), Role.USER: frozenset({"staff"}), Role.OPERATOR: frozenset({"ops", "night"})}
RULES = RoleRules(GroupRoles(GROUPS, Role.VIEWER), frozenset({0, 990}))
roles = st.sampled_from(Role)
names = st.frozensets(st.text(max_size=3))


@pytest.mark.parametrize(
    ("uid", "record", "groups", "role", "source"),
    [
        (0, None, (), Role.ADMIN, "superuser"),
        (990, UserRecord("aios", 990, Role.VIEWER), (), Role.ADMIN, "superuser"),
        (1000, None, (), Role.VIEWER, "default"),
        (1000, None, ("staff",), Role.USER, "group staff"),
        (1000, None, ("staff", "ops", "other"), Role.OPERATOR, "group ops"),
        (1000, UserRecord("al", 1000, Role.VIEWER), ("wheel",), Role.VIEWER, "set"),
        (1000, UserRecord("al", 1000, None, UserLimits(cpu_millis=1)), ("wheel",), Role.ADMIN, "group wheel"),
    ],
)
def test_the_role_in_force(uid: int, record: UserRecord | None, groups: tuple[str, ...], role: Role, source: str) -> None:
    found = RULES.decide(uid, record, lambda: frozenset(groups))
    assert (found.role, found.source) == (role, source)


@settings(deadline=None)
@given(st.dictionaries(roles, names), names, roles, st.none() | roles)
def test_what_is_set_counts_else_the_highest_of_the_groups(
    groups: dict[Role, frozenset[str]], mine: frozenset[str], default: Role, chosen: Role | None
) -> None:
    found = RoleRules(GroupRoles(groups, default)).decide(1000, UserRecord("al", 1000, chosen), lambda: mine)
    given_by_groups = [role for role, names in groups.items() if names & mine]
    assert found.role is (chosen or max(given_by_groups, default=default))


def test_no_limit_is_false_and_only_some_bound_runs() -> None:
    assert not UserLimits()
    assert UserLimits(queued_jobs=1)
    assert not UserLimits(queued_jobs=1, model_bytes=5).bounds_runs
    for name in ("running_jobs", "cpu_millis", "memory_bytes", "gpu_millis", "gpu_hours_per_day"):
        assert UserLimits(**{name: 1}).bounds_runs


@pytest.mark.parametrize("wrong", [{"queued_jobs": -1}, {"gpu_hours_per_day": math.nan}, {"gpu_hours_per_day": math.inf}, {"memory_bytes": 1 << 64}])
def test_what_is_no_limit_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        check_limits(UserLimits(**wrong))

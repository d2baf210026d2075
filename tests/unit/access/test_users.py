"""Which role is in force, and what a limit may be."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.access.limits import UserLimits, check_limits
from aiosd.access.principal import Role
from aiosd.access.users import RoleRules, UserRecord, role_in_force
from aiosd.errors import InvalidArgument

RULES = RoleRules(Role.VIEWER, {"wheel": Role.ADMIN, "staff": Role.USER, "ops": Role.OPERATOR}, frozenset({0, 990}))
roles = st.sampled_from(Role)


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
    found = role_in_force(RULES, uid, record, frozenset(groups))
    assert (found.role, found.source) == (role, source)


@given(st.dictionaries(st.text(max_size=3), roles), st.frozensets(st.text(max_size=3)), roles, st.none() | roles)
def test_what_is_set_counts_and_a_group_never_takes_away(groups: dict[str, Role], of: frozenset[str], default: Role, chosen: Role | None) -> None:
    rules = RoleRules(default, groups)
    found = role_in_force(rules, 1000, UserRecord("al", 1000, chosen), of)
    if chosen is not None:
        assert found.role is chosen
    else:
        mine = [groups[name] for name in of & groups.keys()]
        assert found.role is (max(mine) if mine else default)


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

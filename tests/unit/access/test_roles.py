"""Roles by groups: the highest counts, and it is said which group gave it."""

from aiosd.access.principal import Role
from aiosd.access.roles import GroupRoles

ROLES = GroupRoles({Role.ADMIN: frozenset({"wheel"}), Role.OPERATOR: frozenset({"ops", "a-ops"}), Role.VIEWER: frozenset({"guests"})}, Role.USER)


def test_the_highest_role_of_all_groups_counts() -> None:
    assert ROLES.role_of({"guests", "ops", "a-ops", "x"}) == (Role.OPERATOR, "group a-ops")
    assert ROLES.role_of({"wheel", "guests"}) == (Role.ADMIN, "group wheel")
    assert ROLES.role_of({"guests"}) == (Role.VIEWER, "group guests")  # less than the default, and meant so
    assert ROLES.role_of({"x"}) == (Role.USER, "default")
    assert GroupRoles().role_of(()) == (Role.USER, "default")

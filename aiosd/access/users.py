"""A user as AIOS knows it beside what the machine says: a role and limits of its own, and which role is in force."""

from collections.abc import Callable
from dataclasses import dataclass

from aiosd.access.limits import UserLimits
from aiosd.access.principal import Role
from aiosd.access.roles import GroupRoles


@dataclass(frozen=True, slots=True)
class UserRecord:
    """What was set for one user; None: the groups and the configuration say."""

    name: str
    uid: int
    role: Role | None = None
    limits: UserLimits | None = None

    @property
    def empty(self) -> bool:
        return self.role is None and self.limits is None


@dataclass(frozen=True, slots=True)
class RoleInForce:
    """`source` says why: "set", "group wheel", "default", "superuser"."""

    role: Role
    source: str


@dataclass(frozen=True, slots=True)
class RoleRules:
    """Who has which role where none was set. `admins`: user ids that are admins whatever is set, so that nobody locks the machine up."""

    by_groups: GroupRoles = GroupRoles()
    admins: frozenset[int] = frozenset({0})

    def decide(self, uid: int, record: UserRecord | None, groups: Callable[[], frozenset[str]]) -> RoleInForce:
        """The superuser's, else what was set for the user, else what its groups give; `groups` is asked only where it counts."""
        if uid in self.admins:
            return RoleInForce(Role.ADMIN, "superuser")
        if record is not None and record.role is not None:
            return RoleInForce(record.role, "set")
        return RoleInForce(*self.by_groups.role_of(groups()))

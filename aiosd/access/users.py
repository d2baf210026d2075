"""A user as AIOS knows it beside what the machine says: a role and limits of its own, and which role is in force."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiosd.access.limits import UserLimits
from aiosd.access.principal import Role


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
class RoleRules:
    """Who has which role where none was set. `admins`: user ids that are admins whatever is set, so that nobody locks the machine up."""

    default: Role = Role.USER
    groups: Mapping[str, Role] = field(default_factory=dict)  # Unix group -> role; of several the highest counts
    admins: frozenset[int] = frozenset({0})


@dataclass(frozen=True, slots=True)
class RoleInForce:
    """`source` says why: "set", "group wheel", "default", "superuser"."""

    role: Role
    source: str


def role_in_force(rules: RoleRules, uid: int, record: UserRecord | None, groups: frozenset[str]) -> RoleInForce:
    """The superuser's, else what was set for the user, else the highest of its groups, else the default."""
    if uid in rules.admins:
        return RoleInForce(Role.ADMIN, "superuser")
    if record is not None and record.role is not None:
        return RoleInForce(record.role, "set")
    by_group = max(((role, name) for name, role in rules.groups.items() if name in groups), default=None)
    return RoleInForce(by_group[0], f"group {by_group[1]}") if by_group else RoleInForce(rules.default, "default")

"""A user as AIOS knows it beside what the machine says: a role and limits of its own, and which role is in force."""

from collections.abc import Callable
from dataclasses import dataclass

from aiosd.access.limits import NAMES, UserLimits, UserUse
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


@dataclass(frozen=True, slots=True)
class UserView:
    """A user as an operator sees it: what is in force, why, and what it uses now."""

    name: str
    uid: int
    role: RoleInForce
    limits: UserLimits
    limits_set: bool  # for this user; else the defaults
    use: UserUse = UserUse()


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to set for a user; None and False leave it as it is."""

    role: Role | None = None
    role_by_groups: bool = False  # what was set is forgotten
    limits: UserLimits | None = None  # all of them
    default_limits: bool = False  # what was set is forgotten

    def applied_to(self, record: UserRecord) -> UserRecord:
        role = None if self.role_by_groups else record.role if self.role is None else self.role
        limits = None if self.default_limits else record.limits if self.limits is None else self.limits
        return UserRecord(record.name, record.uid, role, limits)

    def __str__(self) -> str:
        """For the audit trail: "role operator, running_jobs 4"."""
        said = ["role by groups"] if self.role_by_groups else [f"role {self.role}"] if self.role is not None else []
        if self.default_limits:
            said.append("default limits")
        elif self.limits is not None:
            said += [f"{name} {value:g}" for name in NAMES if (value := getattr(self.limits, name))] or ["no limits"]
        return ", ".join(said)

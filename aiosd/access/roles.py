"""Roles by Unix groups, and what answers for roles and tokens where nobody keeps accounts of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aiosd.access.principal import Principal, Role


@dataclass(frozen=True, slots=True)
class GroupRoles:
    """`groups` names, for a role, the Unix groups whose members have it; whoever is in none has `default`."""

    groups: Mapping[Role, frozenset[str]] = field(default_factory=dict)
    default: Role = Role.USER

    def role_of(self, groups: Iterable[str]) -> tuple[Role, str]:
        """The highest role that one of `groups` gives, and where it comes from: "group wheel", or "default"."""
        mine = frozenset(groups)
        for role in sorted(self.groups, reverse=True):
            giving = self.groups[role] & mine
            if giving:
                return role, f"group {min(giving)}"
        return self.default, "default"


@dataclass(slots=True)
class ByGroups:
    """Roles by groups alone: nothing is set for single users, there are no bearer tokens, and no trail is kept."""

    roles: GroupRoles
    groups_of: Callable[[str, int], frozenset[str]]

    def role_of(self, uid: int, gid: int, name: str) -> Role:
        return self.roles.role_of(self.groups_of(name, gid))[0]

    def token(self, secret: str) -> Principal | None:
        return None

    def record(self, principal: Principal | None, method: str, object_: str, allowed: bool, detail: str = "") -> None:
        return None

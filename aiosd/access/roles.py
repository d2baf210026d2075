"""Roles by Unix groups."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiosd.access.principal import Role


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

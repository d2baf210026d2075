"""What can be set for a model, and how a change reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aiosd.errors import InvalidArgument
from aiosd.models.draft import MOST_MESSAGE
from aiosd.models.model import Model, ModelRole, Visibility
from aiosd.models.permits import MOST_ROLES


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChange:
    """None leaves it as it is. `roles`: by user or "@group"; the role NONE removes one."""

    description: str | None = None
    visibility: Visibility | None = None
    group: str | None = None
    roles: Mapping[str, ModelRole] = field(default_factory=dict)
    require_signature: bool | None = None
    keep_last: int | None = None
    keep_for_s: float | None = None

    def __post_init__(self) -> None:
        if self.description is not None and len(self.description) > MOST_MESSAGE:
            raise InvalidArgument(
                f"description has {len(self.description)} characters, and {MOST_MESSAGE} are allowed", hint="make it shorter", field="description"
            )

    @property
    def describes_only(self) -> bool:
        return self == ModelChange(description=self.description)

    def applied_to(self, model: Model) -> Model:
        """Raises InvalidArgument for what does not go together."""
        given = {
            name: value
            for name in ("description", "visibility", "group", "require_signature", "keep_last", "keep_for_s")
            if (value := getattr(self, name)) is not None
        }
        if not given and not self.roles:
            raise InvalidArgument("there is nothing to set", hint="give a description, a visibility, roles or rules of retention")
        roles = {name: role for name, role in (dict(model.roles) | dict(self.roles)).items() if role is not ModelRole.NONE}
        if len(roles) > MOST_ROLES:
            raise InvalidArgument(f"there would be {len(roles)} roles, and {MOST_ROLES} are allowed", hint='give a role to a group: "@vision"', field="roles")
        changed = replace(model, roles=roles, **given)
        if changed.visibility is Visibility.GROUP and not changed.group:
            raise InvalidArgument("visibility group needs a group", hint="name one of Unix: --group vision", field="group")
        return changed

"""What can be set for a model, and how a change reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aiosd.errors import InvalidArgument
from aiosd.models.draft import MOST_MESSAGE
from aiosd.models.history import SHORT
from aiosd.models.model import Model, ModelRole, Visibility
from aiosd.models.permits import MOST_ROLES
from aiosd.models.signing import KEY_BYTES, key_id

MOST_KEYS = 100
_LEAST_OF_ID = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChange:
    """None leaves it as it is. `roles`: by user or "@group"; the role NONE removes one. `trust`: public keys, `distrust`: ids of some, or how they begin."""

    description: str | None = None
    visibility: Visibility | None = None
    group: str | None = None
    roles: Mapping[str, ModelRole] = field(default_factory=dict)
    require_signature: bool | None = None
    trust: tuple[bytes, ...] = ()
    distrust: tuple[str, ...] = ()
    keep_last: int | None = None
    keep_for_s: float | None = None

    def __post_init__(self) -> None:
        if self.description is not None and len(self.description) > MOST_MESSAGE:
            raise InvalidArgument(
                f"description has {len(self.description)} characters, and {MOST_MESSAGE} are allowed", hint="make it shorter", field="description"
            )

        if any(len(public) != KEY_BYTES for public in self.trust):
            raise InvalidArgument(f"trust is not of {KEY_BYTES} bytes, as keys of Ed25519 are", field="trust")

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
        if not (given or self.roles or self.trust or self.distrust):
            raise InvalidArgument("there is nothing to set", hint="give a description, a visibility, roles or rules of retention")
        roles = {name: role for name, role in (dict(model.roles) | dict(self.roles)).items() if role is not ModelRole.NONE}
        if len(roles) > MOST_ROLES:
            raise InvalidArgument(f"there would be {len(roles)} roles, and {MOST_ROLES} are allowed", hint='give a role to a group: "@vision"', field="roles")
        changed = replace(model, roles=roles, trusted_keys=self._keys(model), **given)
        if changed.require_signature and not changed.trusted_keys:
            raise InvalidArgument(
                f"{model.name} would take signatures of nobody, and no version could be used", hint="name a key that counts: --trust-key FILE", field="trust"
            )
        if changed.visibility is Visibility.GROUP and not changed.group:
            raise InvalidArgument("visibility group needs a group", hint="name one of Unix: --group vision", field="group")
        return changed

    def _keys(self, model: Model) -> Mapping[str, str]:
        keys = dict(model.trusted_keys)
        for begin in self.distrust:
            gone = [id_ for id_ in keys if id_.startswith(begin)]
            if len(begin) < _LEAST_OF_ID or len(gone) != 1:
                known = ", ".join(id_[:SHORT] for id_ in keys) or "none"
                raise InvalidArgument(f"{begin[:80]!r} is not one key that {model.name} trusts", hint=f"it trusts {known}", field="distrust")
            del keys[gone[0]]
        keys |= {key_id(public): public.hex() for public in self.trust}
        if len(keys) > MOST_KEYS:
            raise InvalidArgument(f"there would be {len(keys)} keys, and {MOST_KEYS} are allowed", hint="distrust old ones", field="trust")
        return keys

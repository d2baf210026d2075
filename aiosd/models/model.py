"""A model (or dataset) as a name: whose it is, who may use it, how long its versions are kept, and the references into them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from aiosd.models.version import Kind


class Visibility(StrEnum):
    PRIVATE = "private"  # its owner, whoever has a role, and operators
    GROUP = "group"  # and the members of its group may read
    EVERYONE = "everyone"  # and everybody may read


class ModelRole(IntEnum):
    """What somebody may do with one model; a higher one may do all that a lower one may."""

    NONE = 0
    READER = 1
    WRITER = 2
    OWNER = 3


class RefKind(StrEnum):
    BRANCH = "branch"  # moves on with each version that is registered on it
    TAG = "tag"  # stays, unless it is forced
    ALIAS = "alias"  # moves at will: "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`roles`: by user name or "@group". Rules of retention are for versions that no reference reaches; 0: no such rule."""

    kind: Kind
    name: str
    owner: str
    owner_uid: int
    created_at_s: float
    description: str = ""
    visibility: Visibility = Visibility.PRIVATE
    group: str = ""
    roles: Mapping[str, ModelRole] = field(default_factory=dict)
    require_signature: bool = False
    trusted_keys: Mapping[str, str] = field(default_factory=dict)  # id -> the public key of Ed25519, in hexadecimal digits
    keep_last: int = 0
    keep_for_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedModel(Model):
    """One whose record cannot be read: nothing is known of it but its kind, its name and its owner's uid, and so it is that one's alone."""

    why: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A name for a version that may move."""

    name: str
    kind: RefKind
    version: str
    moved_at_s: float
    moved_by: str


@dataclass(frozen=True, slots=True)
class Move:
    """One move of a reference, kept for ever; `source` "": it was made, `target` "": it was removed."""

    reference: str
    kind: RefKind
    source: str
    target: str
    who: str
    at_s: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """Over the files and the id of a version (see signing.py), made by whoever has the private key."""

    version: str
    key_id: str
    format: str
    signature: bytes
    signed_at_s: float
    signed_by: str

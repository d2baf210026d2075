"""What is asked to be registered, and the commit that it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from aiosd.errors import InvalidArgument
from aiosd.models.manifest import Manifest
from aiosd.models.model import Model, Visibility
from aiosd.models.names import check_model_name, check_reference_name
from aiosd.models.permits import Caller
from aiosd.models.references import MAIN
from aiosd.models.retention import DEFAULT_KEEP_FOR_S
from aiosd.models.version import Commit, Kind, Lineage, Schema, Version, VersionState

MOST_METRICS = 1000
MOST_LABELS = 1000
MOST_TAGS = 100
MOST_PARENTS = 16
MOST_MESSAGE = 64 << 10  # characters
MOST_CARD = 1 << 20
MOST_COMMIT = 4 << 20  # bytes of all that is said of a version
MOST_HEADLINE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A registration without its bytes. `expected`: the version that the branch must be at; "": wherever it is. `key`: of idempotency.

    parents  versions of this model that it was made from, as references; they come after what the branch is at
    """

    model: str
    kind: Kind = Kind.MODEL
    branch: str = MAIN
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    card: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    expected: str = ""
    parents: tuple[str, ...] = ()
    visibility: Visibility = Visibility.PRIVATE
    group: str = ""
    lineage: Lineage = Lineage()
    key: str = ""
    allow_flagged: bool = False

    def __post_init__(self) -> None:
        check_model_name(self.model, self.kind)
        for name in (self.branch, *self.tags):
            check_reference_name(name)
        many = ((self.metrics, "metrics", MOST_METRICS), (self.labels, "labels", MOST_LABELS), (self.tags, "tags", MOST_TAGS))
        for value, what, most in (*many, (self.parents, "parents", MOST_PARENTS)):
            _few(len(value), what, most, "items")
        for text, what, most in ((self.message, "message", MOST_MESSAGE), (self.card, "card", MOST_CARD), (self.description, "description", MOST_MESSAGE)):
            _few(len(text), what, most, "characters")
        if bool(self.group) != (self.visibility is Visibility.GROUP):
            raise InvalidArgument("visibility group needs a group, and a group that visibility", hint="--visibility group --group vision", field="group")
        for name, number in self.metrics.items():
            if not name or not isfinite(number):
                raise InvalidArgument(f"the metric {name!r} is {number}", hint="metrics have a name, and are finite numbers", field="metrics", given=number)

    def adds_to(self, version: Version, manifest: str) -> bool:
        """Whether it says anything that `version` does not: other content, or what is given and differs."""
        commit = version.commit
        given = (("message", self.message), ("licence", self.licence), ("card", self.card), ("metrics", dict(self.metrics)), ("labels", dict(self.labels)))
        return commit.manifest != manifest or any(value and value != getattr(commit, name) for name, value in given)


def _few(given: int, what: str, most: int, unit: str) -> None:
    if given > most:
        raise InvalidArgument(f"{what} has {given} {unit}, and {most} are allowed", hint="make it shorter", field=what, given=given, allowed=most)


def new_model(draft: Draft, caller: Caller, now_s: float) -> Model:
    return Model(
        kind=draft.kind,
        name=draft.model,
        owner=caller.name,
        owner_uid=caller.principal.uid,
        created_at_s=now_s,
        description=draft.description,
        visibility=draft.visibility,
        group=draft.group,
        keep_for_s=DEFAULT_KEEP_FOR_S,
    )


def commit_of(draft: Draft, manifest: Manifest, schema: Schema, parents: tuple[str, ...], author: str, now_s: float) -> Commit:
    return Commit(
        kind=draft.kind,
        manifest=manifest.digest,
        parents=parents,
        author=author,
        created_at_s=now_s,
        message=draft.message,
        metrics=dict(draft.metrics),
        labels=dict(draft.labels),
        licence=draft.licence,
        card=draft.card,
        schema=schema,
        lineage=draft.lineage,
    )


def encoded(commit: Commit) -> bytes:
    """As it is kept. Raises InvalidArgument for what no other store would take, nor anything that comes after it."""
    _few(len(commit.message), "message", MOST_MESSAGE, "characters")
    body = commit.encode()
    _few(len(body), "what is said of the version", MOST_COMMIT, "bytes")
    return body


def version_of(model: Model, last: int, commit: Commit, manifest: Manifest, stored_bytes: int = 0, findings: Sequence[str] = ()) -> Version:
    """The next version of `model`. `last`: the highest number that one has had; `findings`: why it is flagged."""
    return Version(
        model=model.name,
        number=last + 1,
        id=commit.id,
        commit=commit,
        size=manifest.size,
        files=len(manifest.files),
        stored_bytes=stored_bytes,
        state=VersionState.FLAGGED if findings else VersionState.REGISTERED,
        reasons=tuple(findings),
    )


def headline(message: str) -> str:
    """The first line of it, for the record of a move."""
    return message.partition("\n")[0][:MOST_HEADLINE] or "registered"

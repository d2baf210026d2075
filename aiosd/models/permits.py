"""Who may do what with one model: its owner, roles by user and group, its visibility, and operators."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from aiosd.access.principal import Principal, Role
from aiosd.errors import Denied, FailedPrecondition, InvalidArgument, NotFound
from aiosd.models.history import SHORT
from aiosd.models.model import Model, ModelRole, Visibility
from aiosd.models.version import Version, VersionState

MOST_ROLES = 1000

Strange = Callable[[str], Sequence[str] | None]  # of a user or "@group" that this machine does not have: those spelt much like it; else None; may block


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks. `groups`: of Unix, asked for only where a group counts, since it may take a while."""

    principal: Principal
    groups: Callable[[], frozenset[str]]

    @property
    def name(self) -> str:
        return self.principal.name


def role_of(model: Model, caller: Caller) -> ModelRole:
    """The highest role that anything gives."""
    principal = caller.principal
    if principal.uid == model.owner_uid or principal.role >= Role.OPERATOR:
        return ModelRole.OWNER
    best = max(model.roles.get(principal.name, ModelRole.NONE), ModelRole.READER if model.visibility is Visibility.EVERYONE else ModelRole.NONE)
    grouped = {name.removeprefix("@"): role for name, role in model.roles.items() if name.startswith("@")}
    if model.visibility is Visibility.GROUP and model.group:
        grouped[model.group] = max(grouped.get(model.group, ModelRole.NONE), ModelRole.READER)
    if any(role > best for role in grouped.values()):
        best = max([best, *(role for name, role in grouped.items() if name in caller.groups())])
    return best


def mover(by: Caller, job_id: str) -> str:
    """Who moves a reference, for the record of it: "ada", or "ada (job 42)"."""
    return f"{by.name} (job {job_id})" if job_id else by.name


def check(model: Model, caller: Caller, least: ModelRole, doing: str) -> None:
    """Raises Denied; and NotFound for whoever may not even know that it is there. `doing`: "move references of it"."""
    role = role_of(model, caller)
    if role >= least:
        return
    if role is ModelRole.NONE:
        raise unknown(model.kind, model.name)
    raise Denied(
        f"{caller.name} may not {doing}: that takes the role {least.name.lower()} on {model.kind} {model.name}, and {caller.name} has {role.name.lower()}",
        hint=f"ask {model.owner}, its owner: aiosctl {_command(model.kind)} set {model.name} --role {caller.name}={least.name.lower()}",
        model=model.name, user=caller.name, role=role.name.lower(), needed=least.name.lower(),
    )  # fmt: skip


def check_people(names: Iterable[str], group: str, by: Caller, strange: Strange) -> None:
    """Whom a model is opened to: users and "@groups" by `names`, and its own `group`, of which `by` must be, or an operator. May block.

    A name that nobody has yet would be somebody's one day. Raises InvalidArgument and Denied.
    """
    for who in (*names, *([f"@{group}"] if group else [])):
        near = strange(who)
        if near is not None:
            what, file = ("group", "group") if who.startswith("@") else ("user", "passwd")
            hint = f"did you mean {' or '.join(near)}?" if near else f"`getent {file}` lists those of the machine"
            raise InvalidArgument(f"there is no {what} {who.removeprefix('@')[:80]!r} on the daemon's machine", hint=hint, given=who[:80])
    if group and by.principal.role < Role.OPERATOR and group not in by.groups():
        raise Denied(
            f"{by.name} is not in the group {group}, and may not open models to it",
            hint="`id` lists yours; or ask an operator",
            user=by.name,
            group=group,
        )


def check_allows(by: Caller) -> None:
    """What is allowed is so for everybody: whoever has made a model does not decide alone that it does no harm. Raises Denied."""
    if by.principal.role < Role.OPERATOR:
        raise Denied(
            f"{by.name} may not allow what is flagged: that takes the role operator, and {by.name} has {by.principal.role}",
            hint="ask an operator to look at it; for yourself, as its owner: aiosctl model checkout --allow-pickle", user=by.name,
        )  # fmt: skip


def allowed(version: Version, by: Caller, why: str) -> Version:
    """Of a version that is flagged; the reasons stay, with this one."""
    return replace(version, state=VersionState.ALLOWED, reasons=(*version.reasons, f"allowed by {by.name}: {why}"))


def not_here(version: Version) -> FailedPrecondition:
    name = f"{version.model}@{version.id[:SHORT]}"
    return FailedPrecondition(
        f"of {name} only what is said of it is here, not its bytes",
        hint=f"bring them from where they are: aiosctl {_command(version.commit.kind)} pull {name} --from TARGET, or a bundle made with --history",
        version=version.id,
    )  # fmt: skip


def unknown(kind: str, name: str) -> NotFound:
    command = _command(kind)
    return NotFound(f"there is no {kind} {name}", hint=f"`aiosctl {command} ls` lists those you may see; `aiosctl {command} register` makes one", model=name)


def _command(kind: str) -> str:
    return "data" if kind == "dataset" else "model"


def role_named(text: str) -> ModelRole:
    """ "" is none. Raises InvalidArgument."""
    names = {role.name.lower(): role for role in ModelRole if role}
    if text and text not in names:
        raise InvalidArgument(f"there is no role {text[:40]!r} on a model", hint=f"choose one of {', '.join(names)}", field="roles", given=text[:40])
    return names.get(text, ModelRole.NONE)


def visibility_named(text: str) -> Visibility:
    try:
        return Visibility(text or Visibility.PRIVATE)
    except ValueError:
        allowed = ", ".join(Visibility)
        raise InvalidArgument(f"there is no visibility {text[:40]!r}", hint=f"choose one of {allowed}", field="visibility", given=text[:40]) from None

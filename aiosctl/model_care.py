"""`model set`, `verify`, `gc`, `usage` and `rm`: who may use models, whether they are whole, and what goes."""

from collections.abc import Iterator

import click

from aios.units import format_bytes
from aios.versions import Garbage, Settings, Usage, UserUsage, Verified
from aiosctl.completing import NAME, REF
from aiosctl.failures import FAILED, WrongUsage, leave
from aiosctl.lazy import verb
from aiosctl.model_describe import calls, many, progress_line, size
from aiosctl.options import COUNT, ROLE, Value, output_options
from aiosctl.output import Column, Shape, escaped, print_lines, print_one, print_rows


def _age(text: str) -> float:
    from aios.units import parse_seconds

    return parse_seconds(text, zero=True)


def _percent(text: str) -> float:
    try:
        part = float(text.removesuffix("%"))
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a percentage") from None
    if not 0 < part <= 100:
        raise ValueError(f"{text[:40]} is not between 0 and 100 percent")
    return part / 100


AGE = Value("time", _age, "30d; 0 for not at all")
PERCENT = Value("percent", _percent, "5%")


@verb(
    "aiosctl model set digits --visibility everyone",
    "aiosctl model set digits --visibility group --group vision --role bob=writer --role @labs=reader",
    "aiosctl model set digits --keep-last 5 --keep-for 30d",
    "aiosctl model set digits --trust-key key.pub --require-signature",
    name="set",
)
@click.argument("name", type=NAME)
@click.option("--description", metavar="TEXT", help="What it is.")
@click.option("--visibility", type=click.Choice(["private", "group", "everyone"]), help="Who may read it.")
@click.option("--group", metavar="GROUP", help="The Unix group of visibility group.")
@click.option("--role", "roles", multiple=True, type=ROLE, help="USER=reader, @GROUP=writer, USER=owner; USER= takes it away.")
@click.option("--require-signature/--no-require-signature", default=None, help="Hand out only what is signed by a key that counts.")
@click.option("--trust-key", "trust", multiple=True, type=click.Path(), metavar="FILE", help="A public key (PEM) whose signatures count; repeat it.")
@click.option("--distrust-key", "distrust", multiple=True, metavar="ID", help="One that does not count any more; repeat it.")
@click.option("--keep-last", type=COUNT, help="So many versions that no reference reaches are kept.")
@click.option("--keep-for", type=AGE, help="And those younger than this, since the last reference left them.")
@output_options
def set_model(
    name: str, description: str | None, visibility: str | None, group: str | None, roles: tuple[tuple[str, str], ...], require_signature: bool | None,
    trust: tuple[str, ...], distrust: tuple[str, ...], keep_last: int | None, keep_for: float | None, shape: Shape, kind: str,
) -> None:  # fmt: skip
    """Set who may use a model, and how long versions are kept that nothing refers to. What is not named stays as it is."""
    settings = Settings(
        description=description, visibility=visibility, group=group, roles=dict(roles), require_signature=require_signature,
        trust_keys=trust, distrust_keys=distrust, keep_last=keep_last, keep_for=keep_for,
    )  # fmt: skip
    if settings == Settings():
        raise WrongUsage("nothing to set was named", f"for example `aiosctl model set {name} --visibility everyone`")
    with calls(kind) as store:
        print_one(store.update(name, settings), lambda m, wide: [f"{m.name} is set"], lambda m: m.name, shape)


@verb("aiosctl model verify digits:prod", "aiosctl model verify --all --sample 5%")
@click.argument("ref", default="", type=REF)
@click.option("--all", "everything", is_flag=True, help="All that is stored; takes an operator.")
@click.option("--sample", type=PERCENT, default=1.0, help="A part of it, by chance, such as 5%.")
@output_options
def verify(ref: str, everything: bool, sample: float, shape: Shape, kind: str) -> None:
    """Have the daemon read the version REF of a model back, and compare. Exit status: 0 it is as it was stored, 1 it is damaged.

    What is damaged is set aside, and heals when the same content is registered or pulled again.
    """
    if everything == bool(ref):
        raise WrongUsage("name a version, or --all", "for example `aiosctl model verify digits:prod`")
    with calls(kind) as store, progress_line("verifying") as on_progress:
        found = store.verify(ref, sample=sample, on_progress=on_progress)
    print_one(found, _verified, lambda v: "sound" if v.sound else "damaged", shape)
    leave(0 if found.sound else FAILED)


def _verified(found: Verified, wide: bool) -> Iterator[str]:
    for damage in found.damaged:
        yield f"damaged: chunk {damage.digest[:12]} of {escaped(', '.join(damage.versions))}: {damage.problem}"
    for damage in found.healed:
        yield f"healed: chunk {damage.digest[:12]} of {escaped(', '.join(damage.versions))}"
    if found.sound:
        yield f"all is well: {many(found.chunks, 'chunk')} read back as stored"


@verb("aiosctl model gc --dry-run", "aiosctl model gc", "aiosctl model gc --grace 0s")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would go, and why the rest stays; remove nothing.")
@click.option("--grace", type=AGE, help="What was stored later than this ago stays; 14 days, unless configured.")
@output_options
def gc(dry_run: bool, grace: float | None, shape: Shape, kind: str) -> None:
    """Remove versions that nothing keeps, and bytes that no version needs, of models and datasets alike; takes an operator.

    References keep versions and all before them; so do running jobs, and the rules of each model (`aiosctl model set`).
    """
    with calls(kind) as store:
        found = store.collect_garbage(dry_run=dry_run, grace=grace)
    print_one(found, lambda g, wide: _garbage(g, dry_run, wide), lambda g: "\n".join(g.removed), shape)


def _garbage(found: Garbage, dry_run: bool, wide: bool) -> Iterator[str]:
    verb_ = "would go" if dry_run else "went"
    for name in found.removed if dry_run or wide else ():
        yield escaped(name)
    yield f"{many(len(found.removed), 'version')} and {many(found.chunks, 'chunk')} {verb_}: {format_bytes(found.bytes)}"
    for why in found.kept_because if dry_run or wide else ():
        yield f"  kept: {escaped(why)}"


USERS: list[Column[UserUsage]] = [
    Column("USER", lambda u: u.user, cut=True),
    Column("MODELS", lambda u: str(u.models), right=True),
    Column("VERSIONS", lambda u: str(u.versions), right=True),
    Column("SIZE", lambda u: size(u.size), right=True),
    Column("STORED", lambda u: size(u.stored_bytes), right=True),
    Column("LIMIT", lambda u: size(u.limit_bytes) if u.limit_bytes else "-", right=True),
]


@verb("aiosctl model usage", "aiosctl model usage -o json")
@output_options
def usage(shape: Shape, kind: str) -> None:
    """What the models and datasets of users take, as they read and as they are stored; an operator sees everybody's."""
    with calls(kind) as store:
        found = store.usage()
    if shape.format in ("json", "yaml"):
        print_one(found, lambda u, wide: (), str, shape)
        return
    print_usage(found, shape)


def print_usage(found: Usage, shape: Shape) -> None:
    """Users as rows, then the store as a whole."""
    print_rows(found.users, USERS, lambda u: u.user, shape)
    if shape.format != "name":
        print_lines([f"the store takes {format_bytes(found.store_bytes)}; {format_bytes(found.free_bytes)} are free"])


@verb("aiosctl model rm digits@3f2a9c", "aiosctl model rm --force digits")
@click.argument("ref", type=REF)
@click.option("-f", "--force", is_flag=True, help="Also a whole name with its versions, or a version within a history.")
def rm(ref: str, force: bool, kind: str) -> None:
    """Remove a version of a model that nothing leads to, or with --force all of a name.

    Its bytes go when nothing has needed them for models.gc_grace_s (14 days), or at once with `aiosctl model gc --grace 0s`.
    """
    with calls(kind) as store:
        print_lines(f"{escaped(name)} is gone" for name in store.remove(ref, force=force))

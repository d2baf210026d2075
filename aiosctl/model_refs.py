"""`model branch`, `tag`, `alias`, `rollback`, `merge` and `revert`: the references of a model, and what moves them."""

from typing import Any

import click

from aios.versions import Reference
from aiosctl.completing import NAME, REF
from aiosctl.describe import moment
from aiosctl.failures import WrongUsage
from aiosctl.lazy import verb
from aiosctl.model_describe import calls, version_id
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, print_one, print_rows

REFERENCES: list[Column[Reference]] = [
    Column("NAME", lambda r: r.name),
    Column("VERSION", lambda r: version_id(r.version)),
    Column("MOVED", lambda r: moment(r.moved_at_s)),
    Column("BY", lambda r: r.moved_by),
    Column("KIND", lambda r: r.kind, wide=True),
]


def _described(reference: Reference) -> str:
    return f"{reference.model}:{reference.name} is at {version_id(reference.version)}"


def _told(reference: Reference, shape: Shape) -> None:
    print_one(reference, lambda r, wide: [_described(r)], lambda r: f"{r.model}:{r.name}", shape)


def _name(reference: Reference) -> str:
    return f"{reference.model}:{reference.name}"


def _either(kind: str, of: str, ref: str, name: str, delete: bool, force: bool, expected: str | None, why: str, shape: Shape) -> None:
    """Without NAME a list; else make or move; with --delete remove."""
    with calls(kind) as store:
        if delete:
            if name or ":" not in ref:
                raise WrongUsage("--delete needs a reference", f"for example `aiosctl {'data' if kind == 'dataset' else kind} {of} --delete digits:try-3`")
            gone = store.remove_reference(ref, of=of, force=force, expected=expected, why=why)
            print_one(gone, lambda r, wide: [f"{_name(r)} is gone; it was at {version_id(r.version)}"], _name, shape)
        elif not name:
            print_rows(store.references(ref, of), REFERENCES, _name, shape, nothing=f"{ref} has none")
        elif of == "alias":
            _told(store.alias(ref, name, expected=expected, why=why), shape)
        else:
            move = store.branch if of == "branch" else store.tag
            _told(move(ref, name, force=force, expected=expected, why=why), shape)


def _reference_options(function: Any) -> Any:
    for option in (
        click.option("--why", default="", metavar="TEXT", help="Kept with the move."),
        click.option("--expected", metavar="ID", help="Only if it is at this version now; '': only if it is not there."),
        click.option("-d", "--delete", is_flag=True, help="Remove it; versions stay until nothing keeps them."),
        click.argument("name", default=""),
        click.argument("ref", type=REF),
    ):
        function = option(function)
    return output_options(function)


@verb("aiosctl model branch digits", "aiosctl model branch digits:main try-3", "aiosctl model branch --delete digits:try-3")
@_reference_options
@click.option("-f", "--force", is_flag=True, help="Also back or sideways, so that versions are left behind.")
def branch(ref: str, name: str, delete: bool, force: bool, expected: str | None, why: str, shape: Shape, kind: str) -> None:
    """List the branches of the model REF; or make the branch NAME at REF, or move it there."""
    _either(kind, "branch", ref, name, delete, force, expected, why, shape)


@verb("aiosctl model tag digits", "aiosctl model tag digits:main v1.2", "aiosctl model tag --delete digits:v1.2")
@_reference_options
@click.option("-f", "--force", is_flag=True, help="Also a tag that is there.")
def tag(ref: str, name: str, delete: bool, force: bool, expected: str | None, why: str, shape: Shape, kind: str) -> None:
    """List the tags of the model REF; or name the version REF for good. Tags like v1.2 are found by ranges: digits:^1."""
    _either(kind, "tag", ref, name, delete, force, expected, why, shape)


@verb("aiosctl model alias digits", "aiosctl model alias digits:v1.2 prod --why 'passed review'", "aiosctl model alias digits:main prod --expected @3f2a9c")
@_reference_options
def alias(ref: str, name: str, delete: bool, expected: str | None, why: str, shape: Shape, kind: str) -> None:
    """List the aliases of the model REF; or let the alias NAME lead to the version REF."""
    _either(kind, "alias", ref, name, delete, False, expected, why, shape)


@verb("aiosctl model rollback digits:prod --why 'drifts'", "aiosctl model rollback digits", "aiosctl model rollback digits:prod --to v1.1")
@click.argument("ref", type=REF)
@click.option("--to", default="", type=REF, metavar="REF", help="Any version of it; where it was before where none is named.")
@click.option("--expected", metavar="ID", help="Only if it is at this version now.")
@click.option("--why", default="", metavar="TEXT", help="Kept with the move.")
@output_options
def rollback(ref: str, to: str, expected: str | None, why: str, shape: Shape, kind: str) -> None:
    """Move a reference of a model back, in one step; a bare name is its main. What it leaves stays in the history; again: further back."""
    with calls(kind) as store:
        _told(store.rollback(ref, to=to, expected=expected, why=why), shape)


@verb("aiosctl model merge digits try-3", "aiosctl model merge digits try-3 --into prod-line --theirs -m 'take the larger one'")
@click.argument("name", type=NAME)
@click.argument("source", type=REF)
@click.option("--into", default="main", show_default=True, metavar="BRANCH", help="The branch that moves.")
@click.option("--ours", is_flag=True, help="Where both went on: keep the content of the branch.")
@click.option("--theirs", is_flag=True, help="Where both went on: take the content of SOURCE.")
@click.option("-m", "--message", default="", help="Of a version that is made.")
@click.option("--expected", default="", metavar="ID", help="Only if the branch is at this version now.")
@output_options
def merge(name: str, source: str, into: str, ours: bool, theirs: bool, message: str, expected: str, shape: Shape, kind: str) -> None:
    """Bring the version SOURCE of the model NAME into a branch: by going forward, or as a version with both histories and one side's content."""
    if ours and theirs:
        raise WrongUsage("--ours and --theirs exclude each other", "choose whose content it is to have")
    strategy = "ours" if ours else "theirs" if theirs else "ff"
    with calls(kind) as store:
        done = store.merge(name, source, into=into, strategy=strategy, message=message, expected=expected)
    print_one(done, lambda m, wide: [f"{name}:{into} is at {version_id(m.version.id)}: {m.how}"], lambda m: str(m.version), shape)


@verb("aiosctl model revert digits", "aiosctl model revert digits@3f2a9c --branch try-3")
@click.argument("ref", type=REF)
@click.option("-b", "--branch", "onto", default="main", show_default=True, metavar="NAME", help="The branch that the new version is on.")
@click.option("-m", "--message", default="", help="Why.")
@click.option("--expected", default="", metavar="ID", help="Only if the branch is at this version now.")
@output_options
def revert(ref: str, onto: str, message: str, expected: str, shape: Shape, kind: str) -> None:
    """Undo what the version REF of a model changed, file by file, as a new version; what came after it stays."""
    with calls(kind) as store:
        made = store.revert(ref, branch=onto, message=message, expected=expected)
    print_one(made, lambda v, wide: [f"{v.model}:{onto} is at {version_id(v.id)}: {v.message}"], str, shape)

"""`admin`: maintenance of the daemon's state, also while no daemon can run."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from aiosctl import session
from aiosctl.failures import FAILED, leave
from aiosctl.lazy import Nouns, verb
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, escaped, print_one, print_rows, section

if TYPE_CHECKING:
    from aios.admin import Backup, Finding

F = TypeVar("F", bound=Callable[..., Any])
TABLE = {
    "user": ("aiosctl.users:user", "Users: ls, show, set: roles, limits, what they use"),
    "token": ("aiosctl.tokens:token", "Bearer tokens: create, ls, revoke"),
    "audit": ("aiosctl.audit:audit", "Who did what; is the trail of it whole?"),
    "tls": ("aiosctl.admin_tls:tls", "Keys and certificates for the network: init, server, client"),
    "backup": ("aiosctl.admin:backup", "Back the daemon's state up into a file, while all goes on"),
    "restore": ("aiosctl.admin:restore", "Put a backup in place, while no daemon runs"),
    "check": ("aiosctl.admin:check", "Check the daemon's state, and repair it; also a damaged one"),
}


def _place_options(function: F) -> F:
    """Whose state it is, where no daemon is asked; handed over as `place`, the words for `python -m aiosd`."""

    @wraps(function)
    def placed(*args: Any, system: bool, state_directory: str | None, config: str | None, **kwargs: Any) -> Any:
        named = (("--state-directory", state_directory), ("--config", config))
        return function(*args, place=[*(["--system"] if system else []), *(word for pair in named if pair[1] for word in pair)], **kwargs)

    for option in (
        click.option("--config", metavar="FILE", help="Without a daemon: by this configuration file."),
        click.option("--state-directory", metavar="DIR", help="Without a daemon: of this directory."),
        click.option("--system", is_flag=True, help="Without a daemon: of the machine's, not of your own."),
    ):
        placed = option(placed)
    return cast(F, placed)


@click.group(cls=Nouns, table=TABLE)
def admin() -> None:
    """Look after the daemon's state."""


@verb("aiosctl admin backup /var/backups/aios.tar.gz", "aiosctl admin backup --system --offline aios.tar.gz")
@click.argument("file", type=click.Path(resolve_path=True))
@click.option("--without-models", is_flag=True, help="Without the bytes of models and datasets.")
@click.option("--offline", is_flag=True, help="Do not ask the daemon; also the way where none runs.")
@_place_options
@output_options
def backup(file: str, place: list[str], without_models: bool, offline: bool, shape: Shape) -> None:
    """Back everything up into a new FILE on the daemon's machine: database, the ends of runs, and the outputs that it keeps.

    The bytes of models and datasets go into the directory FILE.models; what another backup beside it has, too, takes no more room.
    Nothing stops for it. Not in it: checkpoints, scratch, secrets and keys, files that jobs were told to write elsewhere.
    """
    if offline or not _daemon_answers():
        leave(_by_itself("admin-backup", file, *_models(without_models), *place))
    with session.connect(autostart=False) as client:
        done = client.backup(file, models=not without_models)
    print_one(done, _layout, lambda d: d.path, shape)


def _layout(done: "Backup", wide: bool) -> list[str]:
    from aios.units import format_bytes

    rows = [("jobs", str(done.jobs)), ("size", format_bytes(done.bytes)), ("took", f"{done.took_s:.1f} s"), ("sha256", done.sha256)]
    if done.models_bytes:
        rows.append(("models", f"{format_bytes(done.models_bytes)}, {format_bytes(done.models_new_bytes)} of it new"))
    if done.models_lost:
        rows.append(("lost", f"{done.models_lost} files of the store of models are gone: aiosctl admin check"))
    return section(f"Backup {escaped(done.path)}", rows)


@verb("sudo aiosctl admin restore --system /var/backups/aios.tar.gz", "aiosctl admin restore --force aios.tar.gz")
@click.argument("file", type=click.Path(resolve_path=True))
@click.option("--force", is_flag=True, help="Into a state directory that is used, too.")
@click.option("--without-models", is_flag=True, help="Leave the bytes of models and datasets as they are there.")
@_place_options
def restore(file: str, force: bool, without_models: bool, place: list[str]) -> None:
    """Put the backup FILE in place, while no daemon runs; every digest is verified before anything is touched.

    Jobs that ran when it was made end as lost, or are tried again where their --retries say so; jobs that waited go on waiting.
    A state directory that is used is refused without --force, which moves what is there aside and removes nothing.
    """
    leave(_by_itself("admin-restore", file, *(["--force"] if force else []), *_models(without_models), *place))


def _models(without: bool) -> list[str]:
    return ["--without-models"] if without else []


@verb("aiosctl admin check", "aiosctl admin check --repair", "sudo aiosctl admin check --system --repair --offline")
@click.option("--repair", is_flag=True, help="Do something about what can be repaired, and say what was done.")
@click.option("--offline", is_flag=True, help="Do not ask the daemon. Rows of the database are repaired only so.")
@_place_options
@output_options
def check(place: list[str], repair: bool, offline: bool, shape: Shape) -> None:
    """Check every row, file, directory and process against the others: by the daemon, or where none runs by a process of its own.

    Exit status: 0 all is well, or was repaired; 1 something is wrong.
    """
    if offline or not _daemon_answers():
        leave(_by_itself("admin-check", *(["--repair"] if repair else []), *place))
    with session.connect(autostart=False) as client:
        found = client.check(repair=repair)
    columns: list[Column[Finding]] = [
        Column("SUBJECT", lambda f: f.subject),
        Column("PROBLEM", lambda f: f.problem),
        Column("REPAIRED", lambda f: "yes" if f.repaired else "no"),
        Column("ACTION", lambda f: f.action),
    ]
    print_rows(found.findings, columns, lambda f: f.subject, shape, nothing=f"all is well: {found.checked} things were looked at")
    leave(0 if found.sound else FAILED)


def _daemon_answers() -> bool:
    """Whether a daemon can be asked; nothing is started, and one that is away is not waited for."""
    from aios import daemon as process

    return process.status(session.target()).running


def _by_itself(*words: str) -> int:
    """A process that has the daemon's code: a daemon does not start on a damaged database.

    -P: root may run this where somebody else put a module of that name.
    """
    from subprocess import call

    status = call([sys.executable, "-P", "-m", "aiosd", *words])
    return status if status >= 0 else 128 - status

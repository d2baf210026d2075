"""`admin`: maintenance of the daemon's state, also while no daemon can run."""

import sys

import click

from aiosctl.failures import leave
from aiosctl.lazy import Nouns, verb

TABLE = {
    "user": ("aiosctl.users:user", "Users: ls, show, set: roles, limits, what they use"),
    "token": ("aiosctl.tokens:token", "Bearer tokens: create, ls, revoke"),
    "audit": ("aiosctl.audit:audit", "Who did what; is the trail of it whole?"),
    "check": ("aiosctl.admin:check", "Check the daemon's database; also a damaged one"),
    "tls": ("aiosctl.admin_tls:tls", "Keys and certificates for the network: init, server, client"),
}


@click.group(cls=Nouns, table=TABLE)
def admin() -> None:
    """Look after the daemon's state."""


@verb("aiosctl admin check", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def check(arguments: tuple[str, ...]) -> None:
    """Check the daemon's database: run by a process of its own, since a daemon does not start on a damaged one.

    ARGS go to `python -m aiosd admin-check`. Exit status: its own.
    """
    from subprocess import call

    status = call([sys.executable, "-m", "aiosd", "admin-check", *arguments])
    leave(status if status >= 0 else 128 - status)

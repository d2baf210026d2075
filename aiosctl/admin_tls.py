"""`admin tls`: keys and certificates for the daemon's network addresses, made by a process of its own."""

import sys

import click

from aiosctl.failures import leave
from aiosctl.lazy import Nouns, verb

TABLE = {
    "init": ("aiosctl.admin_tls:init", "Make an authority, and the server's key and certificate"),
    "server": ("aiosctl.admin_tls:server", "Make another certificate of the server, by the same authority"),
    "client": ("aiosctl.admin_tls:client", "Make a certificate for a user of this machine"),
}

_system = click.option("--system", is_flag=True, help="Of the machine's daemon, not of your own.")
_force = click.option("--force", is_flag=True, help="Replace what is there.")
_hosts = click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name or address by which clients reach this machine; may be repeated.")


@click.group(cls=Nouns, table=TABLE)
def tls() -> None:
    """Keys and certificates. They go to `tls` in the daemon's state directory, readable by its user only."""


@verb("aiosctl admin tls init --host gpu1.example.org", "sudo aiosctl admin tls init --system --host gpu1")
@_hosts
@_system
@_force
def init(hosts: tuple[str, ...], system: bool, force: bool) -> None:
    """Make an authority, and the server's key and certificate; without --host for the names that this machine knows itself by.

    Then set `listen` or `listen_certificates` in [rpc], and restart the daemon.
    """
    _make(system, "init", *(word for host in hosts for word in ("--host", host)), force=force)


@verb("aiosctl admin tls server --force --host gpu1.example.org")
@_hosts
@_system
@_force
def server(hosts: tuple[str, ...], system: bool, force: bool) -> None:
    """Make another key and certificate of the server: when the old one runs out, or the machine gets another name."""
    _make(system, "server", *(word for host in hosts for word in ("--host", host)), force=force)


@verb("aiosctl admin tls client ada", "sudo aiosctl admin tls client ada --system --days 90")
@click.argument("user")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long it is good.")
@_system
@_force
def client(user: str, days: int, system: bool, force: bool) -> None:
    """Make a key and a certificate for a user of this machine, who is known by it at `rpc.listen_certificates`."""
    _make(system, "client", user, "--days", str(days), force=force)


def _make(system: bool, *words: str, force: bool) -> None:
    from subprocess import call  # -P: root may run this where somebody else put a module of that name

    flags = ["--system"] if system else []
    status = call([sys.executable, "-P", "-m", "aiosd", "admin-tls", *flags, *words, *(["--force"] if force else [])])
    leave(status if status >= 0 else 128 - status)

"""`daemon`: the user's own daemon as a process; the system's belongs to systemctl."""

import sys
import time
from dataclasses import dataclass

import click

from aiosctl import describe, session
from aiosctl.failures import UNREACHABLE, Refused, leave
from aiosctl.lazy import Nouns, verb
from aiosctl.options import DURATION, output_options
from aiosctl.output import Shape, escaped, print_one, section

TABLE = {
    "start": ("aiosctl.daemon:start", "Start it, unless it runs"),
    "stop": ("aiosctl.daemon:stop", "Stop it; running jobs go on"),
    "status": ("aiosctl.daemon:status", "Whether it runs, and how it does"),
    "logs": ("aiosctl.daemon:logs", "What it logged"),
    "reload": ("aiosctl.daemon:reload", "Have it read its configuration again"),
    "install": ("aiosctl.install:install", "Put the service and shell completions in place"),
    "uninstall": ("aiosctl.install:uninstall", "Remove what install put in place"),
}


@dataclass(frozen=True, slots=True)
class Status:
    """What `daemon status` says; times in Unix seconds, 0 and "" where it does not run."""

    target: str
    running: bool
    pid: int
    log_file: str
    version: str = ""
    started_at_s: float = 0.0
    memory_bytes: int = 0
    state_directory: str = ""
    config_file: str = ""
    database: str = ""
    warnings: tuple[str, ...] = ()


@click.group(cls=Nouns, table=TABLE)
def daemon() -> None:
    """Your own daemon. The system's is steered by `systemctl start|stop|status aiosd`."""


@verb("aiosctl daemon start")
def start() -> None:
    """Start your own daemon, unless it runs; returns when it answers."""
    from aios import daemon as process

    found = process.start()
    print(f"aiosd runs at {found.target}, pid {found.pid}")


@verb("aiosctl daemon stop", "aiosctl daemon stop --timeout 60s")
@click.option("--timeout", type=DURATION, default=30.0, show_default="30s", help="Wait so long until it is gone.")
def stop(timeout: float) -> None:
    """Stop the daemon in order and wait until it is gone. Running jobs go on; the next daemon takes them over."""
    from aios import daemon as process

    stopped = process.stop(session.target(), timeout=timeout)
    print("aiosd has stopped; running jobs go on" if stopped else "no daemon was running")


@verb("aiosctl daemon status", "aiosctl daemon status -o json")
@output_options
def status(shape: Shape) -> None:
    """Say whether the daemon runs, and how it does; starts none. Exit status 5 when it does not run."""
    found = _status()
    print_one(found, _layout, lambda s: s.target, shape)
    leave(0 if found.running else UNREACHABLE)


@verb("aiosctl daemon logs --tail 50", "aiosctl daemon logs -f")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written; Ctrl-C ends it.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
def logs(follow: bool, tail: int | None) -> None:
    """Print the log of the daemon that was started by itself. The system's: `journalctl -u aiosd`."""
    from aios import daemon as process

    path = process.log_file()
    if not path.exists():
        raise Refused(f"there is no log at {path}", "it is written when your own daemon starts; the system's: `journalctl -u aiosd`")
    size = path.stat().st_size
    for line in process.log_lines(tail):
        print(escaped(line))
    if follow:
        _follow(str(path), size)


@verb("aiosctl daemon reload")
def reload() -> None:
    """Have the daemon read its configuration again; says what changed and what needs a restart."""
    with session.connect(autostart=False) as client:
        done = client.reload()
    for name in done.applied:
        print(f"changed: {escaped(name)}")
    for name in done.needs_restart:
        print(f"needs a restart: {escaped(name)}")
    if not done.applied and not done.needs_restart:
        print("nothing has changed")


def _status() -> Status:
    """What the process table says, and where it answers what it says of itself."""
    from aios import daemon as process
    from aios.errors import AiosError

    found = process.status(session.target())
    plain = Status(found.target, found.running, found.pid, str(found.log_file))
    try:
        with session.connect(autostart=False) as client:
            node = client.node(timeout=5.0)
    except AiosError:
        return plain
    said = node.daemon
    return Status(
        found.target, True, said.pid or found.pid, said.log_file or plain.log_file, said.version, said.started_at_s, said.memory_bytes,
        said.state_directory, said.config_file, said.database, node.warnings,
    )  # fmt: skip


def _layout(status: Status, wide: bool) -> list[str]:
    state = "running" if status.running and status.version else "runs, but does not answer" if status.running else "not running"
    return section(f"aiosd at {escaped(status.target)}", [
        ("state", state), ("pid", str(status.pid) if status.pid else ""), ("version", status.version),
        ("started", describe.ago(status.started_at_s, time.time())),
        ("memory", describe.size(status.memory_bytes)), ("state directory", status.state_directory),
        ("configuration", status.config_file or ("none: defaults" if status.version else "")), ("database", status.database), ("log", status.log_file),
        *(("warning", warning) for warning in status.warnings),
    ])  # fmt: skip


def _follow(path: str, offset: int) -> None:
    """Print what is added to the file, from `offset` on; a log that was made anew is read from its beginning."""
    import os

    while True:
        with open(path, "rb") as file:
            offset = min(offset, os.fstat(file.fileno()).st_size)
            file.seek(offset)
            added = file.read()
        if added:
            offset += len(added)
            for line in added.decode("utf-8", "replace").splitlines():
                print(escaped(line))
            sys.stdout.flush()
        time.sleep(0.25)  # a log file has nobody to wake us

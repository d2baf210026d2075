"""The one place where a verb gets its client: the daemon that `--target` or the environment names."""

from typing import TYPE_CHECKING

import click

from aiosctl.failures import warn

if TYPE_CHECKING:
    from aios import Client
    from aios.errors import AiosError


def target() -> str | None:
    """What `--target` said, before or after the verb; None leaves the choice to the SDK."""
    given: str | None = click.get_current_context().meta.get("aiosctl.target")
    return given


def connect(*, autostart: bool = True, timeout: float = 30.0, patience: float | None = None) -> "Client":
    """A client of the daemon; with `autostart` the user's own daemon is started when there is none.

    timeout   seconds that a call may take
    patience  seconds that a follower waits for a daemon that went away; None: as the SDK has it
    """
    from aios import Client

    return Client(target(), autostart=autostart, timeout=timeout, patience=patience, on_away=_tell_absence)


def _tell_absence(error: "AiosError") -> None:
    """Once for each absence, however many streams wait for the daemon."""
    warn(f"{error}; waiting for it, jobs go on")

"""The one place where a verb gets its client: the daemon that `--target` or the environment names."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from aios import Client


def target() -> str | None:
    """What `--target` said, before or after the verb; None leaves the choice to the SDK."""
    given: str | None = click.get_current_context().meta.get("aiosctl.target")
    return given


def connect(*, autostart: bool = True) -> "Client":
    """A client of the daemon; with `autostart` the user's own daemon is started when there is none."""
    from aios import Client

    return Client(target(), autostart=autostart)

"""`model push` and `model pull`: versions from one daemon to another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aiosctl.completing import REF
from aiosctl.lazy import verb
from aiosctl.model_describe import calls, progress_line, size, version_id
from aiosctl.options import output_options
from aiosctl.output import Shape, print_one


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--as", "name", default="", metavar="NAME", help="The name that it has there; the same where none is given."),
        click.option("-b", "--branch", default="", metavar="NAME", help="That goes forward to it; the one that REF names, else main."),
        click.option("--history", is_flag=True, help="With the bytes of all versions before it; without, only what is said of them goes along."),
        click.option("--token-file", type=click.Path(), help="With the token for the other daemon; AIOS_TOKEN counts for both."),
        click.option("--allow-pickle", "allow_flagged", is_flag=True, help="Also what is flagged; it is flagged there, too."),
        output_options,
    ):
        command = option(command)
    return command


@verb("aiosctl model push digits:prod --to gpu2.lab:7443", "aiosctl model push digits@3f2a9c --to unix:/run/other/aiosd.sock --branch from-lab")
@click.argument("ref", type=REF)
@click.option("--to", "other", required=True, metavar="TARGET", help="The other daemon: host:port or unix:PATH.")
@_options
def push(ref: str, **given: Any) -> None:
    """Bring the version REF of a model to another daemon, where it has the same id.

    Only chunks that are missing there travel; after a break the same command goes on where it was. What is said of the versions before it goes
    along, so that `log` is the same there.
    """
    _brought("push", ref, **given)


@verb("aiosctl model pull digits:prod --from gpu2.lab:7443", "aiosctl model pull digits --from unix:/run/other/aiosd.sock --as lab/digits")
@click.argument("ref", type=REF)
@click.option("--from", "other", required=True, metavar="TARGET", help="The other daemon: host:port or unix:PATH.")
@_options
def pull(ref: str, **given: Any) -> None:
    """Bring the version REF of a model from another daemon here, where it has the same id; what is damaged here is whole again afterwards."""
    _brought("pull", ref, **given)


def _brought(how: str, ref: str, other: str, token_file: str | None, shape: Shape, kind: str, **given: Any) -> None:
    from aios import Client

    token = Path(token_file).read_text(encoding="ascii").strip() if token_file else ""
    with calls(kind) as store, Client(other, autostart=False, token=token) as there, progress_line(f"{how}ing") as on_progress:
        done = getattr(store, how)(ref, there, on_progress=on_progress, **given)
    where, came = ("there", "sent") if how == "push" else ("here", "fetched")
    print_one(done, lambda one, wide: [_told(one, where, came)], lambda one: str(one.version), shape)


def _told(done: Any, where: str, came: str) -> str:
    """`digits@3f2a9c… is version 3 there: 10 of 783 chunks sent, 3.4 MiB`"""
    version = done.version
    what = f"was {where} already, as version {version.number}" if version.existed else f"is version {version.number} {where}"
    much = f"{done.chunks_sent} of {done.chunks_sent + done.chunks_had} chunks {came}, {size(done.bytes_sent)}"
    return f"{version.model}@{version_id(version.id)} {what}: {much}"

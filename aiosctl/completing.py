"""What completes the names of models, references and jobs: the daemon is asked, and nothing is said where none answers soon."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from aiosctl import session

if TYPE_CHECKING:
    from aios import Client

PATIENCE_S = 1.0  # somebody waits for it in the middle of a line
MOST = 200  # names; more than anybody reads


class Known(click.ParamType[str]):
    """A text of which the daemon knows what it may be. `words`: those that may begin with what is there, each with what it stands for."""

    name = "text"

    def __init__(self, words: "Callable[[Client, click.Context, str], Iterable[tuple[str, str]]]") -> None:
        self.words = words

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from aios.errors import AiosError

        with suppress(AiosError), ctx.scope(cleanup=False), session.connect(autostart=False, timeout=PATIENCE_S) as client:
            return [CompletionItem(word, help=about) for word, about in self.words(client, ctx, incomplete) if word.startswith(incomplete)]
        return []


def _store(client: "Client", ctx: click.Context) -> Any:
    """The calls of the noun that the verb belongs to."""
    return client.datasets if getattr(ctx.parent and ctx.parent.command, "kind", "") == "dataset" else client.models


def _names(client: "Client", ctx: click.Context, incomplete: str) -> list[tuple[str, str]]:
    return [(model.name, model.description) for model in _store(client, ctx).search(text=incomplete, limit=MOST) if model.name.startswith(incomplete)]


def _refs(client: "Client", ctx: click.Context, incomplete: str) -> list[tuple[str, str]]:
    """Names; after the colon, or where there is but one name, its references. Beside another version a name may be left out: ":prod"."""
    name, colon, _ = incomplete.partition(":")
    found = [] if colon else _names(client, ctx, incomplete)
    if not colon and len(found) != 1:
        return found
    name = name if colon else found[0][0]
    model = name or str(ctx.params.get("a") or ctx.params.get("name") or "").partition(":")[0]
    return found + [(f"{name}:{each.name}", each.kind) for each in _store(client, ctx).references(model)]


def _jobs(ended: bool) -> "Callable[[Client, click.Context, str], Iterable[tuple[str, str]]]":
    def words(client: "Client", ctx: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
        return ((job.id, f"{job.name}, {job.state.value}") for job in client.jobs(include_ended=ended, limit=MOST))

    return words


NAME, REF = Known(_names), Known(_refs)
JOB, LIVE_JOB = Known(_jobs(ended=True)), Known(_jobs(ended=False))

"""Datasets, kept as models are: registered, versioned, verified; the functions of a default client."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from aios.versions import Model, OnProgress, Reference, Version

if TYPE_CHECKING:
    from aios._model_calls import StoreCalls


def _calls() -> "StoreCalls":
    from aios._default import default_client

    return default_client().datasets


def register(
    name: str, path: str, *, branch: str = "main", message: str = "", labels: Mapping[str, str] | None = None, licence: str = "", card: str = "",
    description: str = "", tags: Sequence[str] = (), expected: str = "", visibility: str = "",
    on_progress: OnProgress | None = None, timeout: float | None = None,
) -> Version:  # fmt: skip
    """Register the file or directory at `path` as the next version on `branch`."""
    return _calls().register(
        name, path, branch=branch, message=message, labels=labels, licence=licence, card=card, description=description, tags=tags,
        expected=expected, visibility=visibility, on_progress=on_progress, timeout=timeout,
    )  # fmt: skip


def checkout(ref: str, to: str = "", *, timeout: float | None = None) -> str:
    """A verified, read-only path of what `ref` names ("mnist:v2"); with `to` a copy of one's own there."""
    return _calls().checkout(ref, to, timeout=timeout)


def export(refs: str | Sequence[str], path: str, *, base: str = "", history: bool = False, replace: bool = False) -> tuple[Version, ...]:
    """Write versions to a bundle at `path`; see `StoreCalls.export`."""
    return _calls().export(refs, path, base=base, history=history, replace=replace)


def import_(path: str, name: str = "", *, format: str = "bundle", branch: str = "") -> tuple[Version, ...]:
    """Take a bundle (or "oci", "hf") that lies at `path`; see `StoreCalls.import_`."""
    return _calls().import_(path, name, format=format, branch=branch)


def datasets(*, text: str = "") -> list[Model]:
    """Those that may be read, by name."""
    return _calls().search(text=text)


def version(ref: str, *, listing: bool = False) -> Version:
    return _calls().version(ref, listing=listing)


def versions(ref: str, *, all: bool = False) -> Iterator[Version]:
    """A version and those before it, newest first; `all`: every one of the dataset."""
    return _calls().log(ref, all=all)


def references(name: str, of: str = "") -> list[Reference]:
    return _calls().references(name, of)

"""`model register` and `model checkout`: into the store, and out of it."""

import os
from pathlib import Path
from typing import Any

import click

from aios import downloads
from aios.downloads import Download
from aiosctl import session
from aiosctl.completing import JOB, NAME, REF
from aiosctl.describe import moment
from aiosctl.failures import FAILED, leave, tell
from aiosctl.lazy import verb
from aiosctl.model_describe import calls, format_of, metrics, progress_line, size, version_id
from aiosctl.options import PAIR, Value, output_options
from aiosctl.output import Column, Shape, print_one, print_rows


def _metric(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        if name and equals:
            return name, float(value)
    except ValueError:
        pass
    raise ValueError(f"{text[:60]!r} is not NAME=NUMBER")


METRIC = Value("name=number", _metric, "accuracy=0.97")


@verb(
    "aiosctl model register digits model.onnx --metric accuracy=0.97 -m 'more layers'",
    "aiosctl model register vision/digits ./saved --branch try-3 --label team=vision",
    "aiosctl model register digits model.onnx --tag v1.2 --expected @3f2a9c --card README.md",
)
@click.argument("name", type=NAME)
@click.argument("path", type=click.Path(resolve_path=False))
@click.option("-b", "--branch", default="main", show_default=True, metavar="NAME", help="Made where it is new.")
@click.option("-m", "--message", default="", help="What is new about it.")
@click.option("--metric", "metric", multiple=True, type=METRIC, help="What was measured; repeat it.")
@click.option("--label", "label", multiple=True, type=PAIR, help="Anything else; repeat it.")
@click.option("--tag", "tags", multiple=True, metavar="NAME", help="Tag it, too; repeat it.")
@click.option("--licence", default="", metavar="TEXT", help="Such as Apache-2.0.")
@click.option("--card", type=click.Path(), help="A file in Markdown that says what it is.")
@click.option("--description", default="", metavar="TEXT", help="Of a new name.")
@click.option("--expected", default="", metavar="ID", help="Only if the branch is at this version.")
@click.option("--parent", "parents", multiple=True, metavar="REF", help="A version it was made from, beside what the branch is at; repeat it.")
@click.option("--visibility", type=click.Choice(["private", "group", "everyone"]), help="Of a new name; private where none is given.")
@click.option("--group", default="", metavar="GROUP", help="The Unix group of visibility group, one of yours.")
@click.option("--allow-pickle", "allow_flagged", is_flag=True, help="It may be used though it is flagged; takes an operator.")
@click.option("--upload/--by-path", default=None, help="Send the bytes, or have the daemon read them; as it is on this machine or not.")
@output_options
def register(
    name: str, path: str, metric: tuple[tuple[str, float], ...], label: tuple[tuple[str, str], ...], card: str | None, visibility: str | None, shape: Shape,
    kind: str, **given: Any,
) -> None:  # fmt: skip
    """Register the file or directory PATH as the next version of the model NAME.

    A daemon of this machine reads it itself, as you; to one elsewhere it is uploaded, and after a break the same command goes on
    where it was. Only what is not there yet is stored. Where the branch is at just this already, nothing is made. The version knows of the
    git checkout you are in, and of the packages of the `python` that you would start.
    """
    text = Path(card).read_text(encoding="utf-8") if card is not None else ""
    with calls(kind) as store, progress_line("registering") as on_progress:
        made = store.register(
            name, path, metrics=dict(metric), labels=dict(label), card=text, visibility=visibility or "", python=_python_here(), on_progress=on_progress,
            **given,
        )  # fmt: skip
    print_one(made, lambda v, wide: [_told(v, given["branch"])], str, shape)


def _python_here() -> str:
    """The interpreter that `python` starts in this shell, whose packages may have made the model; ours are those of aiosctl. "": there is none."""
    import shutil

    environment = os.environ.get("VIRTUAL_ENV", "")
    path = os.pathsep.join(([f"{environment}/bin"] if environment else []) + [os.environ.get("PATH", os.defpath)])
    return shutil.which("python", path=path) or shutil.which("python3", path=path) or ""


def _told(made: Any, branch: str) -> str:
    """`digits@3f2a9c… is version 3 on main: onnx, accuracy=0.97`"""
    said = ", ".join(word for word in (format_of(made.schema), metrics(made.metrics)) if word)
    what = f"is on {branch} already, as version {made.number}" if made.existed else f"is version {made.number} on {branch}"
    flagged = f"; it is {made.state}: {'; '.join(made.reasons)}" if made.state != "registered" else ""
    return f"{made.model}@{version_id(made.id)} {what}: {said}{flagged}"


@verb("aiosctl model checkout digits:prod", "aiosctl model checkout digits:main~1 ./old.onnx", "cp $(aiosctl model checkout digits) /tmp")
@click.argument("ref", type=REF)
@click.argument("to", default="", type=click.Path(resolve_path=False))
@click.option("--allow-pickle", "allow_flagged", is_flag=True, help="Also what is flagged, because loading it may run code; takes its owner or an operator.")
@click.option("--download/--in-place", default=None, help="Fetch the bytes, or have the daemon put them there; as it is on this machine or not.")
def checkout(ref: str, to: str, allow_flagged: bool, download: bool | None, kind: str) -> None:
    """Print a verified, read-only path of the version REF of a model; with TO make a copy of your own there, and print that.

    From a daemon elsewhere it is downloaded: without TO into ~/.cache/aios, where a version lies once; after a break the same command
    goes on where it was.
    """
    with calls(kind) as store, progress_line("checking out") as on_progress:
        path = store.checkout(ref, to, allow_flagged=allow_flagged, download=download, on_progress=on_progress)
    print(path)


DOWNLOADS: list[Column[Download]] = [
    Column("SIZE", lambda one: size(one.size)),
    Column("USED", lambda one: moment(one.used_at_s)),
    Column("IN USE", lambda one: "yes" if one.in_use else "no"),
    Column("PATH", lambda one: str(one.path)),
]


@verb("aiosctl model cache", "aiosctl model cache --clear")
@click.option("--clear", is_flag=True, help="Remove all that no running process was handed.")
@output_options
def cache(clear: bool, shape: Shape, kind: str) -> None:
    """List what was downloaded from daemons elsewhere, models and datasets alike, the last used first.

    All of it takes at most AIOS_CACHE_BYTES (50GiB): what was used longest ago goes first, and never what a running process was handed.
    """
    if clear:
        print(f"{size(downloads.clear())} are free again")
        return
    print_rows(downloads.cached(), DOWNLOADS, lambda one: str(one.path), shape, nothing="nothing was downloaded")


@verb("aiosctl model outputs 42")
@click.argument("job", type=JOB)
def outputs(job: str, kind: str) -> None:
    """Try again to register what JOB was to leave as models (--model-output), where that failed when it had succeeded."""
    with session.connect() as client:
        problems = client.models.register_outputs(job)
    for problem in problems:
        tell(problem, "")
    if not problems:
        print(f"all that job {job} has left is registered")
    leave(FAILED if problems else 0)

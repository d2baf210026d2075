"""`model export` and `model import`: versions in files, to carry to where no daemon answers."""

from pathlib import Path

import click

from aios.versions import Version
from aiosctl.failures import WrongUsage
from aiosctl.lazy import verb
from aiosctl.model_describe import calls, format_of, progress_line, size, version_id
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, print_rows

VERSIONS: list[Column[Version]] = [
    Column("MODEL", lambda v: v.model, cut=True),
    Column("VERSION", lambda v: version_id(v.id)),
    Column("NUMBER", lambda v: str(v.number), right=True),
    Column("FORMAT", lambda v: format_of(v.schema)),
    Column("SIZE", lambda v: size(v.size)),
    Column("STATE", lambda v: "here already" if v.existed else v.state),
]
FORMATS = click.Choice(["bundle", "oci", "hf"])


@verb(
    "aiosctl model export digits:prod digits.aios",
    "aiosctl model export digits:v1.3 update.aios --base digits:v1.2",
    "aiosctl model export digits:prod digits.tar --format oci",
    "aiosctl model export digits ./digits-hub --format hf",
    name="export",
)
@click.argument("what", nargs=-1, required=True, metavar="REF... PATH")
@click.option("--format", type=FORMATS, default="bundle", show_default=True, help="oci: an image layout with a ModelPack; hf: a hub's directory.")
@click.option("--base", default="", metavar="REF", help="A version that the other side has: what it has is left out.")
@click.option("--history", is_flag=True, help="With all versions before, back to the base.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--allow-pickle", "allow_flagged", is_flag=True, help="Also what is flagged; takes its owner or an operator.")
@output_options
def export_versions(what: tuple[str, ...], format: str, base: str, history: bool, force: bool, allow_flagged: bool, shape: Shape, kind: str) -> None:
    """Write the versions REF of a model to PATH, as you: a bundle, in which they keep their ids, or the layout of another house."""
    *refs, path = what
    if not refs:
        raise WrongUsage("the path is missing", f"for example `aiosctl model export {path} {Path(path).name.partition(':')[0]}.aios`")
    with calls(kind) as store, progress_line("exporting") as on_progress:
        done = store.export(
            refs, path, format=format, base=base, history=history, replace=force, allow_flagged=allow_flagged, on_progress=on_progress
        )  # fmt: skip
    print_rows(done, VERSIONS, lambda v: v.id, shape)


@verb(
    "aiosctl model import digits.aios",
    "aiosctl model import digits.aios --as edge/digits --branch field",
    "aiosctl model import ./layout --format oci --as digits",
    "aiosctl model import ~/.cache/huggingface/hub/models--org--name/snapshots/REVISION --format hf --as name",
    name="import",
)
@click.argument("path", type=click.Path(resolve_path=False))
@click.option("--as", "name", default="", metavar="NAME", help="What it is called here; a bundle says it itself.")
@click.option("--format", type=FORMATS, default="bundle", show_default=True, help="oci: an image layout with a ModelPack; hf: a hub's directory.")
@click.option("-b", "--branch", default="", metavar="NAME", help="Where it goes; as the bundle says, else main.")
@output_options
def import_versions(path: str, name: str, format: str, branch: str, shape: Shape, kind: str) -> None:
    """Take the versions in the bundle PATH, ids and all; or make a version of what lies at PATH in the layout of another house.

    All of it is verified and examined before any of it is kept. A branch only goes forward; where it has gone another way, name another one.
    """
    with calls(kind) as store, progress_line("importing") as on_progress:
        made = store.import_(path, name, format=format, branch=branch, on_progress=on_progress)
    print_rows(made, VERSIONS, lambda v: v.id, shape)

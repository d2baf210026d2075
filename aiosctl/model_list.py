"""`model ls`, `show` and `log`: what there is, all about it, and how it came to be."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import click

from aios.versions import Model, Move, Reference, Signature, Version
from aiosctl.completing import REF
from aiosctl.describe import moment, versions
from aiosctl.failures import WrongUsage
from aiosctl.lazy import verb
from aiosctl.model_care import print_usage
from aiosctl.model_describe import COLOURS, age, calls, first_line, format_of, labels, many, metric_rows, metrics, parameters, shown, size, tensors, version_id
from aiosctl.options import COUNT, PAIR, output_options
from aiosctl.output import Column, Shape, print_lines, print_one, print_rows, section


def _format(version: Version) -> str:
    """`pickle, flagged`: what is wrong with it is seen in a list, too."""
    return ", ".join(word for word in (version.schema.format, version.state if version.state in COLOURS else "") if word)


def _state(model: Model) -> str:
    return "damaged" if model.damaged else shown(model, lambda version: version.state)


MODELS: list[Column[Model]] = [
    Column("NAME", lambda m: m.name),
    Column("VERSIONS", lambda m: str(m.versions), right=True, spare=True),
    Column("LATEST", lambda m: shown(m, lambda v: version_id(v.id))),
    Column("FORMAT", lambda m: "damaged" if m.damaged else shown(m, _format), colour=lambda m: COLOURS.get(_state(m), "")),
    Column("METRICS", lambda m: shown(m, lambda v: metrics(v.metrics)), cut=True),
    Column("SIZE", lambda m: shown(m, lambda v: size(v.size)), right=True),
    Column("CHANGED", lambda m: shown(m, lambda v: age(v.created_at_s))),
    Column("OWNER", lambda m: m.owner, spare=True),
    Column("ALL", lambda m: size(m.size), right=True, wide=True),
    Column("STORED", lambda m: size(m.stored_bytes), right=True, wide=True),
    Column("VISIBILITY", lambda m: m.group if m.visibility == "group" else m.visibility, wide=True),
    Column("DESCRIPTION", lambda m: first_line(m.damaged or m.description), wide=True),
]
FOUND = [replace(column, title="FOUND") if column.title == "LATEST" else column for column in MODELS]
STORAGE = [column for column in MODELS if column.title in ("NAME", "VERSIONS", "OWNER")] + [
    Column("SIZE", lambda m: size(m.size), right=True),
    Column("STORED", lambda m: size(m.stored_bytes), right=True),
]
VERSIONS: list[Column[Version]] = [
    Column("VERSION", lambda v: version_id(v.id)),
    Column("NO", lambda v: str(v.number), right=True, spare=True),
    Column("REFERENCES", lambda v: " ".join(v.references)),
    Column("WHEN", lambda v: moment(v.created_at_s)[:-3]),  # without seconds there is room for METRICS at 80 columns
    Column("AUTHOR", lambda v: v.author, spare=True),
    Column("STATE", lambda v: v.state, colour=lambda v: COLOURS.get(v.state, "")),
    Column("METRICS", lambda v: metrics(v.metrics), cut=True, spare=True),
    Column("MESSAGE", lambda v: first_line(v.message), cut=True),
    Column("PARENTS", lambda v: " ".join(map(version_id, v.parents)), wide=True),
    Column("SIZE", lambda v: size(v.size), right=True, wide=True),
    Column("STORED", lambda v: size(v.stored_bytes), right=True, wide=True),
    Column("JOB", lambda v: v.lineage.job_id or "-", wide=True),
]
MOVES: list[Column[Move]] = [
    Column("WHEN", lambda m: moment(m.at_s)),
    Column("REFERENCE", lambda m: m.reference),
    Column("KIND", lambda m: m.kind, spare=True),
    Column("FROM", lambda m: version_id(m.source) or "-"),
    Column("TO", lambda m: version_id(m.target) or "-"),
    Column("WHO", lambda m: m.who),
    Column("WHY", lambda m: first_line(m.why), cut=True),
]


@verb(
    "aiosctl model ls",
    "aiosctl model ls --metric 'accuracy>0.9' --format onnx",
    "aiosctl model ls --label team=vision digits",
    "aiosctl model ls --tensor 'encoder.*.weight'",
    "aiosctl model ls --usage",
)
@click.argument("text", default="")
@click.option("--format", "format_", default="", metavar="FORMAT", help="Such as onnx, safetensors or gguf.")
@click.option("--metric", "metric", multiple=True, metavar="RULE", help="Such as 'accuracy>0.9'; repeat it.")
@click.option("--label", "label", multiple=True, type=PAIR, help="With this label; repeat it.")
@click.option("--author", default="", metavar="USER", help="With a version by this user.")
@click.option("--job", default="", metavar="ID", help="With a version that this job made.")
@click.option("--tensor", default="", metavar="NAME", help="With a tensor of this name; * and ? stand for anything.")
@click.option("--usage", "storage", is_flag=True, help="What each takes, as it reads and as it is stored; and its users, with their limits.")
@output_options
def ls(
    text: str, format_: str, metric: tuple[str, ...], label: tuple[tuple[str, str], ...], author: str, job: str, tensor: str, storage: bool, shape: Shape,
    kind: str,
) -> None:  # fmt: skip
    """List the models you may read; with TEXT those in which each of its words begins a word, those that fit best first.

    The words may stand in the name, the description, or what is said of any version: its message, card, labels and tensors.
    What else is asked of versions (format, metrics, labels, author, job, tensor) is asked of one and the same: the one that is FOUND,
    which is the latest where that fits, else the newest that does.
    """
    with calls(kind) as store:
        found = store.search(text=text, format=format_, metrics=metric, labels=dict(label), author=author, job_id=job, tensor=tensor)
        of_versions = any((format_, metric, label, author, job, tensor))
        used = store.usage() if storage and shape.format in ("table", "wide") else None
    print_rows(found, STORAGE if storage else FOUND if of_versions else MODELS, lambda m: m.name, shape, nothing=f"no {kind}s")
    if used is not None:
        print_lines([""])
        print_usage(used, shape)


@verb("aiosctl model show digits:prod", "aiosctl model show digits@3f2a9c -o json", "aiosctl model show digits --files")
@click.argument("ref", type=REF)
@click.option("--files", is_flag=True, help="With the list of its files.")
@output_options
def show(ref: str, files: bool, shape: Shape, kind: str) -> None:
    """Show all about the version REF of a model; of a bare name also its settings and references."""
    with calls(kind) as store:
        bare = not any(letter in ref for letter in ":@~")
        named = store.get(ref) if bare else None
        shown = store.version(ref, listing=files) if named is None or named.latest is not None else None
    if named is not None:
        print_one(replace(named, latest=shown), lambda m, wide: _model_layout(m), lambda m: m.name, shape)
    elif shown is not None:
        print_one(shown, lambda v, wide: _version_layout(v), str, shape)


def _model_layout(model: Model) -> Iterator[str]:
    retention = ", ".join(
        text for text, on in ((f"the last {model.keep_last}", model.keep_last), (f"those of {model.keep_for_s / 86_400:g} days", model.keep_for_s)) if on
    )
    yield from section(f"{model.kind.capitalize()} {model.name}", [
        ("description", first_line(model.description)), ("owner", model.owner),
        ("visibility", f"group {model.group}" if model.visibility == "group" else model.visibility),
        ("roles", labels(model.roles)), ("signature", "required" if model.require_signature else ""),
        ("trusted keys", " ".join(map(version_id, model.trusted_keys))),
        ("versions", str(model.versions)), ("size", size(model.size)), ("stored", size(model.stored_bytes)),
        ("kept without a reference", retention or "not at all"), ("since", moment(model.created_at_s)),
    ])  # fmt: skip
    yield from section("References", [(each.name, _reference(each)) for each in model.references])
    if model.latest is not None:
        yield from _version_layout(model.latest)


def _reference(reference: Reference) -> str:
    return f"{version_id(reference.version)}  {reference.kind}, {moment(reference.moved_at_s)} by {reference.moved_by}"


def _signature(one: Signature) -> str:
    return f"key {version_id(one.key_id)}, {moment(one.signed_at_s)} by {one.signed_by}"


def _version_layout(version: Version) -> Iterator[str]:
    schema, lineage = version.schema, version.lineage
    yield from section(f"Version {version}", [
        ("id", version.id), ("number", str(version.number)), ("references", " ".join(version.references)),
        ("parents", " ".join(map(version_id, version.parents))),
        ("author", version.author), ("when", moment(version.created_at_s)), ("message", first_line(version.message)),
        ("state", version.state), ("because", "; ".join(version.reasons)), ("labels", labels(version.labels)),
        ("licence", version.licence), ("size", f"{size(version.size)} in {many(version.files, 'file')}"),
        ("stored", size(version.stored_bytes)), ("signed by", "; ".join(map(_signature, version.signatures))),
    ])  # fmt: skip
    yield from section("Metrics", metric_rows(version.metrics))
    yield from section("Schema", [
        ("format", format_of(schema)), ("inputs", tensors(schema.inputs)), ("outputs", tensors(schema.outputs)), ("parameters", parameters(schema.parameters)),
        ("tensors", str(schema.tensors) if schema.tensors else ""), *sorted(schema.metadata.items()), ("notes", "; ".join(schema.notes)),
    ])  # fmt: skip
    git = " ".join(word for word in (lineage.git_commit[:12], lineage.git_branch, "(dirty)" if lineage.git_dirty else "", lineage.git_remote) if word)
    yield from section("Lineage", [
        ("made by", f"job {lineage.job_id}" if lineage.job_id else ""), ("command", " ".join(lineage.command)), ("directory", lineage.cwd),
        ("code", git), ("from", versions((*lineage.datasets, *lineage.models))), ("GPU hours", f"{lineage.gpu_hours:.3g}" if lineage.gpu_hours else ""),
        ("python", f"{lineage.python}, {len(lineage.packages)} packages" if lineage.packages else lineage.python), ("host", lineage.host),
        ("used by", " ".join(version.used_by)),
    ])  # fmt: skip
    yield from section("Files", [(each.path, f"{size(each.size)}  {each.digest[:12]}") for each in version.listing])
    if version.card:
        yield ""
        yield from version.card.strip().splitlines()


@verb("aiosctl model log digits", "aiosctl model log digits:prod -n 5", "aiosctl model log --all digits", "aiosctl model log --refs digits:prod")
@click.argument("ref", type=REF)
@click.option("-n", "--number", "limit", type=COUNT, default=0, metavar="N", help="At most so many; 0: all.")
@click.option("--all", "everything", is_flag=True, help="Every version, also those that no reference reaches.")
@click.option("--refs", is_flag=True, help="The moves of the references: who, when, why, from and to.")
@output_options
def log(ref: str, limit: int, everything: bool, refs: bool, shape: Shape, kind: str) -> None:
    """The version REF of a model and those before it, newest first; or how its references moved."""
    if refs and everything:
        raise WrongUsage("--refs and --all exclude each other", "name the one or the other")
    with calls(kind) as store:
        if refs:
            name, _, reference = ref.partition(":")
            print_rows(store.moves(name, reference, limit=limit), MOVES, lambda m: m.reference, shape, nothing="no moves")
        else:
            found: list[Any] = list(islice(store.log(ref, all=everything, limit=limit), limit or None))
            print_rows(found, VERSIONS, str, shape, nothing="no versions")

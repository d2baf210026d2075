"""`model diff`: what differs between two versions."""

from collections.abc import Iterator

import click

from aios.versions import Change, Diff, TensorChange
from aiosctl.completing import REF
from aiosctl.describe import number
from aiosctl.lazy import verb
from aiosctl.model_describe import calls, first_line, many, size, version_id
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, escaped, heading, print_one, section, table

SHOWN = 50  # tensors, on a screen
PACKAGES_SHOWN = 10
_PACKAGE = "lineage.packages."


@verb("aiosctl model diff digits:prod digits:main", "aiosctl model diff digits~1 digits", "aiosctl model diff digits:prod @3f2a9c --tensors")
@click.argument("a", type=REF)
@click.argument("b", default="", type=REF)
@click.option("--tensors", is_flag=True, help="Tensor by tensor, too, where the format has them.")
@output_options
def diff(a: str, b: str, tensors: bool, shape: Shape, kind: str) -> None:
    """What the version B of a model has that A has not, and the other way round; without B: what A changed."""
    if not b:
        a, b = f"{a}~1", a
    with calls(kind) as store:
        found = store.diff(a, b, tensors=tensors)
    print_one(found, _layout, lambda d: f"{d.a} {d.b}", shape)


GROUPS = (("metrics.", "Metrics"), ("schema.", "Schema"), (_PACKAGE, "Packages"), ("", "Said of it"))  # how what changed begins


def _layout(diff: Diff, wide: bool) -> Iterator[str]:
    yield f"{escaped(str(diff.a))} -> {escaped(str(diff.b))}"
    groups: dict[str, list[Change]] = {}
    for change in diff.changes:
        groups.setdefault(next((head for head, _ in GROUPS if change.what.startswith(head)), ""), []).append(change)
    for head, title in GROUPS:
        shown = groups.get(head, [])
        if head == _PACKAGE and len(shown) > PACKAGES_SHOWN and not wide:
            yield from section(title, [("in all", f"{len(shown)} differ; -o wide lists them")])
        else:
            yield from section(title, [(change.what.removeprefix(head), _values(change, wide)) for change in shown])
    yield from section("Files", [(one.path, f"{one.change}  {_sizes(one.size_a, one.size_b)}") for one in diff.files])
    yield from _tensors(diff, len(diff.tensors) if wide else SHOWN)
    if not (diff.changes or diff.files):
        yield f"{version_id(diff.a.id)} and {version_id(diff.b.id)} have the same content and say the same"


def _values(change: Change, wide: bool) -> str:
    """`0.95 -> 0.97 (+0.02)`; of a text in several lines, such as a card, how it begins."""
    step = ""
    if change.what.startswith("metrics.") and change.a and change.b:
        by = float(change.b) - float(change.a)
        step = f" ({'+' if by >= 0 else ''}{number(by)})"
    a, b = (text if wide or "\n" not in text.strip() else f"{first_line(text)} … ({many(len(text.splitlines()), 'line')})" for text in (change.a, change.b))
    return f"{a or '-'} -> {b or '-'}{step}"


def _sizes(a: int, b: int) -> str:
    return size(b) if not a else size(a) if not b else f"{size(a)} -> {size(b)}"


def _tensors(diff: Diff, most: int) -> Iterator[str]:
    """The first `most` that changed; what there is more of is counted."""
    rows = diff.tensors[:most]
    if rows:
        yield heading("Tensors")
    yield from (f"  {line}" for line in table(rows, TENSORS, headers=False))
    left = len(diff.tensors) - len(rows)
    if left or diff.tensors_left_out:
        yield f"  and {left + diff.tensors_left_out} more{'; -o wide lists them' if left else ''}"
    if rows or diff.tensors_unchanged:
        yield f"{diff.tensors_unchanged} tensors are as they were"
    yield from (f"not compared: {escaped(note)}" for note in diff.tensor_notes)


def _described(one: TensorChange) -> str:
    return one.a if one.a == one.b else " -> ".join(each for each in (one.a, one.b) if each)


def _moved(one: TensorChange) -> str:
    return f"by {one.relative_norm:.3g} of its norm" if one.relative_norm is not None else one.note


TENSORS: list[Column[TensorChange]] = [
    Column("NAME", lambda t: t.name),
    Column("CHANGE", lambda t: t.change),
    Column("WHAT", _described),
    Column("BY", _moved),
]

"""Which versions are kept, and why: references, jobs, deployments, the rules of their model; all others may go."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiosd.models.history import Graph
from aiosd.models.model import DamagedModel, Model, Move, Reference
from aiosd.models.ports import Pin

DEFAULT_KEEP_FOR_S = 30 * 86_400.0  # of a new model: nobody loses at once what a rollback or a removed branch leaves behind


@dataclass(frozen=True, slots=True)
class Kept:
    """Of one model: why each version that stays does, and the ids of those that may go, oldest first."""

    because: Mapping[str, str]
    dead: Sequence[str]


def kept(
    model: Model, graph: Graph, references: Sequence[Reference], moves: Sequence[Move], pins: Iterable[Pin], now_s: float, absent: Collection[str] = ()
) -> Kept:
    """The first reason that applies to each version, in the order of the arguments; of a model whose rules cannot be read all stay.

    moves   all of the model's: what no reference reaches is as old as its last reference's leaving it, or as itself
    absent  the ids of those whose bytes are not here: they are none of the last so many
    """
    because: dict[str, str] = {}
    for reference in references:
        for node in graph.ancestors(reference.version):
            because.setdefault(node.id, f"{reference.kind} {reference.name}")
    for pin in pins:
        if (pin.kind, pin.model) == (model.kind, model.name) and pin.version in graph.nodes:
            because.setdefault(pin.version, pin.why)
    if isinstance(model, DamagedModel):
        because = dict.fromkeys(graph.nodes, "what is damaged in the database, see aiosctl admin check")
    loose = sorted((node for node in graph.nodes.values() if node.id not in because), key=lambda node: -node.number)
    for node in [node for node in loose if node.id not in absent][: model.keep_last]:
        because[node.id] = f"one of the last {model.keep_last}"
    if model.keep_for_s:
        left_at_s = _left(graph, moves)
        for node in loose:
            if now_s - max(node.created_at_s, left_at_s.get(node.id, 0.0)) < model.keep_for_s:
                because.setdefault(node.id, f"younger than {model.keep_for_s / 86_400:g} days")
    return Kept(because, [node.id for node in reversed(loose) if node.id not in because])


def led_to(moves: Sequence[Move]) -> dict[str, str]:
    """Where each reference is by its moves, newest first; without those that were removed."""
    last: dict[str, str] = {}
    for move in moves:
        last.setdefault(move.reference, move.target)
    return {name: target for name, target in last.items() if target}


def _left(graph: Graph, moves: Sequence[Move]) -> dict[str, float]:
    """When a reference last moved away from each version, or from one that comes after it."""
    left: dict[str, float] = {}
    for move in sorted(moves, key=lambda move: -move.at_s):
        ahead = [move.source]
        while ahead:
            id_ = ahead.pop()
            if id_ in graph.nodes and id_ not in left:  # what was met before was left later, and so was all before it
                left[id_] = move.at_s
                ahead += graph.nodes[id_].parents
    return left


def summary(model: Model, found: Kept) -> list[str]:
    """For people: "digits: 3 versions by branch main"."""
    counted: dict[str, int] = {}
    for why in found.because.values():
        counted[why] = counted.get(why, 0) + 1
    return [f"{model.name}: {count} version{'s' if count > 1 else ''} by {why}" for why, count in counted.items()]

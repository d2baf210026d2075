"""The history of one model as a graph of versions and parents: ancestors, merges, what is undone, where a reference was before."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush

from aiosd.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from aiosd.models.manifest import DIGEST_LETTERS, FileEntry, Manifest
from aiosd.models.ports import Node

SHORT = 12  # letters of an id for people
LEAST_LETTERS = 4  # that name a version
_HEX = frozenset("0123456789abcdef")


class Unread(Exception):
    """What is asked leads out of the part of the history that was read."""


@dataclass(frozen=True, slots=True)
class Graph:
    """The versions of one model by id; a parent that is not there (any more) is where its history ends.

    after  only those with a higher number were read, and whatever leads to another raises Unread
    """

    model: str
    nodes: Mapping[str, Node]
    last: Node | None  # the newest
    after: int = 0

    @classmethod
    def of(cls, model: str, nodes: Iterable[Node], after: int = 0) -> "Graph":
        by_id = {node.id: node for node in nodes}
        return cls(model, by_id, max(by_id.values(), key=lambda node: node.number, default=None), after)

    @property
    def newest(self) -> str:
        """Its id; "" where there is none."""
        return self.last.id if self.last is not None else ""

    def with_newer(self, nodes: Iterable[Node]) -> "Graph":
        return Graph.of(self.model, [*self.nodes.values(), *nodes])

    def everything(self) -> Iterator[Node]:
        """All versions, newest first. Raises Unread behind the last that was read: there may be others that nothing leads to from here."""
        yield from self.ancestors(*self.nodes)
        if self.after:
            raise Unread

    def ancestors(self, *tips: str) -> Iterator[Node]:
        """Those versions and all before them, newest first: a version has a higher number than its parents, unless those came after it."""
        ahead: list[tuple[int, str]] = []
        seen: set[str] = set()
        for tip in tips:
            self._meet(tip, seen, ahead)
        while ahead:
            node = self.nodes[heappop(ahead)[1]]
            yield node
            for parent in node.parents:
                self._meet(parent, seen, ahead)

    def _meet(self, id_: str, seen: set[str], ahead: list[tuple[int, str]]) -> None:
        if self._has(id_) and id_ not in seen:
            seen.add(id_)
            heappush(ahead, (-self.nodes[id_].number, id_))

    def _has(self, id_: str) -> bool:
        if id_ not in self.nodes and self.after:
            raise Unread
        return id_ in self.nodes

    def is_ancestor(self, of: str, id_: str) -> bool:
        """Whether `id_` is `of` or comes before it."""
        return any(node.id == id_ for node in self.ancestors(of))

    def merge_base(self, a: str, b: str) -> str:
        """The newest version that both come from; "": there is none."""
        before_a = {node.id for node in self.ancestors(a)}
        return next((node.id for node in self.ancestors(b) if node.id in before_a), "")

    def back(self, id_: str, steps: int) -> str:
        """The first parent, so many times. Raises NotFound, with how far the history goes."""
        at = id_
        for taken in range(steps):
            parents = self.nodes[at].parents if self._has(at) else ()
            if not parents:
                many = f"has {taken} version{'s' if taken > 1 else ''} before it, not {steps}: {at[:SHORT]} is the first"
                said = many if taken else "is the first version: there is nothing before it"
                raise NotFound(f"{self.model}@{id_[:SHORT]} {said}", model=self.model, asked=steps)
            if not self._has(parents[0]):
                raise NotFound(f"{self.model}@{at[:SHORT]} has no parent here: it came without its history", model=self.model, asked=steps)
            at = parents[0]
        return at


def conflict(model: str, reference: str, *, expected: str, there: str) -> Conflict:
    """Somebody else was first; both values are named."""

    def said(id_: str) -> str:
        return f"at {id_[:SHORT]}" if id_ else "not there"

    return Conflict(
        f"{model}:{reference} was expected to be {said(expected)}, and is {said(there)}: somebody else moved it",
        hint=f"look at `aiosctl model log --refs {model}:{reference}`, then try again: what is stored already is not stored again",
        model=model,
        reference=reference,
        expected=expected,
        there=there,
    )


def is_id(text: str) -> bool:
    """Whether this is the id of a version, or enough of its beginning."""
    return LEAST_LETTERS <= len(text) <= DIGEST_LETTERS and _HEX.issuperset(text)


def same_version(given: str, there: str) -> bool:
    """Whether `3f2a9c`, `@3f2a9c` or `digits@3f2a9c` is that of `there`; "" is none. Raises InvalidArgument: a name moves, so it says nothing to compare."""
    id_ = given.rpartition("@")[2].lower()
    if given and not is_id(id_):
        hint = f"give the {LEAST_LETTERS} to {DIGEST_LETTERS} hexadecimal digits that `aiosctl model log` shows"
        raise InvalidArgument(f"expected is {given[:100]!r}, which is no id of a version", hint=hint, given=given[:100])
    return there.startswith(id_) if id_ else not there


class Strategy(StrEnum):
    FAST_FORWARD = "ff"  # or nothing
    OURS = "ours"
    THEIRS = "theirs"


class How(StrEnum):
    ALREADY = "already there"
    FAST_FORWARD = "fast-forward"
    MERGE = "merge"


def strategy_of(text: str) -> Strategy:
    """ "" is a fast-forward. Raises InvalidArgument."""
    try:
        return Strategy(text or "ff")
    except ValueError:
        raise InvalidArgument(f"strategy is {text[:40]!r}", hint=f"choose one of {', '.join(Strategy)}", field="strategy", given=text[:40]) from None


def merged(graph: Graph, into: str, source: str, strategy: Strategy) -> How:
    """How the version `source` comes into the branch that is at `into`. Raises FailedPrecondition where somebody has to choose.

    A model cannot be mixed of two: a merge keeps one side's content, and both sides' history. "ours" is a merge also where
    the branch could go forward, since the content of the branch is to stay.
    """
    if graph.is_ancestor(into, source):
        return How.ALREADY
    if strategy is not Strategy.OURS and graph.is_ancestor(source, into):
        return How.FAST_FORWARD
    if strategy is not Strategy.FAST_FORWARD:
        return How.MERGE
    base = graph.merge_base(into, source)
    since = f"since {base[:SHORT]}" if base else "and have nothing in common"
    raise FailedPrecondition(
        f"{graph.model}: {into[:SHORT]} and {source[:SHORT]} have gone different ways {since}",
        hint="choose whose content it is to have: --ours keeps that of the branch, --theirs takes the other's",
        model=graph.model, ours=into, theirs=source, base=base,
    )  # fmt: skip


def reverted(tip: Manifest, undone: Manifest, before: Manifest) -> Manifest:
    """`tip` without what `undone` changed since `before`, file by file. Raises Conflict for files that were changed again since."""
    ours, theirs, old = (_by_path(manifest) for manifest in (tip, undone, before))
    changed = [path for path in sorted(theirs.keys() | old.keys()) if theirs.get(path) != old.get(path)]
    if tip.single or undone.single or before.single:
        changed = sorted(theirs.keys() | old.keys())  # another file altogether
    later = [path for path in changed if ours.get(path) != theirs.get(path)]
    if later:
        shown = ", ".join(later[:5]) + (f" and {len(later) - 5} more" if len(later) > 5 else "")
        raise Conflict(f"it cannot be undone alone: {shown} changed again since", hint="revert the later versions first, or roll the branch back", files=shown)
    for path in changed:
        if path in old:
            ours[path] = old[path]
        else:
            ours.pop(path, None)
    if undone == tip:
        return before
    return Manifest(tuple(ours[path] for path in sorted(ours)), tip.empty_directories, tip.single)


def _by_path(manifest: Manifest) -> dict[str, FileEntry]:
    return {entry.path: entry for entry in manifest.files}


def previous(targets: Sequence[str]) -> str:
    """Where a reference was before it came to where it is, going further back each time; "": nowhere.

    A move to the place before counts as going back, so that two rollbacks go back two moves and not to and fro.
    targets  of all of its moves, oldest first; "": it was removed
    """
    places: list[str] = []
    for target in targets:
        if not target:
            places.clear()
        elif len(places) > 1 and places[-2] == target:
            places.pop()
        elif not places or places[-1] != target:
            places.append(target)
    return places[-2] if len(places) > 1 else ""

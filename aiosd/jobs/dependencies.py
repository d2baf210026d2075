"""What a dependency on another job comes to: met, still open, or never to be met."""

from collections.abc import Sequence
from enum import StrEnum

from aiosd.errors import InvalidArgument
from aiosd.jobs.job import Dependency, DependencyKind, Phase


class Verdict(StrEnum):
    MET = "met"
    OPEN = "open"
    IMPOSSIBLE = "impossible"


def on_end(kind: DependencyKind, phase: Phase) -> Verdict:
    """The verdict once the job depended on has ended in `phase`; never OPEN."""
    good = phase is Phase.SUCCEEDED
    if kind is DependencyKind.AFTER_OK:
        return Verdict.MET if good else Verdict.IMPOSSIBLE
    if kind is DependencyKind.AFTER_FAILED:
        return Verdict.IMPOSSIBLE if good or phase is Phase.SKIPPED else Verdict.MET
    return Verdict.MET


def describe(dependency: Dependency) -> str:
    words = {
        DependencyKind.AFTER: "to start",
        DependencyKind.AFTER_OK: "to succeed",
        DependencyKind.AFTER_ANY: "to end",
        DependencyKind.AFTER_FAILED: "to end without success",
    }
    return f"job {dependency.job_id} {words[dependency.kind]}"


def refuse_rings(wanted: Sequence[Sequence[Dependency]], numbers: range) -> None:
    """Jobs of one call may depend on each other, but not in a ring. Raises InvalidArgument with the ring."""
    edges = [sorted({d.job_id.number - numbers.start for d in deps if d.job_id.number in numbers}) for deps in wanted]
    state = [0] * len(edges)  # 1: on the path; 2: known to be free of rings
    for root in range(len(edges)):
        path, todo = [], [(root, iter(edges[root]))] if not state[root] else []
        while todo:
            node, rest = todo[-1]
            if state[node] == 0:
                state[node] = 1
                path.append(node)
            following = next((n for n in rest if state[n] != 2), None)
            if following is None:
                state[node] = 2
                todo.pop()
                path.pop()
            elif state[following] == 1:
                ring = [*path[path.index(following) :], following]
                raise InvalidArgument("dependencies form a ring: " + " -> ".join(f"#{n}" for n in ring), hint="a job of the ring must not wait for the others")
            else:
                todo.append((following, iter(edges[following])))

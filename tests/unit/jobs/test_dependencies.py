"""What the end of one job means to another, and rings."""

import pytest

from aiosd.errors import InvalidArgument
from aiosd.ids import JobId
from aiosd.jobs.dependencies import Verdict, on_end, refuse_rings
from aiosd.jobs.job import ENDED, Dependency, DependencyKind, Phase


@pytest.mark.parametrize("phase", sorted(ENDED))
def test_verdicts(phase: Phase) -> None:
    good = phase is Phase.SUCCEEDED
    assert on_end(DependencyKind.AFTER, phase) is on_end(DependencyKind.AFTER_ANY, phase) is Verdict.MET
    assert on_end(DependencyKind.AFTER_OK, phase) is (Verdict.MET if good else Verdict.IMPOSSIBLE)
    assert on_end(DependencyKind.AFTER_FAILED, phase) is (Verdict.IMPOSSIBLE if good or phase is Phase.SKIPPED else Verdict.MET)


def edges(*targets: list[int]) -> list[list[Dependency]]:
    return [[Dependency(DependencyKind.AFTER, JobId(10 + t)) for t in each] for each in targets]


def test_rings_are_found_and_named_and_what_is_none_passes() -> None:
    refuse_rings(edges([1, 2], [2], []), range(10, 13))
    refuse_rings(edges([-5], [0]), range(10, 12))  # 5 is no job of this call
    with pytest.raises(InvalidArgument, match="#1 -> #2 -> #1"):
        refuse_rings(edges([1], [2], [1]), range(10, 13))
    count = 20_000
    refuse_rings(edges(*([i + 1] for i in range(count - 1)), []), range(10, 10 + count))

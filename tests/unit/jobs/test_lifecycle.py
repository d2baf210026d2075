"""The table of moves is total: each phase has a row, ended phases have no way out, everything else is refused in words."""

import pytest

from aiosd.errors import FailedPrecondition
from aiosd.jobs.job import ACTIVE, ENDED, Phase
from aiosd.jobs.lifecycle import MOVES, Cue, move


def test_every_phase_has_a_row_and_only_ended_ones_an_empty_one() -> None:
    assert MOVES.keys() == set(Phase)
    assert {phase for phase, row in MOVES.items() if not row} == ENDED


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("cue", Cue)
def test_every_cue_moves_or_is_refused(phase: Phase, cue: Cue) -> None:
    if cue in MOVES[phase]:
        assert move(phase, cue) is MOVES[phase][cue]
    else:
        with pytest.raises(FailedPrecondition, match=f"a {phase} job cannot {cue}"):
            move(phase, cue)


def test_every_phase_and_every_cue_is_used() -> None:
    assert {to for row in MOVES.values() for to in row.values()} | {Phase.HELD} == set(Phase)
    assert {cue for row in MOVES.values() for cue in row} == set(Cue)


def test_only_a_dispatch_makes_a_job_active_and_every_active_one_can_end() -> None:
    entering = {cue for phase, row in MOVES.items() if phase not in ACTIVE for cue, to in row.items() if to in ACTIVE}
    assert entering == {Cue.DISPATCH}
    assert all(MOVES[phase][Cue.LOSE] is Phase.LOST for phase in ACTIVE)

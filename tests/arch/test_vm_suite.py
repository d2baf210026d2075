"""The suite that runs in booted machines only (tests/vm) can be read, and its page can be written, without one."""

import pytest

from tests.vm import transcript
from tests.vm.guest import checks, hand
from tests.vm.guest.checks import Verdict
from tests.vm.session import TITLES


@pytest.mark.parametrize("module", TITLES)
def test_every_check_says_in_a_sentence_what_it_proves(module: str) -> None:
    found = checks.checks_of(module)
    assert found
    assert not [one.name for one in found if not one.what.endswith((".", "?"))]
    assert len({one.name for one in found}) == len(found)


def test_a_verdict_leaves_the_machine_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = Verdict("held", "It is held.", 1.5, {"limit": 3, "daemon": {"longest_s": 0.5}}, "")
    checks.tell(verdict)
    assert checks.read("printed before it " + capsys.readouterr().out) == verdict
    assert checks.read("a line of some program") is None


def test_the_transcript_says_what_was_held_and_what_was_not() -> None:
    verdicts = {"isolation": [Verdict("a", "A is held.", 2.0, {"used_of_1": 0.5}), Verdict("b", "B is held.", 1.0, why="Traceback\nAssertionError: it is not")]}
    text = transcript.text({"run": "today"}, {"isolation": "Isolation"}, verdicts)
    assert "| held | 1 of 2 |" in text
    assert "**Held** (2 s): A is held.\n\n- used of 1: 0.5" in text
    assert "**NOT HELD** (1 s): B is held.\n\n    AssertionError: it is not" in text


def test_records_leave_a_user_as_plain_values() -> None:
    from aios.records import JobRecord, State

    assert hand.plain(JobRecord(id="7", state=State.QUEUED, command=("true",)))["command"] == ["true"]
    assert hand.plain({"a": (1, None, b"x")}) == {"a": [1, None, "b'x'"]}

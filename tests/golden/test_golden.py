"""Every scenario goes as its transcript says; `GOLDEN=write` writes them anew, and a reader looks at what has changed."""

import os
from pathlib import Path

import pytest

from tests.golden.scenarios import SCENARIOS

TRANSCRIPTS = Path(__file__).parent / "transcripts"


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_goes_as_it_is_written(name: str) -> None:
    file, told = TRANSCRIPTS / f"{name}.txt", SCENARIOS[name].transcript()
    if os.environ.get("GOLDEN") == "write":
        file.write_text(told)
    assert told == file.read_text(), "if this is as it should be: GOLDEN=write pytest tests/golden, and look at the difference"


def test_no_transcript_is_left_without_its_scenario() -> None:
    assert {file.stem for file in TRANSCRIPTS.iterdir()} == set(SCENARIOS)

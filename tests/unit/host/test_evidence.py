"""Evidence is written aside, for its owner alone, and never more than a little."""

import os
from pathlib import Path

from aiosd.host.evidence import MOST_BYTES, MOST_FILES, FileEvidence


def test_the_newest_replace_the_oldest(tmp_path: Path) -> None:
    evidence = FileEvidence(tmp_path / "faults")
    paths = [Path(evidence.keep(f"policy-{n}.json", f"{n}")) for n in range(MOST_FILES + 3)]
    evidence.keep("large.json", "x" * (MOST_BYTES + 1))
    evidence.close()
    left = sorted(path.name for path in (tmp_path / "faults").iterdir())
    assert left == sorted(["large.json", *(path.name for path in paths[-MOST_FILES + 1 :])])
    assert paths[-1].read_text() == f"{MOST_FILES + 2}" and paths[-1].stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "faults" / "large.json").stat().st_size == MOST_BYTES


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "faults").write_text("a file")
    evidence = FileEvidence(tmp_path / "faults")
    evidence.keep("policy.json", "text")
    evidence.close()
    os.unlink(tmp_path / "faults")
    os.symlink(tmp_path / "elsewhere", tmp_path / "faults")
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "victim", tmp_path / "elsewhere" / "policy.json")
    evidence = FileEvidence(tmp_path / "faults")
    evidence.keep("policy.json", "text")
    evidence.close()
    assert not (tmp_path / "victim").exists()

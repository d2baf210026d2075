"""A run is claimed once or barred, and its file reads back what the shim wrote, whatever the words."""

import json
import os
from pathlib import Path

import pytest

from aiosd.host import runfile
from aiosd.host.records import read_run

CLAIM: dict[str, runfile.Field] = {
    "version": 1, "key": "1.-1.1", "shim_pid": 42, "shim_start_ticks": 7, "boot_id": "b", "started_at": 1.5, "started_steady": 2.5,
}  # fmt: skip
END: dict[str, runfile.Field] = {
    "exit_code": 127, "error": 'no "file" \u00e4\U0001f600\n\\ \udcff', "ended_at": 3.5, "run_s": 0.25, "cpu_user_s": 0.5, "cpu_system_s": 0.0,
    "memory_peak_bytes": 9, "read_bytes": 1, "write_bytes": 2, "voluntary_switches": 3, "involuntary_switches": 4, "major_faults": 5,
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "1.-1.1")


def test_a_claimed_run_cannot_be_claimed_again_or_barred(path: str) -> None:
    os.close(runfile.claim(path, CLAIM))
    assert not runfile.bar(path)
    with pytest.raises(FileExistsError):
        runfile.claim(path, CLAIM)
    assert os.listdir(os.path.dirname(path)) == ["1.-1.1"]


def test_a_barred_run_cannot_be_claimed(path: str) -> None:
    assert runfile.bar(path)
    with pytest.raises(FileExistsError):
        runfile.claim(path, CLAIM)
    record = read_run(path)
    assert record is not None
    assert record.void


def test_an_empty_run_file_is_a_bar_on_a_full_disk(path: str) -> None:
    Path(path).touch()
    record = read_run(path)
    assert record is not None
    assert record.void


def test_what_is_written_is_read_and_the_file_never_grows(path: str) -> None:
    fd = runfile.claim(path, CLAIM)
    claimed = read_run(path)
    assert claimed is not None
    assert (claimed.void, claimed.shim_pid, claimed.boot_id, claimed.main_pid, claimed.end) == (False, 42, "b", 0, None)
    runfile.record(fd, runfile.MAIN_AT, {"pid": 43, "spawned_steady": 2.75})
    runfile.record(fd, runfile.END_AT, END)
    assert os.fstat(fd).st_size == runfile.SIZE_BYTES
    os.close(fd)
    ended = read_run(path)
    assert ended is not None
    assert ended.end is not None
    assert (ended.main_pid, ended.end.exit_code, ended.end.error, ended.end.usage.major_faults) == (43, 127, END["error"], 5)


def test_an_end_that_is_not_whole_is_no_end(path: str) -> None:
    fd = runfile.claim(path, CLAIM)
    os.pwrite(fd, runfile.line(END)[:-2], runfile.END_AT)
    os.close(fd)
    record = read_run(path)
    assert record is not None
    assert record.end is None


@pytest.mark.parametrize("text", ["x" * 10_000, "\u00e4" * 10_000, "\U0001f600" * 10_000, '"' * 10_000])
def test_a_long_text_is_cut_so_that_its_line_fits(text: str) -> None:
    line = runfile.line({**END, "error": text})
    assert len(line) <= runfile.SIZE_BYTES - runfile.END_AT
    assert text.startswith(json.loads(line)["error"])
    assert len(json.loads(line)["error"]) >= 100


def test_a_missing_run_file_is_none(path: str) -> None:
    assert read_run(path) is None

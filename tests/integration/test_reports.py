"""What is read of a report file, whatever a job wrote there."""

import asyncio
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiosd.host import reports
from aiosd.host.reports import BLOCK_BYTES, LATEST_BYTES, LINE_BYTES, METRICS, ReportReader
from aiosd.monitoring.stats import Progress, ReportedSeries


@pytest.fixture
def reader() -> Iterator[ReportReader]:
    made = ReportReader()
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.1.report"


def latest(reader: ReportReader, path: Path) -> Progress | None:
    asyncio.run(reader.refresh([str(path)]))
    return reader.latest(str(path))


def series(reader: ReportReader, path: Path, max_points: int = 512) -> list[ReportedSeries]:
    return asyncio.run(reader.series(str(path), max_points))


def report(path: Path, *lines: object) -> None:
    with path.open("ab") as file:
        for line in lines:
            file.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")


def test_nothing_is_reported(reader: ReportReader, path: Path) -> None:
    assert latest(reader, path) is None
    assert series(reader, path) == []
    assert reader.latest("never refreshed") is None


def test_the_latest_of_each(reader: ReportReader, path: Path) -> None:
    report(path, {"at": 10.0, "step": 1, "metrics": {"loss": 2.0, "lr": 0.1}}, {"at": 11.0, "done": 5, "total": 50})
    assert latest(reader, path) == Progress(5.0, 50.0, {"loss": 2.0, "lr": 0.1}, 1, 11.0)
    report(path, {"at": 12.5, "step": 2, "metrics": {"loss": 1.5}})
    assert latest(reader, path) == Progress(5.0, 50.0, {"loss": 1.5, "lr": 0.1}, 2, 12.5)


def test_latest_asks_no_file(reader: ReportReader, path: Path) -> None:
    report(path, {"at": 1.0, "done": 1})
    latest(reader, path)
    path.unlink()
    assert reader.latest(str(path)) == Progress(done=1.0, at_s=1.0)


def test_half_a_line_waits_for_its_end(reader: ReportReader, path: Path) -> None:
    report(path, {"at": 1.0, "done": 1}, b'{"at": 2.0, "do')
    assert latest(reader, path) == Progress(done=1.0, at_s=1.0)
    report(path, b'ne": 2}\n')
    assert latest(reader, path) == Progress(done=2.0, at_s=2.0)


def test_a_new_file_begins_anew(reader: ReportReader, path: Path) -> None:
    report(path, {"done": 1}, {"done": 2, "metrics": {"loss": 1}})
    assert series(reader, path) == [ReportedSeries("loss", (0.0,), (1.0,))]
    path.write_bytes(b'{"done": 7}\n')
    latest_now = latest(reader, path)
    assert latest_now is not None
    assert latest_now.done == 7.0


GARBAGE = [
    b"\n", b"garbage\n", b"\xff\xfe\x00\n", b"[1, 2]\n", b"null\n", b"7\n", b'"text"\n', b"{\n", b"[" * 50_000 + b"\n",
    b'{"done": "x", "total": null, "step": [], "metrics": 3, "at": {}}\n', b'{"metrics": {"a": "x", "b": null, "c": true, "d": {}}}\n',
    b'{"done": NaN, "total": Infinity, "step": -Infinity, "at": NaN}\n', b'{"done": 1' + b"0" * 400 + b"}\n",
    b'{"metrics": {"' + b"n" * 300 + b'": 1}}\n', b"x" * (LINE_BYTES + 1) + b"\n", b'{"done": 9, "pad": "' + b"x" * BLOCK_BYTES * 2 + b'"}\n',
]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE, ids=[repr(g[:30]) for g in GARBAGE])
def test_garbage_changes_nothing(reader: ReportReader, path: Path, garbage: bytes) -> None:
    good = {"at": 1.0, "done": 1, "total": 2, "step": 3, "metrics": {"loss": 0.5}}
    report(path, good)
    before = latest(reader, path)
    report(path, garbage)
    assert latest(reader, path) == before
    report(path, {**good, "at": 2.0})
    after = latest(reader, path)
    assert after is not None
    assert after.at_s == 2.0
    assert series(reader, path) == [ReportedSeries("loss", (3.0, 3.0), (0.5, 0.5))]


def test_a_loss_that_diverged_is_shown(reader: ReportReader, path: Path) -> None:
    report(path, b'{"step": 1, "metrics": {"loss": NaN}}\n')
    (loss,) = series(reader, path)
    assert math.isnan(loss.values[0])


def test_an_enormous_step_is_bounded(reader: ReportReader, path: Path) -> None:
    report(path, {"step": 1e300})
    progress = latest(reader, path)
    assert progress is not None
    assert progress.step == 1 << 53


def test_no_more_names_than_allowed(reader: ReportReader, path: Path) -> None:
    report(path, *({"metrics": {f"m{n}": 1.0}} for n in range(METRICS + 10)), {"metrics": {"m0": 2.0}})
    progress = latest(reader, path)
    assert progress is not None
    assert len(progress.metrics) == METRICS
    assert progress.metrics["m0"] == 2.0
    assert len(series(reader, path)) == METRICS


def test_of_much_at_once_only_the_end_is_read_for_the_latest(reader: ReportReader, path: Path) -> None:
    report(path, b'{"total": 5}\n', *[b'{"done": %d}\n' % n for n in range(LATEST_BYTES // 10)])
    progress = latest(reader, path)
    assert progress == Progress(done=LATEST_BYTES // 10 - 1)


def test_series_over_their_steps(reader: ReportReader, path: Path) -> None:
    report(path, *({"step": 10 * n, "metrics": {"loss": 1 / (n + 1), **({"lr": 0.1} if n % 2 else {})}} for n in range(4)))
    assert series(reader, path) == [
        ReportedSeries("loss", (0.0, 10.0, 20.0, 30.0), (1.0, 0.5, 1 / 3, 0.25)),
        ReportedSeries("lr", (10.0, 30.0), (0.1, 0.1)),
    ]


def test_metrics_without_a_step_are_counted(reader: ReportReader, path: Path) -> None:
    report(path, *({"metrics": {"loss": n}} for n in range(3)))
    assert series(reader, path) == [ReportedSeries("loss", (0.0, 1.0, 2.0), (0.0, 1.0, 2.0))]


def test_long_series_are_thinned_out_and_continued(reader: ReportReader, path: Path) -> None:
    report(path, *({"step": n, "metrics": {"loss": n}} for n in range(5000)))
    (loss,) = series(reader, path)
    assert 200 < len(loss.steps) <= 512
    assert loss.steps[-1] == 4999.0
    report(path, {"step": 5000, "metrics": {"loss": 1}})
    assert series(reader, path)[0].steps[-1] == 5000.0
    (short,) = series(reader, path, 10)
    assert len(short.steps) <= 10
    assert short.steps[-1] == 5000.0


@pytest.mark.parametrize("kind", ["directory", "pipe", "link", "endless link"])
def test_what_is_no_plain_file_is_not_read(reader: ReportReader, path: Path, kind: str) -> None:
    match kind:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "link":
            (path.parent / "secret").write_text('{"done": 1}\n')
            path.symlink_to(path.parent / "secret")
        case "endless link":
            path.symlink_to("/dev/zero")
    assert latest(reader, path) is None
    assert series(reader, path) == []


def test_only_so_many_files_are_remembered(reader: ReportReader, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "PROGRESS_FILES", 2)
    report(path, {"done": 1})
    latest(reader, path)
    asyncio.run(reader.refresh(["a", "b"]))
    assert reader.latest(str(path)) is None

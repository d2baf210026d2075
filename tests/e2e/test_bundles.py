"""Bundles between two daemons: what leaves one is the same in the other, also where that one is killed on the way."""

import json
from pathlib import Path

import pytest

import aios
from aios import errors
from tests.e2e.conftest import Aiosctl
from tests.e2e.daemon import Daemon, a_daemon


def test_a_bundle_goes_from_daemon_to_daemon(shared: Daemon, client: aios.Client, tmp_path: Path, aiosctl: Aiosctl) -> None:
    path, data, models = tmp_path / "m.bin", b"weights" * 10_000, client.models
    path.write_bytes(data)
    first = models.register("digits", path, tags=["v1"], metrics={"accuracy": 0.9})
    path.write_bytes(data + b"more")
    second = models.register("digits", path)
    file, update = tmp_path / "x.aios", tmp_path / "y.aios"
    assert json.loads(aiosctl(shared, "model", "export", "digits:v1", str(file), "-o", "json").stdout)[0]["id"] == first.id
    (sent,) = models.export("digits", update, base="digits:v1")
    assert (sent.id, sent.existed) == (second.id, False)
    with a_daemon() as other:
        other.start(fault="import.2-received")
        with aios.Client(other.target, timeout=60, autostart=False, patience=0.1) as cut_off, pytest.raises(errors.AiosError):
            cut_off.models.import_(file)
        other.running.wait(60)
        other.start()
        there = other.client().models
        assert not there.search()
        with pytest.raises(errors.FailedPrecondition, match=f"digits@{first.id[:12]} lacks"):
            there.import_(update)
        assert b"registered" in aiosctl(other, "model", "import", str(file)).stdout
        assert there.import_(file)[0].existed
        (came,) = there.import_(update)
        assert (came.id, came.parents, came.existed) == (second.id, (first.id,), False)
        assert Path(there.checkout("digits")).read_bytes() == data + b"more"
        assert [version.id for version in there.log("digits")] == [second.id, first.id]
        assert other.client().check().sound


def test_datasets_travel_too_and_only_as_datasets(shared: Daemon, client: aios.Client, tmp_path: Path, aiosctl: Aiosctl) -> None:
    path, file = tmp_path / "d.csv", tmp_path / "d.aios"
    path.write_bytes(b"1,2\n")
    made = client.datasets.register("mnist", path, licence="CC0-1.0")
    client.datasets.export("mnist", file)
    with pytest.raises(errors.AlreadyExists):
        client.datasets.export("mnist", file)
    assert made.id in aiosctl(shared, "data", "import", str(file), "--as", "copy", "-q").stdout.decode()
    with pytest.raises(errors.InvalidArgument, match="holds a dataset"):
        client.models.import_(file)
    client.datasets.export("mnist", tmp_path / "hub", format="hf")
    (again,) = client.datasets.import_(tmp_path / "hub", "again", format="hf")
    assert again.licence == "CC0-1.0"

"""`aiosctl model optimize` against a real daemon: a job that makes a version, one that is kept out by its gate, and what is refused before it is queued."""

from pathlib import Path
from typing import Any

import pytest

import aios
from aios.optimizing.__main__ import GATE_FAILED
from tests.e2e.daemon import Daemon

models = pytest.importorskip("tests.fakes.onnx_models", exc_type=ImportError)


@pytest.fixture(scope="module")
def digits(shared: Daemon) -> Path:
    """The model "digits" and the dataset "points" in the daemon, and the samples as a file."""
    with aios.Client(shared.target, timeout=60.0, autostart=False) as client:
        path = models.classifier(shared.root / "digits.onnx")
        client.models.register("digits", path, tags=["v1"], labels={"team": "vision"}, licence="MIT", card="# Digits\n\nTen of them.")
        samples: Path = models.saved_points(shared.root / "points.npz")
        client.datasets.register("points", samples)
    return samples


def test_a_version_is_made_measured_and_registered(shared: Daemon, client: aios.Client, digits: Path) -> None:
    source = client.models.version("digits:v1")
    done = shared.aiosctl(
        "model", "optimize", "digits:v1", "--quantize", "int8", "--calibrate", "points", "--gate", "accuracy>=-5%", "--gate", "size<=0.5x", "-b", "small"
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    made = client.models.version("digits:small")
    assert f"{made} is version {made.number} on small" in done.stdout.decode()
    assert made.parents == (source.id,)
    assert made.size < 0.5 * source.size
    for figure in ("size_bytes", "latency_ms_p50", "latency_ms_p95", "accuracy"):
        assert made.metrics[figure] > 0 and made.metrics[f"original.{figure}"] > 0
    assert made.metrics["original.size_bytes"] == source.size
    assert made.metrics["size_bytes"] == made.size
    assert (made.labels, made.licence, made.schema.format) == ({"team": "vision"}, "MIT", "onnx")
    assert made.card.startswith("# Digits") and "passed  accuracy>=-5%" in made.card and "calibrated with 128 samples" in made.card
    assert [each.partition("@")[0] for each in made.lineage.datasets] == ["points"]
    shown = shared.aiosctl("model", "show", "digits:small").stdout.decode()
    assert "(was 74.32KiB)" in shown and "| latency" in shown and source.id[:12] in shown and "with 72 samples of points@" in shown


def test_what_fails_its_gate_is_kept_out_and_the_report_says_why(shared: Daemon, client: aios.Client, digits: Path) -> None:
    before = client.models.get("digits")
    done = shared.aiosctl("model", "optimize", "digits:v1", "--prune", "0.995", "--calibrate", str(digits), "--gate", "size<=1.1x", "--gate", "accuracy>=-0.5%")
    assert done.returncode == GATE_FAILED, (done.stdout, done.stderr)
    said = done.stdout.decode()
    assert "- passed  size<=1.1x: it is" in said
    assert "- FAILED  accuracy>=-0.5%: it is -" in said
    assert "nothing is registered, and digits:main stays as it is" in said
    after = client.models.get("digits")
    assert (after.versions, after.references) == (before.versions, before.references)


def test_on_a_branch_with_other_versions_both_are_parents(shared: Daemon, client: aios.Client, digits: Path) -> None:
    source = client.models.version("digits:v1")
    tip = client.models.register("digits", digits, branch="else", message="anything")
    job = client.models.optimize("digits:v1", quantize="fp16", gates="agreement>=0.9", branch="else", message="half", cpus=1, name="halve", time="5m")
    assert (job.name, job.time_limit_s) == ("halve", 300.0)
    assert job.wait(200).state is aios.State.SUCCEEDED, list(job.logs())
    made = client.models.version("digits:else")
    assert (made.lineage.job_id, made.lineage.models) == (job.id, (f"digits@{source.id}",))
    assert (made.parents, made.message) == ((tip.id, source.id), "half")
    assert "accuracy" not in made.metrics and made.metrics["agreement"] >= 0.9
    assert "32 random samples, so no accuracy is known" in made.card


def test_a_branch_that_moved_meanwhile_stays_as_it_is(shared: Daemon, client: aios.Client, digits: Path) -> None:
    """The optimised version was not compared with what somebody else has published since."""
    client.models.branch("digits:v1", "raced")
    job = client.models.optimize("digits:v1", prune=0.1, branch="raced", hold=True)
    theirs = client.models.register("digits", digits, branch="raced")
    client.release(job.id)
    assert job.wait(200).state is aios.State.FAILED
    assert any("digits:raced" in line and theirs.id[:12] in line for line in job.logs()), list(job.logs())
    assert client.models.version("digits:raced").id == theirs.id


def test_detached_it_is_a_job_like_any_other(shared: Daemon, client: aios.Client, digits: Path) -> None:
    id_ = shared.aiosctl("model", "optimize", "digits:v1", "--prune", "0.1", "--hold", "-d", "-b", "later").stdout.decode().strip()
    job = client.job(id_)
    assert job.name == "optimize digits:v1"
    assert job.state is aios.State.HELD
    assert [each for each in job.command if each.startswith(("digits@", "--prune", "--branch"))][1:] == ["--branch=later", "--prune=0.1"]
    client.cancel(id_)


@pytest.mark.parametrize(
    ("ref", "how", "said", "hint"),
    [
        ("digits:v1", {}, "there is nothing to do", "quantize it"),
        ("digits:v9", {"prune": 0.5}, "no branch, tag or alias 'v9'", ""),
        ("digits:v1", {"quantize": "fp16", "gates": "beauty>=1"}, "'beauty', which is not measured", "accuracy"),
        ("digits:v1", {"quantize": "fp16", "gates": "accuracy>=-1%"}, "needs to know what is right", "labels"),
        ("digits:v1", {"quantize": "int8", "calibrate": "nothing"}, "there is no dataset nothing", ""),
        ("digits:v1", {"quantize": "int8", "array": "0-3"}, "job.array is not for the caller", ""),
        ("digits:v1", {"quantize": "int8", "priority": 1 << 30}, "priority", ""),
        ("weights", {"quantize": "int8"}, "cannot be optimised, as it is safetensors: it holds weights without the network", "ONNX"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_queued(
    shared: Daemon, client: aios.Client, digits: Path, ref: str, how: dict[str, Any], said: str, hint: str
) -> None:  # fmt: skip
    weights = shared.root / "w.safetensors"
    weights.write_bytes((2).to_bytes(8, "little") + b"{}")
    client.models.register("weights", weights)
    count = len(list(client.jobs(include_ended=True)))
    with pytest.raises(aios.AiosError) as raised:
        client.models.optimize(ref, **how)
    assert said in str(raised.value) and hint in raised.value.hint
    assert len(list(client.jobs(include_ended=True))) == count

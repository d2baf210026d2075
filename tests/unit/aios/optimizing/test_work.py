"""The whole work on small real models: laid out, optimised, measured, judged."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aios.errors import FailedPrecondition, InvalidArgument
from aios.optimizing.gates import parse_gate
from aios.optimizing.report import Report
from aios.optimizing.wish import Wish, pruned
from aios.optimizing.work import Order, carry_out
from tests import models_cache

models: Any = pytest.importorskip("tests.fakes.onnx_models", exc_type=ImportError)


def carried_out(whole: Path, made: Path, wish: Wish, samples: Path | None = None, gates: tuple[str, ...] = (), file: str = "") -> Report:
    order = Order(
        source="digits@1", whole=whole, file=file, format="onnx", wish=wish, samples=(samples, "points") if samples else None,
        gates=[parse_gate(gate) for gate in gates], threads=1,
    )  # fmt: skip
    steps: list[int] = []
    report = carry_out(order, made, steps.append)
    assert steps == [1, 2, 3]
    return report


@pytest.mark.parametrize(
    ("wish", "did", "smaller"),
    [
        (Wish("int8"), "int8 (static, calibrated with 128 samples)", 0.35),
        (Wish("int8-dynamic"), "int8 (dynamic)", 0.35),
        (Wish("fp16"), "fp16", 0.55),
        (Wish("int8", 0.3), "pruned by 30 %, int8 (static, calibrated with 128 samples)", 0.35),
        (Wish("fp16", 0.3), "pruned by 30 %, fp16", 0.55),
    ],
)
def test_a_model_becomes_smaller_and_stays_right(tmp_path: Path, wish: Wish, did: str, smaller: float) -> None:
    source, samples = models.classifier(tmp_path / "digits.onnx"), models.saved_points(tmp_path / "points.npz")
    gates = (f"size<={smaller}x", "accuracy>=-5%", "agreement>=0.9", "error<0.5")
    report = carried_out(source, tmp_path / "out" / "digits.onnx", wish, samples, gates)
    assert report.passed, report.markdown()
    assert report.title == f"{did}: from digits@1"
    assert report.measured.before["accuracy"] > 0.8
    assert report.metrics()["original.size_bytes"] == source.stat().st_size
    assert ("sparsity" in report.metrics()) == (wish.prune > 0)


def test_pruned_weights_are_counted_and_cost_what_they_cost(tmp_path: Path) -> None:
    source, samples = models.classifier(tmp_path / "digits.onnx"), models.saved_points(tmp_path / "points.npz")
    report = carried_out(source, tmp_path / "out.onnx", Wish(prune=0.995), samples, ("accuracy>=-0.5%", "size<=1.1x"))
    assert report.measured.after["sparsity"] == pytest.approx(0.995, abs=0.001)
    assert [each.passed for each in report.verdicts] == [False, True]
    assert "- FAILED  accuracy>=-0.5%: it is -" in report.markdown()


def test_the_smallest_weights_go() -> None:
    weights = np.array([[3.0, -1.0], [0.5, -4.0]], np.float16)
    assert pruned(weights, 0.5).tolist() == [[3, 0], [0, -4]]
    assert (pruned(weights, 0.24) == weights).all() and pruned(weights, 0.5).dtype == np.float16


def test_a_directory_keeps_all_else(tmp_path: Path) -> None:
    """Its files may not be written to, as those of a checkout; weights beside the model are part of it."""
    whole = tmp_path / "saved"
    models.classifier(whole / "net" / "model.onnx", external=True)
    (whole / "config.json").write_text("{}")
    (whole / "run.sh").write_text("#!/bin/sh")
    (whole / "run.sh").chmod(0o555)
    (whole / "config.json").chmod(0o444)
    (whole / "empty").mkdir()
    made = tmp_path / "made"
    report = carried_out(whole, made, Wish("int8"), file="net/model.onnx")
    assert sorted(str(path.relative_to(made)) for path in made.rglob("*")) == ["config.json", "empty", "net", "net/model.onnx", "run.sh"]
    assert os.access(made / "config.json", os.W_OK) and (made / "run.sh").stat().st_mode & 0o777 == 0o755
    assert report.measured.after["size_bytes"] < 0.4 * report.measured.before["size_bytes"]


@pytest.mark.parametrize("wish", [Wish("int8"), Wish("fp16"), Wish(prune=0.5)])
def test_a_model_too_large_for_one_file_has_its_weights_beside_it(tmp_path: Path, wish: Wish, monkeypatch: pytest.MonkeyPatch) -> None:
    from aios.optimizing import onnx_models

    monkeypatch.setattr(onnx_models, "_LARGE_BYTES", 1000)
    models.classifier(tmp_path / "saved" / "model.onnx", external=True)
    report = carried_out(tmp_path / "saved", tmp_path / "made", wish, file="model.onnx")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["model.onnx", "model.onnx.data"]
    assert report.measured.after["relative_error"] < 0.5
    alone = models.classifier(tmp_path / "alone.onnx")
    carried_out(alone, tmp_path / "single" / "alone.onnx", wish)
    assert [path.name for path in (tmp_path / "single").iterdir()] == ["alone.onnx"]


def test_convolutions_take_samples(tmp_path: Path) -> None:
    source = models.convolution(tmp_path / "conv.onnx")
    with pytest.raises(FailedPrecondition, match="nothing in it that int8 is for") as raised:
        carried_out(source, tmp_path / "out.onnx", Wish("int8"))
    assert "--calibrate" in raised.value.hint
    samples = models.saved_points(tmp_path / "points.npz", x=models.points()["x"].reshape(-1, 1, 8, 8))
    assert carried_out(source, tmp_path / "out.onnx", Wish("int8"), samples, ("accuracy>=-5%", "size<1x")).passed


def test_accuracy_takes_labels(tmp_path: Path) -> None:
    source, samples = models.classifier(tmp_path / "digits.onnx"), tmp_path / "points.npz"
    np.savez(samples, x=models.points()["x"])
    with pytest.raises(InvalidArgument, match="the gate 'accuracy>=-1%' needs to know what is right"):
        carried_out(source, tmp_path / "out.onnx", Wish("fp16"), samples, ("accuracy>=-1%",))
    assert "accuracy" not in carried_out(source, tmp_path / "out.onnx", Wish("fp16"), samples).metrics()


def test_what_cannot_be_run_or_pruned_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    source = models.classifier(tmp_path / "digits.onnx")
    broken.write_bytes(source.read_bytes().replace(b"Relu", b"Rely"))
    with pytest.raises(FailedPrecondition, match=r"broken.onnx cannot be loaded"):
        carried_out(broken, tmp_path / "out.onnx", Wish("fp16"))
    carried_out(source, tmp_path / "small.onnx", Wish("int8-dynamic"))
    with pytest.raises(FailedPrecondition, match="it has no weights to prune"):
        carried_out(tmp_path / "small.onnx", tmp_path / "out.onnx", Wish(prune=0.5))


def test_the_card_goes_on_from_that_of_the_original(tmp_path: Path) -> None:
    report = carried_out(models.classifier(tmp_path / "digits.onnx"), tmp_path / "out.onnx", Wish("fp16"), gates=("error<=0.01",))
    assert report.card("").startswith("## Optimised\n\nfp16: from digits@1\n\n|")
    card = report.card("# Digits\n\n")
    assert card.startswith("# Digits\n\n## Optimised\n")
    assert "1 thread, ONNX Runtime " in card and "500 runs of each, in turns; with 32 random samples, so no accuracy is known." in card
    assert card.endswith("\n") and "- passed  error<=0.01: it is " in card


@pytest.mark.models
def test_a_real_network_of_many_megabytes(tmp_path: Path) -> None:
    """The smallest voice detector of silero-vad: its convolutions and its LSTM, fed with its own kind of samples."""
    source = models_cache.directory("silero") / "silero_vad_openvino_16k.onnx"
    chance = np.random.default_rng(0)
    samples = tmp_path / "voices.npz"
    np.savez(samples, input=chance.standard_normal((16, 1, 576)).astype("f") / 10, state=np.zeros((16, 2, 1, 128), "f"), sr=np.array(16_000))
    report = carried_out(source, tmp_path / "int8.onnx", Wish("int8"), samples, ("size<=0.7x", "error<=0.2"))
    assert report.passed, report.markdown()
    half = carried_out(source, tmp_path / "half.onnx", Wish("fp16"), samples, ("size<=0.55x", "error<=0.01"))
    assert half.passed, half.markdown()

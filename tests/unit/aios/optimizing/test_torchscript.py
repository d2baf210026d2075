"""TorchScript, where PyTorch is installed: optimised and measured for real."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aios.errors import FailedPrecondition, InvalidArgument
from aios.optimizing.gates import parse_gate
from aios.optimizing.report import Report
from aios.optimizing.wish import Wish
from aios.optimizing.work import Order, carry_out

torch: Any = pytest.importorskip("torch", reason="needs PyTorch: pip install 'aiosd[optimize-torch]'", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "net.pt"
    module = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    torch.jit.save(torch.jit.script(module), str(path))
    return path


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "points.npz"
    np.savez(path, input=np.random.default_rng(0).standard_normal((100, 64)).astype("f"), labels=np.arange(100) % 10)
    return path


def carried_out(whole: Path, made: Path, wish: Wish, samples: Path | None, *gates: str) -> Report:
    order = Order(
        source="net@1", whole=whole, file="", format="torchscript", wish=wish, samples=(samples, "points") if samples else None,
        gates=[parse_gate(gate) for gate in gates], threads=1,
    )  # fmt: skip
    return carry_out(order, made, lambda steps: None)


@pytest.mark.parametrize(
    ("wish", "gates"),
    [
        (Wish("int8"), ("size<=0.4x", "agreement>=0.95")),
        (Wish("fp16"), ("size<=0.6x", "agreement>=0.95")),
        (Wish(prune=0.2), ("sparsity>=0.19", "agreement>=0.5")),
        (Wish("int8", 0.2), ("size<=0.4x", "sparsity>=0.19")),
    ],
)
def test_a_module_becomes_smaller(tmp_path: Path, network: Path, samples: Path, wish: Wish, gates: tuple[str, ...]) -> None:
    report = carried_out(network, tmp_path / "out.pt", wish, samples, *gates)
    assert report.passed, report.markdown()
    assert "accuracy" in report.measured.before and "PyTorch" in report.markdown()


def test_a_module_does_not_say_what_it_takes(tmp_path: Path, network: Path) -> None:
    with pytest.raises(InvalidArgument, match="does not say what shape its inputs have: input"):
        carried_out(network, tmp_path / "out.pt", Wish("fp16"), None)


def test_what_cannot_be_done_to_a_module(tmp_path: Path, samples: Path) -> None:
    path = tmp_path / "relu.pt"
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), str(path))
    with pytest.raises(FailedPrecondition, match="it has no linear layer"):
        carried_out(path, tmp_path / "out.pt", Wish("int8"), samples)
    with pytest.raises(FailedPrecondition, match="it has no weights to prune"):
        carried_out(path, tmp_path / "out.pt", Wish(prune=0.5), samples)
    path.write_bytes(b"nothing")
    with pytest.raises(FailedPrecondition, match=r"relu.pt cannot be loaded"):
        carried_out(path, tmp_path / "out.pt", Wish("fp16"), samples)

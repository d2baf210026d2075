"""What can be optimised: formats, files, packages, branches; and the command that comes of it."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from aiosd.errors import Denied, FailedPrecondition, InvalidArgument, NotFound
from aiosd.models.model import ModelRole
from aiosd.models.optimize_service import ModelOptimizer
from aiosd.models.optimizing import OPTIMIZERS, OptimizeWish
from aiosd.models.settings import ModelChange
from aiosd.models.version import Kind, Schema
from tests.fakes.model_world import ADA, BOB, EVE, ModelWorld

INT8 = OptimizeWish(ref="digits", quantize="int8")


@pytest.fixture
def world(tmp_path: Path) -> ModelWorld:
    world = ModelWorld(tmp_path)
    world.vault.schema = Schema("onnx")
    return world


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def optimizer(world: ModelWorld, *installed: str) -> ModelOptimizer:
    return ModelOptimizer(world.reader, "/venv/bin/python", lambda package: package in (installed or ("onnx", "onnxruntime", "torch")))


def refused(world: ModelWorld, wish: OptimizeWish = INT8, *installed: str, by: Any = ADA) -> FailedPrecondition:
    with pytest.raises(FailedPrecondition) as raised:
        run(optimizer(world, *installed).command(wish, by))
    return raised.value


def test_every_reference_is_made_a_version_when_the_job_is_asked_for(world: ModelWorld) -> None:
    one = run(world.register("1", tags=("v1",))).version
    two = run(world.register("2")).version
    points = run(world.register("p", model="points", kind=Kind.DATASET)).version
    wish = OptimizeWish(ref="digits:v1", quantize="int8", prune=0.5, calibrate="points:main", gates=("accuracy>=-1%", "size<=0.5x"), message="-m is no option")
    assert run(optimizer(world).command(wish, ADA)) == (
        "/venv/bin/python", "-P", "-m", "aios.optimizing", f"digits@{one.id}", "--format=onnx", "--file=model.bin", "--quantize=int8",
        f"--calibrate=points@{points.id}", "--branch=main", f"--expected={two.id}", "--message=-m is no option", "--prune=0.5",
        "--gate=accuracy>=-1%", "--gate=size<=0.5x",
    )  # fmt: skip
    new = run(optimizer(world).command(OptimizeWish(ref="digits", prune=0.25, calibrate="/data/p.npz", branch="small"), ADA))
    assert new[6:] == ("--file=model.bin", "--calibrate=/data/p.npz", "--branch=small", "--prune=0.25")


def test_the_model_in_a_directory_is_found(world: ModelWorld) -> None:
    whole = world.directory / "saved"
    (whole / "net").mkdir(parents=True)
    for name in ("config.json", "net/a.onnx", "net/a.onnx.data"):
        (whole / name).write_text(name)
    run(world.registered(world.models.register(draft("digits"), str(whole), ADA)))
    assert "--file=net/a.onnx" in run(optimizer(world).command(INT8, ADA))
    (whole / "b.onnx").write_text("b")
    run(world.registered(world.models.register(draft("digits"), str(whole), ADA)))
    assert "has 2 models in it (b.onnx, net/a.onnx)" in str(refused(world))


def draft(model: str) -> Any:
    from aiosd.models.draft import Draft

    return Draft(model=model)


@pytest.mark.parametrize(
    ("format_", "said", "hint"),
    [
        ("safetensors", "as it is safetensors: it holds weights without the network", "torch.onnx.export"),
        ("pytorch", "as it is pytorch: it holds weights without the network", "TorchScript"),
        ("gguf", "as it is gguf", "llama-quantize"),
        ("keras", "as it is keras: this daemon optimises onnx and torchscript", "export it to ONNX"),
        ("other", "as it is other", "export it to ONNX"),
    ],
)
def test_formats_that_nothing_can_be_done_to(world: ModelWorld, format_: str, said: str, hint: str) -> None:
    world.vault.schema = Schema(format_)
    run(world.register("1"))
    error = refused(world)
    assert said in str(error) and hint in error.hint


@pytest.mark.parametrize(
    ("format_", "installed", "missing"), [("onnx", "onnx", "onnxruntime"), ("onnx", "torch", "onnx and onnxruntime"), ("torchscript", "onnx", "torch")]
)
def test_what_has_to_be_installed_is_named(world: ModelWorld, format_: str, installed: str, missing: str) -> None:
    world.vault.schema = Schema(format_)
    run(world.register("1"))
    error = refused(world, INT8, installed)
    assert f"takes {missing}, and the daemon's Python has no such package" in str(error)
    assert error.hint == f"/venv/bin/python -m pip install 'aiosd[{OPTIMIZERS[format_].extra}]'"


def test_a_model_that_does_not_say_what_it_takes_needs_samples(world: ModelWorld) -> None:
    world.vault.schema = Schema("torchscript")
    run(world.register("1"))
    assert "does not say what it takes" in str(refused(world))
    assert run(optimizer(world).command(OptimizeWish(ref="digits", quantize="fp16", calibrate="/p.npz"), ADA))


def test_who_may(world: ModelWorld) -> None:
    run(world.register("1"))
    with pytest.raises(NotFound, match="no model digits"):
        run(optimizer(world).command(INT8, EVE))
    run(world.moves.set(Kind.MODEL, "digits", ModelChange(roles={"bob": ModelRole.READER}), ADA))
    with pytest.raises(Denied, match="may not optimise it, which registers a version"):
        run(optimizer(world).command(INT8, BOB))
    run(world.register("p", model="points", kind=Kind.DATASET, by=BOB))
    with pytest.raises(NotFound, match="no dataset points"):
        run(optimizer(world).command(OptimizeWish(ref="digits", quantize="int8", calibrate="points"), ADA))


def test_what_is_flagged_or_no_branch(world: ModelWorld) -> None:
    run(world.register("1", tags=("v1",)))
    assert "digits:v1 is no branch: its kind is tag" in str(refused(world, OptimizeWish(ref="digits", quantize="int8", branch="v1")))
    world.vault.findings = ("os.system",)
    run(world.register("2"))
    assert "is flagged: os.system" in str(refused(world))


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({}, "there is nothing to do"),
        ({"quantize": "int4"}, "quantize is 'int4'"),
        ({"prune": 1.0}, "prune is 1.0"),
        ({"prune": -0.1}, "prune is -0.1"),
        ({"prune": float("nan")}, "prune is nan"),
        ({"prune": 0.5, "branch": "a b"}, "cannot be the name of a reference"),
        ({"prune": 0.5, "calibrate": "a b"}, "cannot be the name of a dataset"),
    ],
)
def test_wishes_that_make_no_sense(wish: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        OptimizeWish(ref="digits", **wish)

"""TorchScript: run by PyTorch, quantised by its own tools, pruned by magnitude. It does not say what its inputs look like."""

import warnings
from pathlib import Path
from typing import Any

import torch

from aios.errors import FailedPrecondition
from aios.optimizing.samples import Array, Feed, Input, Samples
from aios.optimizing.wish import FP16, Done, Wish, pruned

RUNTIME = f"PyTorch {torch.__version__}"
CALIBRATES = False
_NUMBERS = ("int", "float", "bool", "number")

warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.")  # that TorchScript is old is no news to whoever has such a model


class Runner:
    """A scripted or traced module on `threads` processors. One in fp16 is fed with what it takes. Raises FailedPrecondition where it cannot be run."""

    def __init__(self, path: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self._module = _loaded(path)
        self._half = any(each.dtype is torch.float16 for each in self._module.parameters())
        asked = [argument for argument in self._module.forward.schema.arguments[1:] if not argument.has_default_value()]
        self.inputs = [Input(each.name, "", () if str(each.type) in _NUMBERS else None) for each in asked]
        self.outputs: list[str] = []

    def __call__(self, feed: Feed) -> list[Array]:
        try:
            with torch.inference_mode():
                answer = self._module(*(self._given(feed[each.name], each) for each in self.inputs))
        except (RuntimeError, ValueError, TypeError) as error:
            said = str(error).strip().rpartition("\n")[2][:300]
            raise FailedPrecondition(f"the model cannot be run with these samples: {said}", hint="check the arrays of --calibrate") from error
        return [each.float().numpy() if each.is_floating_point() else each.numpy() for each in _tensors(answer)]

    def _given(self, array: Array, wanted: Input) -> Any:
        if wanted.shape == ():
            return array.item()
        tensor = torch.from_numpy(array.copy())
        return tensor.half() if self._half and tensor.is_floating_point() else tensor


def parts_of(file: Path) -> set[Path]:
    return {file}


def optimise(source: Path, target: Path, wish: Wish, samples: Samples) -> Done:
    """Writes `target`. Raises FailedPrecondition where nothing can be done."""
    module, done = _loaded(source), Done()
    if wish.prune:
        _prune(module, wish.prune, done)
    if wish.quantize == FP16:
        module = module.half()
        done.did.append("fp16")
        done.notes.append("It takes and gives float16.")
    elif wish.quantize:
        from torch.ao.quantization import default_dynamic_qconfig, quantize_dynamic_jit

        module = quantize_dynamic_jit(module, {"": default_dynamic_qconfig})
        if "quantized::" not in str(module.inlined_graph):
            raise FailedPrecondition("there is nothing in it that int8 is for: it has no linear layer", hint="choose fp16, or export it to ONNX")
        done.did.append("int8 (dynamic)")
        done.notes.append("Linear layers are int8; all else stays as it is.")
    torch.jit.save(module, str(target))
    return done


def _loaded(path: Path) -> Any:
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        said = str(error).strip().partition("\n")[0][:300]
        raise FailedPrecondition(f"{path.name} cannot be loaded: {said}", hint=f"this is {RUNTIME}; another one may know more") from error


def _prune(module: Any, part: float, done: Done) -> None:
    zeros = total = 0
    with torch.no_grad():
        for name, weights in module.named_parameters():
            if weights.ndim < 2 or not weights.is_floating_point() or "weight" not in name:
                continue
            kept = pruned(weights.float().numpy(), part)
            weights.copy_(torch.from_numpy(kept))
            zeros, total = zeros + int((kept == 0).sum()), total + kept.size
    if not total:
        raise FailedPrecondition("it has no weights to prune", hint="a frozen module has none: prune it before it is frozen")
    done.pruned(zeros, total, part)


def _tensors(answer: Any) -> list[Any]:
    if isinstance(answer, torch.Tensor):
        return [answer]
    inner = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list | tuple) else ()
    return [tensor for each in inner for tensor in _tensors(each)]

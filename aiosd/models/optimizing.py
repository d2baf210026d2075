"""What can be optimised, and how: the wish as it came, the file it is about, and the words that start the program."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from aiosd.errors import FailedPrecondition, InvalidArgument
from aiosd.models.history import SHORT
from aiosd.models.manifest import FileEntry, Manifest
from aiosd.models.names import check_reference_name
from aiosd.models.references import MAIN, parse_ref
from aiosd.models.version import Kind, Version

QUANTIZE = ("int8", "int8-dynamic", "fp16")
_WEIGHTS_ALONE = "it holds weights without the network, so nothing can be run and nothing measured"


@dataclass(frozen=True, slots=True)
class Optimizer:
    """For one format: what has to be installed, by which extra, how the names of models end in a directory, and whether they say what they take."""

    packages: tuple[str, ...]
    extra: str
    suffixes: tuple[str, ...]
    says_inputs: bool


OPTIMIZERS = {
    "onnx": Optimizer(("onnx", "onnxruntime"), "optimize", (".onnx",), says_inputs=True),
    "torchscript": Optimizer(("torch",), "optimize-torch", (".pt", ".pth", ".ts", ".jit", ".torchscript"), says_inputs=False),
}
_WHY_NOT = {
    "safetensors": (_WEIGHTS_ALONE, "export the network to ONNX (torch.onnx.export), and register that"),
    "pytorch": (_WEIGHTS_ALONE, "export the network to ONNX (torch.onnx.export) or TorchScript, and register that"),
    "gguf": ("its tensors are quantised by the tools it is made with", "use llama-quantize, and register what comes out"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeWish:
    """As it came. `calibrate`: an absolute path, a version of a dataset, or "": random samples."""

    ref: str
    quantize: str = ""
    prune: float = 0.0
    calibrate: str = ""
    gates: tuple[str, ...] = ()
    branch: str = MAIN
    message: str = ""

    def __post_init__(self) -> None:
        check_reference_name(self.branch)
        if self.quantize not in ("", *QUANTIZE):
            raise InvalidArgument(
                f"quantize is {self.quantize[:40]!r}", hint=f"choose one of {', '.join(QUANTIZE)}", field="quantize", given=self.quantize[:40]
            )
        if not (isfinite(self.prune) and 0 <= self.prune < 1):
            raise InvalidArgument(f"prune is {self.prune}", hint="give the part of the weights that becomes 0: 0.5", field="prune", given=self.prune)
        if not self.quantize and not self.prune:
            raise InvalidArgument("there is nothing to do", hint=f"quantize it ({', '.join(QUANTIZE)}), prune it (0.5), or both", field="quantize")
        if self.calibrate and not self.calibrate.startswith("/"):
            parse_ref(self.calibrate, Kind.DATASET)

    def words(self, source: Version, format_: str, file: FileEntry, calibrate: str, expected: str) -> tuple[str, ...]:
        """The arguments of the program; `calibrate` as it was found, `expected`: what the branch is at."""
        options = {"--quantize": self.quantize, "--calibrate": calibrate, "--branch": self.branch, "--expected": expected, "--message": self.message}
        told = [f"{name}={value}" for name, value in options.items() if value]
        told += [f"--prune={self.prune:g}"] if self.prune else []
        told += [f"--gate={gate}" for gate in self.gates]
        return (f"{source.model}@{source.id}", f"--format={format_}", f"--file={file.path}", *told)


def optimizer_of(version: Version, installed: Callable[[str], bool], python: str) -> Optimizer:
    """Raises FailedPrecondition for a format that cannot be optimised, and where something has to be installed for it in `python` first."""
    name, format_ = f"{version.model}@{version.id[:SHORT]}", version.commit.schema.format
    found = OPTIMIZERS.get(format_)
    if found is None:
        known = " and ".join(OPTIMIZERS)
        why, hint = _WHY_NOT.get(format_, (f"this daemon optimises {known}", "export it to ONNX, and register that"))
        raise FailedPrecondition(f"{name} cannot be optimised, as it is {format_}: {why}", hint=hint, version=version.id, format=format_)
    missing = [package for package in found.packages if not installed(package)]
    if missing:
        raise FailedPrecondition(
            f"to optimise {format_} takes {' and '.join(missing)}, and the daemon's Python has no such package",
            hint=f"{python} -m pip install 'aiosd[{found.extra}]'", version=version.id, packages=" ".join(missing),
        )  # fmt: skip
    return found


def check_samples(version: Version, wish: OptimizeWish, optimizer: Optimizer) -> None:
    """Raises FailedPrecondition where random samples cannot be made."""
    if not (wish.calibrate or optimizer.says_inputs):
        raise FailedPrecondition(
            f"{version.model}@{version.id[:SHORT]} does not say what it takes, so it cannot be measured with random samples",
            hint="give some: --calibrate FILE.npz, or a dataset", version=version.id,
        )  # fmt: skip


def file_of(version: Version, manifest: Manifest, optimizer: Optimizer) -> FileEntry:
    """The model in it. Raises FailedPrecondition where there are several."""
    found = manifest.files if manifest.single else [entry for entry in manifest.files if entry.path.endswith(optimizer.suffixes)]
    if len(found) != 1:
        names = ", ".join(entry.path for entry in found[:5]) or "none"
        raise FailedPrecondition(
            f"{version.model}@{version.id[:SHORT]} has {len(found)} models in it ({names}), and one at a time is optimised",
            hint="register the one that you mean by itself", version=version.id,
        )  # fmt: skip
    return found[0]

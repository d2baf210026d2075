"""What docs/model-store.md shows is so: its commands are run in their order and print what it shows, numbers and ids aside."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

import aios
from aiosctl.cli import root
from aiosctl.failures import guarded
from aiosctl.model import COMMON, OF_MODELS
from aiosd.config import ModelsConfig
from tests.arch.source import ROOT
from tests.e2e.daemon import Daemon, a_daemon
from tests.unit.models.scanning.evil import dumped

models = pytest.importorskip("tests.fakes.onnx_models", exc_type=ImportError)
pytestmark = pytest.mark.timeout(300)  # some fifty commands, each a process
TEXT = (ROOT / "docs/model-store.md").read_text(encoding="utf-8")
OTHER = "gpu2.lab:7443"
STATUS = re.compile(r"# exit status (\d)$")


def transcripts() -> Iterator[tuple[str, list[str]]]:
    """Each command, and the lines that are shown below it."""
    lines: list[str] = re.findall(r"^    (.*\S)$", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL), flags=re.MULTILINE)
    starts = [at for at, line in enumerate(lines) if line.startswith("$ ")]
    for at, until in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[at][2:], lines[at + 1 : until]


def plain(line: str) -> str:
    """Without what differs from run to run: numbers, ids, the user, and how wide a column is."""
    return " ".join(word for word in line.split() if word != "root" and not any(c.isdigit() for c in word))


def ran(words: list[str]) -> int:
    """The exit status of aiosctl."""
    return guarded(lambda: root.main(args=words, prog_name="aiosctl", standalone_mode=False))


def prepare(daemon: Daemon) -> None:
    """The files that the guide speaks of."""
    path = models.classifier(daemon.root / "model.onnx")
    for name, tensor in (("better", "second"), ("other", "first")):
        model = models.onnx.load(str(path))
        moved = next(each for each in model.graph.initializer if each.name == tensor)
        moved.CopyFrom(models.onnx.numpy_helper.from_array(models.onnx.numpy_helper.to_array(moved) * np.float32(1.01), tensor))
        models.onnx.save(model, str(daemon.root / f"{name}.onnx"))
    models.saved_points(daemon.root / "samples.npz")
    (daemon.root / "theirs.pkl").write_bytes(dumped(str(daemon.root / "ran"), 2))
    angle, y = np.linspace(0, np.pi, 400), np.arange(400) % 2
    np.savez(daemon.root / "moons.npz", x=np.stack([np.cos(angle) * (1 - 2 * y) + y, np.sin(angle) * (1 - 2 * y) + y / 2], axis=1), y=y)
    shutil.copy(ROOT / "docs/examples/lineage/train.py", daemon.root)


def test_the_commands_of_the_guide_print_what_it_shows(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """In this process, for sixty starts of Python take a minute."""
    prepare(daemon)
    daemon.start()
    monkeypatch.chdir(daemon.root)
    for name, value in (daemon.environment | {"AIOS_TARGET": daemon.target}).items():
        monkeypatch.setenv(name, value)
    user = daemon.client().whoami().user
    with a_daemon() as other:
        other.start()
        for line, shown in transcripts():
            program, *words = (other.target if word == OTHER else sys.executable if word == "python" else word for word in shlex.split(line, comments=True))
            status = ran(words) if program == "aiosctl" else subprocess.run([program, *words], check=False).returncode
            told = "".join(capfd.readouterr()).replace(sys.executable, "python")
            expected = STATUS.search(line)
            assert status == (int(expected[1]) if expected else 0), f"{line}: {told}"
            printed = [plain(each.replace(f" {user} ", " root ")) for each in told.splitlines()]
            assert not [each for each in shown if plain(each) not in printed], f"{line} printed {told}"


def test_the_python_of_the_guide_names_what_there_is() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    compile(block, "model-store.md", "exec")
    assert not [name for name in re.findall(r"aios\.models\.(\w+)", block) if not hasattr(aios.models, name)]


def test_every_verb_is_in_the_guide_and_every_setting() -> None:
    assert not [verb for verb in COMMON | OF_MODELS if not re.search(rf"(?:model|data)[a-z` ]* {verb}\b|`{verb}\b", TEXT)]
    table = TEXT.split("## Settings")[1].split("## When")[0]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| ([^|]+) \|", table, flags=re.MULTILINE)))) == set(ModelsConfig.__struct_fields__)


def test_every_document_that_the_guide_names_is_there() -> None:
    assert not [path for path in re.findall(r"`(docs/[\w./-]+)`", TEXT) if not (ROOT / path).exists()]

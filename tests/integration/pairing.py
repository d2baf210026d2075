"""Two daemons side by side, what goes between them, and looks at what has come."""

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import aios
from aios._model_calls import StoreCalls
from tests.e2e.daemon import Daemon, a_daemon

MIB = 1 << 20
SIZES = {"AIOSD_MODELS__WHOLE_BYTES": str(4 * MIB)}


@pytest.fixture(scope="module")
def daemons() -> Iterator[tuple[Daemon, Daemon]]:
    with a_daemon(SIZES) as here, a_daemon(SIZES) as there:
        yield here.start(), there.start()


class Pair:
    """Two daemons, and the calls of a client to each."""

    def __init__(self, here: Daemon, there: Daemon, directory: Path) -> None:
        self.here, self.there, self.directory = here, there, directory
        self.chance = random.Random(str(directory))

    @property
    def ours(self) -> StoreCalls:
        return self.here.client().models

    @property
    def theirs(self) -> StoreCalls:
        return self.there.client().models

    def other(self) -> aios.Client:
        return self.there.client()

    def file(self, data: bytes, name: str = "m.bin") -> Path:
        path = self.directory / name
        path.write_bytes(data)
        return path

    def tree(self, pieces: int = 40) -> Path:
        """Some MiB in many chunks, a file that stays whole, and small ones."""
        root = self.directory / "saved"
        (root / "deep" / "none").mkdir(parents=True)
        (root / "large.bin").write_bytes(self.chance.randbytes(6 * MIB))
        (root / "run.sh").write_text("x")
        (root / "run.sh").chmod(0o755)
        (root / "empty").touch()
        for number in range(pieces):
            (root / f"part-{number:03}").write_bytes(self.chance.randbytes(100_000))
        return root


@pytest.fixture
def pair(daemons: tuple[Daemon, Daemon], tmp_path: Path) -> Pair:
    return Pair(*daemons, tmp_path)


def staged(daemon: Daemon) -> list[Path]:
    return [path for path in (daemon.state / "models" / "staged").rglob("*") if path.is_file()]


def staged_bytes(daemon: Daemon) -> int:
    found = 0
    for path in staged(daemon):
        with suppress(FileNotFoundError):  # it has its name now
            found += path.stat().st_size
    return found


def same(path: str, root: Path) -> bool:
    """Whether the files of two directories are the same."""
    names = sorted(str(each.relative_to(root)) for each in root.rglob("*"))
    if sorted(str(each.relative_to(path)) for each in Path(path).rglob("*")) != names:
        return False
    files = [(Path(path) / name, root / name) for name in names if (root / name).is_file()]
    return all(a.read_bytes() == b.read_bytes() and bool(a.stat().st_mode & 0o100) == bool(b.stat().st_mode & 0o100) for a, b in files)

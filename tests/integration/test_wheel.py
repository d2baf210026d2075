"""The wheel as an administrator gets it: built, installed into an environment of its own, and the service put in place from there."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.arch.source import ROOT

pytestmark = pytest.mark.slow
PARTS = ("aios", "aiosctl", "aiosd", "systemd", "pyproject.toml", "README.md", "LICENSE")
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that has the wheel; its libraries are those of this one."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    source.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, source / part)
    name = _run(sys.executable, "-c", BUILD, place, cwd=source).splitlines()[-1]
    shutil.rmtree(source)
    venv.create(place / "venv", symlinks=True)
    home = place / "venv"
    own = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (own / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--python", home / "bin" / "python", "--disable-pip-version-check", "--quiet")
    _run(*pip, "install", "--no-deps", "--no-index", "--ignore-installed", place / name, cwd=place)
    return home / "bin"


def test_the_installed_package_brings_its_service_along(installed: Path, tmp_path: Path) -> None:
    told = _run(installed / "aiosctl", "daemon", "install", "--system", "--root", tmp_path, "--enable", cwd=tmp_path)
    unit = (tmp_path / "usr/local/lib/systemd/system/aiosd.service").read_text()
    assert f"ExecStart={installed / 'aiosd'} --system\n" in unit, told
    assert (tmp_path / "usr/local/lib/sysusers.d/aios.conf").read_text() == (ROOT / "systemd/sysusers.conf").read_text()
    _run(installed / "aiosctl", "daemon", "uninstall", "--system", "--root", tmp_path, "--purge", "--yes", cwd=tmp_path)
    assert not [f for f in tmp_path.rglob("*") if not f.is_dir()]


def test_the_installed_daemon_is_the_installed_one(installed: Path) -> None:
    found = _run(installed / "python", "-c", "import aiosd, aiosctl; print(aiosd.__file__, aiosctl.__file__)", cwd=Path("/"))
    assert found.count(str(installed.parent)) == 2
    assert "[daemon]" in _run(installed / "aiosd", "--system", "--print-config", "--config", "/dev/null", cwd=Path("/"))

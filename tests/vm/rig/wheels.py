"""The wheels that a machine gets: of this tree and of all it depends on, for the guest's Python; and of a later version with a migration."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "setup.py", "MANIFEST.in", "aios", "aiosctl", "aiosd", "systemd")
PYTHON = "3.11"  # of Debian 12
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64")
MIGRATION = '''"""What the test of an upgrade looks for."""

from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.execute("create table upgrade_proof (at_s integer)")
    op.execute("insert into upgrade_proof values (1)")
'''


def make(directory: Path) -> tuple[Path, Path]:
    """`current` and `next` in `directory`: the first with every dependency, the second with one wheel. Made anew but for dependencies."""
    current, later = directory / "current", directory / "next"
    for old in (current, later):
        shutil.rmtree(old, ignore_errors=True)
        old.mkdir(parents=True)
    source = directory / "source"
    _copy(source)
    _build(source, current)
    _pip("download", "--dest", current, "--python-version", PYTHON, "--only-binary", ":all:", *_platforms(), next(current.glob("aiosd-*.whl")))
    _advance(source)
    _build(source, later)
    shutil.rmtree(source)
    return current, later


def _copy(target: Path) -> None:
    """What the package is made of, without what building it elsewhere has left."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for part in (ROOT / name for name in PARTS):
        if part.is_dir():
            shutil.copytree(part, target / part.name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
        elif part.exists():
            shutil.copy2(part, target)


def _build(source: Path, target: Path) -> None:
    """One wheel, the same bytes for the same tree."""
    shutil.rmtree(source / "build", ignore_errors=True)
    _pip("wheel", "--no-deps", "--wheel-dir", target, source, SOURCE_DATE_EPOCH="1000000000")


def _advance(source: Path) -> None:
    """Makes the tree a later version, with one migration more."""
    package = source / "aiosd" / "__init__.py"
    text = package.read_text()
    version = re.search(r'__version__ = "(\d+)\.(\d+)\.(\d+)"', text)
    assert version is not None, text
    package.write_text(text.replace(version[0], f'__version__ = "{version[1]}.{int(version[2]) + 1}.0"'))
    schema = source / "aiosd" / "storage" / "schema.py"
    text = schema.read_text()
    head = re.search(r'^REVISION = "(\d+)"', text, re.MULTILINE)
    assert head is not None, "the schema names no revision"
    revision = f"{int(head[1]) + 1:04}"
    schema.write_text(text.replace(head[0], f'REVISION = "{revision}"'))
    (source / "aiosd" / "storage" / "migrations" / "versions" / f"r{revision}_upgrade_proof.py").write_text(MIGRATION.format(revision=revision, before=head[1]))


def _platforms() -> Sequence[str]:
    return [word for platform in PLATFORMS for word in ("--platform", platform)]


def _pip(*words: "str | Path", **environment: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, words)]
    subprocess.run(command, check=True, env=os.environ | environment, stdin=subprocess.DEVNULL)

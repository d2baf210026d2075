"""What only the client knows of where a version comes from: its directory, the git checkout around it, Python and its packages."""

import json
import os
import socket
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from aios.v1 import models_pb2 as pb

_GIT_S = 5.0  # at most, for each question
_PYTHON_S = 20.0
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}


_ASK = (
    "import sys; del sys.path[0]; import json; from importlib import metadata; "
    "found = {d.metadata['Name']: d.version for d in reversed(list(metadata.distributions())) if d.metadata and d.metadata['Name']}; "
    "print(json.dumps([sys.version.split()[0], found]))"
)


def environment(python: str | None = None) -> "pb.Lineage":
    """`python`: the interpreter to be asked; None: the one that runs this. Nothing of it is needed, so nothing that fails here fails a registration."""
    from aios.v1 import models_pb2 as pb

    try:
        cwd = os.getcwd()
    except OSError:  # it was removed under us
        cwd = ""
    version, packages = (sys.version.split()[0], _packages()) if python is None else _told_by(python)
    made = pb.Lineage(cwd=cwd, python=version, packages=packages, host=socket.gethostname())
    commit = _git("rev-parse", "HEAD") if cwd else ""
    if commit:
        made.git_commit, made.git_branch = commit, _git("rev-parse", "--abbrev-ref", "HEAD")
        made.git_remote = without_secrets(_git("config", "--get", "remote.origin.url"))
        made.git_dirty = bool(_git("status", "--porcelain", "--untracked-files=no"))
    return made


def without_secrets(url: str) -> str:
    """`url` without user and password, which many a remote has in it."""
    parts = urlsplit(url)
    if not parts.scheme or "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _packages() -> dict[str, str]:
    found: dict[str, str] = {}
    for each in metadata.distributions():
        name = each.metadata["Name"] if each.metadata is not None else ""
        if name:
            found.setdefault(name, each.version)
    return found


def _told_by(python: str) -> tuple[str, dict[str, str]]:
    """The version of an interpreter, and its packages; nothing rather than what may be wrong."""
    try:
        version, packages = json.loads(_said([python, "-c", _ASK], _PYTHON_S))
        return str(version), {str(name): str(number) for name, number in packages.items()}
    except (ValueError, TypeError, AttributeError):
        return "", {}


def _git(*words: str) -> str:
    return _said(["git", *words], _GIT_S)


def _said(words: list[str], timeout_s: float) -> str:
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout_s, env=os.environ | _QUIET, check=False
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

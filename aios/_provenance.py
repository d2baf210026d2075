"""What only the client knows of where a version comes from: its directory, the git checkout around it, Python and its packages."""

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
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}


def environment() -> "pb.Lineage":
    """Nothing of it is needed, so nothing that fails here fails a registration."""
    from aios.v1 import models_pb2 as pb

    try:
        cwd = os.getcwd()
    except OSError:  # it was removed under us
        cwd = ""
    made = pb.Lineage(cwd=cwd, python=sys.version.split()[0], packages=_packages(), host=socket.gethostname())
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


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, errors="replace", timeout=_GIT_S, env=os.environ | _QUIET, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

"""What a run's directory says of the code that ran there, and its interpreter of its packages: asked as the run's user, by a child with limits.

git runs what a checkout's configuration names, so it is never run as root in somebody's directory; and whoever it is run as, for no longer than is due.
"""

import ctypes
import json
import os
import posixpath
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from aiosd.host.identities import Identity
from aiosd.host.waiting import readable

PATIENCE_S = 20.0
MOST_BYTES = 4 << 20
_PR_SET_NO_NEW_PRIVS = 38
# The shell is the user already when it enters the directory. What the daemon has for itself alone, its safety from the OOM killer, goes.
_ASK = r"""
ulimit -t 20; ulimit -v 4194304; echo 0 2>/dev/null >/proc/self/oom_score_adj; cd "$1" || exit 0
ask() { git --no-optional-locks -c core.fsmonitor=false -c core.hooksPath=/dev/null -c submodule.recurse=false "$@" 2>/dev/null; }
say() { printf '%s\0%s\0' "$1" "$2"; }
commit=$(ask rev-parse --verify HEAD) && {
    say commit "$commit"; say branch "$(ask rev-parse --abbrev-ref HEAD)"; say remote "$(ask config --get remote.origin.url)"
    [ -z "$(ask status --porcelain --untracked-files=no --ignore-submodules=all | head -c 1)" ] || say dirty yes
}
[ -z "$2" ] || say python "$("$2" -c "$3" 2>/dev/null)"
"""
_PACKAGES = (
    "import sys; del sys.path[0]; import json; from importlib import metadata; "
    "found = {d.metadata['Name']: d.version for d in reversed(list(metadata.distributions())) if d.metadata and d.metadata['Name']}; "
    "print(json.dumps({'python': sys.version.split()[0], 'packages': found}))"
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Empty where there is nothing to know, or nothing was to be found out in time."""

    git_commit: str = ""
    git_branch: str = ""
    git_remote: str = ""
    git_dirty: bool = False
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    host: str = field(default_factory=lambda: os.uname().nodename)


def look(cwd: str, command: Sequence[str], variables: Mapping[str, str], owner: Identity | None) -> Provenance:
    """Blocks. `owner`: as whom it is asked; None: as whoever the daemon is, because so are its jobs. Python is asked only where `command` begins with it."""
    found: list[Provenance] = []
    thread = threading.Thread(target=lambda: found.append(_look(cwd, command, variables, owner)), name="provenance", daemon=True)
    thread.start()  # one of its own: what has given up new privileges never gets them again, and neither does what it starts
    thread.join()
    return found[0] if found else Provenance()


def _look(cwd: str, command: Sequence[str], variables: Mapping[str, str], owner: Identity | None) -> Provenance:
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    python = command[0] if command and posixpath.basename(command[0]).startswith("python") else ""
    environment = {**(owner.variables if owner is not None else {}), **variables, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    said = _said(["/bin/sh", "-c", _ASK, "provenance", cwd, python, _PACKAGES], environment, owner)
    words = said.split("\0")
    told = dict(zip(words[::2], words[1::2], strict=False))
    asked = _told_by_python(told.get("python", ""))
    return Provenance(told.get("commit", ""), told.get("branch", ""), without_secrets(told.get("remote", "")), "dirty" in told, *asked)


def _said(words: list[str], environment: Mapping[str, str], owner: Identity | None) -> str:
    """What it says in time; its whole session goes with it."""
    user, group, groups = (owner.uid, owner.gid, owner.groups) if owner is not None else (None, None, None)
    try:
        process = subprocess.Popen(
            words, env=environment, cwd="/", user=user, group=group, extra_groups=groups, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    assert process.stdout is not None
    with process.stdout as out:
        said = _read(out.fileno())
    with suppress(ProcessLookupError):  # its leader is not reaped yet, so the number is still its own; perhaps nobody is left to be killed
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return said.decode(errors="replace")


def _read(fd: int) -> bytes:
    """Until all is told, or time is up: what somebody's configuration has started may keep it open for ever."""
    give_up_s, said = time.monotonic() + PATIENCE_S, b""
    while len(said) < MOST_BYTES and readable((fd,), max(0.0, give_up_s - time.monotonic())):
        more = os.read(fd, 1 << 16)
        if not more:
            break
        said += more
    return said


def _told_by_python(text: str) -> tuple[str, Mapping[str, str]]:
    try:
        told = json.loads(text)
        return str(told["python"]), {str(name): str(version) for name, version in told["packages"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return "", {}


def without_secrets(url: str) -> str:
    """`url` without user and password, which many a remote has in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.scheme and "@" in parts.netloc else url

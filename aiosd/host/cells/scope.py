"""A transient scope of systemd that holds the spawner, its shims and all jobs: it lives as long as a process of it, whatever becomes of the daemon."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from aiosd.host import cell

SYSTEMD = Path("/run/systemd/system")  # is there where systemd runs the machine, see sd_booted(3)
_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_PATIENCE_S = 20.0
_LOOK_S = 0.02
_NO_LIMIT = str((1 << 64) - 1)


class Scope:
    """`unit` of the system's manager, or of the user's. Every call blocks. Raises OSError where systemd does not do it."""

    def __init__(self, unit: str, mount: str, *, user: bool) -> None:
        self._unit, self._mount, self._user = unit, mount, user
        self._holder: subprocess.Popen[bytes] | None = None

    def open(self) -> str:
        """The directory of the scope's group; made anew with a process that holds it until the first spawner is in it."""
        there = self._group()
        if there and os.path.isdir(there):
            return there
        if there:
            _run(["systemctl", *self._where(), "stop", self._unit])  # somebody has removed its group: systemd waits for its end in vain
        self._holder = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        try:
            self._start(self._holder.pid)
            group = self._await_group(self._holder.pid)
            with suppress(FileExistsError):
                os.mkdir(f"{group}/shims", 0o755)
            cell.write(f"{group}/shims/cgroup.procs", str(self._holder.pid))
        except OSError:
            self.release()
            raise
        return group

    def place(self, pid: int) -> None:
        """Into `shims`; the scope is made again where it has ended meanwhile."""
        group = self.open()
        if self._user:
            self._ask("AttachProcessesToUnit", "ssau", self._unit, "/shims", "1", str(pid))  # across what the user may not write to
        else:
            cell.write(f"{group}/shims/cgroup.procs", str(pid))

    def release(self) -> None:
        """The spawner holds it now, or nobody needs it."""
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.communicate()

    def _start(self, pid: int) -> None:
        properties = (
            "PIDs", "au", "1", str(pid), "Delegate", "b", "true", "TasksMax", "t", _NO_LIMIT, "CollectMode", "s", "inactive-or-failed",
            "Description", "s", "Jobs of AIOS; they outlive its daemon",
        )  # fmt: skip
        give_up_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self._ask("StartTransientUnit", "ssa(sv)a(sa(sv))", self._unit, "fail", "5", *properties, "0")
            except FileExistsError:  # the one before is just ending
                if time.monotonic() > give_up_s:
                    raise
            time.sleep(_LOOK_S)

    def _await_group(self, pid: int) -> str:
        give_up_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < give_up_s:
            path = _unified_path(pid)
            if path.endswith("/" + self._unit):
                return self._mount + path
            time.sleep(_LOOK_S)
        raise TimeoutError(110, f"systemd did not start {self._unit} within {_PATIENCE_S:g} s")

    def _group(self) -> str:
        done = _run(["systemctl", *self._where(), "show", "--property=ControlGroup", "--value", self._unit])
        path = done.stdout.strip()
        return self._mount + path if done.returncode == 0 and path else ""

    def _ask(self, method: str, signature: str, *arguments: str) -> None:
        done = _run(["busctl", *self._where(), "call", *_MANAGER, method, signature, *arguments])
        if done.returncode:
            said = done.stderr.strip()
            kind = FileExistsError if "already" in said or "exists" in said else PermissionError
            raise kind(13, f"systemd refuses {method} of {self._unit}: {said}")

    def _where(self) -> list[str]:
        return ["--user"] if self._user else []


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise TimeoutError(110, f"'{command[0]}' did not answer within {_PATIENCE_S:g} s") from None


def _unified_path(pid: int) -> str:
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return ""

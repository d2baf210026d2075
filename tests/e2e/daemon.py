"""A real daemon for a test: its own directories, started, killed and started again; no process outlives the test."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import aios
from aiosd.host.cells.opening import remove_all
from tests.arch.source import ROOT

PATIENCE_S = 60.0
LOOK_S = 0.02
LONG = os.environ.get("AIOS_LONG_TESTS", "") not in ("", "0")  # full sizes, where the suite else takes smaller ones
T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first answer of `look` that counts as true."""
    give_up_s = time.monotonic() + patience_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > give_up_s:
            raise AssertionError(f"not within {patience_s:g} s: {what}; last seen: {found!r}")
        time.sleep(LOOK_S)


class Daemon:
    """`start`, `kill`, `stop` may follow each other in any order; `settings` are AIOSD_SECTION__KEY variables; `within`: where its directories are made."""

    def __init__(self, settings: Mapping[str, str] | None = None, state: Path | None = None, within: str | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="ae-", dir=within))  # short: the path of a socket has at most 107 bytes
        self.state = state or self.root / "state" / "aios"
        self.settings = {"AIOSD_JOBS__GRACE_S": "2", "AIOSD_JOBS__RETRY_BACKOFF_S": "0.1", **(settings or {})}
        self.module = "aiosd"
        self.process: subprocess.Popen[bytes] | None = None
        self._clients: list[aios.Client] = []
        for part in ("run", "home", "bin"):
            (self.root / part).mkdir(mode=0o700)

    # Where things are

    @property
    def socket(self) -> Path:
        return self.root / "run" / "aios" / "aiosd.sock"

    @property
    def target(self) -> str:
        return f"unix:{self.socket}"

    @property
    def log(self) -> Path:
        return self.root / "daemon.log"

    @property
    def environment(self) -> dict[str, str]:
        """Of the daemon and of what talks to it. The PATH names the root, so that every process of it can be told apart."""
        places = {"XDG_RUNTIME_DIR": "run", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config", "HOME": "home"}
        own = {name: str(self.root / part) for name, part in places.items()}
        path = f"{os.environ.get('PATH', os.defpath)}:{self.root / 'bin'}"
        return {**os.environ, **own, "PATH": path, "PYTHONPATH": str(ROOT), "AIOSD_AUTOSTART": "0", "AIOSD_DAEMON__STATE_DIRECTORY": str(self.state)}

    # Its life

    def start(self, *, fault: str = "", ready: bool = True, **more: str) -> "Daemon":
        """Start it. `fault`: where it kills itself, see aiosd/host/faults.py; `more`: further environment variables."""
        assert self.process is None or self.process.poll() is not None, "it still runs"
        environment = {**self.environment, **self.settings, **more} | ({"AIOSD_FAULT": fault} if fault else {})
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module], env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        eventually(lambda: self.answers() or self._ended_early(), "the daemon answers")

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.connect(str(self.socket))
            return True
        return False

    def _ended_early(self) -> bool:
        if self.running.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.running.returncode}; its log:\n{self.said()}")
        return False

    @property
    def running(self) -> "subprocess.Popen[bytes]":
        assert self.process is not None, "it was never started"
        return self.process

    @property
    def pid(self) -> int:
        return self.running.pid

    def kill(self) -> None:
        """SIGKILL, as a power cut of this one process."""
        self.running.kill()
        self.running.wait(PATIENCE_S)

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        self.running.terminate()
        return self.running.wait(PATIENCE_S)

    def restart(self, **settings: str) -> "Daemon":
        self.kill()
        return self.start(**settings)

    def died(self) -> int:
        """Its exit status, when it ends by itself."""
        return self.running.wait(PATIENCE_S)

    # Talking to it

    def client(self, timeout: float = PATIENCE_S) -> aios.Client:
        client = aios.Client(self.target, timeout=timeout, autostart=False)
        self._clients.append(client)
        return client

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call by bare gRPC carries, so that the daemon knows who calls."""
        return (("authorization", f"Bearer {self.client().credential()}"),)

    def aiosctl(self, *arguments: str, input: bytes = b"", patience_s: float = PATIENCE_S, **more: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [sys.executable, "-m", "aiosctl", *arguments], env={**self.environment, "AIOS_TARGET": self.target, **more}, input=input,
            capture_output=True, timeout=patience_s, check=False, cwd=self.root,
        )  # fmt: skip

    # What it leaves to see

    def said(self, last: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-last:]) if self.log.exists() else ""

    def logged(self) -> Iterator[dict[str, object]]:
        """What it logged, record by record; a line that a kill cut off is left out."""
        for line in self.log.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found

    def ends_of(self, job_id: str) -> list[str]:
        """The ends that were logged for a job: at most one, however often the daemon was killed."""
        ended = {str(state) for state in aios.State if state.ended}
        return [str(r["phase"]) for r in self.logged() if r.get("event") == "job" and r.get("job") == job_id and r.get("phase") in ended]

    def processes(self) -> dict[int, str]:
        """Every process that has to do with this daemon, with its command line; zombies are none."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with suppress(OSError):
                    if os.fsencode(self.root) in (entry / "environ").read_bytes():
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return found

    def children(self) -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def spawner_pid(self) -> int:
        """0 while there is none."""
        return next((pid for pid in self.children() if "host.spawner" in _command(pid)), 0)

    def strangers(self) -> dict[int, str]:
        """Processes beyond the daemon and its spawner: shims and jobs."""
        own = {self.pid, *self.children()} if self.process is not None and self.process.poll() is None else set()
        return {pid: command for pid, command in self.processes().items() if pid not in own}

    def run_files(self) -> list[str]:
        """The files of runs that were not settled. One that a daemon has barred stays a while, and counts not."""
        runs = self.state / "runs"
        return sorted(f.name for f in runs.iterdir() if not _void(f)) if runs.exists() else []

    def assert_clean(self) -> None:
        """No run file, no shim, no job, no scratch directory is left."""
        with suppress(AssertionError):
            eventually(lambda: not any(self._rest()), "nothing is left")
        assert self._rest() == ([], {}, [])

    def _rest(self) -> tuple[list[str], dict[int, str], list[str]]:
        return self.run_files(), self.strangers(), sorted(os.listdir(self.state / "scratch"))

    def memory_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def close(self) -> None:
        """End all that was started here, jobs too, and remove the directories."""
        for client in self._clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait(PATIENCE_S)
        give_up_s = time.monotonic() + PATIENCE_S
        while (left := self.processes()) and time.monotonic() < give_up_s:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(LOOK_S)
        remove_all(self.state)
        print(self.said(80))  # pytest shows it when the test fails
        shutil.rmtree(self.root, ignore_errors=True)


@contextmanager
def a_daemon(settings: Mapping[str, str] | None = None, state: Path | None = None, within: str | None = None) -> Iterator[Daemon]:
    daemon = Daemon(settings, state, within)
    try:
        yield daemon
    finally:
        daemon.close()


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def _void(path: Path) -> bool:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return True
    return not data or data.startswith(b'{"void"')

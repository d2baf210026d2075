"""A daemon of the benchmark's own in a temporary directory: started and stopped with certainty, nothing of the user's is touched."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import aios
from aiosd.host.cells.opening import remove_all
from benchmarks import machine

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 120.0
_LOOK_S = 0.002


class PrivateDaemon:
    """`state_in`: where its state directory is made, to choose the disk; else beside its socket in the temporary directory.

    through  a command that ends by executing its arguments, put before the daemon's own: where it is started, so to say
    root_in  where its temporary directory is made; else where such are
    """

    def __init__(
        self, settings: Mapping[str, str] | None = None, state_in: Path | None = None, through: Sequence[str] = (), root_in: Path | None = None
    ) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="ab-", dir=root_in))  # short: the path of a socket has at most 107 bytes
        self._state_root = Path(tempfile.mkdtemp(prefix="ab-", dir=state_in)) if state_in else self.root
        self.state = self._state_root / "state" / "aios"
        self.settings = dict(settings or {})  # none: what is measured is the daemon as it comes, with its log
        self.process: subprocess.Popen[bytes] | None = None
        self._through = through
        for part in ("run", "home", "bin"):
            (self.root / part).mkdir(mode=0o700)

    @property
    def target(self) -> str:
        return f"unix:{self.root}/run/aios/aiosd.sock"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.state}/aiosd.db"

    @property
    def environment(self) -> dict[str, str]:
        """For the daemon and for what talks to it. PATH names the root, so that every process of it can be found and ended.

        Nothing of Python's is passed on: modules are compiled once, beside their sources, as in an installed package.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIOS_", "AIOSD_", "XDG_", "PYTHON"))}
        places = {name: self.root / part for name, part in (("XDG_RUNTIME_DIR", "run"), ("XDG_CONFIG_HOME", "config"), ("HOME", "home"))}
        places["XDG_STATE_HOME"] = self._state_root / "state"
        path = f"{os.environ.get('PATH', os.defpath)}:{self.root}/bin"
        own = {"PATH": path, "PYTHONPATH": str(ROOT), "AIOSD_AUTOSTART": "0", "AIOS_TARGET": self.target}
        return {**kept, **{name: str(place) for name, place in places.items()}, **own}

    def start(self) -> float:
        """Start it; seconds until it answered its first call."""
        began_s = time.perf_counter()
        with (self.root / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._through, sys.executable, "-m", "aiosd"], env=self.environment | self.settings, cwd="/",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        while not self._listens():
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended with status {self.process.returncode}: {self.said()}")
            if time.perf_counter() - began_s > PATIENCE_S:
                raise RuntimeError(f"the daemon did not answer within {PATIENCE_S:g} s: {self.said()}")
            time.sleep(_LOOK_S)
        with self.client() as client:
            client.queues()
        return time.perf_counter() - began_s

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.connect(self.target.removeprefix("unix:"))
            return True
        return False

    def said(self) -> str:
        return (self.root / "daemon.log").read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """In order, by SIGTERM; jobs that run go on."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)

    def client(self) -> aios.Client:
        return aios.Client(self.target, timeout=PATIENCE_S, autostart=False)

    @property
    def pid(self) -> int:
        assert self.process is not None, "the daemon was never started"
        return self.process.pid

    @property
    def spawner_pid(self) -> int:
        (pid,) = [child for child in machine.children(self.pid) if "host.spawner" in Path(f"/proc/{child}/cmdline").read_text()]
        return pid

    def close(self) -> None:
        """End the daemon, its shims and its jobs, and remove what they made."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        give_up_s = time.monotonic() + PATIENCE_S
        while (left := self._processes()) and time.monotonic() < give_up_s:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_LOOK_S)
        remove_all(self.state)
        for directory in {self.root, self._state_root}:
            shutil.rmtree(directory, ignore_errors=True)

    def _processes(self) -> list[int]:
        """Whatever was started with the environment above, zombies left out."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with suppress(OSError):
                    if os.fsencode(f"{self.root}/bin") in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
        return found


@contextmanager
def private_daemon(
    settings: Mapping[str, str] | None = None,
    state_in: Path | None = None,
    *,
    through: Sequence[str] = (),
    start: bool = True,
    root_in: Path | None = None,
) -> Iterator[PrivateDaemon]:
    daemon = PrivateDaemon(settings, state_in, through, root_in)
    try:
        if start:
            daemon.start()
        yield daemon
    finally:
        daemon.close()

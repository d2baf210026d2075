"""A machine that is ready for its checks: AIOS installed and started as a service, its users, and ways to look at processes and groups."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.vm.guest.users import User

STATE = Path("/var/lib/aios")
CONFIG = Path("/etc/aios/aiosd.toml")
SOCKET = Path("/run/aios/aiosd.sock")
DISK = Path("/dev/disk/by-id/virtio-data0")
GROUPS = Path("/sys/fs/cgroup")
PATIENCE_S = 240.0  # everything here is 15 to 30 times slower than outside
SETTINGS = """\
[jobs]
grace_s = 5.0

[monitoring]
period_s = 1.0

[resources]
disk_reserve_bytes = 16777216

[isolation]
pids_max = 200

[access]
admin_groups = ["aios-admin"]
"""
NEIGHBOUR = """
import os, sys
file, steps = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644), 0
while True:
    sum(range(20000))
    steps += 1
    os.pwrite(file, b"%d" % steps, 0)
"""
T = TypeVar("T")


def sh(command: str, check: bool = True, timeout: float = 600.0) -> str:
    """What a shell command says, as root. Raises AssertionError with it when it fails."""
    done = subprocess.run(["bash", "-c", command], text=True, capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, f"{command!r} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def eventually(look: Callable[[], T], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first answer of `look` that counts as true."""
    give_up_s = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < give_up_s, f"not within {patience_s:g} s: {what}; last seen: {found!r}"
        time.sleep(0.2)
    return found


@dataclass
class Calm:
    """What the neighbour and the daemon felt of something: its rate in steps a second, before and during; the daemon's longest answer."""

    before: float = 0.0
    during: float = 0.0
    daemon: dict[str, Any] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        return {"neighbour_before_per_s": round(self.before), "neighbour_during_per_s": round(self.during), "daemon": self.daemon}


class World:
    """AIOS as a service with `settings` (`installed`: it is there already), and its users: alice and bob, and carol, who is an administrator."""

    def __init__(self, settings: str = SETTINGS, *, quota: bool = True, installed: bool = False) -> None:
        self.alice, self.bob, self.carol, self.root = (User(name) for name in ("alice", "bob", "carol", "root"))
        self._neighbour = ""
        if not installed:
            _install(settings, quota)
        self.await_answer()

    @property
    def daemon_pid(self) -> int:
        return int(sh("systemctl show -P MainPID aiosd"))

    def await_answer(self) -> None:
        """Until the daemon of this moment answers; systemd says `active` when it has said that it is ready."""
        eventually(lambda: sh("systemctl is-active aiosd", check=False).strip() == "active", "the service is active")

    # Processes and groups

    def pids_of(self, job: str) -> list[int]:
        """Of the processes that have the job's environment: its own, whoever forked them; the job's shim is none of them."""
        return [pid for pid in all_pids() if f"AIOS_JOB_ID={job}".encode() in environment_of(pid)]

    def await_running(self, job: str) -> list[int]:
        return eventually(lambda: self.pids_of(job), f"job {job} runs")

    def group_of(self, job: str) -> Path:
        """The control group of a running job."""
        line = Path(f"/proc/{self.await_running(job)[0]}/cgroup").read_text().strip()
        return GROUPS / line.partition("::")[2].lstrip("/")

    def await_nothing_of(self, job: str) -> None:
        """No process of it, and no group or scratch directory with its name."""
        eventually(lambda: not self.pids_of(job), f"no process of job {job} is left")
        eventually(lambda: not self.leftovers(job), f"no group and no scratch of job {job} is left")

    def leftovers(self, job: str) -> list[str]:
        """Groups and scratch directories of a job, whose names begin with its number."""
        groups = [str(p) for p in GROUPS.rglob("*") if _names(p.name, job) and p.is_dir()]
        return groups + [str(p) for p in (STATE / "scratch").glob("*") if _names(p.name, job)]

    # Neighbours

    @contextmanager
    def watched(self, warm_s: float = 6.0) -> Iterator[Calm]:
        """A neighbour of bob's computes all the while, and the daemon is asked all the while; both are the same ones at the end."""
        steps = self._neighbour_steps()
        calm, pid, daemon = Calm(), self.await_running(self._neighbour), self.daemon_pid
        self.carol.say("pinger = Pinger(); pinger.start()")
        calm.before = rate(steps, warm_s)
        began, began_s = steps(), time.monotonic()
        try:
            yield calm
        finally:
            calm.during = (steps() - began) / max(0.001, time.monotonic() - began_s)
            calm.daemon = self.carol.say("pinger.end()")
        assert self.pids_of(self._neighbour) == pid, "the neighbour is not what it was"
        assert self.daemon_pid == daemon, "the daemon is another one"
        assert not calm.daemon["errors"], calm.daemon
        assert calm.daemon["longest_s"] < 60, calm.daemon
        assert calm.during > calm.before / 20, calm  # starved, it would stand still; the emulated processors share the real ones

    def _neighbour_steps(self) -> Callable[[], int]:
        file = Path("/home/bob/steps")
        if not self._neighbour:
            self._neighbour = self.bob.submit(["python3", "-c", NEIGHBOUR, str(file)], cpus=1, memory="64M", name="neighbour")
            eventually(lambda: file.exists() and file.read_text(), "the neighbour computes")
        return lambda: int(file.read_text() or 0)


def _install(settings: str, quota: bool) -> None:
    if quota:
        mount_state()
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text(settings)
    sh("aiosctl daemon install --system")
    sh("systemctl restart aiosd", timeout=PATIENCE_S)


def mount_state() -> None:
    """An ext4 with project quotas as the state directory."""
    if not os.path.ismount(STATE):
        sh(f"mkfs.ext4 -q -F -O quota,project {DISK}")
        STATE.mkdir(exist_ok=True)
        sh(f"mount -o prjquota {DISK} {STATE}")


def all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def environment_of(pid: int) -> set[bytes]:
    """Its variables; none for a process that has ended or is a zombie."""
    with suppress(OSError):
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    return set()


def pids_of_aios(uid: int | None = None) -> list[int]:
    """Every process in a control group of the daemon's or of its jobs', or those of one user: no zombies."""
    found = []
    for pid in all_pids():
        with suppress(OSError):
            ours = "/aios" in Path(f"/proc/{pid}/cgroup").read_text() and Path(f"/proc/{pid}/cmdline").read_bytes()
            if ours and uid in (None, os.stat(f"/proc/{pid}").st_uid):
                found.append(pid)
    return found


def rate(steps: Callable[[], int], for_s: float) -> float:
    """Steps a second over a while."""
    began, began_s = steps(), time.monotonic()
    time.sleep(for_s)
    return (steps() - began) / (time.monotonic() - began_s)


def stat_of(file: Path) -> dict[str, int]:
    """A flat file of a control group: `key value` lines."""
    return {key: int(value) for key, value in (line.split() for line in file.read_text().splitlines())}


def in_background(do: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    return thread


def empty(directory: Path) -> None:
    """Removes what is in it."""
    for entry in directory.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _names(name: str, job: str) -> bool:
    """Whether a file's name begins with this job's number."""
    digits = name[: len(name) - len(name.lstrip("0123456789"))]
    return digits == job

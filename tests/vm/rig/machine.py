"""A throw-away machine under qemu: booted, given files, commanded, rebooted, and cut from its power."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from tests.vm.rig.link import Agent, Monitor, RigFailed

# Chosen for speed under emulation: without norandmaps each new process costs more than twice as much.
CPU = "max,la57=off,-erms,-fsrm"
KERNEL = (
    "root=/dev/vda ro console=ttyS0 quiet panic=-1 net.ifnames=0 systemd.show_status=0 "
    "tsc=reliable clocksource=tsc mitigations=off apparmor=0 audit=0 norandmaps init_on_alloc=0 clearcpuid=rep_good"
)
ACCELERATOR = "tcg,thread=multi,tb-size=512"
IN_SIZE = 2 << 30  # of the disk behind /in: fixed, since a snapshot remembers it


@dataclass(frozen=True, slots=True)
class Shape:
    """What a machine has; sizes in MiB. Extra disks are /dev/disk/by-id/virtio-data0 and so on."""

    cpus: int = 4
    numa_nodes: int = 2
    memory: int = 2048
    disks: tuple[int, ...] = (1024,)


def cache_directory() -> Path:
    """$AIOS_VM_CACHE, or aios-vm among the caches of whoever runs this."""
    named = os.environ.get("AIOS_VM_CACHE")
    return Path(named or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aios-vm").absolute()


class Machine:
    """Its disks are in `state`. A fresh one goes on from a snapshot of a booted machine of its shape, which the first one makes."""

    def __init__(self, state: Path, cache: Path, shape: Shape = Shape()) -> None:
        self.state = state
        self.cache = cache
        self.shape = shape
        self.deadline = float("inf")
        self._agent: Agent | None = None

    # Its power

    def pid(self) -> int:
        """Of its qemu; 0: it is off. The working directory guards against a number that is used again."""
        try:
            pid = int((self.state / "pid").read_text())
            return pid if os.readlink(f"/proc/{pid}/cwd") == str(self.state) else 0
        except (OSError, ValueError):
            return 0

    def up(self, files: Path | None = None) -> str:
        """Has it up, its clock right, and `files` read-only at /in; its boot id."""
        if not self.pid():
            self._start()
        boot_id = self._connect()
        if files is not None:
            self._must("! mountpoint -q /in || umount /in")
            self._fill(files)
            self._must("blockdev --flushbufs /dev/disk/by-id/virtio-in")
        mount = "mountpoint -q /in || mount -o ro /dev/disk/by-id/virtio-in /in" if (self.state / "in.img").stat().st_blocks else "true"
        self._must(f"date -s @{time.time():.3f} >/dev/null; {mount}")
        return boot_id

    def cut(self) -> None:
        """The power fails: SIGKILL to qemu."""
        if pid := self.pid():
            os.kill(pid, signal.SIGKILL)
            self._await_end()

    def off(self) -> None:
        """Shut down in order."""
        self._leave("poweroff")
        self._await_end()

    def reboot(self) -> str:
        """In order; the new boot id."""
        before = self.agent.boot_id()
        self._leave("reboot")
        while self._connect() == before:
            time.sleep(0.5)
        return self.up()

    # Commands

    @property
    def agent(self) -> Agent:
        if self._agent is None:
            self._connect()
        assert self._agent is not None
        return self._agent

    def run(self, command: str, heard: Callable[[str], bool] | None = None) -> int | None:
        """As root, in bash; see `Agent.run`. Raises TimeoutError when the machine's time is over."""
        return self.agent.run(command, heard)

    def told(self, command: str) -> str:
        """The output of a command that succeeds."""
        said: list[str] = []
        code = self.run(command, lambda text: said.append(text) is not None)
        if code != 0:
            raise RigFailed(f"{command!r} ended with {code}: {''.join(said)}")
        return "".join(said)

    def cpu_s(self) -> float:
        """CPU seconds that its qemu has used."""
        try:
            fields = Path(f"/proc/{self.pid()}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # Inside

    def _must(self, command: str) -> None:
        self.told(command)

    def _connect(self) -> str:
        if self._agent is not None:
            self._agent.close()
        self._agent = Agent(self.state, self._check)
        return self._agent.boot_id()

    def _check(self) -> None:
        if time.monotonic() > self.deadline:
            raise TimeoutError("the machine's time is over")
        if not self.pid():
            raise RigFailed(f"qemu ended: {self._said()}")

    def _said(self) -> str:
        return (self.state / "qemu.log").read_text(errors="replace")[-2000:]

    def _await_end(self) -> None:
        while self.pid():
            if time.monotonic() > self.deadline:
                raise TimeoutError("the machine did not end in time")
            time.sleep(0.05)

    def _leave(self, verb: str) -> None:
        """A verb of systemctl that may end the agent before it answers."""
        try:
            self.run(f"systemctl {verb}")
        except RigFailed:
            self._agent = None

    def _fill(self, files: Path) -> None:
        image = self.state / "in.img"
        _sparse(image, 0)
        _sparse(image, IN_SIZE)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m0", "-d", files, image], check=True)

    def _start(self) -> None:
        """qemu on this state's disks: a real boot, or, where they are new, from the snapshot of this shape."""
        if not (self.cache / "key").exists():
            raise RigFailed(f"there is no image in {self.cache}: `make test-vm` builds it")
        for name, size in [("in", IN_SIZE), *((f"data{n}", mib << 20) for n, mib in enumerate(self.shape.disks))]:
            if not (self.state / f"{name}.img").exists():
                _sparse(self.state / f"{name}.img", size)
        for name in ("pid", "agent", "qmp"):
            (self.state / name).unlink(missing_ok=True)
        if (self.state / "root.img").exists():
            self._spawn([])
            return
        with open(self.cache / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._snapshot.exists():
                self._make_snapshot(self._snapshot)
                return
        _copy(self._snapshot / "root.img", self.state / "root.img")
        self._spawn(["-incoming", f"exec:cat '{self._snapshot / 'memory'}'"])

    @property
    def _snapshot(self) -> Path:
        """Made of this image, for this shape."""
        what = [(self.cache / "key").read_text(), KERNEL, CPU, ACCELERATOR, IN_SIZE, astuple(self.shape)]
        return self.cache / f"snapshot-{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]}"

    def _make_snapshot(self, snapshot: Path) -> None:
        """Boots, then saves memory and disk; the machine goes on afterwards."""
        _copy(self.cache / "root.img", self.state / "root.img")
        self._spawn([])
        self._connect()
        self.run("systemctl is-system-running --wait >/dev/null; sync; fstrim /")
        self.agent.close()
        self._agent = None
        part = snapshot.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        with Monitor(self.state) as monitor:
            monitor("migrate-set-parameters", {"max-bandwidth": 1 << 40})
            monitor("migrate", {"uri": f"exec:cat >'{part / 'memory'}'"})
            while (status := monitor("query-migrate")["status"]) != "completed":
                if status in ("failed", "cancelled"):
                    raise RigFailed(f"the snapshot could not be saved: {self._said()}")
                self._check()
                time.sleep(0.05)
            _copy(self.state / "root.img", part / "root.img")
            monitor("cont")
        part.rename(snapshot)

    def _spawn(self, options: Sequence[str]) -> None:
        with open(self.state / "qemu.log", "ab") as log:
            qemu = subprocess.Popen(
                [*self._command(), *options], cwd=self.state, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )  # fmt: skip
        while not (self.state / "agent").exists() or not self.pid():
            if qemu.poll() is not None:
                raise RigFailed(f"qemu did not start: {self._said()}")
            time.sleep(0.02)

    def _command(self) -> list[str]:
        shape = self.shape
        command = [
            "qemu-system-x86_64", "-machine", "q35", "-accel", ACCELERATOR, "-cpu", CPU,
            "-m", f"{shape.memory}M", "-smp", f"{shape.cpus},sockets={shape.numa_nodes}", "-nodefaults", "-display", "none",
            "-serial", "file:console", "-pidfile", "pid",
            "-qmp", "unix:qmp,server=on,wait=off", "-chardev", "socket,id=agent,path=agent,server=on,wait=off",
            "-kernel", str(self.cache / "vmlinuz"), "-initrd", str(self.cache / "initrd"), "-append", KERNEL,
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=rig", "-device", "virtio-rng-pci",
        ]  # fmt: skip
        for name in ["root", "in", *(f"data{n}" for n in range(len(shape.disks)))]:
            command += ["-drive", f"file={name}.img,format=raw,if=none,id={name},discard=unmap", "-device", f"virtio-blk-pci,drive={name},serial={name}"]
        memory, cpus = shape.memory // shape.numa_nodes, shape.cpus // shape.numa_nodes
        for node in range(shape.numa_nodes if shape.numa_nodes > 1 else 0):
            command += ["-object", f"memory-backend-ram,id=m{node},size={memory}M"]
            command += ["-numa", f"node,nodeid={node},memdev=m{node},cpus={node * cpus}-{node * cpus + cpus - 1}"]
        return command


@contextmanager
def a_machine(state: Path, cache: Path, shape: Shape = Shape()) -> Iterator[Machine]:
    """One that is gone at the end, its disks too."""
    state.mkdir(parents=True, exist_ok=True)
    machine = Machine(state.resolve(), cache, shape)
    try:
        yield machine
    finally:
        machine.deadline = time.monotonic() + 60
        machine.cut()
        shutil.rmtree(state, ignore_errors=True)


def _sparse(path: Path, size: int) -> None:
    with open(path, "wb") as file:
        file.truncate(size)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", source, target], check=True)

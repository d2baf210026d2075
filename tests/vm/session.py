"""One run of the suite: the image, the machines, what their checks said, and the transcript at the end."""

import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.vm import transcript
from tests.vm.guest import checks, powercut
from tests.vm.guest.checks import Verdict
from tests.vm.rig import wheels
from tests.vm.rig.link import RigFailed
from tests.vm.rig.machine import Machine, Shape, a_machine, cache_directory

PYTHON = "cd /in && exec /opt/aios/bin/python"
TIME_S = 3600.0  # of one machine
CUT_AT = 120  # acknowledged submissions, of 200
TITLES = {
    "isolation": "Jobs are held to what they were given",
    "privacy": "Users are kept apart",
    "service": "The service goes on",
    "powercut": "The power fails",
}


@dataclass
class Session:
    """`logs` keeps what each machine printed."""

    cache: Path = field(default_factory=cache_directory)
    began_s: float = field(default_factory=time.monotonic)
    facts: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    logs: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="aios-vm-")))

    def verdict(self, module: str, name: str, names: Sequence[str]) -> Verdict:
        """Of one check; all of `names` run when the first of the module is asked for."""
        if module not in self.verdicts:
            self.verdicts[module] = {}
            run = self._cut if module == "powercut" else self._plain
            self.verdicts[module] = {v.name: v for v in run(module, names)}
        return self.verdicts[module].get(name) or Verdict(name, "", why=f"the machine told nothing of it; what it printed: {self.logs / module}.log")

    def close(self) -> None:
        """Writes the transcript, when every module was run in whole."""
        whole = all({c.name for c in checks.checks_of(m)} <= self.verdicts.get(m, {}).keys() for m in TITLES)
        found = {module: list(self.verdicts[module].values()) for module in TITLES if module in self.verdicts}
        took = {"took": f"{(time.monotonic() - self.began_s) / 60:.0f} minutes, on {os.cpu_count()} processors, load {os.getloadavg()[1]:.1f}"}
        place = wheels.ROOT / "docs" / "vm-transcript.md" if whole else self.logs / "vm-transcript.md"
        transcript.write(place, self.facts | took, TITLES, found)
        print(f"\nwritten: {place}; what the machines printed: {self.logs}")

    # Machines

    def _plain(self, module: str, names: Sequence[str]) -> list[Verdict]:
        with self._machine(module) as machine:
            machine.up(self.files)
            self._learn(machine)
            return self._checked(machine, module, names)

    def _cut(self, module: str, names: Sequence[str]) -> list[Verdict]:
        """Submissions until enough were acknowledged, then SIGKILL to qemu; the same disk is booted again, and looked at."""
        told: dict[int, tuple[str, str]] = {}
        with self._machine(module) as machine:
            boot_id = machine.up(self.files)
            line = re.compile(rf"^{powercut.ACKNOWLEDGED} (\d+) (\S+) (\S+)$", re.MULTILINE)
            said = ""

            def heard(text: str) -> bool:
                nonlocal said
                self._log(module, text)
                said += text
                told.update({int(n): (job, kind) for n, job, kind in line.findall(said.rpartition("\n")[0])})
                return len(told) >= CUT_AT

            code = machine.run(f"{PYTHON} -m tests.vm.guest.powercut", heard)
            if code is not None:
                raise RigFailed(f"the submissions ended with {code} before the cut: {said[-2000:]}")
            machine.cut()
            with tempfile.TemporaryDirectory() as directory:
                files = Path(directory) / "in"
                shutil.copytree(self.files, files)
                (files / powercut.NOTED.name).write_text(json.dumps({"boot_id": boot_id, "jobs": told}))
                machine.up(files)
                return self._checked(machine, module, names)

    @contextmanager
    def _machine(self, module: str) -> Iterator[Machine]:
        """Up, with our files; gone at the end, with what its daemon logged kept."""
        with a_machine(Path(tempfile.mkdtemp(prefix=f"aios-vm-{module}-")), self.cache, Shape()) as machine:
            machine.deadline = time.monotonic() + TIME_S
            yield machine

    def _checked(self, machine: Machine, module: str, names: Sequence[str]) -> list[Verdict]:
        found: list[Verdict] = []
        rest = ""

        def heard(text: str) -> bool:
            nonlocal rest
            self._log(module, text)
            *lines, rest = (rest + text).split("\n")
            found.extend(_verdicts(lines))
            return False

        try:
            machine.run(f"{PYTHON} -m tests.vm.guest.checks {module} {' '.join(names)} 2>&1", heard)
        except (RigFailed, TimeoutError) as error:
            self._log(module, f"\n{type(error).__name__}: {error}\n")
        else:
            self._log(module, machine.told("journalctl -u aiosd -o cat --no-pager | tail -n 400"))
        return found

    def _log(self, module: str, text: str) -> None:
        with (self.logs / f"{module}.log").open("a") as log:
            log.write(text)
        print(text, end="", flush=True)

    # What they are made of

    @property
    def files(self) -> Path:
        """What a machine has at /in: this suite's programs, and the wheels."""
        return self.cache / "in"

    def build(self) -> None:
        """The wheels, the image with them, and `files`."""
        files = self.files
        shutil.rmtree(files, ignore_errors=True)
        current, later = wheels.make(self.cache / "wheels")
        image = wheels.ROOT / "tests" / "vm" / "rig" / "build-image"
        subprocess.run([image, current], check=True, env=os.environ | {"AIOS_VM_CACHE": str(self.cache)}, stdin=subprocess.DEVNULL)
        shutil.copytree(wheels.ROOT / "tests" / "vm" / "guest", files / "tests" / "vm" / "guest", ignore=shutil.ignore_patterns("__pycache__"))
        for wheel in (next(current.glob("aiosd-*.whl")), next(later.glob("aiosd-*.whl"))):
            place = files / wheel.parent.name
            place.mkdir()
            shutil.copy2(wheel, place)

    def _learn(self, machine: Machine) -> None:
        """The facts at the head of the transcript."""
        if not self.facts:
            system = "uname -r; systemctl --version | head -n1 | cut -d' ' -f2; /opt/aios/bin/python -V; cat /sys/fs/cgroup/cgroup.controllers; nproc; free -m | awk '/Mem/{print $2}'; . /etc/os-release; echo $PRETTY_NAME; ls /sys/devices/system/node | grep -c node[0-9]; aiosctl --version"
            kernel, systemd, python, controllers, cpus, memory, name, nodes, version = machine.told(system).splitlines()
            commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=wheels.ROOT, capture_output=True, text=True, check=False).stdout.strip()
            self.facts = {
                "run": transcript.now(), "tree": f"{version}, commit {commit or 'unknown'}", "system": f"{name}, kernel {kernel}, systemd {systemd}, {python}",
                "machine": f"{cpus} processors on {nodes} nodes, {memory} MiB, emulated on {platform.machine()}", "control groups": f"v2: {controllers}",
            }  # fmt: skip


def _verdicts(lines: Iterable[str]) -> Iterable[Verdict]:
    return [verdict for line in lines if (verdict := checks.read(line)) is not None]

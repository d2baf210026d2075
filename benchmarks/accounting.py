"""CPU time of everything that a daemon ever started, exactly: by a control group of the benchmark's own, where one can be made."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """A group. What is started through `entering` is in it, with all that it forks: a daemon's shims and jobs too."""

    path: Path

    @property
    def entering(self) -> tuple[str, ...]:
        return ("/bin/sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh")

    def cpu_s(self) -> float:
        """Seconds used until now, by the living and the dead."""
        v1 = self.path / "cpuacct.usage"
        if v1.exists():
            return int(v1.read_text()) / 1e9
        stat = dict(line.split() for line in (self.path / "cpu.stat").read_text().splitlines())
        return int(stat["usage_usec"]) / 1e6


@contextmanager
def account() -> Iterator[Account | None]:
    """One that is removed at the end, when the processes in it have ended; None where no group can be made."""
    home = _accounting_home()
    made = None
    if home is not None:
        with suppress(OSError):
            made = Path(tempfile.mkdtemp(prefix="ab-", dir=home))
            made.chmod(0o755)  # it is also read while the benchmark acts as another user
    try:
        yield Account(made) if made else None
    finally:
        if made:
            _remove(made)


def _accounting_home() -> Path | None:
    """The directory of this process in the hierarchy that counts CPU time."""
    groups = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    own = next((path for names, path in groups.items() if "cpuacct" in names.split(",")), None)
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split()[:3]
        if kind == "cgroup" and "cpuacct" in options.split(","):
            return Path(left.split()[4] + (own or "/"))
        if kind == "cgroup2" and own is None and "" in groups:
            return Path(left.split()[4] + groups[""])
    return None


def _remove(group: Path) -> None:
    """Deepest first; groups that a daemon made below it too."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while group.exists() and time.monotonic() < give_up_s:
        for directory in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            with suppress(OSError):
                directory.rmdir()
        with suppress(OSError):
            os.rmdir(group)
        time.sleep(0.02)

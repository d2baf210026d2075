"""The scope of systemd, with stand-ins for its programs: who is in it when, and what is said when it is refused."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiosd.host.cells.limits import Limits
from aiosd.host.cells.mounts import mounts
from aiosd.host.cells.scope import Scope
from aiosd.host.cells.v2 import V2

SYSTEMCTL = """#!/bin/sh
case "$*" in stop*) echo "$*" >> {log}; exit 0 ;; esac
for unit; do :; done
[ -d "{mount}/$unit" ] && echo "/$unit" || echo
"""
BUSCTL = """#!/bin/sh
echo "$5 $7" >> {log}
mkdir "{mount}/$7" 2>/dev/null || {{ echo "Unit $7 already exists" >&2; exit 1; }}
shift 12
echo "$1" > "{mount}/{unit}/cgroup.procs"
"""


@dataclass(frozen=True)
class Manager:
    mount: str
    unit: str
    log: Path

    @property
    def group(self) -> Path:
        return Path(self.mount, self.unit)

    def members(self, part: str = "") -> list[str]:
        return (self.group / part / "cgroup.procs").read_text().split()

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def programs(directory: Path, **texts: str) -> None:
    for name, text in texts.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """It makes groups as systemd does; in a v2 tree that is really there."""
    mount = mounts().unified
    if not mount or not os.access(mount, os.W_OK) or Path("/run/systemd/system").exists():
        pytest.skip("needs a v2 tree that can be written, and no systemd that owns it")
    found = Manager(mount, f"aios-test-{os.getpid()}.scope", tmp_path / "asked")
    programs(tmp_path, systemctl=SYSTEMCTL.format(mount=mount, log=found.log), busctl=BUSCTL.format(mount=mount, log=found.log, unit=found.unit))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    yield found
    for part in ("jobs", "shims", ""):
        if (found.group / part).is_dir():
            (found.group / part).rmdir()


@pytest.fixture
def spawner() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


@pytest.mark.root
def test_a_scope_is_held_until_the_spawner_is_in_and_found_by_the_next_daemon(manager: Manager, spawner: subprocess.Popen[bytes]) -> None:
    first = Scope(manager.unit, manager.mount, user=False)
    tree = V2(first.open(), first)
    assert manager.asked() == [f"StartTransientUnit {manager.unit}"]
    (holder,) = manager.members("shims")  # not in the scope's own group, which is to give controllers to others
    assert manager.members() == []
    assert tree.parents == {"": f"{manager.group}/jobs"}
    tree.place_spawner(spawner.pid)
    tree.settled()
    assert manager.members("shims") == [str(spawner.pid)]
    assert not Path(f"/proc/{holder}").exists()
    again = V2(Scope(manager.unit, manager.mount, user=False).open())
    assert again.parents == tree.parents
    assert len(manager.asked()) == 1


@pytest.mark.root
def test_a_scope_that_has_ended_is_made_again_for_the_next_spawner(manager: Manager, spawner: subprocess.Popen[bytes]) -> None:
    scope = Scope(manager.unit, manager.mount, user=False)
    tree = V2(scope.open(), scope)
    tree.settled()
    for part in ("jobs", "shims", ""):  # as systemd does, when nobody is left in it
        (manager.group / part).rmdir()
    tree.place_spawner(spawner.pid)
    tree.settled()
    assert manager.members("shims") == [str(spawner.pid)]
    assert Path(leaf_parent(tree)).is_dir()
    assert len(manager.asked()) == 2


@pytest.mark.root
def test_a_scope_whose_group_is_gone_is_ended_before_it_is_made_again(manager: Manager, tmp_path: Path) -> None:
    """As somebody's rmdir leaves it: systemd still believes that it runs."""
    programs(tmp_path, systemctl=SYSTEMCTL.format(mount=manager.mount, log=manager.log).replace("|| echo", '|| echo "/gone"'))
    scope = Scope(manager.unit, manager.mount, user=False)
    scope.open()
    assert manager.asked() == [f"stop {manager.unit}", f"StartTransientUnit {manager.unit}"]
    scope.release()
    (manager.group / "shims").rmdir()


def leaf_parent(tree: V2) -> str:
    """Where the next run's group would be made."""
    directories = tree.cell("1.-1.1", Limits(), ())[0]
    assert isinstance(directories, tuple)
    return os.path.dirname(str(directories[0]))


def test_what_systemd_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(tmp_path, systemctl="#!/bin/sh\necho\n", busctl="#!/bin/sh\necho 'Access denied' >&2\nexit 1\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(PermissionError, match=r"systemd refuses StartTransientUnit of x\.scope: Access denied"):
        Scope("x.scope", "/nowhere", user=True).open()


def test_without_the_programs_it_is_an_error_that_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        Scope("x.scope", "/nowhere", user=False).open()

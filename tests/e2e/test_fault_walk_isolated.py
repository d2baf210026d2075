"""The fault walk with everything on that isolates a job: another user, a control group, secrets, a /tmp of its own. After each death nothing of it is left."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import aios
from aiosd.host.cells.opening import name_of
from tests.e2e.daemon import LONG, Daemon, a_daemon, eventually
from tests.e2e.thread_user import NOBODY
from tests.e2e.walk import DAEMON, HONESTLY_LOST, RECOVERY, SHIM, SPAWNER, Walk

pytestmark = pytest.mark.root

SETTINGS = {
    "AIOSD_DAEMON__USERS": "all",
    "AIOSD_ISOLATION__RUN_AS_USER": "on",
    "AIOSD_ISOLATION__CGROUPS": "auto",
    "AIOSD_ISOLATION__WATCHDOG_PERIOD_S": "0.2",
}
SECRET = "walked-by-the-secret"
STRAY = "setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep 1; done' & id -u > /dev/null; "  # only a cell's end ends it
STEPS = (*DAEMON, *SPAWNER, *SHIM) if LONG else ("launch.2-sent", "spawner.2-forked", "shim.2-claimed", "shim.3-spawned", "shim.4-ended", "exit.1-noticed")


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """For every user of this machine: its directories can be passed through, and the marks be written by all. A /tmp of a job's own would hide them."""
    with a_daemon(SETTINGS, within="/var/lib") as daemon:
        for directory in (daemon.root, daemon.root / "run", daemon.state.parent):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o711)
        (daemon.root / "marks").touch()
        (daemon.root / "marks").chmod(0o666)
        yield daemon
    for path in sorted(Path("/sys/fs/cgroup").rglob(f"*{name_of(daemon.state)}*"), reverse=True):
        path.rmdir()  # a daemon that is killed leaves its own; those of runs are gone


@pytest.fixture
def walk(daemon: Daemon) -> Walk:
    """By `nobody`, each job with a limit, a secret, a /tmp and a stray process."""
    return Walk(daemon, uid=NOBODY, after=STRAY, memory="64M", secrets={"KEY": SECRET}, private_tmp=True)


def assert_nothing_is_left(daemon: Daemon) -> None:
    """Beyond processes and scratch, which `walk.check` looks for: no cell of a run, and the secret in no file."""
    eventually(lambda: not cells(daemon), "no control group of a run is left")
    eventually(lambda: not holding(daemon.root, SECRET), "no file holds the secret")


def cells(daemon: Daemon) -> list[Path]:
    """The control groups of runs: directories with the name of an attempt below one with the name of this daemon."""
    name = name_of(daemon.state)
    return [path for path in Path("/sys/fs/cgroup").rglob(f"*{name}*/**/[0-9]*.*") if path.is_dir()]


def holding(root: Path, text: str) -> list[str]:
    found = []
    for directory, _, files in os.walk(root):
        for file in (Path(directory) / name for name in files):
            if file.is_file() and text.encode() in file.read_bytes():
                found.append(str(file))
    return found


@pytest.mark.parametrize("step", STEPS)
def test_something_dies_at_a_step(daemon: Daemon, walk: Walk, step: str) -> None:
    """Twice each: the daemon, the spawner or the shim of a run; what is the daemon's is killed whether it strikes or not."""
    for nth, code in enumerate((0, 3), 1):
        daemon.start(fault=f"{step}:{nth}", ready=step not in DAEMON)
        walk.submit(f"n{nth}", code)
        eventually(lambda: daemon.running.poll() is not None or walk.all_have_ended(), f"{step}:{nth} strikes, or everything ends")
        if daemon.running.poll() is None:
            daemon.kill()
    daemon.start()
    walk.check(may_be_lost=step in HONESTLY_LOST)
    assert_nothing_is_left(daemon)


@pytest.mark.parametrize("step", RECOVERY if LONG else RECOVERY[1:])
def test_the_daemon_dies_while_it_recovers(daemon: Daemon, walk: Walk, step: str) -> None:
    walk.submit("once", 5)
    daemon.start(fault="launch.2-sent:1", ready=False)
    assert daemon.died() == -9
    daemon.start(fault=step, ready=False)
    eventually(lambda: daemon.running.poll() is not None or daemon.answers(), "it strikes, or the run had begun")
    if daemon.running.poll() is None:
        daemon.kill()
    daemon.start()
    walk.check()
    assert_nothing_is_left(daemon)


def test_a_shim_that_dies_takes_its_whole_cell_along(daemon: Daemon, walk: Walk) -> None:
    """The job itself would live for ever: with its shim gone it is ended with all its strays, and repeated where it may be."""
    daemon.start(fault="shim.3-spawned:1")
    job = walk.client.submit("exec sleep 100000", retries=0, memory="64M", env={}, inherit_env=False, cwd="/")
    assert job.wait().state is aios.State.LOST
    daemon.assert_clean()
    assert_nothing_is_left(daemon)

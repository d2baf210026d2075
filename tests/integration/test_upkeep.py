"""Backup, check, repair and restore against a real state directory, with the daemon's own code and without its process."""

import asyncio
import gzip
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd import upkeep
from aiosd.config import Config, DaemonConfig
from aiosd.errors import AiosError, AlreadyExists, AlreadyRunning, FailedPrecondition, InvalidArgument, NotFound, StorageCorrupt, Unavailable
from aiosd.findings import Finding
from aiosd.host import archive, runfile
from aiosd.host.cells.limits import CellSettings
from aiosd.host.cells.opening import open_cells
from aiosd.host.lock import lock_state
from aiosd.jobs.job import Job, Phase, Run
from aiosd.jobs.ports import Changes
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.storage.check import job_numbers
from aiosd.storage.journal import SqlJournal
from tests.unit.storage.samples import ended, live


def config_of(state: Path) -> Config:
    state.mkdir(parents=True, exist_ok=True)
    return Config(daemon=DaemonConfig(state_directory=str(state), runtime_directory=str(state / "run")))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A state directory with a live job, an ended one with outputs, and the record of an end that is not booked yet."""
    config = config_of(tmp_path / "state")
    commit(config, Changes(saved=[live(1)], ended=[ended(4)]))
    state = Path(config.daemon.state_directory)
    for name in ("runs", "scratch", "checkpoints/4", "logs/0/4"):
        (state / name).mkdir(parents=True)
    (state / "logs/0/4/job.1.out").write_text("said\n")
    (state / "logs/0/4/job.1.out").chmod(0o640)
    write_run(state, "4.-1.1", end={"exit_code": 0, "run_s": 1.0, "ended_at": 5.0})
    return config


def commit(config: Config, changes: Changes) -> None:
    async def main() -> None:
        journal = await SqlJournal.open(config.database_url)
        await journal.commit(changes)
        await journal.close()

    asyncio.run(main())


def write_run(state: Path, key: str, end: dict[str, runfile.Field] | None = None, **claim: runfile.Field) -> Path:
    """A run file as a shim leaves it, of a process that has ended."""
    path = state / "runs" / key
    fields: dict[str, runfile.Field] = {
        "shim_pid": 1, "shim_start_ticks": 1, "boot_id": runfile.boot_id(), "started_at": 1.0, "started_steady": 1.0, **claim,
    }  # fmt: skip
    fd = runfile.claim(str(path), fields)
    usage = dict.fromkeys(("cpu_user_s", "cpu_system_s"), 0.0) | dict.fromkeys(
        ("memory_peak_bytes", "read_bytes", "write_bytes", "voluntary_switches", "involuntary_switches", "major_faults"), 0
    )
    if end is not None:
        runfile.record(fd, runfile.END_AT, {**end, **usage})
    os.close(fd)
    os.utime(path, (1, 1))
    return path


def tree(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in sorted(path.rglob("*")) if f.is_file()}


# Backup and restore


@pytest.fixture
def backup(config: Config, tmp_path: Path) -> Path:
    upkeep.write_backup(config, str(tmp_path / "b.tar.gz"))
    return tmp_path / "b.tar.gz"


def test_a_backup_is_private_whole_and_says_what_it_is(config: Config, tmp_path: Path) -> None:
    state = Path(config.daemon.state_directory)
    (state / "secrets").mkdir()
    (state / "secrets/4").write_text("hunter2")
    (state / "logs/0/4/stolen").symlink_to("/etc/shadow")
    os.mkfifo(state / "logs/0/4/fifo")
    os.link(state / "secrets/4", state / "logs/0/4/second-name")
    write_run(state, "1.-1.1")  # has not ended: it is another machine's, when this is restored
    done = upkeep.write_backup(config, str(tmp_path / "b.tar.gz"))
    data = (tmp_path / "b.tar.gz").read_bytes()
    assert (done.jobs, done.bytes, done.sha256) == (2, len(data), hashlib.sha256(data).hexdigest())
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        assert [member.name for member in tar if member.isfile()] == ["runs/4.-1.1", "aiosd.db", "logs/0/4/job.1.out", "manifest.json"]
    assert b"hunter2" not in gzip.decompress(data)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".b")]
    assert not [name for name in os.listdir(state) if name.startswith(".backup")]


def test_what_is_nothing_but_a_hole_is_left_out(config: Config, tmp_path: Path) -> None:
    """Anybody can make one of many terabytes of their job's output: the backup would not end."""
    hollow = Path(config.daemon.state_directory, "logs/0/4/job.1.err")
    hollow.touch()
    os.truncate(hollow, 8 << 40)
    upkeep.write_backup(config, str(tmp_path / "b.tar.gz"))
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        assert [name for name in tar.getnames() if name.startswith("logs/0/4/")] == ["logs/0/4/job.1.out"]


def test_what_is_restored_is_what_was_there(config: Config, backup: Path, tmp_path: Path) -> None:
    other = config_of(tmp_path / "other")
    manifest = upkeep.restore(other, str(backup), force=False)
    state = Path(other.daemon.state_directory)
    assert (manifest.jobs, job_numbers(other.database_url)) == (2, {1, 4})
    assert (state / "logs/0/4/job.1.out").read_text() == "said\n"
    assert (state / "logs/0/4/job.1.out").stat().st_mode & 0o777 == 0o640
    assert (state / "aiosd.db").stat().st_mode & 0o777 == 0o600
    assert (state / "runs/4.-1.1").read_bytes() == (Path(config.daemon.state_directory) / "runs/4.-1.1").read_bytes()
    assert float((state / "restored").read_text()) == manifest.made_at_s
    assert list(upkeep.check_offline(other, False).findings) == []


def test_a_used_directory_is_refused_and_with_force_moved_aside(config: Config, backup: Path) -> None:
    state = Path(config.daemon.state_directory)
    before = tree(state)
    with pytest.raises(FailedPrecondition, match="is not empty"):
        upkeep.restore(config, str(backup), force=False)
    assert tree(state) == before | {"aiosd.pid": b""}
    (state / "logs/0/4/job.1.out").write_text("newer\n")
    upkeep.restore(config, str(backup), force=True)
    (aside,) = state.glob("before-restore-*")
    assert (aside / "logs/0/4/job.1.out").read_text() == "newer\n"
    assert (aside / "aiosd.db").read_bytes() == before["aiosd.db"]
    assert (state / "logs/0/4/job.1.out").read_text() == "said\n"
    assert (state / "checkpoints/4").is_dir()


@pytest.mark.parametrize("kind", ["cut", "flipped", "no archive", "stranger", "no manifest", "swapped"])
def test_a_damaged_backup_changes_nothing(backup: Path, tmp_path: Path, kind: str) -> None:
    data = bytearray(backup.read_bytes())
    if kind == "cut":
        data = data[: len(data) // 2]
    elif kind == "flipped":
        data[len(data) // 2] ^= 0xFF
    elif kind == "no archive":
        data = bytearray(b"nothing of the kind")
    backup.write_bytes(data)
    if kind in ("stranger", "no manifest", "swapped"):
        _rewrite(backup, kind)
    target = config_of(tmp_path / "other")
    with pytest.raises(StorageCorrupt, match="is damaged"):
        upkeep.restore(target, str(backup), force=False)
    assert os.listdir(target.daemon.state_directory) == ["aiosd.pid"]


def test_a_backup_that_somebody_changes_while_it_is_read_leads_nowhere(backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = archive.check

    def check_and_be_too_late(path: Path) -> archive.Manifest:
        manifest = check(path)
        _rewrite(backup, "stranger")
        return manifest

    monkeypatch.setattr(archive, "check", check_and_be_too_late)
    target = config_of(tmp_path / "other")
    with pytest.raises(StorageCorrupt, match="which it did not when it was checked"):
        upkeep.restore(target, str(backup), force=False)
    assert os.listdir(target.daemon.state_directory) == ["aiosd.pid"]


def test_no_backup_makes_a_program_its_owner(backup: Path, tmp_path: Path) -> None:
    _rewrite(backup, "setuid")
    target = config_of(tmp_path / "other")
    upkeep.restore(target, str(backup), force=False)
    assert Path(target.daemon.state_directory, "logs/0/4/job.1.out").stat().st_mode & 0o7777 == 0o755


def _rewrite(backup: Path, kind: str) -> None:
    """The same archive, sound as a tar, with one thing that is not as it was."""
    old = backup.with_suffix(".old")
    backup.rename(old)
    with tarfile.open(old) as source, tarfile.open(backup, "w:gz") as to:
        for member in source:
            if kind == "no manifest" and member.name == "manifest.json":
                continue
            if kind == "stranger" and member.name == "logs/0/4/job.1.out":
                member.name = "logs/../../../etc/passwd"
            if kind == "setuid" and member.name == "logs/0/4/job.1.out":
                member.mode = 0o6755
            if kind == "swapped" and member.name == "logs/0/4/job.1.out":
                (backup.parent / "evil").write_text("evil\n")
                with (backup.parent / "evil").open("rb") as file:
                    to.addfile(member, file)
                continue
            to.addfile(member, source.extractfile(member) if member.isfile() else None)


def test_a_backup_of_a_newer_version_is_refused(config: Config, tmp_path: Path) -> None:
    with closing(sqlite3.connect(f"{config.daemon.state_directory}/aiosd.db")) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    upkeep.write_backup(config, str(tmp_path / "b.tar.gz"))
    target = config_of(tmp_path / "other")
    with pytest.raises(FailedPrecondition, match="version 9999"):
        upkeep.restore(target, str(tmp_path / "b.tar.gz"), force=False)
    assert os.listdir(target.daemon.state_directory) == ["aiosd.pid"]


@pytest.mark.parametrize(
    ("path", "error"),
    [("relative", InvalidArgument), ("/", InvalidArgument), ("", InvalidArgument), ("/proc/none/b", AiosError), ("/a\0b", InvalidArgument)],
)
def test_a_path_that_cannot_be_is_refused(config: Config, path: str, error: type[AiosError]) -> None:
    with pytest.raises(error):
        upkeep.write_backup(config, path)


def test_nothing_is_written_over_and_what_is_given_up_leaves_nothing(config: Config, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(AlreadyExists):
        upkeep.write_backup(config, str(tmp_path / "there"))
    assert (tmp_path / "there").read_text() == "mine"
    with pytest.raises(Unavailable, match="given up"):
        upkeep.write_backup(config, str(tmp_path / "new"), lambda: True)
    assert sorted(os.listdir(tmp_path)) == ["state", "there"]


def test_a_damaged_database_is_not_backed_up_in_silence(config: Config, tmp_path: Path) -> None:
    path = Path(config.daemon.state_directory, "aiosd.db")
    data = bytearray(path.read_bytes())
    data[8192:12288] = b"\xff" * 4096
    path.write_bytes(data)
    with pytest.raises(StorageCorrupt):
        upkeep.write_backup(config, str(tmp_path / "b.tar.gz"))
    assert sorted(os.listdir(tmp_path)) == ["state"]
    assert path.read_bytes() == data


def test_a_postgresql_database_is_refused_by_name_of_its_own_tool(tmp_path: Path) -> None:
    config = config_of(tmp_path / "state")
    config = Config(daemon=config.daemon, storage=replace_storage("postgresql+psycopg://u@localhost/aios"))
    with pytest.raises(FailedPrecondition) as caught:
        upkeep.write_backup(config, str(tmp_path / "b.tar.gz"))
    assert "pg_dump" in caught.value.hint


def replace_storage(url: str):  # type: ignore[no-untyped-def]
    from aiosd.config import StorageConfig

    return StorageConfig(url=url)


def test_restore_and_repair_refuse_while_a_daemon_runs(config: Config, backup: Path) -> None:
    lock = lock_state(config.daemon.state_directory)
    try:
        with pytest.raises(AlreadyRunning):
            upkeep.restore(config, str(backup), force=True)
        with pytest.raises(AlreadyRunning):
            upkeep.check_offline(config, True)
    finally:
        lock.release()
    with pytest.raises(NotFound):
        upkeep.restore(config, str(backup) + ".none", force=True)


# Check and repair


@pytest.fixture
def process(config: Config) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of a run that nobody knows."""
    environment = {**os.environ, "AIOS_SCRATCH": f"{config.daemon.state_directory}/scratch/9.-1.1"}
    process = subprocess.Popen([sys.executable, "-c", "print(flush=True); import time; time.sleep(600)"], env=environment, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_everything_that_does_not_belong_is_found_and_repaired(config: Config, process: "subprocess.Popen[bytes]") -> None:
    state = Path(config.daemon.state_directory)
    for path in ("scratch/7.-1.2", "checkpoints/77", "logs/0/78"):
        (state / path).mkdir(parents=True)
    (state / "logs/0/78/job.1.out").write_text("whose?\n")
    (state / "runs/6.-1.1.in").touch()
    os.utime(state / "runs/6.-1.1.in", (1, 1))
    subjects = ["run 4.-1.1", "run 6.-1.1", "run 7.-1.2", f"process {process.pid}", "checkpoint 77", "job 78"]
    found = upkeep.check_offline(config, False).findings
    assert sorted(f.subject for f in found) == sorted(subjects)
    assert not any(f.repaired for f in found)
    assert process.poll() is None
    mended = upkeep.check_offline(config, True).findings
    assert sorted(f.subject for f in mended) == sorted(subjects)
    assert all(f.repaired and f.action for f in mended), mended
    assert process.wait(30) == -9
    (kept,) = (state / "lost+found").rglob("job.1.out")
    assert kept.read_text() == "whose?\n"
    assert list(upkeep.check_offline(config, False).findings) == []
    assert (state / "logs/0/4/job.1.out").exists()
    assert (state / "checkpoints/4").exists()


def running(number: int) -> Job:
    return replace(live(number), phase=Phase.RUNNING, attempt=1, run=Run(Grant((), 1), 1.0, runfile.boot_id(), started_at_s=1.0))


def test_a_run_without_file_or_supervisor_is_found(config: Config) -> None:
    state = Path(config.daemon.state_directory)
    (state / "runs/4.-1.1").unlink()
    jobs = [running(2), running(3)]
    commit(config, Changes(saved=jobs))
    write_run(state, jobs[1].run_key)

    async def main() -> list[Finding]:
        return list((await upkeep.Upkeep(config, lambda: jobs, 0.01).check(True)).findings)

    missing, orphan = asyncio.run(main())
    assert (missing.subject, "run file" in missing.problem, missing.repaired) == ("job 2", True, False)
    assert (orphan.subject, "supervisor" in orphan.problem, "restart the daemon" in orphan.action) == ("job 3", True, True)
    assert [f.subject for f in upkeep.check_offline(config, False).findings] == ["job 2"]  # the next start settles the other


def test_a_running_daemon_does_not_repair_rows(config: Config) -> None:
    with closing(sqlite3.connect(f"{config.daemon.state_directory}/aiosd.db")) as db, db:
        db.execute("UPDATE finished_job SET phase = 'running' WHERE number = 4")
        before = "\n".join(db.iterdump())

    async def main() -> list[Finding]:
        return list((await upkeep.Upkeep(config, list, 0.01).check(True)).findings)

    row = next(f for f in asyncio.run(main()) if f.subject == "job 4")
    assert (row.repaired, "stop the daemon" in row.action) == (False, True)
    with closing(sqlite3.connect(f"{config.daemon.state_directory}/aiosd.db")) as db:
        assert "\n".join(db.iterdump()) == before


def test_the_files_of_a_database_of_another_version_are_left_alone(config: Config) -> None:
    before = tree(Path(config.daemon.state_directory))
    with closing(sqlite3.connect(f"{config.daemon.state_directory}/aiosd.db")) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    assert [f.subject for f in upkeep.check_offline(config, True).findings] == ["version", "files"]
    left = {name for name in tree(Path(config.daemon.state_directory)) if not name.startswith("aiosd.db-")}  # SQLite's own, of who reads
    assert left == before.keys() | {"aiosd.pid"}


def test_what_is_there_for_a_moment_only_is_no_finding(config: Config) -> None:
    state = Path(config.daemon.state_directory)
    (state / "runs/4.-1.1").unlink()
    (state / "scratch/7.-1.2").mkdir()

    async def main() -> int:
        checking = asyncio.create_task(upkeep.Upkeep(config, list, 1.0).check(True))
        await asyncio.sleep(0.5)
        (state / "scratch/7.-1.2").rmdir()
        return len((await checking).findings)

    assert asyncio.run(main()) == 0


def test_what_a_run_that_no_job_has_was_handed_out_goes_with_it(config: Config) -> None:
    state, secrets = Path(config.daemon.state_directory), Path(config.daemon.runtime_directory, "handed-out", "78.-1.1")
    write_run(state, "78.-1.1")
    secrets.mkdir(parents=True)
    (secrets / "TOKEN").write_text("hush")
    assert any(one.subject == "run 78.-1.1" and one.repaired for one in upkeep.check_offline(config, True).findings)
    assert not secrets.exists()


@pytest.mark.root
def test_the_control_group_of_no_run_is_found_and_removed_with_what_runs_in_it(config: Config) -> None:
    state = Path(config.daemon.state_directory)
    cells = open_cells(state, Inventory("box", (), 0, 0), CellSettings())
    if "end" not in cells.enforcement.held:
        pytest.skip(f"this machine has no control groups to be had: {cells.enforcement.lacking.get('end', '')}")
    with closing(cells):
        leaves = [Path(parent, "77.-1.1") for parent in cells.parents]
        for leaf in leaves:
            leaf.mkdir()
        sleeper = subprocess.Popen(["sleep", "600"])
        for leaf in leaves:
            with suppress(OSError):  # a cpuset without processors takes nobody
                (leaf / "cgroup.procs").write_text(str(sleeper.pid))
        found = {one.subject: one for one in upkeep.check_offline(config, False).findings}["run 77.-1.1"]
        assert (found.problem, found.repaired) == ("has a control group, and no job runs so", False)
        mended = {one.subject: one for one in upkeep.check_offline(config, True).findings}["run 77.-1.1"]
        assert mended.repaired and "was removed" in mended.action
        assert sleeper.wait(30) == -signal.SIGKILL
        assert not any(leaf.exists() for leaf in leaves)
        assert "run 77.-1.1" not in {one.subject for one in upkeep.check_offline(config, False).findings}


def test_one_thing_at_a_time(config: Config, tmp_path: Path) -> None:
    async def main() -> None:
        care = upkeep.Upkeep(config, list, 0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(care.backup(str(tmp_path / "a.tar.gz")))
            await asyncio.sleep(0)
            with pytest.raises(FailedPrecondition, match="under way"):
                await care.check(False)

    asyncio.run(main())
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        assert json.loads(manifest.read())["format"] == 1

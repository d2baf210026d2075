"""The daemon's state looked after: backed up while all goes on, checked and repaired with and without a daemon, restored."""

import asyncio
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiosd import __version__, logs, store_upkeep
from aiosd.config import Config
from aiosd.errors import FailedPrecondition, InvalidArgument, StorageCorrupt
from aiosd.findings import BackedUp, Checked, Finding
from aiosd.host import archive, inspection
from aiosd.host.inspection import LOST, Present, Stray
from aiosd.host.launch import RESTORED, Layout
from aiosd.host.lock import FILE as LOCK
from aiosd.host.lock import lock_state
from aiosd.host.paths import prepare_directory
from aiosd.host.runfile import boot_id
from aiosd.jobs.job import Job
from aiosd.storage import backup as database
from aiosd.storage.blobs.copying import Copied
from aiosd.storage.check import VERSION, active_jobs, check_database, job_numbers
from aiosd.storage.repair import repair_database
from aiosd.store_upkeep import BEFORE_RESTORE

log = logs.logger("aiosd.upkeep")

_NOT_COMPARED = Finding("files", "were not compared with the jobs: the database cannot be read")
_OFFLINE = "stop the daemon, then: aiosctl admin check --repair"
_SPARED = (LOCK, LOST, "aiosd.log", "spawner.log")  # what of a state directory does not make it one that is used
_REPLACED = ("runs", "logs", "scratch", RESTORED)  # by a restore, with the database; checkpoints and keys stay


@dataclass(slots=True)
class Upkeep:
    """What the network door offers to administrators; one thing at a time.

    active   the jobs that hold resources, at this moment
    still    within it, no file of the store of models goes
    """

    config: Config
    active: Callable[[], Sequence[Job]]
    look_again_s: float = inspection.YOUNG_S
    still: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def backup(self, path: str, *, models: bool = True) -> BackedUp:
        """A new file at `path`; see `write_backup`. raises  FailedPrecondition while another backup or check is under way."""
        async with self._alone(), self.still():
            gone = threading.Event()
            try:
                done = await asyncio.to_thread(write_backup, self.config, path, gone.is_set, models=models)
            finally:
                gone.set()  # a thread cannot be cancelled: it is told
        log.info("backed up", path=done.path, bytes=done.bytes, jobs=done.jobs, took_s=round(done.took_s, 3), sha256=done.sha256)
        return done

    async def check(self, repair: bool) -> Checked:
        """Every invariant. Rows are not repaired under a running daemon, whose memory they are; what lies around is."""
        async with self._alone():
            rows = await asyncio.to_thread(check_database, self.config.database_url)
            try:
                async with self.still():
                    stored, files = await asyncio.to_thread(store_upkeep.check, self.config, repair=False)
                findings = [*(replace(one, action=_OFFLINE) for one in rows), *(replace(one, action=one.action or _OFFLINE) for one in stored)]
                strays, count = await self._strays()
            except StorageCorrupt:
                return Checked([*(replace(one, action=_OFFLINE) for one in rows), _NOT_COMPARED], len(rows))
            if strays:  # what is on its way comes and goes: only what is there twice is wrong
                await asyncio.sleep(self.look_again_s)
                seen = {(stray.subject, stray.problem) for stray in strays}
                strays = [stray for stray in (await self._strays())[0] if (stray.subject, stray.problem) in seen]
            findings += await asyncio.to_thread(mend, strays, repair)
        _log(findings)
        return Checked(findings, count + files)

    async def _strays(self) -> tuple[list[Stray], int]:
        layout = layout_of(self.config)
        present = await asyncio.to_thread(inspection.look, layout)
        active = self.active()
        return await asyncio.to_thread(_compared, layout, present, active, self.config.database_url, True)

    def _alone(self) -> asyncio.Lock:
        if self._busy.locked():
            raise FailedPrecondition("a backup or a check is under way", hint="try again when it has ended")
        return self._busy


def write_backup(config: Config, path: str, given_up: Callable[[], bool] = lambda: False, *, models: bool = True) -> BackedUp:
    """Database, ends of runs that are not booked yet, and the outputs that the daemon keeps, into one file; the bytes of models beside it. Blocks.

    The ends come first, then the database: an end that is booked in between is in both, and none is in neither.
    raises  InvalidArgument, AlreadyExists, FailedPrecondition (PostgreSQL), StorageCorrupt, StorageUnwritable, DiskFull
    """
    if not os.path.isabs(path) or "\0" in path or path.endswith("/"):
        raise InvalidArgument(f"the backup needs the absolute path of a file, not {path!r}", hint="for example /var/backups/aios.tar.gz", path=path)
    began_s, layout, target = time.monotonic(), layout_of(config), Path(path)
    database.file_of(config.database_url)
    copied = Copied()
    with archive.writing(target, given_up) as (writer, done), ExitStack() as settled:
        for name, fd in archive.settled_runs(Path(layout.runs)):
            writer.add(f"runs/{name}", fd)
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=config.daemon.state_directory) as spool:
            copy = Path(spool, archive.DATABASE)
            jobs = database.copy_database(config.database_url, copy)
            made_at_s = time.time()
            with copy.open("rb") as file:
                writer.add(archive.DATABASE, file.fileno())
            if models:
                copied = settled.enter_context(store_upkeep.copying(config, target, copy, writer.go_on))
        writer.add_tree("logs", Path(layout.logs))
        writer.finish(archive.Manifest(archive.FORMAT, __version__, made_at_s, socket.gethostname(), jobs, writer.parts, models))
    for place in copied.lost:
        log.warning("a file of the store of models is gone, and not in the backup: aiosctl admin check", place=place)
    took_s = time.monotonic() - began_s
    return BackedUp(path, done.bytes, jobs, took_s, done.sha256, copied.bytes, copied.new_bytes, len(copied.lost))


def check_offline(config: Config, repair: bool) -> Checked:
    """As `Upkeep.check`, while no daemon runs; `repair` mends rows too. Blocks. Raises AlreadyRunning with `repair`, NotFound."""
    lock = lock_state(config.daemon.state_directory) if repair else None
    try:
        rows = repair_database(config.database_url) if repair else check_database(config.database_url)
        if any(one.subject == VERSION for one in rows):
            return Checked([*rows, _NOT_COMPARED], len(rows))
        try:
            stored, files = store_upkeep.check(config, repair=repair)
            layout, active = layout_of(config), active_jobs(config.database_url)
            strays, count = _compared(layout, inspection.look(layout), active, config.database_url, False)
        except StorageCorrupt:
            return Checked([*rows, _NOT_COMPARED], len(rows))
        return Checked([*rows, *stored, *mend(strays, repair)], count + files)
    finally:
        if lock is not None:
            lock.release()


def restore(config: Config, file: str, *, force: bool, models: bool = True) -> archive.Manifest:
    """Put a backup in place while no daemon runs; what is there is moved aside with `force`, and nothing is removed. Blocks.

    The bytes of models come with it, unless it has none or they are not wanted: then those that are there stay.

    Jobs that ran when the backup was made are lost or requeued by their policy at the next start; those that waited go on waiting.
    raises  AlreadyRunning, FailedPrecondition (not empty, jobs still run, of a newer version), StorageCorrupt, NotFound
    """
    state, stored = Path(config.daemon.state_directory), database.file_of(config.database_url)
    prepare_directory(str(state))
    lock = lock_state(str(state))
    try:
        manifest = archive.check(Path(file))
        old = sorted({stored, *stored.parent.glob(f"{stored.name}-*"), *(state / name for name in _REPLACED)})
        _check_empty(config, stored, force)
        with tempfile.TemporaryDirectory(prefix=f"{BEFORE_RESTORE}unpacked-", dir=state) as spool:
            archive.extract(Path(file), Path(spool))
            database.check_copy(copy := Path(spool, archive.DATABASE))
            if models and manifest.models:
                store_upkeep.check_copy(config, Path(file), copy)
                store_upkeep.put_in_place(store_upkeep.unpack(config, Path(file), copy), Path(config.models_directory))
            _put_in_place(Path(spool), state, stored, [path for path in old if path.exists()], manifest)
        os.sync()
    finally:
        lock.release()
    return manifest


def _put_in_place(spool: Path, state: Path, stored: Path, old: Sequence[Path], manifest: archive.Manifest) -> None:
    """The database last: without it, a restore that was cut off is not taken for a whole one."""
    aside = state / f"{BEFORE_RESTORE}{time.strftime('%Y%m%d-%H%M%S')}"
    for path in old:
        aside.mkdir(mode=0o700, exist_ok=True)
        shutil.move(path, aside / path.name)
    for name in ("runs", "logs"):
        if (spool / name).exists():
            (spool / name).rename(state / name)
    (state / RESTORED).write_text(f"{manifest.made_at_s!r}\n", encoding="ascii")
    stored.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    (spool / archive.DATABASE).chmod(0o600)
    shutil.move(spool / archive.DATABASE, stored)


def _check_empty(config: Config, stored: Path, force: bool) -> None:
    layout, state = layout_of(config), Path(config.daemon.state_directory)
    there = sorted({path for path in (stored, Path(config.models_directory), *state.iterdir()) if path.exists() and not _is_spared(path)})
    living = [name for name in inspection.look(layout).runs if inspection.lives(layout, name, boot_id())]
    if living:
        raise FailedPrecondition(
            f"{len(living)} jobs still run here, among them run {living[0]}", hint="start the daemon and cancel them first", runs=len(living)
        )
    if there and not force:
        names = ", ".join(path.name for path in there[:4])
        raise FailedPrecondition(
            f"the state directory {config.daemon.state_directory} is not empty: {names}",
            hint="--force moves what is there into a directory beside it; or name another with --state-directory",
            state_directory=config.daemon.state_directory,
        )


def _is_spared(path: Path) -> bool:
    return path.name in _SPARED or path.name.startswith(BEFORE_RESTORE)


def layout_of(config: Config) -> Layout:
    return Layout(Path(config.daemon.state_directory), config.daemon.runtime_directory)


def mend(strays: Iterable[Stray], repair: bool) -> list[Finding]:
    """Strays as findings; with `repair`, after something was done about them."""
    findings = []
    for stray in strays:
        if stray.mend is None or not repair:
            findings.append(Finding(stray.subject, stray.problem, False, stray.advice))
            continue
        try:
            findings.append(Finding(stray.subject, stray.problem, True, stray.mend()))
        except OSError as error:
            findings.append(Finding(stray.subject, stray.problem, False, f"could not be repaired: {error.strerror or error}"))
    return findings


def _compared(layout: Layout, present: Present, active: Sequence[Job], url: str, watched: bool) -> tuple[list[Stray], int]:
    numbers = job_numbers(url)  # asked after the look, so that whatever was seen then has its job here
    strays = list(inspection.compare(layout, present, active, numbers, boot_id(), watched=watched))
    return strays, present.count + len(numbers)


def _log(findings: Sequence[Finding]) -> None:
    for one in findings:
        log.warning("check", subject=one.subject, problem=one.problem, repaired=one.repaired, action=one.action)
    log.info("checked", findings=len(findings))

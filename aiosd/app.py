"""The only wiring: opens the doors, builds the services, owns the task group, and closes everything in reverse order."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from aiosd import logs
from aiosd.clock import Clock, SystemClock
from aiosd.config import Config
from aiosd.domain_settings import jobs_settings, resource_settings
from aiosd.errors import AiosError, ConfigError
from aiosd.host import disk, faults, itself, quota, signals
from aiosd.host.identities import Identities
from aiosd.host.launch import VAULT, Confinement, Layout
from aiosd.host.launcher import ShimLauncher
from aiosd.host.lock import lock_state
from aiosd.host.meter import ProcMeter
from aiosd.host.notify import Notifier, notifier_from
from aiosd.host.output import FileOutputReader
from aiosd.host.paths import prepare_directory, share_directory
from aiosd.host.probes import Survey, survey
from aiosd.host.reports import ReportReader
from aiosd.host.runfile import boot_id
from aiosd.host.terminal import PtyTerminals
from aiosd.host.vault import FileVault
from aiosd.ids import JobId
from aiosd.jobs.engine import Engine
from aiosd.jobs.job import Job, StopCause
from aiosd.jobs.ports import Loaded as Remembered
from aiosd.jobs.read_service import JobReader
from aiosd.jobs.secrets_service import Secrets
from aiosd.jobs.service import JobService
from aiosd.monitoring.service import MonitorService
from aiosd.node import Node
from aiosd.resources.environment import grant_variables
from aiosd.resources.inventory import Inventory
from aiosd.rpc.auth import SameUser
from aiosd.rpc.convert_jobs import JobConverter
from aiosd.rpc.jobs import Beside, JobsServicer
from aiosd.rpc.node import NodeServicer
from aiosd.rpc.queues import QueuesServicer
from aiosd.rpc.server import Listening, RpcServer, Servicers
from aiosd.runs import DiskWatcher, RunInputs, RunMeter, RunWatcher
from aiosd.scheduling.registry import POLICIES
from aiosd.settings_file import Loaded
from aiosd.storage.journal import SqlJournal

DONE, FAILED = 0, 1

log = logs.logger("aiosd")


def run(loaded: Loaded, reread: Callable[[], Loaded]) -> int:
    """The daemon, until it is asked to stop; returns its exit status.

    raises  AiosError for what was foreseen: a second daemon, an unwritable directory, a damaged database, a path in use
    """
    daemon = loaded.config.daemon
    logs.configure(daemon.log_level, daemon.log_format)
    os.umask(0o077)  # whatever is for others says so
    try:
        asyncio.run(_serve(loaded, reread))
    except BaseExceptionGroup as group:
        return _failed(group)
    return DONE


def _failed(group: BaseExceptionGroup[BaseException]) -> int:
    """A root task ended with an error: what was foreseen is told to the caller, anything else is a bug, and told in full."""
    errors = list(_leaves(group))
    for error in errors:
        if not isinstance(error, AiosError):
            log.error("a task failed; jobs go on without the daemon", exc_info=error)
    if len(errors) == 1 and isinstance(errors[0], AiosError):
        raise errors[0]
    return FAILED


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


@dataclass(frozen=True, slots=True)
class Daemon:
    """Everything that was opened and built; `stopping` is set when it is to end."""

    jobs: JobService
    monitor: MonitorService
    server: RpcServer
    node: Node
    disk: DiskWatcher
    notifier: Notifier
    stopping: asyncio.Event


async def _serve(loaded: Loaded, reread: Callable[[], Loaded]) -> None:
    async with AsyncExitStack() as closing:
        daemon = await _open(loaded, reread, closing)
        async with asyncio.TaskGroup() as roots:
            turns = roots.create_task(daemon.jobs.run(), name="jobs")
            others = [roots.create_task(daemon.monitor.run(), name="monitoring"), roots.create_task(_feed_watchdog(daemon), name="watchdog")]
            others.append(roots.create_task(daemon.disk.run(), name="disk"))
            signals.listen(asyncio.get_running_loop(), stop=daemon.stopping.set, reload=lambda: _reload(roots, daemon.node))
            await daemon.server.start()
            await daemon.server.serving()
            daemon.notifier.ready("serving")
            log.info("ready", pid=os.getpid(), socket=loaded.config.socket_path, state_directory=loaded.config.daemon.state_directory)
            await daemon.stopping.wait()
            log.info("stopping; running jobs go on")
            daemon.notifier.stopping()
            await daemon.server.stop(daemon.node.loaded.config.daemon.stop_grace_s)
            daemon.jobs.stop()
            await turns
            for task in others:
                task.cancel()
    log.info("stopped")


@dataclass(frozen=True, slots=True)
class Doors:
    """The outside world, opened."""

    journal: SqlJournal
    launcher: ShimLauncher
    output: FileOutputReader
    reports: ReportReader
    meter: ProcMeter
    confinement: Confinement
    identities: Identities
    vault: FileVault


async def _open(loaded: Loaded, reread: Callable[[], Loaded], closing: AsyncExitStack) -> Daemon:
    """Take the directories, look at the machine, open the doors, build the services."""
    config, clock = loaded.config, SystemClock()
    started_at_s = clock.now().wall_s
    _take_places(config, closing, shared=_switches_users(loaded))
    found = await asyncio.to_thread(survey, resource_settings(config))
    _log_survey(found)
    doors = await _open_doors(loaded, found.inventory, clock, closing)
    jobs, monitor, runs = await _start_services(config, found.inventory, clock, doors)
    reader, stopping, notifier = JobReader(jobs, doors.output), asyncio.Event(), notifier_from(os.environ)
    node = Node(jobs, reader, monitor, found.inventory, loaded, reread, stopping.set, notifier, started_at_s, found.warnings, doors.confinement.disk_quota)
    server = _server(config, jobs, reader, node, runs, doors)
    closing.push_async_callback(server.stop, 0.0)
    return Daemon(jobs, monitor, server, node, _disk_watcher(config, jobs, reader), notifier, stopping)


async def _open_doors(loaded: Loaded, inventory: Inventory, clock: Clock, closing: AsyncExitStack) -> Doors:
    config = loaded.config
    journal = await SqlJournal.open(config.database_url, reached=faults.reached)
    closing.push_async_callback(journal.close)
    state, target = Path(config.daemon.state_directory), f"unix:{config.socket_path}"
    identities, confinement = Identities(), _confinement(loaded)
    launcher = ShimLauncher(state, target, lambda grant: grant_variables(grant, inventory), clock, confinement, identities)
    await launcher.start()
    closing.push_async_callback(launcher.close)
    output = FileOutputReader(identities=identities if confinement.switch else None)
    doors = Doors(journal, launcher, output, ReportReader(), ProcMeter(clock), confinement, identities, FileVault(state / VAULT))
    for door in (doors.output, doors.reports, doors.meter, doors.vault):
        closing.callback(door.close)
    return doors


async def _start_services(config: Config, inventory: Inventory, clock: Clock, doors: Doors) -> tuple[JobService, MonitorService, RunMeter]:
    settings, boot, layout = jobs_settings(config), boot_id(), _layout(config)

    def make_engine(remembered: Remembered) -> Engine:
        return Engine.load(remembered, settings, inventory, boot, clock.now())

    def report_path_of(job: Job) -> str:
        return str(layout.log(job, "report"))

    def job_of(job_id: JobId) -> Job | None:
        return jobs.state.jobs.get(job_id)  # looked up each time: the state is made anew when a full disk has room again

    jobs = JobService(doors.journal, doors.launcher, clock, make_engine, faults.reached, Secrets(doors.vault))
    monitor = MonitorService(doors.meter, doors.reports, clock, config.monitoring.period_s)
    doors.launcher.subscribe(RunWatcher(monitor, job_of, report_path_of))  # before `start`, which re-adopts what runs
    await jobs.start()
    return jobs, monitor, RunMeter(monitor, report_path_of)


def _server(config: Config, jobs: JobService, reader: JobReader, node: Node, runs: RunMeter, doors: Doors) -> RpcServer:
    beside = Beside(runs, RunInputs(doors.launcher), PtyTerminals(_layout(config).run_file, doors.identities))
    converter = JobConverter(runs.progress, doors.launcher.log_paths)
    servicers = Servicers(
        JobsServicer(jobs, reader, beside, SameUser(itself.own_user()), converter),
        NodeServicer(node),
        QueuesServicer(jobs, reader, {name: registered.summary for name, registered in POLICIES.items()}),
    )
    return RpcServer(servicers, Listening(socket_path=config.socket_path, max_receive_bytes=config.rpc.max_message_bytes))


def _layout(config: Config) -> Layout:
    return Layout(Path(config.daemon.state_directory), config.daemon.runtime_directory)


def _switches_users(loaded: Loaded) -> bool:
    """Whether jobs run as their owners. Raises ConfigError when they are to, and cannot."""
    wish = loaded.config.isolation.run_as_user
    if wish == "on" and os.geteuid() != 0:
        raise ConfigError("isolation.run_as_user = 'on' is not possible: the daemon is not root", hint="start it as root, or set it to 'auto'")
    return wish == "on" or (wish == "auto" and loaded.system and os.geteuid() == 0)


def _confinement(loaded: Loaded) -> Confinement:
    daemon, hardened = loaded.config.daemon, loaded.config.isolation.no_new_privileges
    return Confinement(_switches_users(loaded), hardened, daemon.runtime_directory, quota.enforced(daemon.state_directory))


def _disk_watcher(config: Config, jobs: JobService, reader: JobReader) -> DiskWatcher:
    async def stop(job: Job, reason: str) -> None:
        with suppress(AiosError):  # it has ended meanwhile; or the disk is full, and the next look asks again
            await jobs.stop_run(job.id, job.attempt, StopCause.OVERUSE, reason)

    layout = _layout(config)
    return DiskWatcher(reader.running, lambda job: disk.stored_bytes(layout.scratch(job.run_key)), stop, config.isolation.disk_watch_s)


def _take_places(config: Config, closing: AsyncExitStack, *, shared: bool) -> None:
    """`shared`: users pass through them."""
    prepare_directory(config.daemon.state_directory)
    closing.callback(lock_state(config.daemon.state_directory).release)
    prepare_directory(config.daemon.runtime_directory)
    if shared:
        share_directory(config.daemon.state_directory)
        share_directory(config.daemon.runtime_directory)


def _log_survey(found: Survey) -> None:
    inventory = found.inventory
    log.info("machine", cpus=len(inventory.cpus), memory_bytes=inventory.memory_bytes, devices=[f"{d.kind} {d.model}".strip() for d in inventory.devices])
    for warning in found.warnings:
        log.warning(warning)


def _reload(roots: asyncio.TaskGroup, node: Node) -> None:
    async def reload() -> None:
        try:
            await node.reload()
        except AiosError as error:
            log.error("not reloaded; the configuration stays as it is", error=str(error), hint=error.hint)

    roots.create_task(reload(), name="reload")


async def _feed_watchdog(daemon: Daemon) -> None:
    """As long as the loop turns, systemd hears of it; where it does not ask, this ends at once."""
    while daemon.notifier.watchdog_period_s:
        daemon.notifier.alive()
        await asyncio.sleep(daemon.notifier.watchdog_period_s)

"""The only wiring: opens the doors, builds the services, owns the task group, and closes everything in reverse order."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from aiosd import logs
from aiosd.clock import Clock, SystemClock
from aiosd.config import Config
from aiosd.domain_settings import cell_settings, jobs_settings, resource_settings
from aiosd.errors import AiosError
from aiosd.host import faults, isolation, itself, signals
from aiosd.host.cells.opening import open_cells
from aiosd.host.cells.port import Cells
from aiosd.host.launch import Layout
from aiosd.host.launcher import ShimLauncher
from aiosd.host.lock import lock_state
from aiosd.host.meter import ProcMeter
from aiosd.host.notify import Notifier, notifier_from
from aiosd.host.output import FileOutputReader
from aiosd.host.paths import prepare_directory
from aiosd.host.probes import Survey, survey
from aiosd.host.reports import ReportReader
from aiosd.host.runfile import boot_id
from aiosd.host.terminal import PtyTerminals
from aiosd.host.watchdog import PssWeigher
from aiosd.ids import JobId
from aiosd.jobs.engine import Engine
from aiosd.jobs.job import Job, StopCause
from aiosd.jobs.ports import Loaded as Remembered
from aiosd.jobs.read_service import JobReader
from aiosd.jobs.service import JobService
from aiosd.monitoring.bounds import Excess
from aiosd.monitoring.bounds_service import BoundsService
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
from aiosd.runs import BoundsWatcher, RunInputs, RunMeter, RunWatcher
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
    os.umask(0o022)
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
    bounds: BoundsService | None  # where the kernel holds no run to its memory
    server: RpcServer
    node: Node
    notifier: Notifier
    stopping: asyncio.Event


async def _serve(loaded: Loaded, reread: Callable[[], Loaded]) -> None:
    async with AsyncExitStack() as closing:
        daemon = await _open(loaded, reread, closing)
        async with asyncio.TaskGroup() as roots:
            turns = roots.create_task(daemon.jobs.run(), name="jobs")
            others = [roots.create_task(daemon.monitor.run(), name="monitoring"), roots.create_task(_feed_watchdog(daemon), name="watchdog")]
            if daemon.bounds is not None:
                others.append(roots.create_task(daemon.bounds.run(), name="bounds"))
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
    weigher: PssWeigher


async def _open(loaded: Loaded, reread: Callable[[], Loaded], closing: AsyncExitStack) -> Daemon:
    """Take the directories, look at the machine, open the doors, build the services."""
    config, clock = loaded.config, SystemClock()
    started_at_s = clock.now().wall_s
    _take_places(config, closing)
    found = await asyncio.to_thread(survey, resource_settings(config))
    _log_survey(found)
    cells = await asyncio.to_thread(open_cells, Path(config.daemon.state_directory), found.inventory, cell_settings(config))
    _log_isolation(cells)
    doors = await _open_doors(config, found.inventory, cells, clock, closing)
    jobs, monitor, runs, bounds = await _start_services(config, found.inventory, cells, clock, doors)
    held = isolation.report(found.inventory, cells.enforcement, watched=config.isolation.watchdog_period_s > 0)
    reader, stopping, notifier = JobReader(jobs, doors.output), asyncio.Event(), notifier_from(os.environ)
    node = Node(jobs, reader, monitor, found.inventory, loaded, reread, stopping.set, notifier, started_at_s, found.warnings, held, bounds)
    server = _server(config, jobs, reader, node, runs, doors)
    closing.push_async_callback(server.stop, 0.0)
    return Daemon(jobs, monitor, bounds, server, node, notifier, stopping)


async def _open_doors(config: Config, inventory: Inventory, cells: Cells, clock: Clock, closing: AsyncExitStack) -> Doors:
    journal = await SqlJournal.open(config.database_url, reached=faults.reached)
    closing.push_async_callback(journal.close)
    state, target = Path(config.daemon.state_directory), f"unix:{config.socket_path}"
    launcher = ShimLauncher(state, target, lambda grant: grant_variables(grant, inventory), clock, cells)
    await launcher.start()
    closing.push_async_callback(launcher.close)
    doors = Doors(journal, launcher, FileOutputReader(), ReportReader(), ProcMeter(clock), PssWeigher())
    for door in (doors.output, doors.reports, doors.meter, doors.weigher):
        closing.callback(door.close)
    return doors


async def _start_services(
    config: Config, inventory: Inventory, cells: Cells, clock: Clock, doors: Doors
) -> tuple[JobService, MonitorService, RunMeter, BoundsService | None]:
    settings, boot, layout = jobs_settings(config), boot_id(), _layout(config)

    def make_engine(remembered: Remembered) -> Engine:
        return Engine.load(remembered, settings, inventory, boot, clock.now())

    def report_path_of(job: Job) -> str:
        return str(layout.log(job, "report"))

    def job_of(job_id: JobId) -> Job | None:
        return jobs.state.jobs.get(job_id)  # looked up each time: the state is made anew when a full disk has room again

    jobs = JobService(doors.journal, doors.launcher, clock, make_engine, faults.reached)
    monitor = MonitorService(doors.meter, doors.reports, clock, config.monitoring.period_s)
    doors.launcher.subscribe(RunWatcher(monitor, job_of, report_path_of))  # before `start`, which re-adopts what runs
    bounds = None if "memory" in cells.enforcement.held else _watch_bounds(config, clock, doors, jobs, job_of)
    await jobs.start()
    return jobs, monitor, RunMeter(monitor, report_path_of), bounds


def _watch_bounds(config: Config, clock: Clock, doors: Doors, jobs: JobService, job_of: Callable[[JobId], Job | None]) -> BoundsService:
    """What no kernel holds to its grant is measured, and stopped by us."""

    async def stop(excess: Excess) -> None:
        job = watcher.job_with(excess.key)
        if job is not None:
            cause = StopCause.MEMORY if excess.of_memory else StopCause.OVERUSE
            try:
                await jobs.stop_run(job.id, job.attempt, cause, excess.reason, force=True)
            except AiosError as error:  # as on a full disk: the next look asks again
                log.warning("a job that uses more than it was granted could not be stopped", job=str(job.id), error=str(error))

    bounds = BoundsService(doors.meter, doors.weigher, clock, stop, config.isolation.watchdog_period_s)
    watcher = BoundsWatcher(bounds, job_of, config.isolation.pids_max)
    doors.launcher.subscribe(watcher)
    return bounds


def _server(config: Config, jobs: JobService, reader: JobReader, node: Node, runs: RunMeter, doors: Doors) -> RpcServer:
    beside = Beside(runs, RunInputs(doors.launcher), PtyTerminals(_layout(config).run_file))
    converter = JobConverter(runs.progress, doors.launcher.log_paths)
    servicers = Servicers(
        JobsServicer(jobs, reader, beside, SameUser(itself.own_user()), converter),
        NodeServicer(node),
        QueuesServicer(jobs, reader, {name: registered.summary for name, registered in POLICIES.items()}),
    )
    return RpcServer(servicers, Listening(socket_path=config.socket_path, max_receive_bytes=config.rpc.max_message_bytes))


def _layout(config: Config) -> Layout:
    return Layout(Path(config.daemon.state_directory))


def _take_places(config: Config, closing: AsyncExitStack) -> None:
    prepare_directory(config.daemon.state_directory)
    closing.callback(lock_state(config.daemon.state_directory).release)
    prepare_directory(config.daemon.runtime_directory)


def _log_survey(found: Survey) -> None:
    inventory = found.inventory
    log.info("machine", cpus=len(inventory.cpus), memory_bytes=inventory.memory_bytes, devices=[f"{d.kind} {d.model}".strip() for d in inventory.devices])
    for warning in found.warnings:
        log.warning(warning)


def _log_isolation(cells: Cells) -> None:
    enforcement = cells.enforcement
    log.info("isolation", cgroups=enforcement.version, held=sorted(enforcement.held), lacking=dict(enforcement.lacking))


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

"""The only wiring: opens the doors, builds the services, owns the task group, and closes everything in reverse order."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiosd import logs
from aiosd.access.service import AccessService
from aiosd.access.users import RoleRules
from aiosd.accounts import Accounts
from aiosd.clock import Clock, SystemClock
from aiosd.config import Config
from aiosd.domain_settings import device_settings, group_roles, jobs_settings, resource_settings
from aiosd.entrance import Entrance, listening
from aiosd.errors import AiosError
from aiosd.gpus import GpuRuns, JobHand
from aiosd.host import faults, mps, signals
from aiosd.host.gpu_watch import NvmlWatch, watched
from aiosd.host.launch import Layout
from aiosd.host.launcher import ShimLauncher
from aiosd.host.lock import lock_state
from aiosd.host.meter import ProcMeter
from aiosd.host.notify import Notifier, notifier_from
from aiosd.host.output import FileOutputReader
from aiosd.host.paths import prepare_directory
from aiosd.host.people import People
from aiosd.host.probes import Survey, survey
from aiosd.host.reports import ReportReader
from aiosd.host.runfile import boot_id
from aiosd.host.terminal import PtyTerminals
from aiosd.ids import JobId
from aiosd.jobs.engine import Engine
from aiosd.jobs.job import Job
from aiosd.jobs.ports import Loaded as Remembered
from aiosd.jobs.read_service import JobReader
from aiosd.jobs.service import JobService
from aiosd.monitoring.device_service import DeviceService
from aiosd.monitoring.service import MonitorService
from aiosd.node import Node
from aiosd.resources.environment import grant_variables
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.rpc.access import AccessServicer
from aiosd.rpc.admin import AdminServicer
from aiosd.rpc.auth import caller
from aiosd.rpc.convert_jobs import JobConverter
from aiosd.rpc.jobs import Beside, JobsServicer
from aiosd.rpc.node import NodeServicer
from aiosd.rpc.queues import QueuesServicer
from aiosd.rpc.server import RpcServer, Servicers
from aiosd.runs import RunInputs, RunMeter, RunWatcher
from aiosd.scheduling.registry import POLICIES
from aiosd.settings_file import Loaded
from aiosd.storage.access import SqlAccess
from aiosd.storage.journal import SqlJournal
from aiosd.upkeep import Upkeep

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
    access: AccessService
    monitor: MonitorService
    devices: DeviceService
    server: RpcServer
    node: Node
    notifier: Notifier
    stopping: asyncio.Event


async def _serve(loaded: Loaded, reread: Callable[[], Loaded]) -> None:
    async with AsyncExitStack() as closing:
        daemon = await _open(loaded, reread, closing)
        async with asyncio.TaskGroup() as roots:
            turns = roots.create_task(daemon.jobs.run(), name="jobs")
            trail = roots.create_task(daemon.access.run(), name="access")
            others = [
                roots.create_task(daemon.monitor.run(), name="monitoring"),
                roots.create_task(daemon.devices.run(), name="devices"),
                roots.create_task(_feed_watchdog(daemon), name="watchdog"),
            ]
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
            daemon.access.stop()
            await trail
            for task in others:
                task.cancel()
    log.info("stopped")


@dataclass(frozen=True, slots=True)
class Doors:
    """The outside world, opened."""

    journal: SqlJournal
    launcher: ShimLauncher
    variables: "Variables"
    output: FileOutputReader
    reports: ReportReader
    meter: ProcMeter
    gpus: NvmlWatch | None  # None: there is none


@dataclass(slots=True)
class Variables:
    """What a grant sets in the environment of its job, on the machine as it is known now."""

    machine: Callable[[], Inventory]
    mps_directory: Callable[[], str]

    def __call__(self, grant: Grant) -> Mapping[str, str]:
        return grant_variables(grant, self.machine(), self.mps_directory())


async def _open(loaded: Loaded, reread: Callable[[], Loaded], closing: AsyncExitStack) -> Daemon:
    """Take the directories, look at the machine, open the doors, build the services."""
    config, clock = loaded.config, SystemClock()
    started_at_s = clock.now().wall_s
    _take_places(config, closing)
    found = await asyncio.to_thread(survey, resource_settings(config))
    _log_survey(found)
    doors = await _open_doors(config, found.inventory, clock, closing)
    people = People()
    access = await _start_access(config, doors, people, clock)
    gpu_runs = GpuRuns(lambda: jobs.state)
    doors.launcher.subscribe(gpu_runs.on_event)  # as early as the rest, see `_start_services`
    jobs, monitor, runs = await _start_services(config, found.inventory, clock, doors, access)
    devices = DeviceService(doors.gpus, gpu_runs, JobHand(jobs), clock, device_settings(config))
    reader, stopping, notifier = JobReader(jobs, doors.output), asyncio.Event(), notifier_from(os.environ)
    look = partial(asyncio.to_thread, survey, resource_settings(config))
    further = lambda: (*access.warnings, *devices.warnings)  # noqa: E731
    entrance = Entrance.of(config, people, access)
    node = Node(jobs, reader, monitor, loaded, reread, stopping.set, notifier, started_at_s, look, found.warnings, further, devices, entrance.use)
    server = _server(config, jobs, reader, node, runs, doors, entrance, Accounts(access, jobs, people.named, clock))
    closing.push_async_callback(server.stop, 0.0)
    closing.callback(entrance.credentials.close)
    entrance.credentials.start()  # before the calls' own socket: whoever finds that one finds this one too
    return Daemon(jobs, access, monitor, devices, server, node, notifier, stopping)


async def _open_doors(config: Config, inventory: Inventory, clock: Clock, closing: AsyncExitStack) -> Doors:
    journal = await SqlJournal.open(config.database_url, reached=faults.reached)
    closing.push_async_callback(journal.close)
    state, target = Path(config.daemon.state_directory), f"unix:{config.socket_path}"
    variables = Variables(lambda: inventory, partial(mps.pipe_directory, config.resources.mps, config.resources.mps_directory))
    launcher = ShimLauncher(state, target, variables, clock)
    await launcher.start()
    closing.push_async_callback(launcher.close)
    seen = watched(inventory)
    gpus = NvmlWatch(seen, clock) if seen else None
    doors = Doors(journal, launcher, variables, FileOutputReader(), ReportReader(), ProcMeter(clock, gpus), gpus)
    for door in (doors.output, doors.reports, doors.meter):
        closing.callback(door.close)
    return doors


async def _start_access(config: Config, doors: Doors, people: People, clock: Clock) -> AccessService:
    """Before the jobs, whose limits it knows. Whoever owns the daemon is an admin of it."""
    rules = RoleRules(group_roles(config), frozenset({0, os.getuid()}))
    access = AccessService(SqlAccess(doors.journal), people.groups_of, lambda: clock.now().wall_s, rules)
    await access.start()
    return access


async def _start_services(
    config: Config, inventory: Inventory, clock: Clock, doors: Doors, access: AccessService
) -> tuple[JobService, MonitorService, RunMeter]:
    settings, boot, layout = jobs_settings(config), boot_id(), _layout(config)

    def make_engine(remembered: Remembered) -> Engine:
        return Engine.load(remembered, settings, inventory, boot, clock.now(), access.limits_set())

    def report_path_of(job: Job) -> str:
        return str(layout.log(job, "report"))

    def job_of(job_id: JobId) -> Job | None:
        return jobs.state.jobs.get(job_id)  # looked up each time: the state is made anew when a full disk has room again

    jobs = JobService(doors.journal, doors.launcher, clock, make_engine, faults.reached)
    monitor = MonitorService(doors.meter, doors.reports, clock, config.monitoring.period_s)
    doors.launcher.subscribe(RunWatcher(monitor, job_of, report_path_of))  # before `start`, which re-adopts what runs
    await jobs.start()
    doors.variables.machine = lambda: jobs.state.pool.inventory
    return jobs, monitor, RunMeter(monitor, report_path_of)


def _server(config: Config, jobs: JobService, reader: JobReader, node: Node, runs: RunMeter, doors: Doors, entrance: Entrance, accounts: Accounts) -> RpcServer:
    beside = Beside(runs, RunInputs(doors.launcher), PtyTerminals(_layout(config).run_file))
    converter = JobConverter(runs.progress, doors.launcher.log_paths)
    servicers = Servicers(
        JobsServicer(jobs, reader, beside, converter, lambda: node.loaded.config.jobs.max_jobs_per_submit),
        NodeServicer(node),
        QueuesServicer(jobs, reader, {name: registered.summary for name, registered in POLICIES.items()}),
        AccessServicer(accounts, caller),
        AdminServicer(Upkeep(config, lambda: [job for job in jobs.state.jobs.values() if job.phase.active and job.run is not None])),
    )
    return RpcServer(servicers, listening(config), entrance.gate)


def _layout(config: Config) -> Layout:
    return Layout(Path(config.daemon.state_directory))


def _take_places(config: Config, closing: AsyncExitStack) -> None:
    prepare_directory(config.daemon.state_directory)
    closing.callback(lock_state(config.daemon.state_directory).release)
    prepare_directory(config.daemon.runtime_directory, 0o755 if config.daemon.users == "all" else 0o700)


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

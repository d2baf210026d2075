"""The daemon: opens the doors, starts the services, owns the task group, and closes everything in reverse order."""

import asyncio
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from aiosd import logs, simulations
from aiosd.accounts import Accounts
from aiosd.clock import SystemClock
from aiosd.config import Config
from aiosd.domain_settings import resource_settings
from aiosd.doors import Doors, open_doors, take_places
from aiosd.entrance import Entrance, listening
from aiosd.errors import AiosError
from aiosd.host import isolation, mps, signals
from aiosd.host.notify import Notifier, notifier_from
from aiosd.host.people import People
from aiosd.host.probes import Survey, survey
from aiosd.host.terminal import PtyTerminals
from aiosd.jobs.read_service import JobReader
from aiosd.monitoring.bounds_service import BoundsService
from aiosd.node import Node
from aiosd.resources.inventory import Inventory
from aiosd.resources.isolation import Isolation
from aiosd.rpc.access import AccessServicer
from aiosd.rpc.admin import AdminServicer
from aiosd.rpc.auth import caller
from aiosd.rpc.convert_jobs import JobConverter
from aiosd.rpc.jobs import Beside, JobsServicer
from aiosd.rpc.models import ModelsServicer
from aiosd.rpc.node import NodeServicer
from aiosd.rpc.queues import QueuesServicer
from aiosd.rpc.server import RpcServer, Servicers
from aiosd.rpc.simulation import SimulationServicer
from aiosd.runs import RunInputs
from aiosd.scheduling.registry import POLICIES
from aiosd.services import Services, start_services
from aiosd.settings_file import Loaded
from aiosd.upkeep import Upkeep, layout_of

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

    services: Services
    server: RpcServer
    node: Node
    notifier: Notifier
    stopping: asyncio.Event


async def _serve(loaded: Loaded, reread: Callable[[], Loaded]) -> None:
    async with AsyncExitStack() as closing:
        daemon = await _open(loaded, reread, closing)
        async with asyncio.TaskGroup() as roots:
            services = daemon.services
            turns = roots.create_task(services.jobs.run(), name="jobs")
            trail = roots.create_task(services.access.run(), name="access")
            others = [
                roots.create_task(services.monitor.run(), name="monitoring"),
                roots.create_task(services.devices.run(), name="devices"),
                roots.create_task(services.disk.run(), name="disk"),
                roots.create_task(services.learner.run(), name="learning"),
                roots.create_task(services.pressure.run(), name="pressure"),
                roots.create_task(services.rounds.run(), name="models"),
                roots.create_task(services.outputs.run(), name="outputs"),
                roots.create_task(_feed_watchdog(daemon), name="watchdog"),
            ]
            if services.bounds is not None:
                others.append(roots.create_task(services.bounds.run(), name="bounds"))
            signals.listen(asyncio.get_running_loop(), stop=daemon.stopping.set, reload=lambda: _reload(roots, daemon.node))
            await daemon.server.start()
            await daemon.server.serving()
            gc.freeze()  # what was loaded stays: a full collection among 50,000 jobs takes 130 ms, and finds nothing
            daemon.notifier.ready("serving")
            log.info("ready", pid=os.getpid(), socket=loaded.config.socket_path, state_directory=loaded.config.daemon.state_directory)
            await daemon.stopping.wait()
            log.info("stopping; running jobs go on")
            daemon.notifier.stopping()
            await daemon.server.stop(daemon.node.loaded.config.daemon.stop_grace_s)
            services.jobs.stop()
            await turns
            services.access.stop()
            await trail
            for task in others:
                task.cancel()
    log.info("stopped")


async def _open(loaded: Loaded, reread: Callable[[], Loaded], closing: AsyncExitStack) -> Daemon:
    """Take the directories, look at the machine, open the doors, build the services."""
    config, clock = loaded.config, SystemClock()
    started_at_s = clock.now().wall_s
    take_places(loaded, closing)
    found = await asyncio.to_thread(survey, resource_settings(config))
    _log_survey(found)
    doors, people = await open_doors(loaded, found.inventory, clock, closing), People()
    services = await start_services(config, found.inventory, clock, doors, people)
    entrance = Entrance.of(config, people, services.access)
    notifier, stopping = notifier_from(os.environ), asyncio.Event()

    def on_reload(new: Config) -> None:
        services.use(new)
        entrance.use(new)

    node = Node(
        services.jobs, JobReader(services.jobs, doors.output, services.outputs.settled), loaded, reread, on_reload, stopping.set, notifier, started_at_s,
        survey=partial(asyncio.to_thread, survey, resource_settings(config)),
        isolation=partial(_isolation, config, doors, services.bounds),
        warnings=found.warnings,
        further_warnings=lambda: (*services.access.warnings, *services.devices.warnings, *services.pressure.warnings, *services.models.care.warnings()),
        devices=services.devices,
        pressure=services.pressure,
    )  # fmt: skip
    server = _server(config, services, node, doors, entrance, Accounts(services.access, services.jobs, people.named, clock))
    closing.push_async_callback(server.stop, 0.0)
    closing.callback(entrance.credentials.close)
    entrance.credentials.start()  # before the calls' own socket: whoever finds that one finds this one too
    return Daemon(services, server, node, notifier, stopping)


def _isolation(config: Config, doors: Doors, bounds: BoundsService | None, inventory: Inventory) -> tuple[Isolation, ...]:
    """What holds a job to its grant, resource by resource."""
    watched = bounds is not None and config.isolation.watchdog_period_s > 0
    mps_directory = mps.pipe_directory(config.resources.mps, config.resources.mps_directory)
    return (
        *isolation.report(inventory, doors.cells.enforcement, watched=watched, disk_enforced=doors.confinement.disk_quota),
        *mps.gpu_memory_line(inventory, mps_directory, config.resources.foreign_use),
    )


def _server(config: Config, services: Services, node: Node, doors: Doors, entrance: Entrance, accounts: Accounts) -> RpcServer:
    jobs, reader = services.jobs, node.reader
    beside = Beside(services.runs, RunInputs(doors.launcher), PtyTerminals(layout_of(config).run_file, doors.identities), services.lineage)
    converter = JobConverter(services.runs.progress, doors.launcher.log_paths, registering=services.outputs.registering)
    job_calls = JobsServicer(
        jobs,
        reader,
        beside,
        converter,
        most_jobs=lambda: node.loaded.config.jobs.max_jobs_per_submit,
        most_priority=lambda: node.loaded.config.jobs.max_user_priority,
    )
    servicers = Servicers(
        job_calls,
        NodeServicer(node),
        QueuesServicer(jobs, reader, {name: registered.summary for name, registered in POLICIES.items()}, node.schedule),
        AccessServicer(accounts, caller),
        AdminServicer(Upkeep(config, lambda: [job for job in jobs.state.jobs.values() if job.phase.active and job.run is not None], still=doors.blobs.still)),
        SimulationServicer(simulations.opened(config.simulation, doors.journal, lambda: jobs.state)),
        ModelsServicer(services.models, jobs, services.outputs, job_calls.Submit),
    )
    return RpcServer(servicers, listening(config), entrance.gate)


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

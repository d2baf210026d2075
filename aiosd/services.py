"""The services over their doors: built, wired to each other, started."""

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from aiosd import logs
from aiosd.access.principal import Principal
from aiosd.access.service import AccessService
from aiosd.access.users import RoleRules
from aiosd.clock import Clock
from aiosd.config import Config
from aiosd.domain_settings import device_settings, group_roles, jobs_settings, pressure_settings
from aiosd.doors import Doors
from aiosd.errors import AiosError
from aiosd.gpus import GpuRuns, JobHand
from aiosd.host import disk, faults, provenance
from aiosd.host.launch import expanded
from aiosd.host.people import People
from aiosd.host.pressure import KernelPressure
from aiosd.host.provenance import Provenance
from aiosd.host.runfile import boot_id
from aiosd.ids import JobId
from aiosd.jobs.actions import HoldBack
from aiosd.jobs.engine import Engine
from aiosd.jobs.job import Job, Owner, Phase, StopCause
from aiosd.jobs.learn_service import Learner
from aiosd.jobs.limiting import limits_of
from aiosd.jobs.ports import Loaded as Remembered
from aiosd.jobs.pressure import hold_back
from aiosd.jobs.secrets_service import Secrets
from aiosd.jobs.service import JobService
from aiosd.lineage import JobLineage
from aiosd.models.care_service import ModelCare
from aiosd.models.move_service import ModelMoves
from aiosd.models.optimize_service import ModelOptimizer
from aiosd.models.permits import Caller
from aiosd.models.read_service import ModelReader
from aiosd.models.receive_service import ModelReceiver
from aiosd.models.rounds_service import ModelRounds
from aiosd.models.safety_service import ModelSafety
from aiosd.models.send_service import ModelSender
from aiosd.models.service import ModelService
from aiosd.models.transfer_service import Transfers
from aiosd.models.upload_service import Uploads
from aiosd.monitoring.bounds import Excess
from aiosd.monitoring.bounds_service import BoundsService
from aiosd.monitoring.device_service import DeviceService
from aiosd.monitoring.ports import WatchedRun
from aiosd.monitoring.pressure_service import PressureService
from aiosd.monitoring.service import MonitorService
from aiosd.outputs import ModelOutputs
from aiosd.resources.inventory import Inventory
from aiosd.rpc.models import ModelServices
from aiosd.runs import BoundsWatcher, DiskWatcher, RunMeter, RunWatcher
from aiosd.storage.access import SqlAccess
from aiosd.storage.models import SqlModels
from aiosd.storage.outputs import SqlOutputs
from aiosd.upkeep import layout_of

log = logs.logger("aiosd.services")


@dataclass(frozen=True, slots=True)
class Services:
    """What the domains do by themselves; started, and to be run."""

    jobs: JobService
    access: AccessService
    monitor: MonitorService
    devices: DeviceService
    bounds: BoundsService | None  # where the kernel holds no run to its memory
    disk: DiskWatcher
    runs: RunMeter
    learner: Learner
    pressure: PressureService
    models: ModelServices
    lineage: JobLineage
    outputs: ModelOutputs
    rounds: ModelRounds

    def use(self, config: Config) -> None:
        """Take over what a reload of the configuration changes."""
        self.jobs.use(jobs_settings(config))
        self.access.rules = _role_rules(config)
        self.monitor.use(config.monitoring.period_s)
        self.devices.use(device_settings(config))
        self.pressure.use(pressure_settings(config), config.monitoring.pressure_period_s)
        if self.bounds is not None:
            self.bounds.use(config.isolation.watchdog_period_s)


async def start_services(config: Config, inventory: Inventory, clock: Clock, doors: Doors, people: People) -> Services:
    """Load what is remembered, and have the launcher say what became of what ran."""
    access = await _start_access(config, doors, people, clock)
    settings, boot, layout = jobs_settings(config), boot_id(), layout_of(config)

    def make_engine(remembered: Remembered) -> Engine:
        return Engine.load(remembered, settings, inventory, boot, clock.now(), access.limits_set())

    def report_path_of(job: Job) -> str:
        return str(layout.log(job, "report"))

    def job_of(job_id: JobId) -> Job | None:
        return jobs.state.jobs.get(job_id)  # looked up each time: the state is made anew when a full disk has room again

    secrets = Secrets(doors.vault)
    jobs = JobService(doors.journal, doors.launcher, clock, make_engine, faults.reached, secrets, doors.evidence, groups_of=people.groups_of)
    monitor = MonitorService(doors.meter, doors.reports, clock, config.monitoring.period_s)
    models = _models(config, clock, doors, people, lambda user: limits_of(jobs.state, user).model_bytes)
    runs, lineage = RunMeter(monitor, report_path_of), _lineage(jobs, doors, models)
    outputs = _outputs(jobs, doors, models, lineage, access, people, runs)
    gpu_runs = GpuRuns(lambda: jobs.state)
    for listener in (gpu_runs.on_event, RunWatcher(monitor, job_of, report_path_of), outputs.on_event):
        doors.launcher.subscribe(listener)  # before `start`, which re-adopts what runs
    bounds = None if "memory" in doors.cells.enforcement.held else _watch_bounds(config, clock, doors, jobs, job_of)
    pressure = PressureService(KernelPressure(), jobs.hold_back, pressure_settings(config), config.monitoring.pressure_period_s)
    await jobs.start()
    if short := pressure.begin():
        hold_back(jobs.state, HoldBack(short), clock.now())
    doors.variables.machine = lambda: jobs.state.pool.inventory
    await lineage.start()
    await outputs.start()
    rounds = ModelRounds(models.care, config.models.scrub_days, config.models.gc_every_s, config.models.gc_grace_s)
    devices = DeviceService(doors.gpus, gpu_runs, JobHand(jobs), clock, device_settings(config))
    jobs.weigh = partial(_weigh, doors)
    learner = Learner(doors.journal, lambda: jobs.state.history)
    return Services(jobs, access, monitor, devices, bounds, _disk_watcher(config, jobs), runs, learner, pressure, models, lineage, outputs, rounds)


async def _weigh(doors: Doors, job: Job) -> int:
    """The memory that a run uses at present; bytes, 0 where it does not live."""
    if job.run is None or not job.run.shim_pid:
        return 0
    watched = WatchedRun(job.run_key, job.run.shim_pid, "", job.run.started_at_s)
    return (await doors.weigher.weigh([watched])).get(job.run_key, 0)


async def _start_access(config: Config, doors: Doors, people: People, clock: Clock) -> AccessService:
    """Before the jobs, whose limits it knows."""
    access = AccessService(SqlAccess(doors.journal), people.groups_of, lambda: clock.now().wall_s, _role_rules(config))
    await access.start()
    return access


def _models(config: Config, clock: Clock, doors: Doors, people: People, limit_of: Callable[[str], int]) -> ModelServices:
    store, settings = SqlModels(doors.journal, faults.reached), config.models
    reader = ModelReader(store, doors.blobs, doors.blobs.tensor_diff)
    care = ModelCare(
        store, doors.blobs, reader, lambda: clock.now().wall_s, limit_of, lambda: disk.free_bytes(config.models_directory), faults.reached,
        settings.gc_grace_s, people.strange,
    )  # fmt: skip
    models = ModelService(care)
    receiver = ModelReceiver(models)
    return ModelServices(
        models, ModelMoves(care), care, reader, ModelSender(reader, receiver), ModelOptimizer(reader, sys.executable, _installed), ModelSafety(care),
        Transfers(Uploads(models, doors.stage, settings.upload_bytes), receiver), people.groups_of,
    )  # fmt: skip


def _installed(package: str) -> bool:
    """Looked for anew each time, and not imported."""
    importlib.invalidate_caches()
    return importlib.util.find_spec(package) is not None


def _lineage(jobs: JobService, doors: Doors, models: ModelServices) -> JobLineage:
    """What jobs have to do with models, on both sides: the domains themselves do not know each other."""
    care = models.care
    lineage = JobLineage(lambda: jobs.state.jobs, care.store, care.wall_s, care.deciding)
    models.models.lineage = models.moves.lineage = lineage.complete
    models.reader.reads, doors.blobs.pinned = lineage.read, lineage.manifests
    care.pins.append(lineage.pins)
    return lineage


def _outputs(
    jobs: JobService, doors: Doors, models: ModelServices, lineage: JobLineage, access: AccessService, people: People, runs: RunMeter
) -> ModelOutputs:  # fmt: skip
    def caller_of(owner: Owner, origin: str) -> Caller:
        role = access.role_in_force(owner.uid, owner.gid, owner.name).role
        return Caller(Principal(owner.uid, owner.gid, owner.name, role, origin), partial(people.groups_of, owner.name, owner.gid))

    def look(job: Job) -> Provenance:
        identity = doors.identities.of(job.owner) if doors.confinement.switch else None
        return provenance.look(job.spec.cwd, job.spec.command, job.spec.environment.variables, identity)

    async def metrics_of(job: Job) -> Mapping[str, float]:
        return {series.name: series.values[-1] for series in (await runs.stats(job)).reported if series.values}

    outputs = ModelOutputs(jobs, SqlOutputs(doors.journal), models.models, lineage, caller_of, look, metrics_of, expanded, faults.reached)
    jobs.left_models = outputs.left
    return outputs


def _role_rules(config: Config) -> RoleRules:
    """Whoever owns the daemon is an admin of it, and so is the superuser."""
    return RoleRules(group_roles(config), frozenset({0, os.getuid()}))


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


def _disk_watcher(config: Config, jobs: JobService) -> DiskWatcher:
    async def stop(job: Job, reason: str) -> None:
        with suppress(AiosError):  # it has ended meanwhile; or the disk is full, and the next look asks again
            await jobs.stop_run(job.id, job.attempt, StopCause.OVERUSE, reason)

    def running() -> list[Job]:
        return [job for job in jobs.state.jobs.values() if job.phase in (Phase.RUNNING, Phase.SUSPENDED)]

    layout = layout_of(config)
    return DiskWatcher(running, lambda job: disk.stored_bytes(layout.scratch(job.run_key)), stop, config.isolation.disk_watch_s)

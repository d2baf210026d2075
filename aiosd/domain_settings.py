"""The configuration as the records that the domains take, which need no configuration file to be tested."""

import os
from typing import Any

from aiosd.access.limits import UserLimits
from aiosd.access.principal import Role
from aiosd.access.rates import Allowance
from aiosd.access.roles import GroupRoles
from aiosd.config import Config, ModelsConfig
from aiosd.errors import ConfigError
from aiosd.host.cells.limits import CellSettings
from aiosd.jobs.settings import JobsSettings, Rightsize
from aiosd.monitoring.looks import DeviceSettings
from aiosd.monitoring.pressure import PressureSettings
from aiosd.resources.settings import DeclaredDevice, ResourceSettings
from aiosd.scheduling.rules import AccountSettings, Backfill, BackfillOrder, PreemptMode, PriorityWeights, QosSettings, QueueSettings, SchedulingRules
from aiosd.setting import Section
from aiosd.storage.blobs.cutting import Sizes
from aiosd.storage.blobs.settings import BlobSettings

_SHARE_OF_ONE = 0.5  # of jobs.max_queued, for each user of a daemon that is for all


def jobs_settings(config: Config) -> JobsSettings:
    """Of the jobs domain; there is always a default queue."""
    jobs, scheduler = config.jobs, config.scheduler
    queues = {name: QueueSettings(name, **_fields(queue) | {"preempt_mode": PreemptMode(queue.preempt_mode)}) for name, queue in config.queues.items()}
    queues.setdefault("default", QueueSettings("default"))
    return JobsSettings(
        policy=scheduler.policy,
        usage_half_life_s=scheduler.usage_half_life_s,
        shares=scheduler.shares,
        scheduling=scheduling_rules(config),
        max_starts_per_pass=scheduler.max_starts_per_pass,
        queues=queues,
        limits=UserLimits(**{f: getattr(config.limits, f) for f in config.limits.__struct_fields__}),
        allow_root_jobs=config.isolation.allow_root_jobs,
        queue_share=_SHARE_OF_ONE if config.daemon.users == "all" else 1.0,
        umask=int(config.isolation.umask, 8),
        private_tmp=config.isolation.private_tmp,
        rightsize=Rightsize(config.resources.rightsize),
        rightsize_margin_permille=config.resources.rightsize_margin_permille,
        **{f: getattr(jobs, f) for f in jobs.__struct_fields__},
    )


def scheduling_rules(config: Config) -> SchedulingRules:
    """What holds for all queues."""
    scheduler, weights = config.scheduler, _fields(config.priority)
    return SchedulingRules(
        backfill=Backfill(scheduler.backfill),
        backfill_order=BackfillOrder(scheduler.backfill_order),
        backfill_depth=scheduler.backfill_depth,
        predict=scheduler.predict,
        preempt_min_gain_s=scheduler.preempt_min_gain_s,
        preempt_grace_max_s=scheduler.preempt_grace_max_s,
        weights=PriorityWeights(**weights),
        qos={name: QosSettings(name, **_fields(qos) | {"preempt_mode": PreemptMode(qos.preempt_mode)}) for name, qos in config.qos.items()},
        accounts={name: AccountSettings(name, **_fields(account)) for name, account in config.accounts.items()},
    )


def _fields(section: Section) -> dict[str, Any]:
    return {field: getattr(section, field) for field in section.__struct_fields__}


def resource_settings(config: Config) -> ResourceSettings:
    """What of the machine jobs may have, as the survey takes it."""
    resources = config.resources
    return ResourceSettings(
        state_directory=config.daemon.state_directory,
        memory_reserve_bytes=None if resources.memory_reserve_bytes < 0 else resources.memory_reserve_bytes,
        cpus_reserved=resources.cpus_reserved,
        cpu_oversubscription_permille=resources.cpu_oversubscription_permille,
        disk_reserve_bytes=resources.disk_reserve_bytes,
        devices=tuple(DeclaredDevice(d.kind, d.count, d.paths, d.model, d.memory_bytes) for d in resources.device),
    )


def device_settings(config: Config) -> DeviceSettings:
    """Of the rules about GPUs."""
    resources, monitoring = config.resources, config.monitoring
    return DeviceSettings(
        avoid_foreign=resources.foreign_use == "avoid",
        foreign_graphics_bytes=resources.foreign_graphics_bytes,
        memory_tolerance_permille=resources.gpu_memory_tolerance_permille,
        memory_patience_s=resources.gpu_memory_patience_s,
        idle_s=resources.gpu_idle_s,
        period_s=monitoring.gpu_period_s,
    )


def pressure_settings(config: Config) -> PressureSettings:
    """Of when the machine is too short of memory for anything new to start."""
    return PressureSettings(config.resources.memory_pressure_permille / 1000, config.resources.memory_available_bytes)


def blob_settings(config: Config) -> BlobSettings:
    """Of the store of models' bytes."""
    models = config.models
    least, average = models.chunk_bytes // 2, models.chunk_bytes
    sizes = Sizes(least, average, 4 * average, models.piece_bytes, least, models.whole_bytes)
    return BlobSettings(
        directory=config.models_directory, cache_bytes=models.cache_bytes, sizes=sizes, compress=models.compress,
        key_file=_key_file(models), of_systemd=bool(models.encryption_credential), at_once=models.workers, staged_s=models.upload_keep_s,
    )  # fmt: skip


def _key_file(models: ModelsConfig) -> str:
    """Raises ConfigError for a credential that systemd has not handed over."""
    name, directory = models.encryption_credential, os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not name:
        return models.encryption_key_file
    if models.encryption_key_file:
        raise ConfigError("models.encryption_key_file and models.encryption_credential name two keys", hint="keep the one that the store is encrypted with")
    if "/" in name or name.startswith("."):
        raise ConfigError(f"models.encryption_credential is {name[:100]!r}, which is no name", hint="the name alone; the unit says which file it is")
    if not directory:
        raise ConfigError(
            f"models.encryption_credential: there is no credential {name!r}, for systemd has handed over none",
            hint=f"systemctl edit aiosd, with LoadCredential={name}:FILE below [Service]; by hand use models.encryption_key_file", name=name,
        )  # fmt: skip
    return f"{directory}/{name}"


def group_roles(config: Config) -> GroupRoles:
    access = config.access
    names = {Role.VIEWER: access.viewer_groups, Role.USER: access.user_groups, Role.OPERATOR: access.operator_groups, Role.ADMIN: access.admin_groups}
    return GroupRoles({role: frozenset(groups) for role, groups in names.items()}, role_named(access.default_role))


def role_named(name: str) -> Role:
    return Role[name.upper()]


def allowance(config: Config) -> Allowance:
    """What the calls of one user may take of the daemon."""
    access = config.access
    return Allowance(
        calls_per_s=access.calls_per_s, burst=access.burst, loop_share=access.loop_share, open_calls=access.open_calls, jobs_per_call=access.jobs_per_call
    )


def cell_settings(config: Config) -> CellSettings:
    """Of the control groups that runs are confined in."""
    isolation = config.isolation
    return CellSettings(cgroups=isolation.cgroups, memory_high_permille=isolation.memory_high_permille, pids_max=isolation.pids_max)

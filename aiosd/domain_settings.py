"""The configuration as the records that the domains take, which need no configuration file to be tested."""

from aiosd.config import Config
from aiosd.jobs.settings import JobsSettings, QueueSettings
from aiosd.resources.settings import DeclaredDevice, ResourceSettings


def jobs_settings(config: Config) -> JobsSettings:
    """Of the jobs domain; there is always a default queue."""
    jobs, scheduler = config.jobs, config.scheduler
    queues = {name: QueueSettings(name, **{f: getattr(queue, f) for f in queue.__struct_fields__}) for name, queue in config.queues.items()}
    queues.setdefault("default", QueueSettings("default"))
    return JobsSettings(
        policy=scheduler.policy,
        usage_half_life_s=scheduler.usage_half_life_s,
        shares=scheduler.shares,
        max_starts_per_pass=scheduler.max_starts_per_pass,
        queues=queues,
        allow_root_jobs=config.isolation.allow_root_jobs,
        umask=int(config.isolation.umask, 8),
        private_tmp=config.isolation.private_tmp,
        **{f: getattr(jobs, f) for f in jobs.__struct_fields__},
    )


def resource_settings(config: Config) -> ResourceSettings:
    """What of the machine jobs may have, as the survey takes it."""
    resources = config.resources
    return ResourceSettings(
        state_directory=config.daemon.state_directory,
        memory_reserve_bytes=None if resources.memory_reserve_bytes < 0 else resources.memory_reserve_bytes,
        cpus_reserved=resources.cpus_reserved,
        disk_reserve_bytes=resources.disk_reserve_bytes,
        devices=tuple(DeclaredDevice(d.kind, d.count, d.paths, d.model, d.memory_bytes) for d in resources.device),
    )

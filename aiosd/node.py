"""The node and its daemon as an operator sees and steers them: status, drain, reload, stop."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from aiosd import __version__, logs, settings_text
from aiosd.domain_settings import jobs_settings
from aiosd.host import isolation
from aiosd.host.itself import LoadMeter, log_file, resident_bytes
from aiosd.host.notify import Notifier
from aiosd.jobs.actions import QueueChange
from aiosd.jobs.read_service import JobReader
from aiosd.jobs.service import JobService
from aiosd.monitoring.machine import DaemonInfo
from aiosd.monitoring.service import MonitorService
from aiosd.resources.inventory import Inventory
from aiosd.rpc.needs import NodeReport, Reloaded
from aiosd.settings_file import Loaded

log = logs.logger("aiosd.node")


@dataclass(slots=True)
class Node:
    """Offers NodeControl to the network door. `reread` reads the configuration again; `ask_to_stop` returns at once."""

    jobs: JobService
    reader: JobReader
    monitor: MonitorService
    inventory: Inventory
    loaded: Loaded
    reread: Callable[[], Loaded]
    ask_to_stop: Callable[[], None]
    notifier: Notifier
    started_at_s: float
    warnings: tuple[str, ...] = ()
    disk_enforced: bool = False
    _load: LoadMeter = field(default_factory=LoadMeter)

    async def status(self) -> NodeReport:
        config, view = self.loaded.config, self.reader.node()
        daemon = DaemonInfo(
            version=__version__,
            pid=os.getpid(),
            started_at_s=self.started_at_s,
            state_directory=config.daemon.state_directory,
            config_file=self.loaded.file,
            database=settings_text.without_password(config.database_url),
            memory_bytes=resident_bytes(),
            log_file=log_file(),
        )
        view = replace(view, warnings=(*view.warnings, *self.warnings))
        return NodeReport(
            self.inventory, self.jobs.state.pool.used(), view, daemon, isolation.report(self.inventory, disk_enforced=self.disk_enforced), self._load.look()
        )

    async def drain(self, reason: str) -> None:
        await self.jobs.set_drained(True, reason)

    async def resume(self) -> None:
        await self.jobs.set_drained(False)

    async def stop(self) -> None:
        self.ask_to_stop()

    async def reload(self) -> Reloaded:
        """Take over what can be; the rest waits for a restart, and goes on being named until then. Raises ConfigError."""
        self.notifier.reloading()
        try:
            new = self.reread()
            applied, needs_restart = self.loaded.config.diff(new.config)
            for key in applied:
                await self._apply(key, new)
            self.loaded = replace(new, config=self.loaded.config.taking_over(new.config))
            self.jobs.use(jobs_settings(self.loaded.config))
            self.monitor.use(self.loaded.config.monitoring.period_s)
            log.info("reloaded", applied=applied, needs_restart=needs_restart)
        finally:
            self.notifier.ready("serving")
        return Reloaded(tuple(applied), tuple(needs_restart))

    async def _apply(self, key: str, new: Loaded) -> None:
        """What has to be done about one setting; the others are taken over all together."""
        if key.startswith("queues."):
            name = key.split(".")[1]
            queue = new.config.queues.get(name)
            if queue is not None:  # one that the file no longer has keeps its jobs and its settings
                await self.jobs.set_queue(name, QueueChange(**{f: getattr(queue, f) for f in queue.__struct_fields__}))
        elif key == "daemon.log_level":
            logs.set_level(new.config.daemon.log_level)
        elif key == "scheduler.policy":
            await self.jobs.set_policy(new.config.scheduler.policy)

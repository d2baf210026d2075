"""The node and its daemon as an operator sees and steers them: status, drain, reload, stop."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields, replace

from aiosd import __version__, logs, settings_text
from aiosd.config import Config
from aiosd.domain_settings import jobs_settings
from aiosd.host.groups import members_of
from aiosd.host.itself import LoadMeter, log_file, resident_bytes
from aiosd.host.notify import Notifier
from aiosd.host.probes import Survey
from aiosd.jobs import reserving
from aiosd.jobs.actions import QueueChange, Reserve
from aiosd.jobs.read_service import JobReader
from aiosd.jobs.schedule import Measured, ScheduleView, schedule
from aiosd.jobs.service import JobService
from aiosd.monitoring.device_service import DeviceService
from aiosd.monitoring.machine import DaemonInfo
from aiosd.monitoring.pressure_service import PressureService
from aiosd.resources.inventory import Inventory
from aiosd.resources.isolation import Isolation
from aiosd.rpc.needs import NodeReport, Reloaded
from aiosd.scheduling.reservations import Reservation
from aiosd.settings_file import Loaded

log = logs.logger("aiosd.node")


@dataclass(slots=True)
class Node:
    """Offers NodeControl to the network door. `reread` reads the configuration again; `ask_to_stop` returns at once."""

    jobs: JobService
    reader: JobReader
    loaded: Loaded
    reread: Callable[[], Loaded]
    on_reload: Callable[[Config], None]  # takes over what those that this node does not know are told
    ask_to_stop: Callable[[], None]
    notifier: Notifier
    started_at_s: float
    survey: Callable[[], Awaitable[Survey]]  # asks every probe again
    isolation: Callable[[Inventory], tuple[Isolation, ...]] = lambda _: ()
    warnings: tuple[str, ...] = ()  # of the last survey
    further_warnings: Callable[[], tuple[str, ...]] = tuple  # those of this moment
    devices: DeviceService | None = None
    pressure: PressureService | None = None
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
        inventory, devices = self.inventory, self.devices
        out_of_use = (f"{device.name} ({device.id}) {device.trouble}" for device in inventory.devices if device.trouble)
        short = reserving.warnings(self.jobs.state, self.jobs.clock.now()).values()
        view = replace(view, warnings=(*view.warnings, *self.warnings, *self.further_warnings(), *out_of_use, *short))
        reservations = tuple(self.jobs.state.reservations.values())
        report = NodeReport(inventory, self.jobs.state.pool.used(), view, daemon, self.isolation(inventory), self._load.look(), reservations)
        return replace(report, foreign_use=tuple(devices.foreign_use), idle_devices=tuple(devices.idle_devices)) if devices else report

    def schedule(self) -> ScheduleView:
        """The five steps of dynamic scheduling, with what is measured now."""
        load, look = self._load.look(), self.pressure.last if self.pressure is not None else None
        measured = Measured(cpu_busy_permille=load.cpu_busy_permille, idle_gpus=len(self.devices.idle_devices) if self.devices else 0)
        if look is not None:
            pressures = {name: value for name, value in (("cpu", look.cpu), ("memory", look.memory), ("io", look.io)) if value is not None}
            measured = replace(measured, memory_used_bytes=look.total_bytes - look.available_bytes, pressures=pressures)
        return schedule(self.jobs.state, measured, self.jobs.passes.paces)

    @property
    def inventory(self) -> Inventory:
        """The machine as the engine knows it now."""
        return self.jobs.state.pool.inventory

    async def drain(self, reason: str) -> None:
        await self.jobs.set_drained(True, reason)

    async def resume(self) -> None:
        await self.jobs.set_drained(False)

    async def set_device(self, device_id: str, quarantined: bool, reason: str, by: str) -> None:
        """Into quarantine, or out of it; what comes out is as ill or well as the probes find it then. Raises NotFound."""
        if not quarantined:
            await self._survey()
        told = f"{reason}, by {by}" if reason else f"by {by}"
        await self.jobs.set_device(device_id, quarantined=quarantined, reason=told if quarantined else "")

    async def reserve(self, wish: Reserve, by: str) -> Reservation:
        """The reservation as it was made; its reason says, too, what may keep it from being honoured in full."""
        members = await asyncio.to_thread(members_of, wish.users)
        made = await self.jobs.reserve(replace(wish, members=members, created_by=by))
        log.info("reserved", reservation=made.id, users=made.users, from_s=made.from_s, until_s=made.until_s, by=by)
        warning = reserving.warnings(self.jobs.state, self.jobs.clock.now()).get(made.id)
        return replace(made, reason=f"{made.reason}; {warning}" if made.reason else warning) if warning else made

    async def unreserve(self, number: int, by: str) -> Reservation:
        gone = await self.jobs.unreserve(number)
        log.info("unreserved", reservation=number, by=by)
        return gone

    async def _survey(self) -> None:
        found = await self.survey()
        self.warnings = found.warnings
        machine = replace(self.inventory, devices=found.inventory.devices, links=found.inventory.links)  # free disk is no news
        await self.jobs.take_inventory(machine)

    async def stop(self) -> None:
        self.ask_to_stop()

    async def reload(self) -> Reloaded:
        """Take over what can be, and look at the devices; the rest waits for a restart, and goes on being named. Raises ConfigError."""
        self.notifier.reloading()
        try:
            new = self.reread()
            applied, needs_restart = self.loaded.config.diff(new.config)
            for key in applied:
                await self._apply(key, new)
            self.loaded = replace(new, config=self.loaded.config.taking_over(new.config))
            self.on_reload(self.loaded.config)
            await self._survey()
            log.info("reloaded", applied=applied, needs_restart=needs_restart)
        finally:
            self.notifier.ready("serving")
        return Reloaded(tuple(applied), tuple(needs_restart))

    async def _apply(self, key: str, new: Loaded) -> None:
        """What has to be done about one setting; the others are taken over all together."""
        if key.startswith("queues."):
            name = key.split(".")[1]
            if name in new.config.queues:  # one that the file no longer has keeps its jobs and its settings
                queue = jobs_settings(new.config).queues[name]
                await self.jobs.set_queue(name, QueueChange(**{field.name: getattr(queue, field.name) for field in fields(QueueChange)}))
        elif key == "daemon.log_level":
            logs.set_level(new.config.daemon.log_level)
        elif key == "scheduler.policy":
            await self.jobs.set_policy(new.config.scheduler.policy)

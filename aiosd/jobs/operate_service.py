"""What an operator, and the monitoring, ask of the engine: policy, queues, drain, devices, a run to be stopped, the end of a job amended."""

from dataclasses import replace
from typing import Protocol

import structlog

from aiosd.ids import JobId
from aiosd.jobs.actions import (
    Amend,
    Event,
    HoldBack,
    InventoryChanged,
    QueueChange,
    Reserve,
    SetDevice,
    SetDrained,
    SetPolicy,
    SetQueue,
    StopRun,
    Unreserve,
)
from aiosd.jobs.engine import Reply
from aiosd.jobs.job import Job, StopCause
from aiosd.resources.inventory import Inventory
from aiosd.scheduling.reservations import Reservation
from aiosd.scheduling.rules import QueueSettings

log = structlog.get_logger("jobs")


class Operating(Protocol):
    """The part of the jobs service that concerns the node as a whole; each method answers when its change is committed."""

    __slots__ = ()

    async def ask(self, event: Event) -> Reply: ...

    async def set_policy(self, name: str = "", rules: SetPolicy | None = None) -> str:
        """Another policy, "" for the one in force; `rules` go with it, whatever their own name. Raises NotFound, InvalidArgument."""
        reply = await self.ask(replace(rules or SetPolicy(), name=name))
        assert isinstance(reply, str)
        return reply

    async def set_queue(self, name: str, change: QueueChange) -> QueueSettings:
        reply = await self.ask(SetQueue(name, change))
        assert isinstance(reply, QueueSettings)
        return reply

    async def set_drained(self, drained: bool, reason: str = "") -> None:
        await self.ask(SetDrained(drained, reason))

    async def set_device(
        self, device_id: str, *, health: str | None = None, quarantined: bool | None = None, busy: str | None = None, reason: str = ""
    ) -> None:
        """What is known of a device now; None: as it was. Raises NotFound.

        device_id   its id, or "gpu-1"
        health      "ok", or what is wrong: then it goes into quarantine, too, and the jobs that hold it are told
        quarantined not handed out until it is released; survives restarts
        busy        who uses it whom AIOS did not start, "python (pid 4242) of bob"; "": nobody
        """
        await self.ask(SetDevice(device_id, health, quarantined, busy, reason))
        log.info("device", device=device_id, health=health, quarantined=quarantined, busy=busy, reason=reason or None)

    async def take_inventory(self, inventory: Inventory) -> None:
        """What the probes find now. What they no longer find counts as ill."""
        await self.ask(InventoryChanged(inventory))

    async def hold_back(self, reason: str) -> None:
        """Start nothing new, for this reason, until it is "" again."""
        await self.ask(HoldBack(reason))

    async def reserve(self, wish: Reserve) -> Reservation:
        """Raises InvalidArgument, NeverFits, Conflict and Exhausted for what cannot be kept."""
        reply = await self.ask(wish)
        assert isinstance(reply, Reservation)
        return reply

    async def unreserve(self, number: int) -> Reservation:
        reply = await self.ask(Unreserve(number))
        assert isinstance(reply, Reservation)
        return reply

    async def stop_run(self, job_id: JobId, attempt: int, cause: StopCause, reason: str, *, force: bool = False) -> None:
        """End a run for what was seen of it; `reason` is what its user reads."""
        await self.ask(StopRun(job_id, attempt, cause, reason, force))

    async def amend(self, job: Job, reason: str) -> Job:
        """Say of a job that has ended what came of it afterwards."""
        reply = await self.ask(Amend(job, reason))
        assert isinstance(reply, Job)
        return reply

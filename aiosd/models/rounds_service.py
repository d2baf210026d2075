"""What is looked after without anybody asking: all that is stored is read back little by little, and what nobody needs goes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from aiosd.errors import AiosError
from aiosd.models.care_service import ModelCare

HOUR_S, DAY_S = 3600.0, 86_400.0

log = structlog.get_logger("models")


@dataclass(slots=True)
class ModelRounds:
    """Two rounds, each at its own pace; what one of them could not do, the next one tries again.

    scrub_days  all is read back once in so many, a part each hour; 0: never
    gc_every_s  from one collection of garbage to the next; the first comes within an hour of the start; 0: none by itself
    grace_s     what is younger stays
    """

    care: ModelCare
    scrub_days: float = 0.0
    gc_every_s: float = 0.0
    grace_s: float = 0.0

    async def run(self) -> None:
        await self._attempt(self.care.recount)
        scrub_s = min(HOUR_S, self.scrub_days * DAY_S)
        async with asyncio.TaskGroup() as rounds:
            if self.scrub_days:
                rounds.create_task(self._every(scrub_s, scrub_s, lambda: self.scrub(scrub_s / (self.scrub_days * DAY_S))), name="scrub")
            if self.gc_every_s:
                rounds.create_task(self._every(min(HOUR_S, self.gc_every_s), self.gc_every_s, self.collect), name="garbage")

    async def scrub(self, share: float) -> None:
        """The next part, 0 to 1, of all that is stored."""
        await self.care.mark(await self.care.vault.scrub(share))

    async def collect(self) -> None:
        await self.care.collect(self.grace_s, dry_run=False)

    async def _every(self, first_s: float, period_s: float, work: Callable[[], Awaitable[None]]) -> None:
        pause_s = first_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = period_s
            await self._attempt(work)

    async def _attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except AiosError as error:  # as on a full disk, or beside a damaged row: the next time tries again
            log.warning("a round over the stored models failed", error=str(error), hint=error.hint)

"""Looks at the pressure on the machine's memory at a steady pace, and has starts held back while it is high."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from aiosd.errors import AiosError
from aiosd.monitoring.ports import PressureProbe
from aiosd.monitoring.pressure import PressureLook, PressureRules, PressureSettings

log = structlog.get_logger("pressure")

HoldBack = Callable[[str], Awaitable[None]]


class PressureService:
    """`run` is the loop, one of the daemon's named root tasks. `hold_back` is told why nothing may start, and "" when it may again."""

    def __init__(self, probe: PressureProbe, hold_back: HoldBack, settings: PressureSettings, period_s: float) -> None:
        self._probe, self._hold_back, self._period_s = probe, hold_back, period_s
        self._rules = PressureRules(settings)
        self._told = ""
        self._hurried = asyncio.Event()
        self.last: PressureLook | None = None

    def use(self, settings: PressureSettings, period_s: float) -> None:
        """Go by these from now on."""
        self._rules.settings, self._period_s = settings, period_s
        self._hurried.set()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should know."""
        return (f"no job starts: {self._told}",) if self._told else ()

    def begin(self) -> str:
        """The first look, before anything can start: why nothing may."""
        self.last = self._probe.look()
        self._told = self._rules.judge(self.last)
        return self._told

    async def run(self) -> None:
        """Until it is cancelled. An error of the probe escapes: a blind daemon must not look healthy."""
        while True:
            await self.look()
            self._hurried.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._period_s):
                    await self._hurried.wait()

    async def look(self) -> None:
        """Once; what cannot be told now (the disk is full) is told after the next look."""
        self.last = self._probe.look()
        reason = self._rules.judge(self.last)
        if bool(reason) == bool(self._told):
            return
        with suppress(AiosError):
            await self._hold_back(reason)
            self._told = reason
            if reason:
                log.warning("nothing new starts", reason=reason)
            else:
                log.info("jobs start again: there is memory again")

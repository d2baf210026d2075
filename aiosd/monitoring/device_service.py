"""Looks at the GPUs at a steady pace and has done what the rules say; a machine without one pays nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from aiosd.clock import Clock
from aiosd.errors import AiosError
from aiosd.monitoring.devices import DeviceRules, Verdicts
from aiosd.monitoring.looks import DeviceSettings, ForeignUse, GpuRun, IdleDevice
from aiosd.monitoring.ports import DeviceKeeper, GpuProbe

CALMER = 5  # times fewer looks while no job holds a GPU, and nothing has changed
BLIND_S = 30.0  # without an answer of the driver, after which everybody is told

log = structlog.get_logger("gpus")


class DeviceService:
    """`run` is the loop, one of the daemon's named root tasks; the properties are what it last saw. `probe` None: there is no GPU."""

    def __init__(
        self, probe: GpuProbe | None, runs: Callable[[], Sequence[GpuRun]], keeper: DeviceKeeper, clock: Clock, settings: DeviceSettings | None = None
    ) -> None:
        self._probe, self._runs, self._keeper, self._clock = probe, runs, keeper, clock
        self._rules = DeviceRules(settings or DeviceSettings())
        self._seen = Verdicts()
        self._told: dict[str, tuple[str, str]] = {}  # health and strangers of each device, as they were last handed on
        self._warned: dict[str, str] = {}  # by run
        self._stopped: set[str] = set()
        self._answered_s: float | None = None
        self._blind = False
        self._failure = ""  # that was logged

    def use(self, settings: DeviceSettings) -> None:
        """Go by these from the next look on; what was seen so far counts."""
        self._rules.settings = settings

    @property
    def foreign_use(self) -> Sequence[ForeignUse]:
        return self._seen.foreign

    @property
    def idle_devices(self) -> Sequence[IdleDevice]:
        return self._seen.idle

    @property
    def warnings(self) -> Sequence[str]:
        """What an operator should know."""
        if not self._blind or self._answered_s is None:
            return ()
        blind_s = self._clock.now().steady_s - self._answered_s
        return (f"NVIDIA's driver has not answered for {blind_s:.0f} s: what happens on the GPUs is not seen",)

    async def run(self) -> None:
        """Until it is cancelled; at once over where there is nothing to look at. An error escapes: a blind daemon must not look healthy."""
        if self._probe is None:
            return
        while True:
            runs = self._runs()
            await self.look(runs)
            hurried = not self._seen.settled or any(run.budgets for run in runs)
            await asyncio.sleep(self._rules.settings.period_s * (1 if hurried else CALMER))

    async def look(self, runs: Sequence[GpuRun]) -> None:
        """Look once, and have done what follows."""
        if self._probe is None:
            return
        looks = await self._probe.look({run.key: run.shim_pid for run in runs})
        now_s = self._clock.now().steady_s
        if looks is None:
            self._on_silence(now_s)
            return
        if self._blind:
            log.warning("the driver answers again", blind_s=round(now_s - (self._answered_s or now_s)))
        self._answered_s, self._blind = now_s, False
        before, self._seen = self._seen, self._rules.judge(looks, runs, now_s)
        self._log_changes(before)
        await self._hand_on(runs)

    def _on_silence(self, now_s: float) -> None:
        self._answered_s = now_s if self._answered_s is None else self._answered_s
        if not self._blind and now_s - self._answered_s >= BLIND_S:
            self._blind = True
            log.error("the driver does not answer: what happens on the GPUs is not seen", for_s=round(now_s - self._answered_s))

    def _log_changes(self, before: Verdicts) -> None:
        known = {(use.device_id, use.pid) for use in before.foreign}
        for use in self._seen.foreign:
            if (use.device_id, use.pid) not in known:
                log.warning("foreign use", device=use.device_id, pid=use.pid, user=use.user, program=use.program, memory_bytes=use.memory_bytes)
        still = {(use.device_id, use.pid) for use in self._seen.foreign}
        for device_id, pid in sorted(known - still):
            log.info("foreign use is over", device=device_id, pid=pid)

    async def _hand_on(self, runs: Sequence[GpuRun]) -> None:
        """What fails now (the disk is full) is tried again after the next look."""
        by_key = {run.key: run for run in runs}
        await self._try(self._tell_devices())
        await self._try(self._tell_runs(by_key))
        await self._try(self._stop_runs(by_key))

    async def _try(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except AiosError as error:
            if str(error) != self._failure:
                log.warning("what was seen cannot be acted upon now", error=str(error), hint=error.hint)
            self._failure = str(error)

    async def _tell_devices(self) -> None:
        for device_id, health in self._seen.health.items():
            new, old = (health, self._seen.busy.get(device_id, "")), self._told.get(device_id, ("ok", ""))
            if new != old:
                health_now, busy_now = (value if value != was else None for value, was in zip(new, old, strict=True))
                await self._keeper.set_device(device_id, health=health_now, busy=busy_now)
                self._told[device_id] = new

    async def _tell_runs(self, runs: dict[str, GpuRun]) -> None:
        self._warned = {key: text for key, text in self._warned.items() if key in runs}
        for key, run in runs.items():
            text = self._seen.warnings.get(key, "")
            if text == self._warned.get(key, ""):
                continue
            if text:
                log.warning("a run is warned", job=run.job_id, attempt=run.attempt, warning=text)
            await self._keeper.warn(run, text, self._warned.get(key, ""))
            self._warned[key] = text

    async def _stop_runs(self, runs: dict[str, GpuRun]) -> None:
        self._stopped &= runs.keys()
        for stop in self._seen.stops:
            if stop.run in runs and stop.run not in self._stopped:
                run = runs[stop.run]
                log.warning("a run is stopped", job=run.job_id, attempt=run.attempt, how=stop.how, reason=stop.reason)
                await self._keeper.stop(run, stop.how, stop.reason)
                self._stopped.add(stop.run)

"""What is said of GPUs after each look at them: who uses them besides AIOS, who uses too much, who nothing, which is ill.

Pure: looks go in, verdicts come out, and time is an argument. No single look decides anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiosd.monitoring.illness import Illness
from aiosd.monitoring.looks import DeviceLook, DeviceSettings, ForeignUse, GpuProcess, GpuRun, IdleDevice
from aiosd.monitoring.steady import GAP_S, Latch, Streaks
from aiosd.units import format_bytes, format_seconds

# Programs of the driver that are on a GPU for everybody: MPS, persistence, the fleet's monitoring.
SERVICES = frozenset({"nvidia-cuda-mps-server", "nvidia-cuda-mps-control", "nvidia-persistenced", "nv-hostengine", "dcgm-exporter", "nvidia-smi"})
NAME_LETTERS = 15  # of a program's name, which is all that the kernel tells of one whose file may not be looked at
_SERVICES_CUT = frozenset(name[:NAME_LETTERS] for name in SERVICES)
_LOOKS_TO_BELIEVE = 2  # that a process is there, or gone; that a run uses too much
_LOOKS_TO_ACT = 3  # before anything is done to a run


@dataclass(frozen=True, slots=True)
class RunStop:
    """A run is to end. `how`: overuse, requeue or cancel."""

    run: str
    how: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All that holds after a look. `warnings` by run; `health` and `busy` by device, "ok" and "" where all is well."""

    health: Mapping[str, str] = field(default_factory=dict)
    busy: Mapping[str, str] = field(default_factory=dict)
    foreign: tuple[ForeignUse, ...] = ()
    idle: tuple[IdleDevice, ...] = ()
    warnings: Mapping[str, str] = field(default_factory=dict)
    stops: tuple[RunStop, ...] = ()
    settled: bool = True  # nothing is half believed: the next look need not come soon


def is_onlooker(process: GpuProcess, settings: DeviceSettings) -> bool:
    """Whether it takes nothing of a GPU that counts: a desktop that draws, or the driver's own services, with little memory."""
    is_service = process.program[:NAME_LETTERS] in _SERVICES_CUT
    return (process.graphics or is_service) and process.memory_bytes <= settings.foreign_graphics_bytes


@dataclass(slots=True)
class DeviceRules:
    """`judge` after each look, in order of time."""

    settings: DeviceSettings
    _illness: Illness = field(default_factory=Illness)
    _foreign: dict[str, dict[int, tuple[Latch, ForeignUse]]] = field(default_factory=dict)  # by device, by pid
    _over: Streaks[tuple[str, str]] = field(default_factory=Streaks)  # by run and device
    _excess: dict[tuple[str, str], str] = field(default_factory=dict)  # what it is now
    _warned: dict[tuple[str, str], str] = field(default_factory=dict)  # what was said at first, and stays
    _idle: Streaks[tuple[str, str]] = field(default_factory=Streaks)
    _memory: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)  # when, and bytes, at the last look

    def judge(self, looks: Sequence[DeviceLook], runs: Sequence[GpuRun], now_s: float) -> Verdicts:
        """`now_s` on a clock that does not jump."""
        by_key = {run.key: run for run in runs}
        self._forget(by_key)
        for look in looks:
            self._illness.see(look, now_s)
            if look.processes is not None:
                self._see_foreign(look.device_id, look.processes)
                self._see_over(look, look.processes, by_key, now_s)
                self._see_idle(look, look.processes, by_key, now_s)
        names = {look.device_id: look.name for look in looks}
        foreign = tuple(use for uses in self._foreign.values() for latch, use in uses.values() if latch.on)
        return Verdicts(
            health=self._illness.health(now_s),
            busy=self._busy(names, foreign),
            foreign=foreign,
            idle=tuple(self._idle_devices(by_key)),
            warnings=self._warnings(by_key, names),
            stops=tuple(self._stops(by_key)),
            settled=self._settled(),
        )

    def _forget(self, runs: Mapping[str, GpuRun]) -> None:
        self._over.keep(lambda key: key[0] in runs)
        self._idle.keep(lambda key: key[0] in runs)
        self._excess = {key: text for key, text in self._excess.items() if key in self._over.by_key}
        self._warned = {key: text for key, text in self._warned.items() if key in self._over.by_key}
        self._memory = {key: seen for key, seen in self._memory.items() if key[0] in runs}

    # Strangers

    def _see_foreign(self, device_id: str, processes: Sequence[GpuProcess]) -> None:
        known = self._foreign.setdefault(device_id, {})
        now = {p.pid: p for p in processes if not p.run and not p.ours and not is_onlooker(p, self.settings)}
        for pid, process in now.items():
            latch = known[pid][0] if pid in known else Latch(_LOOKS_TO_BELIEVE, _LOOKS_TO_BELIEVE)
            known[pid] = (latch, ForeignUse(device_id, pid, process.user, process.program, process.memory_bytes))
        for pid, (latch, _) in list(known.items()):
            if not latch.feed(pid in now) and pid not in now:
                del known[pid]

    def _busy(self, names: Mapping[str, str], foreign: Sequence[ForeignUse]) -> dict[str, str]:
        """Who is in the way, without the names of programs: those are nobody else's business."""
        users: dict[str, list[str]] = {device_id: [] for device_id in names}
        if self.settings.avoid_foreign:
            for use in foreign:
                users.setdefault(use.device_id, []).append(f"pid {use.pid} of {use.user or 'an unknown user'}")
        return {device_id: ", ".join(sorted(who)) for device_id, who in users.items()}

    # Use beyond the grant

    def _see_over(self, look: DeviceLook, processes: Sequence[GpuProcess], runs: Mapping[str, GpuRun], now_s: float) -> None:
        used: dict[str, int] = {}
        for process in processes:
            if process.run in runs and not (look.device_id not in runs[process.run].budgets and is_onlooker(process, self.settings)):
                used[process.run] = used.get(process.run, 0) + process.memory_bytes
        for key, run in runs.items():
            text = self._too_much(look, run, used[key]) if key in used else ""
            if text:
                self._over.seen((key, look.device_id), now_s)
                self._excess[key, look.device_id] = text
            else:
                self._over.drop((key, look.device_id))

    def _too_much(self, look: DeviceLook, run: GpuRun, used_bytes: int) -> str:
        budget = run.budgets.get(look.device_id)
        if budget is None:
            return f"it uses {look.name}, which it was not granted"
        if not budget or used_bytes <= budget + budget * self.settings.memory_tolerance_permille // 1000:
            return ""
        return f"it uses {format_bytes(used_bytes)} of the memory of {look.name}; it was granted {format_bytes(budget)}"

    # Nothing used of what is held

    def _see_idle(self, look: DeviceLook, processes: Sequence[GpuProcess], runs: Mapping[str, GpuRun], now_s: float) -> None:
        for key, run in runs.items():
            if look.device_id not in run.budgets:
                continue
            own = [process for process in processes if process.run == key]
            memory = sum(process.memory_bytes for process in own)
            before_s, before = self._memory.get((key, look.device_id), (now_s, memory))
            self._memory[key, look.device_id] = (now_s, memory)
            grown = memory > before or now_s - before_s > GAP_S
            if run.suspended or grown or busy_permille(look, own) != 0:
                self._idle.drop((key, look.device_id))
            else:
                self._idle.seen((key, look.device_id), now_s)

    def _idle_devices(self, runs: Mapping[str, GpuRun]) -> Iterator[IdleDevice]:
        for (key, device_id), streak in self._idle.by_key.items():
            if streak.looks >= _LOOKS_TO_ACT and streak.lasts_s >= self.settings.idle_s:
                yield IdleDevice(device_id, runs[key].job_id, streak.lasts_s)

    # What follows for runs

    def _warnings(self, runs: Mapping[str, GpuRun], names: Mapping[str, str]) -> dict[str, str]:
        said: dict[str, list[str]] = {}
        for key, streak in self._over.by_key.items():
            if streak.looks >= _LOOKS_TO_BELIEVE:
                first = self._warned.setdefault(key, f"{self._excess[key]}; if that lasts {format_seconds(self.settings.memory_patience_s)} it is stopped")
                said.setdefault(key[0], []).append(first)
        for (run, device_id), streak in self._idle.by_key.items():
            if streak.looks >= _LOOKS_TO_ACT and streak.lasts_s >= self.settings.idle_s:
                said.setdefault(run, []).append(f"{names.get(device_id, device_id)} is idle for {format_seconds(self.settings.idle_s)} or longer")
        return {run: "; ".join(texts) for run, texts in said.items() if run in runs}

    def _stops(self, runs: Mapping[str, GpuRun]) -> Iterator[RunStop]:
        stopped = set()
        for at, streak in self._over.by_key.items():
            if at[0] not in stopped and streak.looks >= _LOOKS_TO_ACT and streak.lasts_s >= self.settings.memory_patience_s:
                stopped.add(at[0])
                yield RunStop(at[0], "overuse", self._excess[at])
        for key, run in runs.items():
            if key not in stopped and run.idle_gpus != "report" and self._all_idle(run):
                yield RunStop(key, run.idle_gpus, f"its GPUs were idle for {format_seconds(self._idle_limit_s(run))}: queue {run.queue} takes them back")

    def _all_idle(self, run: GpuRun) -> bool:
        """One GPU at work keeps them all: a job is not ended for what it does not need when it does need the rest."""
        streaks = [self._idle.by_key.get((run.key, device_id)) for device_id in run.budgets]
        limit_s = self._idle_limit_s(run)
        return bool(streaks) and all(s is not None and s.looks >= _LOOKS_TO_ACT and s.lasts_s >= limit_s for s in streaks)

    def _idle_limit_s(self, run: GpuRun) -> float:
        return run.idle_gpus_after_s or self.settings.idle_s

    def _settled(self) -> bool:
        latches = (latch for uses in self._foreign.values() for latch, _ in uses.values())
        return self._illness.settled and all(latch.settled for latch in latches) and not self._over.by_key


def busy_permille(look: DeviceLook, own: Sequence[GpuProcess]) -> int | None:
    """How much of the device these processes of one run use; None: it cannot be told, and then nobody is called idle."""
    if look.busy_permille == 0:
        return 0
    if any(process.busy_permille is None for process in look.processes or ()):
        return None
    return sum(process.busy_permille or 0 for process in own) if look.processes else look.busy_permille

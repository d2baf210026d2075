"""The GpuProbe port on a real machine: NVML on a thread of its own, which a driver that hangs may keep for ever."""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

from aiosd import logs
from aiosd.clock import Clock
from aiosd.host.gpu_look import GpuEyes, Watched
from aiosd.host.gpu_meter import GpuUse
from aiosd.monitoring.looks import DeviceLook
from aiosd.resources.environment import is_nvidia
from aiosd.resources.inventory import Inventory

PATIENCE_S = 5.0  # for one look; after that the caller goes on, and the look may come later
STALE_S = 30.0  # after which a look says nothing about what processes use now

log = logs.logger("aiosd.gpus")
_Answer = Sequence[DeviceLook] | None


def watched(inventory: Inventory) -> tuple[Watched, ...]:
    """The NVIDIA GPUs and MIG instances that were well when the machine was surveyed, with their files that were there.

    Of the others nothing is expected: one that was ill from the beginning is looked at again when the daemon starts again.
    """
    well = (device for device in inventory.devices if device.kind == "gpu" and is_nvidia(device.id) and device.health == "ok")
    return tuple(Watched(d.id, f"gpu {d.index}", tuple(filter(os.path.exists, d.paths)), d.parent_id) for d in well)


class NvmlWatch:
    """Implements GpuProbe, and GpuUses for the meter. The thread begins with the first look, and never keeps the daemon from ending."""

    def __init__(self, devices: Sequence[Watched], clock: Clock, load: Callable[[], ModuleType] | None = None, patience_s: float = PATIENCE_S) -> None:
        self._eyes, self._clock, self._patience_s = GpuEyes(devices, load), clock, patience_s
        self._orders: queue.SimpleQueue[tuple[Mapping[str, int], asyncio.AbstractEventLoop, asyncio.Future[_Answer]]] = queue.SimpleQueue()
        self._pending: asyncio.Future[_Answer] | None = None
        self._thread: threading.Thread | None = None
        self._failure = ""  # that was logged
        self._uses: tuple[float, Mapping[int, GpuUse]] = (0.0, {})  # replaced as a whole: the meter reads it from its own thread

    async def look(self, runs: Mapping[str, int]) -> Sequence[DeviceLook] | None:
        """As the port says. A look that failed in a way that nobody foresaw is none, and logged: jobs are served without it."""
        if self._pending is None:
            self._pending = self._order(runs)
        done, _ = await asyncio.wait({self._pending}, timeout=self._patience_s)
        if not done:
            return None
        looks, self._pending = self._pending.result(), None
        if looks is None:
            return None
        self._uses = (self._clock.now().steady_s, _uses(looks))
        return looks

    def by_process(self) -> Mapping[int, GpuUse]:
        seen_s, uses = self._uses
        return uses if self._clock.now().steady_s - seen_s < STALE_S else {}

    def _order(self, runs: Mapping[str, int]) -> "asyncio.Future[_Answer]":
        if self._thread is None:  # a daemon thread: a pool's threads are waited for when the interpreter ends, this one cannot be
            self._thread = threading.Thread(target=self._serve, name="gpus", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Answer] = loop.create_future()
        self._orders.put((dict(runs), loop, answer))
        return answer

    def _serve(self) -> None:
        while True:
            runs, loop, answer = self._orders.get()
            looks = self._look(runs)
            try:
                loop.call_soon_threadsafe(_settle, answer, looks)
            except RuntimeError:  # the loop is closed: the daemon has ended meanwhile
                return

    def _look(self, runs: Mapping[str, int]) -> _Answer:
        try:
            looks = self._eyes.look(runs)
        except Exception as error:
            if repr(error) != self._failure:
                log.exception("a look at the GPUs failed")
            self._failure = repr(error)
            return None
        self._failure = ""
        return looks


def _settle(answer: "asyncio.Future[_Answer]", looks: _Answer) -> None:
    if not answer.done():
        answer.set_result(looks)


def _uses(looks: Sequence[DeviceLook]) -> dict[int, GpuUse]:
    found: dict[int, GpuUse] = {}
    for process in (process for look in looks for process in look.processes or ()):
        before = found.get(process.pid, GpuUse())
        found[process.pid] = GpuUse(before.memory_bytes + process.memory_bytes, before.permille + (process.busy_permille or 0))
    return found

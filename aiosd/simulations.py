"""Questions to the simulator: a child process for each, one at a time for a user; and this machine's own past, which it may be about."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Protocol

import msgspec

from aiosd.clock import Clock, SystemClock
from aiosd.config import SimulationConfig
from aiosd.errors import Exhausted, InvalidArgument
from aiosd.host.aside import Aside
from aiosd.ids import JobId
from aiosd.jobs.ports import JobFilter, Journal
from aiosd.jobs.state import State
from aiosd.simulation.history import GPU, TITLES, line_of
from aiosd.simulation.records import Machine

PROGRAM = "aiosd.simulation.__main__"
PRELOAD = ("aiosd.simulation.experiment", "aiosd.simulation.forecast", "numpy.random")
_PAGE = 500  # jobs that are read from the history at once
_ALL = JobFilter(include_ended=True, include_elements=True)


def opened(config: SimulationConfig, journal: Journal, state: Callable[[], State]) -> "Simulations":
    """As the configuration has them."""
    aside = Aside(PROGRAM, PRELOAD, config.memory_bytes, config.cpu_s)
    return Simulations(aside, journal, state, SystemClock(), config.at_once, config.trace_max_bytes)


class Asker(Protocol):
    def ask(self, request: Mapping[str, object], data: AsyncIterator[bytes]) -> AsyncIterator[Mapping[str, object]]:
        """What a child answers to the request and the bytes that follow it; it ends with this generator."""


@dataclass(slots=True)
class Simulations:
    """Offers SimulationCalls to the network door.

    state     of the engine, asked each time
    at_once   so many children, whoever asked for them
    """

    aside: Asker
    journal: Journal
    state: Callable[[], State]
    clock: Clock
    at_once: int
    trace_bytes: int
    _asking: set[int] = field(default_factory=set)

    async def simulate(self, uid: int, request: Mapping[str, object], trace: AsyncIterator[bytes]) -> AsyncIterator[Mapping[str, object]]:
        """The lines of the answer. `request` is an Experiment, with what of it this machine knows left out.

        raises    Exhausted when the user has one going on already; whatever the simulator says
        """
        completed = {"verb": "simulate", **request, "here": asdict(self._here())}
        data = self._history(_number(request.get("since_s"))) if request.get("source") == "history" else self._bounded(trace)
        completed.pop("since_s", None)
        with self._one(uid):
            async for line in self.aside.ask(completed, data):
                yield line

    async def forecast(self, uid: int, request: Mapping[str, object]) -> AsyncIterator[Mapping[str, object]]:
        """The lines of the answer to a ForecastRequest, the last of which is the report."""
        completed = {"verb": "forecast", **request, "here": asdict(self._here()), "setup": self.setup()}
        with self._one(uid):
            async for line in self.aside.ask(completed, self._history(_number(request.get("since_s")))):
                yield line

    def setup(self) -> Mapping[str, object]:
        """A Setup of the simulator as this machine is set up now."""
        state = self.state()
        rules, queues = msgspec.to_builtins(state.settings.scheduling), msgspec.to_builtins(state.queues)
        return {
            "policy": state.policy,
            "rules": rules,
            "queues": queues,
            "shares": dict(state.settings.shares),
            "estimate": "predicted" if state.settings.learn else "asked",
        }

    @contextmanager
    def _one(self, uid: int) -> Iterator[None]:
        if uid in self._asking:
            raise Exhausted("a simulation of yours is going on already", hint="wait for it, or end it: Ctrl-C in its terminal")
        if len(self._asking) >= self.at_once:
            raise Exhausted(f"{self.at_once} simulations are going on, and no more are run at once", hint="try again in a while")
        self._asking.add(uid)
        try:
            yield
        finally:
            self._asking.discard(uid)

    def _here(self) -> Machine:
        inventory = self.state().pool.inventory.promise
        return Machine(inventory.cpu_millis, inventory.memory_bytes, sum(device.kind == GPU and device.promised for device in inventory.devices))

    async def _bounded(self, trace: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        taken = 0
        async for piece in trace:
            taken += len(piece)
            if taken > self.trace_bytes:
                raise InvalidArgument(
                    f"the trace is larger than {self.trace_bytes} bytes", hint="cut it, pack it with gzip, or raise simulation.trace_max_bytes"
                )
            yield piece

    async def _history(self, since_s: float) -> AsyncIterator[bytes]:
        """Newest first: the simulator sorts. What still waits or runs is not in it."""
        yield TITLES.encode()
        begin_s = self.clock.now().wall_s - since_s if since_s else 0.0
        before: JobId | None = None
        while page := await self.journal.history(_ALL, before, _PAGE):
            before = page[-1].id
            lines = "".join(line_of(job) for job in page if job.submitted_at_s >= begin_s)
            yield lines.encode()
            if page[-1].submitted_at_s < begin_s or len(page) < _PAGE:
                return


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

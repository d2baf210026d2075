"""Signals to whole runs: asked for on the loop, aimed by looks at /proc on a thread of their own, repeated until they have taken."""

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from aiosd.errors import InvalidArgument
from aiosd.host import cell, processes
from aiosd.host.processes import Process, Table
from aiosd.host.records import read_run
from aiosd.host.watched import Watched
from aiosd.jobs.ports import Scope

_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 1.0
_NUMBERS = {name.removeprefix("SIG"): number for name, number in signal.Signals.__members__.items()}


@dataclass(slots=True)
class _Order:
    run: Watched
    number: signal.Signals
    scope: Scope
    pause_s: float = _FIRST_PAUSE_S
    reached: set[tuple[int, int]] = field(default_factory=set)  # (pid, start) of those that have it


def number_of(name: str) -> signal.Signals:
    """`"TERM"` or `"SIGTERM"` as a number. Raises InvalidArgument."""
    number = _NUMBERS.get(name.upper().removeprefix("SIG"))
    if number is None:
        raise InvalidArgument(f"there is no signal '{name}'", hint="use a name like TERM, KILL, USR1", signal=name)
    return number


class Signalling:
    """`is_live` tells whether a run is still watched; an order for one that has ended is dropped."""

    def __init__(self, loop: asyncio.AbstractEventLoop, worker: Executor, run_file: Callable[[str], str], is_live: Callable[[Watched], bool]) -> None:
        self._loop, self._worker, self._run_file, self._is_live = loop, worker, run_file, is_live
        self._orders: list[_Order] = []
        self._looking = False
        self._timers: set[asyncio.TimerHandle] = set()
        self._closed = False

    def order(self, run: Watched, number: signal.Signals, scope: Scope) -> None:
        self._add(_Order(run, number, scope))

    def close(self) -> None:
        self._closed = True
        self._orders.clear()
        for timer in self._timers:
            timer.cancel()

    def _add(self, order: _Order) -> None:
        """One look at /proc serves all orders that are waiting when it begins."""
        if self._closed:
            return
        self._orders.append(order)
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        orders, self._orders = self._orders, []
        if self._closed or not orders:
            self._looking = False
            return
        found = self._loop.run_in_executor(self._worker, self._kill_and_look, orders)
        found.add_done_callback(lambda done: self._deliver(orders, {} if done.cancelled() else done.result()))

    def _kill_and_look(self, orders: list[_Order]) -> Table:
        """On the worker thread. What is killed is killed through its cell first, at once: no process of it forks away meanwhile."""
        for order in orders:
            if order.number == signal.SIGKILL and order.scope is Scope.TREE:
                record = read_run(self._run_file(order.run.key))
                if record is not None and record.cell and record.end is None:
                    cell.kill(record.cell)
        return processes.snapshot()

    def _deliver(self, orders: list[_Order], table: Table) -> None:
        for order in orders:
            run = order.run
            if self._closed or not self._is_live(run):
                continue
            if run.pidfd < 0:
                self._again_later(order)
            elif self._lived(run):
                self._aim(order, table)
        self._look()

    def _lived(self, run: Watched) -> bool:
        """Whether the run lived through the look, so that the tree below its shim is its own.

        A shim that is kept for another run records the end of the first before it takes the next.
        """
        if processes.ended(run.pidfd):
            return False
        record = read_run(self._run_file(run.key))
        return record is None or record.end is None

    def _aim(self, order: _Order, table: Table) -> None:
        targets = self._targets(order, table)
        fresh = [process for process in targets if (process.pid, process.start_ticks) not in order.reached]
        for process in fresh:
            processes.send(process, order.number)
            order.reached.add((process.pid, process.start_ticks))
            if order.number == signal.SIGTERM and process.stopped:
                processes.send(process, signal.SIGCONT)  # a stopped process does not notice SIGTERM before it goes on
        if order.number == signal.SIGKILL:
            order.reached.clear()
            self._again_later(order)  # until the run has ended
        elif not targets:
            self._again_later(order)  # the main process is about to come
        elif order.number == signal.SIGSTOP and fresh:
            self._add(order)  # what one of them forked before it stopped is found by the next look

    def _targets(self, order: _Order, table: Table) -> list[Process]:
        tree = processes.descendants(table, order.run.shim_pid)
        if order.scope is Scope.TREE or not tree:
            return tree
        record = read_run(self._run_file(order.run.key))
        main_pid = record.main_pid if record is not None else 0
        return [process for process in tree if process.pid == main_pid and process.parent == order.run.shim_pid]

    def _again_later(self, order: _Order) -> None:
        pause_s, order.pause_s = order.pause_s, min(order.pause_s * 2, _LONGEST_PAUSE_S)

        def again() -> None:
            self._timers.discard(timer)
            self._add(order)

        timer = self._loop.call_later(pause_s, again)
        self._timers.add(timer)

"""A list of jobs that changes while we look: redrawn on a terminal, else printed change by change."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence

from aios.jobs import EventKind, Job, JobEvent
from aios.records import JobRecord
from aiosctl.feed import Feed
from aiosctl.output import Column, Shape, colourful, is_terminal, json_text, rows_as_lines, table, yaml_text


class JobList:
    """The jobs that a watch has shown so far, as they are now, newest first."""

    def __init__(self, keep: Callable[[Job], bool]) -> None:
        self._keep = keep
        self._jobs: dict[str, Job] = {}
        self.synced = False

    def take(self, events: Iterable[JobEvent]) -> list[Job]:
        """Take events in; returns the jobs that changed, those that are no longer kept among them."""
        changed: list[Job] = []
        for event in events:
            if event.kind is EventKind.SYNCED:
                self.synced = True
            elif event.kind is EventKind.RESYNC:
                self._jobs.clear()
            elif event.job is not None:
                changed.append(event.job)
                if self._keep(event.job):
                    self._jobs[event.job.id] = event.job
                else:
                    self._jobs.pop(event.job.id, None)
        return changed

    @property
    def jobs(self) -> list[Job]:
        return sorted(self._jobs.values(), key=_newest_first)


class Lines:
    """Rows that are printed piece by piece: one table that grows, a line of JSON each, or a YAML document each."""

    def __init__(self, columns: Sequence[Column[JobRecord]], shape: Shape) -> None:
        self.columns = columns
        self._shape = shape
        self._widths: list[int] = []
        self._titled = not shape.headers

    def print(self, jobs: Sequence[Job]) -> None:
        for line in self._lines(jobs):
            print(line, flush=True)

    def _lines(self, jobs: Sequence[Job]) -> list[str]:
        if self._shape.format == "json":
            return [json_text(job, indent=None) for job in jobs]
        if self._shape.format == "yaml":
            return [f"---\n{yaml_text(job)}" for job in jobs]
        if self._shape.format == "name":
            return [job.id for job in jobs]
        shown = [column for column in self.columns if self._shape.format == "wide" or not column.wide]
        titled, self._titled = self._titled, True
        return table(jobs, shown, headers=not titled, floor=self._widths, colour=colourful(sys.stdout))


def watch_list(events: Iterable[JobEvent], keep: Callable[[Job], bool], columns: Callable[[float], Sequence[Column[JobRecord]]], shape: Shape) -> None:
    """Follow a list of jobs until the watch ends: redrawn on a terminal, else first the list and then a line a change."""
    known = JobList(keep)
    redrawn = is_terminal(sys.stdout) and shape.format in ("table", "wide")
    lines = Lines((), shape)
    was_synced = False
    for batch in Feed(events).start().batches(1.0 if redrawn else 3600.0):
        changed = known.take(batch)
        if redrawn and known.synced:
            _redraw(rows_as_lines(known.jobs, columns(time.time()), shape))
        elif not redrawn and known.synced:
            lines.columns = columns(time.time())
            lines.print(changed if was_synced else known.jobs)
        was_synced = known.synced


def _redraw(lines: Sequence[str]) -> None:
    """Draw from the top of the screen, no more lines than it has."""
    from shutil import get_terminal_size

    shown = list(lines[: get_terminal_size().lines - 1])
    sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in shown) + "\x1b[J")
    sys.stdout.flush()


def _newest_first(job: Job) -> tuple[int, int]:
    number, _, index = job.id.partition(".")
    return -int(number), int(index or -1)

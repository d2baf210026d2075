"""Removing what was kept of runs whose end is committed, in batches on the launcher's worker thread: nobody waits for it."""

import asyncio
import os
from concurrent.futures import Executor
from contextlib import suppress

from aiosd.host.directories import remove_tree
from aiosd.host.launch import Layout
from aiosd.jobs.job import Job, Phase

_PAUSE_S = 0.05  # what a daemon leaves that dies in between, the next one removes: nothing expects those runs


class Forgetting:
    """The run file goes with the run; a checkpoint goes when its job has succeeded, as nothing will ever go on from it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, worker: Executor, layout: Layout) -> None:
        self._loop, self._worker, self._layout = loop, worker, layout
        self._files: list[str] = []
        self._trees: list[str] = []
        self._due: asyncio.TimerHandle | None = None

    def add(self, job: Job, *, keep_file: bool) -> None:
        if not keep_file:
            self._files.append(self._layout.run_file(job.run_key))
        if job.phase is Phase.SUCCEEDED:
            self._trees.append(self._layout.checkpoint(job))
        if self._due is None:
            self._due = self._loop.call_later(_PAUSE_S, self.flush)

    def flush(self) -> None:
        """Hand over what has gathered to the worker thread."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._files or self._trees:
            self._worker.submit(_remove, self._files, self._trees)
            self._files, self._trees = [], []


def _remove(files: list[str], trees: list[str]) -> None:
    for file in files:
        with suppress(OSError):  # gone already; or it stays, and the next daemon removes it
            os.unlink(file)
    for tree in trees:
        remove_tree(tree)

"""NVIDIA's library as a test plays it to a daemon of its own: PYTHONPATH puts this before the real one.

PLAYED_NVML names a file with a recording; its last frame is what there is. The test may replace the file at any time.
"""

import json
import os
import time
from types import SimpleNamespace

from tests.fakes import nvml


class _FromFile(nvml.PlayedNvml):
    def __init__(self, path: str) -> None:
        self._path = path
        self._version = (0, 0)
        super().__init__([()])

    @property
    def _cards(self) -> tuple[nvml.Card, ...]:
        found = os.stat(self._path)
        version = (found.st_ino, found.st_mtime_ns)
        if version != self._version:
            with open(self._path, encoding="utf-8") as file:
                self.frames = [nvml.frames_of(json.load(file), {})[-1]]
            self._version = version
            self._reported_frame = -1
        return tuple(self.frames[0])

    @_cards.setter
    def _cards(self, cards: tuple[nvml.Card, ...]) -> None:
        """The file says it."""

    def nvmlDeviceGetProcessUtilization(self, card: nvml.Card, since_us: int) -> list[SimpleNamespace]:
        """What the file says goes on: each sample is of now."""
        now_us = max(time.time_ns() // 1000, since_us + 1)
        return [SimpleNamespace(pid=pid, smUtil=percent, timeStamp=now_us) for pid, percent, _ in card.samples or ()]

    def _new_events(self) -> list[object]:
        assert self._cards is not None  # first read what is new
        return list(super()._new_events())


_played = _FromFile(os.environ["PLAYED_NVML"])
NVMLError = nvml.FakeNvmlError
globals().update({name: getattr(_played, name) for name in dir(_played) if name.startswith("nvml")})

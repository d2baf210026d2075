"""What the runs of users hold, in all and in each queue and QoS, and for how long they held GPUs."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from aiosd.access.limits import UserLimits
from aiosd.clock import Instant
from aiosd.jobs.actions import Set
from aiosd.jobs.job import Job
from aiosd.resources.grant import Grant
from aiosd.scheduling.budgets import Holder, Need, Scope, held_by, holders_of
from aiosd.scheduling.gpuhours import GpuLedger

PREFIX = "gpu_hours."  # of the settings that remember what has ended, one a user
_NOTHING = Need(0, 0, 0, 0, 0)


@dataclass(slots=True)
class Holdings:
    """What each user's runs hold, and for how long they held GPUs; `limits`: of those who have some of their own."""

    limits: dict[str, UserLimits] = field(default_factory=dict)
    held: dict[str, Need] = field(default_factory=dict)
    held_in: dict[Holder, Need] = field(default_factory=dict)  # the same by queue and by QoS, of all and of each user
    queued: Counter[str] = field(default_factory=Counter)  # not begun, by user; elements one by one
    queued_in: Counter[str] = field(default_factory=Counter)  # the same by queue
    live: Counter[str] = field(default_factory=Counter)  # jobs and arrays that have not ended, by user
    gpus: GpuLedger = field(default_factory=GpuLedger)
    changed: set[str] = field(default_factory=set)  # users whose GPU time is to be remembered
    check_at_s: float | None = None  # steady; when somebody may have GPU hours again

    def restore(self, stored: Mapping[str, object]) -> None:
        """What was remembered of GPU time, from the settings."""
        for name, value in stored.items():
            if name.startswith(PREFIX):
                self.gpus.restore(name.removeprefix(PREFIX), value)

    def begin(self, job: Job) -> None:
        """A run holds its grant from its dispatch on."""
        assert job.run is not None
        user, need = job.owner.name, held_by(job.run.grant)
        self.held[user] = _plus(self.held.get(user, _NOTHING), need)
        for holder in _shared(job):
            self.held_in[holder] = _plus(self.held_in.get(holder, _NOTHING), need)
        if need.gpu_millis:
            self.gpus.begin(user, job.id, need.gpu_millis, job.run.since_s)

    def finish(self, job: Job, now: Instant) -> None:
        """The grant is given back."""
        assert job.run is not None
        user, need = job.owner.name, held_by(job.run.grant)
        _take_away(self.held, user, need)
        for holder in _shared(job):
            _take_away(self.held_in, holder, need)
        if need.gpu_millis:
            self.gpus.finish(user, job.id, now.wall_s)
            self.changed.add(user)

    def resize(self, job: Job, grant: Grant) -> None:
        """A run goes on with another grant than the one in its record, and with the same GPUs."""
        assert job.run is not None
        more = _plus(held_by(grant), Need(*(-n for n in held_by(job.run.grant))))
        self.held[job.owner.name] = _plus(self.held[job.owner.name], more)
        for holder in _shared(job):
            self.held_in[holder] = _plus(self.held_in[holder], more)

    def remember(self) -> list[Set]:
        """What is to be stored in this turn, with the ends of the runs that it is about."""
        remembered = [Set(PREFIX + user, json.dumps(self.gpus.stored(user))) for user in sorted(self.changed)]
        self.changed.clear()
        return remembered


_Key = TypeVar("_Key", str, Holder)


def _take_away(held: dict[_Key, Need], whose: _Key, need: Need) -> None:
    left = _plus(held[whose], Need(*(-n for n in need)))
    if left.runs:
        held[whose] = left
    else:
        del held[whose]


def _shared(job: Job) -> list[Holder]:
    """The queue and the QoS that a run counts in."""
    bound = holders_of(job.spec.queue, job.owner.name, job.spec.qos)
    return [holder for holder in bound if holder.scope in (Scope.QUEUE, Scope.QOS)]


def _plus(a: Need, b: Need) -> Need:
    return Need(a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4])

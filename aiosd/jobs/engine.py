"""The pure heart of jobs: events in, actions out; no clock, no await, no disk."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, assert_never

from aiosd.access.limits import UserLimits
from aiosd.clock import Instant
from aiosd.errors import InvalidArgument, NotFound
from aiosd.ids import JobId
from aiosd.jobs import devices, dispatching, pressure, reserving, resizing, running, staging, steering, submitting
from aiosd.jobs.actions import (
    Action,
    Event,
    HoldBack,
    InventoryChanged,
    Operated,
    QueueChange,
    Reserve,
    Set,
    SetDevice,
    SetDrained,
    SetLimits,
    SetPolicy,
    SetQueue,
    SteerJob,
    StopRun,
    Submit,
    Unreserve,
    UpdateJob,
    WarnRun,
)
from aiosd.jobs.admit import check_priority
from aiosd.jobs.explain import Why, why
from aiosd.jobs.job import Job, Owner, Phase
from aiosd.jobs.ports import Launched, LaunchFailed, Loaded, Resized, RunEnded
from aiosd.jobs.settings import JobsSettings
from aiosd.jobs.state import State
from aiosd.resources.inventory import Inventory
from aiosd.resources.pool import Pool
from aiosd.scheduling.fairshare import UsageLedger, dominant_share
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.reservations import Reservation
from aiosd.scheduling.rules import PreemptMode, QueueSettings

REVISION_GAP = 1 << 20  # a revision that a watcher saw but that a crash kept from the disk is never given out twice
LEDGER_PERIOD_S = 10.0  # the usage of users is remembered at most so often; a crash forgets no more than this

Reply = Sequence[Job] | range | Job | QueueSettings | Reservation | str | None  # range: the numbers a repeated submission got before


@dataclass(slots=True)
class Engine:
    """`handle` one event at a time, then `dispatch` once: together they are a turn's decision."""

    state: State
    _ledger_saved_s: float = 0.0

    @classmethod
    def load(
        cls, loaded: Loaded, settings: JobsSettings, inventory: Inventory, boot_id: str, now: Instant, limits: Mapping[str, UserLimits] | None = None
    ) -> "Engine":
        """The engine as it was when `loaded` was committed. The launcher's recovery says what became of the active runs.

        limits  of users who have some of their own
        """
        stored = {name: json.loads(value) for name, value in loaded.settings.items()}
        queues = {name: settings.queues[name] for name in settings.queues}
        queues |= {name.removeprefix("queue."): _queue_of(value) for name, value in stored.items() if name.startswith("queue.")}
        policy = stored.get("policy", settings.policy)
        reservations, next_reservation = reserving.remembered(stored.get("reservations"))
        state = State(
            settings=settings,
            pool=Pool(devices.remembered(inventory, stored)),
            queues=queues,
            policy=policy if policy in POLICIES else settings.policy,
            ledger=UsageLedger.from_dict(stored.get("usage", {}), settings.usage_half_life_s),
            boot_id=boot_id,
            drain_reason=stored.get("drained"),
            next_number=loaded.next_number,
            reservations=reservations,
            next_reservation=next_reservation,
            revision=loaded.revision + REVISION_GAP,
            submissions={(s.uid, s.key): s for s in loaded.submissions},
        )
        state.holdings.limits.update(limits or {})
        state.holdings.restore(stored)
        for job in loaded.jobs:
            _adopt(state, job, boot_id, now)
        return cls(state)

    def handle(self, event: Event, now: Instant) -> Reply:
        """Decide about one event; what is to be done is in `take_actions`. Raises AiosError and changes nothing when it is refused."""
        state = self.state
        match event:
            case Submit():
                known = submitting.submitted_before(state, event.owner.uid, event.key, event.digest) if event.key else None
                return known if known is not None else submitting.submit(state, event, now)
            case SteerJob():
                return steering.steer(state, event, now)
            case UpdateJob():
                return steering.update(state, event, now)
            case StopRun() | WarnRun():
                running.on_watch(state, event, now)
            case Launched():
                running.launched(state, event, now)
            case RunEnded():
                running.run_ended(state, event, now)
            case LaunchFailed():
                running.launch_failed(state, event, now)
            case Resized():
                resizing.resized(state, event, now)
            case _:
                return self._operate(event, now)
        return None

    def _operate(self, event: Operated, now: Instant) -> Reply:
        """What concerns the node as a whole."""
        match event:
            case SetPolicy():
                return self._set_policy(event.name, now)
            case SetQueue():
                return self._set_queue(event.name, event.change, now)
            case SetDrained():
                self._set_drained(event, now)
            case SetLimits():
                self._set_limits(event, now)
            case InventoryChanged():
                devices.inventory_changed(self.state, event.inventory, now)
            case SetDevice():
                devices.set_device(self.state, event, now)
            case Reserve():
                return reserving.reserve(self.state, event, now)
            case Unreserve():
                return reserving.unreserve(self.state, event, now)
            case HoldBack():
                pressure.hold_back(self.state, event, now)
            case _:
                assert_never(event)
        return None

    def dispatch(self, now: Instant) -> None:
        """Let everything happen that is due, then let the policy start what can start."""
        running.fire_timers(self.state, now)
        reserving.expire(self.state, now)
        dispatching.dispatch(self.state, now)
        if now.steady_s - self._ledger_saved_s >= LEDGER_PERIOD_S and self.state.actions:
            self._ledger_saved_s = now.steady_s
            self.state.actions.append(Set("usage", json.dumps(self.state.ledger.to_dict())))
        if self.state.holdings.changed:
            self.state.actions += self.state.holdings.remember()

    def take_actions(self) -> list[Action]:
        return self.state.take_actions()

    def next_wake_in_s(self, now: Instant) -> float | None:
        """Seconds until `dispatch` has something to do although nothing happened; None: never."""
        checks_s = [max(0.0, at_s - now.steady_s) for at_s in (self.state.staging.check_at_s, self.state.holdings.check_at_s) if at_s is not None]
        waits = (*checks_s, self.state.timers.next_in_s(now), reserving.next_end_in_s(self.state, now))
        return min((wait_s for wait_s in waits if wait_s is not None), default=None)

    def hand_over(self, ended: JobId, attempt: int, durable_revision: int) -> Job | None:
        """Who is staged behind this run, to be launched at once; None where nobody is, or not yet remembered for good."""
        return staging.hand_over(self.state, ended, attempt, durable_revision)

    def why(self, job_id: JobId, now: Instant) -> Why:
        """Why a live job waits. Raises NotFound."""
        return why(self.state, job_id, now)

    def resolve(self, ref: str, among: Owner | None = None) -> JobId | None:
        """The live job of that name (of that owner); None when there is none. Raises InvalidArgument when there are several."""
        found = {i for i in self.state.names.get(ref, ()) if among is None or self.state.jobs[i].owner.uid == among.uid}
        if not found:
            return None
        if len(found) > 1:
            ids = ", ".join(map(str, sorted(found)[:10]))
            raise InvalidArgument(f"the name {ref!r} is not unique: jobs {ids}", hint="use the id", name=ref, jobs=ids)
        return next(iter(found))

    def phase_counts(self) -> Mapping[str, int]:
        """How many jobs are in each phase; pending elements of arrays one by one."""
        return {str(phase): count for phase, count in self.state.phases.items() if count}

    def _set_policy(self, name: str, now: Instant) -> str:
        if name not in POLICIES:
            raise NotFound(f"there is no policy {name!r}", hint=f"policies: {', '.join(POLICIES)}", policy=name)
        staging.call_back_all(self.state, now)
        self.state.set_policy(name)
        self.state.actions.append(Set("policy", json.dumps(name)))
        return name

    def _set_queue(self, name: str, change: QueueChange, now: Instant) -> QueueSettings:
        state = self.state
        old = state.queues.get(name) or QueueSettings(_queue_name(name))
        new = replace(old, **{f: v for f in QueueChange.__slots__ if (v := getattr(change, f)) is not None})
        _check_queue(new)
        staging.call_back_all(state, now)
        state.queues[name] = new
        state.dirty = True
        state.actions.append(Set(f"queue.{name}", json.dumps({f: getattr(new, f) for f in QueueSettings.__slots__})))
        return new

    def _set_limits(self, event: SetLimits, now: Instant) -> None:
        staging.call_back_all(self.state, now)
        if event.limits is None:
            self.state.holdings.limits.pop(event.user, None)
        else:
            self.state.holdings.limits[event.user] = event.limits
        self.state.dirty = True

    def _set_drained(self, event: SetDrained, now: Instant) -> None:
        staging.call_back_all(self.state, now)
        self.state.drain_reason = (event.reason or "drained by the operator") if event.drained else None
        self.state.dirty = True
        self.state.actions.append(Set("drained", json.dumps(self.state.drain_reason)))


def _adopt(state: State, job: Job, boot_id: str, now: Instant) -> None:
    if job.run is not None and job.run.after is not None:  # it counts as a run of its own until the launcher says what became of it
        job = replace(job, run=replace(job.run, after=None))
    state.adopt(job)
    if job.phase.active and job.run is not None:
        state.pool.adopt(job.run.grant)
        share = state.shares[job.id] = dominant_share(job.run.grant, state.pool.inventory)
        state.ledger.begin(job.owner.name, share, job.run.since_s)
        state.holdings.begin(job)
        if job.run.boot_id != boot_id:
            return  # the machine restarted: the steady clock began anew, and recovery will say that the run is over
    state.arm(job, now)
    if job.phase is Phase.WAITING and not running.may_not_start_yet(job, now):
        running.become_eligible(state, job, now)


def _queue_of(stored: Mapping[str, Any]) -> QueueSettings:
    """What `Set("queue.NAME")` has remembered; JSON has no tuples."""
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items() if name in QueueSettings.__slots__}
    fields["preempt_mode"] = PreemptMode(fields.get("preempt_mode", PreemptMode.OFF))
    return QueueSettings(**fields)


def _queue_name(name: str) -> str:
    if not name or len(name) > 64 or not name.replace("-", "").replace("_", "").isalnum():
        raise InvalidArgument(f"queue name {name[:70]!r} is not fit", hint="use 1 to 64 letters, digits, '-' and '_'")
    return name


def _check_queue(queue: QueueSettings) -> None:
    if not isfinite(queue.default_time_limit_s) or not isfinite(queue.max_time_limit_s):
        raise InvalidArgument(f"the time limits of queue {queue.name!r} must be numbers of seconds", hint="0 means no limit")
    check_priority(queue.priority)
    if queue.idle_gpus not in ("report", "requeue", "cancel") or not 0 <= queue.idle_gpus_after_s < float("inf"):
        raise InvalidArgument(f"queue {queue.name!r} cannot do {queue.idle_gpus!r} about idle GPUs", hint="report, requeue or cancel, after 0 or more seconds")
    if queue.max_running < 0 or queue.default_time_limit_s < 0 or queue.max_time_limit_s < 0:
        raise InvalidArgument(f"the limits of queue {queue.name!r} cannot be negative", hint="0 means no limit")
    if queue.max_time_limit_s and queue.default_time_limit_s > queue.max_time_limit_s:
        raise InvalidArgument(f"the default time limit of queue {queue.name!r} is more than its maximum", hint="lower the default or raise the maximum")

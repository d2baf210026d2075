"""The pure heart of jobs: events in, actions out; no clock, no await, no disk."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from aiosd.access.limits import UserLimits
from aiosd.clock import Instant
from aiosd.errors import InvalidArgument, NotFound
from aiosd.ids import JobId
from aiosd.jobs import billing, devices, dispatching, guarding, preempting, pressure, reserving, resizing, running, staging, steering, submitting
from aiosd.jobs.actions import (
    Action,
    Amend,
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
from aiosd.jobs.choosing import CHOSEN, check_preempts, check_queue, chosen_rules, queue_name, queue_of, with_change
from aiosd.jobs.explain import Why, why
from aiosd.jobs.job import Job, Owner, Phase
from aiosd.jobs.ports import Launched, LaunchFailed, Loaded, Resized, RunEnded
from aiosd.jobs.settings import JobsSettings
from aiosd.jobs.state import State
from aiosd.resources.inventory import Inventory
from aiosd.resources.pool import Pool
from aiosd.scheduling.fairshare import UsageLedger
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.reservations import Reservation
from aiosd.scheduling.rules import QueueSettings

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
        queues |= {name.removeprefix("queue."): queue_of(value) for name, value in stored.items() if name.startswith("queue.")}
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
        state.choose(chosen_rules(stored.get(CHOSEN)))
        state.holdings.limits.update(limits or {})
        state.holdings.restore(stored)
        for job in loaded.jobs:
            _adopt(state, job, boot_id, now)
        preempting.restore(state)
        return cls(state)

    def handle(self, event: Event, now: Instant) -> Reply:
        """Decide about one event; what is to be done is in `take_actions`. Raises AiosError and changes nothing when it is refused."""
        state = self.state
        self._look_at_the_clock(now)
        match event:
            case Submit():
                known = submitting.submitted_before(state, event.owner.uid, event.key, event.digest) if event.key else None
                return known if known is not None else submitting.submit(state, event, now)
            case SteerJob():
                state.waited.calibration.forget(event.job_id)
                return steering.steer(state, event, now)
            case UpdateJob():
                state.waited.calibration.forget(event.job_id)
                return steering.update(state, event, now)
            case StopRun() | WarnRun():
                running.on_watch(state, event, now)
            case Amend():
                return state.amend(event.job, event.reason)
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
                return self._set_policy(event, now)
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
        self._look_at_the_clock(now)
        running.fire_timers(self.state, now)
        reserving.expire(self.state, now)
        guarding.check(self.state, now)
        preempting.check(self.state, now)
        dispatching.check(self.state, now)
        dispatching.dispatch(self.state, now)
        if now.steady_s - self._ledger_saved_s >= LEDGER_PERIOD_S and self.state.actions:
            self._ledger_saved_s = now.steady_s
            self.state.actions.append(Set("usage", json.dumps(self.state.ledger.to_dict())))
        if self.state.holdings.changed:
            self.state.actions += self.state.holdings.remember()

    def _look_at_the_clock(self, now: Instant) -> None:
        if self.state.saw(now):  # what was decided ahead of time may not be right any more
            staging.call_back_all(self.state, now)

    def take_actions(self) -> list[Action]:
        return self.state.take_actions()

    def next_wake_in_s(self, now: Instant) -> float | None:
        """Seconds until `dispatch` has something to do although nothing happened; None: never."""
        checks_s = [max(0.0, at_s - now.steady_s) for at_s in self._checks_at_s() if at_s is not None]
        waits = (*checks_s, self.state.timers.next_in_s(now), reserving.next_end_in_s(self.state, now))
        return min((wait_s for wait_s in waits if wait_s is not None), default=None)

    def _checks_at_s(self) -> tuple[float | None, ...]:
        state = self.state
        tried_again_s = state.fault.retry_at_s if state.standing_in and state.fault is not None else None
        return state.staging.check_at_s, state.holdings.check_at_s, state.preempt_check_at_s, state.order_check_at_s, tried_again_s

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

    def _set_policy(self, event: SetPolicy, now: Instant) -> str:
        state, name = self.state, event.name or self.state.policy
        if name not in POLICIES:
            raise NotFound(f"there is no policy {name!r}", hint=f"policies: {', '.join(POLICIES)}", policy=name)
        chosen = with_change(state.chosen, event)
        staging.call_back_all(state, now)
        if chosen != state.chosen:
            state.choose(chosen)
            state.actions.append(Set(CHOSEN, json.dumps(chosen)))
        state.set_policy(name)
        if event.name:
            state.actions.append(Set("policy", json.dumps(name)))
        return name

    def _set_queue(self, name: str, change: QueueChange, now: Instant) -> QueueSettings:
        state = self.state
        old = state.queues.get(name) or QueueSettings(queue_name(name))
        new = replace(old, **{f: v for f in QueueChange.__slots__ if (v := getattr(change, f)) is not None})
        check_queue(new)
        if change.preempts is not None:
            check_preempts(change.preempts, {*state.queues, name})
        staging.call_back_all(state, now)
        state.queues[name] = new
        state.seen.clear()  # what may be done to its runs has changed
        state.reorder()
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
        billing.begin(state, job, job.run.since_s)
        if job.run.boot_id != boot_id:
            return  # the machine restarted: the steady clock began anew, and recovery will say that the run is over
    state.arm(job, now)
    if job.phase is Phase.WAITING and not running.may_not_start_yet(job, now):
        running.become_eligible(state, job, now)

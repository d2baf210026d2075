"""A policy that fails does not take the daemon with it: its plan is looked at before it is followed, and fifo stands in."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from traceback import extract_tb

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.actions import PolicyFailed, PolicyRestored
from aiosd.jobs.state import STAND_IN, State
from aiosd.scheduling.dump import dump
from aiosd.scheduling.policy import Plan, Policy, Snapshot
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import Backfill
from aiosd.scheduling.validator import Fault, Place, fault_of

FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 3600.0  # before the chosen policy is tried again; doubled each time that it fails

Look = Callable[[], Snapshot]


def plan_safely(state: State, now: Instant, look: Look) -> Plan:
    """The plan of the chosen policy, or of fifo without backfill while that one cannot be followed; an empty one where neither can.

    look    makes a snapshot of what is; called once a try, within a trial of the pool
    """
    if not state.standing_in:
        plan, what, world = _attempt(state, POLICIES[state.policy].policy, look)
        if plan is not None:
            _follow(state)
            return plan
        _distrust(state, what, world, now)
    plan, what, world = _attempt(state, POLICIES[STAND_IN].policy, lambda: _without_backfill(look()))
    if plan is not None:
        return plan
    if state.fault is not None and what not in state.fault.what:
        state.fault = replace(state.fault, what=f"{state.fault.what}; {STAND_IN}, which stands in: {what}")
        _tell(state, state.fault, world)
    return Plan(())


def check(state: State, now: Instant) -> None:
    """Whether the chosen policy is to be tried again; its next pass says whether it works."""
    if state.standing_in and state.fault is not None and now.steady_s >= state.fault.retry_at_s:
        state.stand_in(False)


def _attempt(state: State, policy: Policy, look: Look) -> tuple[Plan | None, str, Snapshot | None]:
    """The plan, or what is wrong and with which snapshot; the pool is afterwards as it was."""
    world = None
    try:
        with state.pool.trial():
            world = look()
            plan = policy(world)
        what = fault_of(plan, world, partial(_place_of, state))
    except Exception as error:  # noqa: BLE001 - whatever it is, jobs must go on to be started
        return None, _described(error), world
    if what:
        return None, what, world
    if world.keeper is not None:
        state.reserved_devices = dict(world.keeper.chosen)
    return plan, "", world


def _described(error: Exception) -> str:
    where = extract_tb(error.__traceback__)[-1]
    file = where.filename.rpartition("/")[2]
    return f"it raised {type(error).__name__}: {error} ({file}, line {where.lineno})"[:1000]


def _place_of(state: State, job_id: JobId) -> Place | None:
    place = state.backlog.place_of(job_id)
    queue = state.queues.get(place.key.queue) if place is not None else None
    return place if queue is None or queue.started else None


def _without_backfill(world: Snapshot) -> Snapshot:
    return replace(world, rules=replace(world.rules, backfill=Backfill.OFF))


def _follow(state: State) -> None:
    if state.fault is not None:
        state.actions.append(PolicyRestored(state.fault.policy))
        state.fault = None


def _distrust(state: State, what: str, world: Snapshot | None, now: Instant) -> None:
    pause_s = FIRST_PAUSE_S if state.fault is None else min(LONGEST_PAUSE_S, 2 * state.fault.pause_s)
    state.fault = Fault(state.policy, what, now.wall_s, now.steady_s + pause_s, pause_s)
    state.stand_in(True)
    _tell(state, state.fault, world)


def _tell(state: State, fault: Fault, world: Snapshot | None) -> None:
    state.actions.append(PolicyFailed(fault, dump(world) if world is not None else ""))

"""What the engine does when the machine is short of memory: nothing new starts, what runs goes on, and starts go on by themselves."""

from aiosd.clock import Instant
from aiosd.jobs import staging
from aiosd.jobs.actions import HoldBack
from aiosd.jobs.state import State
from aiosd.units import format_seconds


def hold_back(state: State, event: HoldBack, now: Instant) -> None:
    """Hold starts back, or let them go; what was staged to start waits again, but for what was handed over already."""
    before, state.held_back = state.held_back, event.reason
    if event.reason:
        staging.call_back_all(state, now)
    if event.reason and not before:
        state.held_back_since_s = now.steady_s
        state.history.note(now.wall_s, f"nothing new starts: {event.reason}")
    elif before and not event.reason:
        state.history.note(now.wall_s, f"jobs start again, after {format_seconds(max(0.0, now.steady_s - state.held_back_since_s))} under pressure")
        state.dirty = True

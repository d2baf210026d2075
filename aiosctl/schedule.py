"""`schedule`: what the scheduler sees, does, and adjusts, in five steps."""

import time
from collections.abc import Iterator

from aios.schedule import Availability, Demand, Schedule
from aios.units import format_bytes, format_millis, format_seconds
from aiosctl import describe, session
from aiosctl.lazy import verb
from aiosctl.options import output_options
from aiosctl.output import Shape, print_one, section

_BYTES = ("memory", "disk")
_SHOWN = 10  # of reservations and adjustments; -o wide has all


@verb("aiosctl schedule", "aiosctl schedule -o wide", "aiosctl schedule -o json")
@output_options
def schedule(shape: Shape) -> None:
    """Show how the scheduler works at present: what is asked for, what is there, the policy, what it did, what was adjusted."""
    with session.connect() as client:
        print_one(client.schedule(), layout, lambda found: found.policy, shape)


def layout(found: Schedule, wide: bool) -> Iterator[str]:
    yield from section("1 Demand", [(d.resource, _demand(d)) for d in found.demand] or [("waiting", "nothing")])
    yield from section("2 Availability", [(a.resource, _available(a)) for a in found.availability])
    yield from section("3 Policy", _policy(found))
    yield from section("4 Execution", _execution(found, wide))
    yield from section("5 Adjustment", _adjustment(found, wide))


def _amount(resource: str, amount: int) -> str:
    return format_bytes(amount) if resource in _BYTES else format_millis(amount)


def _demand(demand: Demand) -> str:
    asked = f"{_amount(demand.resource, demand.asked)} asked by {demand.jobs} {'job' if demand.jobs == 1 else 'jobs'}"
    learned = f", {_amount(demand.resource, demand.learned)} by what such jobs used before" if demand.learned != demand.asked else ""
    return f"{asked}{learned}; the machine has {_amount(demand.resource, demand.total)}"


def _available(one: Availability) -> str:
    words = [f"{_amount(one.resource, one.granted)} of {_amount(one.resource, one.total)} granted"]
    words += [f"{_amount(one.resource, one.used)} used"] if one.used else []
    words += [f"{_amount(one.resource, one.idle)} idle"] if one.idle else []
    return ", ".join([*words, *([f"pressure {one.pressure:.0%}"] if one.pressure >= 0.005 else [])])


def _policy(found: Schedule) -> list[tuple[str, str]]:
    order = f", {found.backfill_order}" if found.backfill != "off" else ""
    return [
        ("policy", found.policy), ("backfill", found.backfill + order), ("shortest first", "yes, by prediction" if found.predict else ""),
        ("rightsize", found.rightsize), ("fault", found.policy_fault), ("held back", found.held_back),
    ]  # fmt: skip


def _execution(found: Schedule, wide: bool) -> list[tuple[str, str]]:
    paces = f", half of them within {found.pass_p50_s * 1000:.2f} ms, 99 of 100 within {found.pass_p99_s * 1000:.2f} ms" if found.passes else ""
    kept = found.reservations if wide else found.reservations[:_SHOWN]
    rows = [("passes", f"{found.passes}{paces}"), ("starts", str(found.starts))]
    return [*rows, *((f"job {one.job_id}", f"expected {describe.moment(one.at_s)}: {one.grant}") for one in kept)]


def _adjustment(found: Schedule, wide: bool) -> list[tuple[str, str]]:
    held = f", {found.predictions_held:.0%} of {found.predictions} intervals held" if found.predictions else ", none was checked yet"
    rows = [("predictions", f"learned from {found.runs_learned} runs{held}")]
    if wide:
        rows += [(f"by {one.level}", f"{one.held:.0%} of {one.predictions} held") for one in found.calibration]
    now_s = time.time()
    shown = found.adjustments if wide else found.adjustments[:_SHOWN]
    rows += [(f"{format_seconds(max(0, int(now_s - a.at_s)))} ago", f"job {a.job_id} {a.what}" if a.job_id else a.what) for a in shown]
    return rows

"""What the engine does about reservations: makes them, forgets them, and knows whom they keep waiting."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from typing import TypedDict

from aiosd.clock import Instant
from aiosd.errors import Conflict, Exhausted, FailedPrecondition, InvalidArgument, NotFound
from aiosd.jobs import staging
from aiosd.jobs.actions import Reserve, Set, Unreserve
from aiosd.jobs.holders import ends_s
from aiosd.jobs.job import Job
from aiosd.jobs.state import State
from aiosd.resources.defaults import complete_request
from aiosd.resources.processors import WHOLE
from aiosd.resources.request import DeviceRequest, Request
from aiosd.scheduling.reservations import Holding, Keeper, Reservation, beside, everything

MOST = 200  # reservations at a time: each start looks at all of them
LONGEST_S = 366 * 86400.0
MOST_NAMED = 10
_SETTING = "reservations"


class Stored(TypedDict):
    """The setting: which number comes next, and all reservations as `asdict` has them."""

    next: int
    all: list[dict[str, object]]


def remembered(stored: Stored | None) -> tuple[dict[int, Reservation], int]:
    """The reservations as they were last committed, and the next number."""
    if stored is None:
        return {}, 1
    return {one.id: one for one in map(_read, stored["all"])}, stored["next"]


def _read(row: Mapping[str, object]) -> Reservation:
    fields: dict[str, object] = dict(row)
    request = fields["request"]
    assert isinstance(request, dict)
    request["devices"] = tuple(DeviceRequest(**wish) for wish in request["devices"])
    fields |= {"request": Request(**request), "users": tuple(_texts(row["users"])), "members": frozenset(_texts(row["members"]))}
    return Reservation(**fields)  # type: ignore[arg-type]


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return value


def reserve(state: State, event: Reserve, now: Instant) -> Reservation:
    """Raises InvalidArgument, NeverFits and Conflict for what can never be honoured, Exhausted when there are too many."""
    reservation = _checked(state, event, now)
    state.next_reservation += 1
    state.reservations[reservation.id] = reservation
    _changed(state, now)
    return reservation


def unreserve(state: State, event: Unreserve, now: Instant) -> Reservation:
    """Raises NotFound."""
    found = state.reservations.pop(event.id, None)
    if found is None:
        known = ", ".join(map(str, state.reservations)) or "none"
        raise NotFound(f"there is no reservation {event.id}", hint=f"reservations: {known}", reservation=event.id)
    _changed(state, now)
    return found


def expire(state: State, now: Instant) -> None:
    """Those whose time is over are gone."""
    over = [number for number, r in state.reservations.items() if r.until_s <= now.wall_s]
    if over:
        for number in over:
            del state.reservations[number]
        _changed(state, now)


def next_end_in_s(state: State, now: Instant) -> float | None:
    """Seconds until one ends; a minute at most, since the wall may jump while we sleep. None: there is none."""
    ends = [r.until_s - now.wall_s for r in state.reservations.values()]
    return max(0.0, min(*ends, 60.0)) if ends else None


def _changed(state: State, now: Instant) -> None:
    staging.close_all(state, now)
    state.requeue_all()  # from here on it matters, or no longer, how long jobs take
    state.reserved_devices = {n: devices for n, devices in state.reserved_devices.items() if n in state.reservations}
    state.dirty = True
    rows = [asdict(r) | {"members": sorted(r.members)} for r in state.reservations.values()]
    state.actions.append(Set(_SETTING, json.dumps({"next": state.next_reservation, "all": rows})))


def _checked(state: State, event: Reserve, now: Instant) -> Reservation:
    if len(state.reservations) >= MOST:
        raise Exhausted(f"there are {len(state.reservations)} reservations, and no more than {MOST} at a time", hint="remove some: `aiosctl node unreserve ID`")
    from_s = max(event.from_s, now.wall_s)
    if not isfinite(event.until_s) or event.until_s <= from_s:
        raise InvalidArgument("a reservation must end after it begins, and after now", hint="give a later end", until_s=event.until_s)
    if event.until_s > now.wall_s + LONGEST_S:
        raise InvalidArgument("a reservation must end within a year", hint="give an earlier end", until_s=event.until_s)
    if not event.members:
        raise InvalidArgument("a reservation is for somebody, and nobody is named", hint="name users, or groups as @group")
    request = _request(state, event)
    state.pool.check_ever_fits(request)
    new = Reservation(state.next_reservation, from_s, event.until_s, event.users, event.members, request, event.reason, event.created_by)
    clash_s = beside(new, state.reservations.values(), state.pool.inventory)
    if clash_s is not None:
        others = [r for r in state.reservations.values() if r.at(clash_s)]
        numbers = " and ".join(str(r.id) for r in others)
        raise Conflict(
            f"at {moment(clash_s)} the machine has not enough for this beside reservation {numbers}",
            hint="reserve less, or another time; `aiosctl node` lists the reservations",
            reservations=numbers,
        )
    return new


def _request(state: State, event: Reserve) -> Request:
    """Complete: a processor for each device, unless it is said, and memory in proportion."""
    wish, inventory = event.request, state.pool.inventory
    if wish.exclusive:
        return everything(inventory)
    if not (wish.cpu_millis or wish.memory_bytes or wish.devices or wish.disk_bytes):
        raise InvalidArgument("a reservation of nothing", hint="say how many processors, devices, or how much memory")
    devices = sum(-(-device.millis // WHOLE) for device in wish.devices)
    return complete_request(
        cpu_millis=wish.cpu_millis,
        memory_bytes=wish.memory_bytes,
        devices=wish.devices,
        disk_bytes=wish.disk_bytes,
        exclusive=False,
        inventory=inventory,
        default_cpu_millis=min(max(1, devices) * WHOLE, inventory.cpu_millis),
    )


# Whom they keep waiting


def keeper(state: State, now: Instant) -> Keeper | None:
    """For a pass; None while nothing is reserved."""
    return _keeper(state, _holdings(state, now), now) if state.reservations else None


def _keeper(state: State, holdings: Iterable[Holding], now: Instant) -> Keeper:
    return Keeper(state.reservations.values(), holdings, state.pool.inventory, now.wall_s, state.reserved_devices)


def _holdings(state: State, now: Instant, longer: Job | None = None) -> list[Holding]:
    """What runs hold; `longer`: one of them as it is to be."""
    runs = (longer if longer is not None and longer.id == job_id else state.jobs[job_id] for job_id in state.shares)
    return [Holding(job.owner.name, job.run.grant, ends_s(job, now)) for job in runs if job.run is not None]


def check_longer(state: State, job: Job, now: Instant) -> None:
    """A run may not be given more time at the cost of a reservation. Raises FailedPrecondition."""
    if not state.reservations or job.run is None or job.id not in state.shares:
        return
    before, after = _keeper(state, _holdings(state, now), now).short(), _keeper(state, _holdings(state, now, job), now).short()
    hurt = [state.reservations[number] for number in after if number not in before]
    if hurt:
        raise FailedPrecondition(
            f"job {job.id} cannot run for longer: what it holds is kept for {describe(hurt[0])}",
            hint="requeue it, or give it less time",
            reservation=hurt[0].id,
        )


def warnings(state: State, now: Instant) -> Mapping[int, str]:
    """By reservation: which runs may still hold some of it when it is in force."""
    if not state.reservations:
        return {}
    found = {}
    for number, at_s in _keeper(state, _holdings(state, now), now).short().items():
        reservation = state.reservations[number]
        runs = [state.jobs[i] for i in sorted(state.shares) if state.jobs[i].owner.name not in reservation.members]
        late = [str(job.id) for job in runs if ends_s(job, now) > at_s]
        named = ", ".join(late[:MOST_NAMED]) + (" …" if len(late) > MOST_NAMED else "")
        who = f"job{'s' if len(late) > 1 else ''} {named} may still hold some of it" if late else "the machine has less than it had"
        found[number] = f"reservation {number} for {', '.join(reservation.users)} cannot be kept in full from {moment(at_s)} on: {who}"
    return found


def describe(reservation: Reservation) -> str:
    """`a reservation of alice from 2026-12-01 18:00 to 2026-12-01 22:00`."""
    return f"a reservation of {', '.join(reservation.users)} from {moment(reservation.from_s)} to {moment(reservation.until_s)}"


def moment(at_s: float) -> str:
    """Local date and time, to the minute."""
    return datetime.fromtimestamp(at_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M")

"""What the engine does as devices fall ill, go into quarantine, are used by strangers, or are no longer found."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from aiosd.clock import Instant
from aiosd.errors import NotFound
from aiosd.jobs import staging
from aiosd.jobs.actions import Set, SetDevice, Warn
from aiosd.jobs.endings import Ending
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.lifecycle import Cue
from aiosd.jobs.state import State
from aiosd.resources.inventory import Device, Inventory

GONE = "no probe finds it any more"
_PREFIX = "device."  # of the settings that remember quarantines


def remembered(inventory: Inventory, stored: Mapping[str, Mapping[str, str] | None]) -> Inventory:
    """The machine as the probes found it, with the quarantines that were in force when the last daemon ended."""

    def marked(device: Device) -> Device:
        mark = stored.get(_PREFIX + device.id)
        return replace(device, quarantined=True, quarantine_reason=mark["reason"]) if mark else device

    return replace(inventory, devices=tuple(map(marked, inventory.devices)))


def carried_over(inventory: Inventory, before: Inventory) -> Inventory:
    """What was known of devices that is stored nowhere: for an engine that is made anew while the daemon lives."""

    def marked(device: Device) -> Device:
        quarantine = next((d for d in inventory.devices if d.id == device.id), replace(device, quarantined=False, quarantine_reason=""))
        return replace(device, quarantined=quarantine.quarantined, quarantine_reason=quarantine.quarantine_reason)

    return replace(before, devices=tuple(map(marked, before.devices)))


def set_device(state: State, event: SetDevice, now: Instant) -> None:
    """Take over what is known of a device. Raises NotFound."""
    inventory = state.pool.inventory
    old = _find(inventory, event.device_id)
    new = _changed(old, event)
    if new == old:
        return
    _use(state, replace(inventory, devices=tuple(new if d is old else d for d in inventory.devices)), now)
    _remember(state, old, new)


def inventory_changed(state: State, found: Inventory, now: Instant) -> None:
    """The probes were asked again."""
    before = state.pool.inventory
    after = replace(found, devices=_merged(before.devices, found.devices))
    _use(state, after, now)
    for old in before.devices:
        new = after.device(old.id)
        assert new is not None, "a device that is gone is kept as an ill one"
        _remember(state, old, new)


def _find(inventory: Inventory, ref: str) -> Device:
    """By id, or as `gpu-1`, `gpu:1` or `gpu 1`."""
    found = inventory.device(ref) or next((d for d in inventory.devices if ref in (f"{d.kind}-{d.index}", f"{d.kind}:{d.index}", d.name)), None)
    if found is None:
        known = ", ".join(device.id for device in inventory.devices[:16])
        raise NotFound(f"there is no device {ref!r}", hint=f"devices: {known}" if known else "this machine has none", device=ref)
    return found


def _changed(old: Device, event: SetDevice) -> Device:
    health = old.health if event.health is None else event.health or "ok"
    fell_ill = old.health == "ok" and health != "ok"
    quarantined = (old.quarantined or fell_ill) if event.quarantined is None else event.quarantined
    reason = event.reason or (f"it fell ill: {health}" if fell_ill else old.quarantine_reason) if quarantined else ""
    busy = old.busy if event.busy is None else event.busy
    return replace(old, health=health, quarantined=quarantined, quarantine_reason=reason, busy=busy)


def _merged(before: tuple[Device, ...], found: tuple[Device, ...]) -> tuple[Device, ...]:
    """The devices as they are now. Those that are numbered are known again by their files: numbers shift when one is gone."""
    by_id = {device.id: device for device in before}
    by_files = {(d.kind, d.paths): d for d in before if d.paths and not d.parent_id}
    kept: dict[str, Device] = {}
    new: list[Device] = []
    for device in found:
        numbered = device.id == f"{device.kind}-{device.index}" and device.paths
        old = by_files.get((device.kind, device.paths)) if numbered else by_id.get(device.id)
        if old is None or old.id in kept:
            new.append(device)
        else:
            kept[old.id] = _changed(replace(old, **{f: getattr(device, f) for f in _HARDWARE}), SetDevice(old.id, health=device.health))
    gone = (_changed(device, SetDevice(device.id, health=GONE)) for device in before)
    return (*(kept.get(device.id) or device for device in gone), *_renumbered(new, before))


_HARDWARE = ("model", "memory_bytes", "numa_node", "paths", "parent_id")


def _renumbered(new: list[Device], before: tuple[Device, ...]) -> list[Device]:
    """Newcomers take numbers that nobody had."""
    counts = Counter({device.kind: 0 for device in new})
    for device in before:
        counts[device.kind] = max(counts[device.kind], device.index + 1)
    numbered = []
    for device in new:
        index = counts[device.kind]
        counts[device.kind] += 1
        own_id = device.id if device.id != f"{device.kind}-{device.index}" else f"{device.kind}-{index}"
        numbered.append(replace(device, id=own_id, index=index))
    return numbered


def _use(state: State, inventory: Inventory, now: Instant) -> None:
    """From now on this is the machine; who runs on what has fallen ill is told."""
    before = state.pool.inventory
    staging.close_all(state, now)
    state.pool = state.pool.with_inventory(inventory)
    state.reorder()
    for device in inventory.devices:
        old = before.device(device.id)
        if old is not None and old.health != device.health:
            _tell_holders(state, old, device)


def _tell_holders(state: State, old: Device, new: Device) -> None:
    for job in [state.jobs[job_id] for job_id in sorted(state.shares)]:
        if job.run is None or all(part.device_id != new.id for part in job.run.grant.devices):
            continue
        if new.health != "ok":
            told = _told(new)
            state.actions.append(Warn(state.put(replace(job, reason=told)) if job.phase in (Phase.STARTING, Phase.RUNNING) else job, told))
        elif job.reason == _told(old):
            state.put(replace(job, reason=""))


def _told(device: Device) -> str:
    return f"its {device.name} is ill: {device.health}"


def _remember(state: State, old: Device, new: Device) -> None:
    if (old.quarantined, old.quarantine_reason) != (new.quarantined, new.quarantine_reason):
        mark = {"reason": new.quarantine_reason} if new.quarantined else None
        state.actions.append(Set(_PREFIX + new.id, json.dumps(mark)))


def with_illness(state: State, job: Job, end: Ending) -> Ending:
    """An end that was not a good one says so when a device of the run is ill."""
    if end.cue not in (Cue.FAIL, Cue.LOSE, Cue.RETRY) or job.run is None or not job.run.grant.devices:
        return end
    held = (state.pool.inventory.device(part.device_id) for part in job.run.grant.devices)
    ill = "; ".join(_told(device) for device in held if device is not None and device.health != "ok")
    return replace(end, reason=f"{end.reason}; {ill}") if ill else end


def out_of_use(inventory: Inventory, resource: str) -> str:
    """Which devices of a kind (a resource as in Shortage: "gpu", "gpu:a100", "gpu memory") are not handed out, and why."""
    kind = resource.removesuffix(" memory").partition(":")[0]
    return "; ".join(f"{device.name} {device.trouble}" for device in inventory.devices if device.kind == kind and device.trouble)

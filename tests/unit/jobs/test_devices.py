"""Devices that fall ill, go into quarantine, are used by strangers or vanish: what is handed out, who is told, what is remembered."""

import json
from dataclasses import replace

import pytest

from aiosd.errors import NeverFits, NotFound
from aiosd.ids import JobId
from aiosd.jobs.actions import Action, InventoryChanged, Set, SetDevice, Warn
from aiosd.jobs.devices import GONE, carried_over
from aiosd.jobs.draft import JobDraft, RequestDraft, RetryDraft
from aiosd.jobs.explain import WhyKind
from aiosd.jobs.job import Job
from aiosd.jobs.ports import Loaded
from aiosd.resources.inventory import Device, Inventory
from aiosd.resources.request import DeviceRequest
from tests.unit.jobs.world import World, draft, machine


def gpu_job(millis: int = 1000, **fields: object) -> JobDraft:
    return draft("train", request=RequestDraft(1000, devices=(DeviceRequest("gpu", millis),)), **fields)


def world(gpus: int = 2) -> World:
    return World(inventory=machine(4, gpus=gpus))


def device(world: World, device_id: str) -> Device:
    found = world.engine.state.pool.inventory.device(device_id)
    assert found is not None
    return found


def of(job: Job | None) -> list[str]:
    assert job is not None and job.run is not None
    return [part.device_id for part in job.run.grant.devices]


def settings(actions: list[Action]) -> dict[str, object]:
    return {a.name: json.loads(a.value) for a in actions if isinstance(a, Set) and a.name.startswith("device.")}


@pytest.mark.parametrize("out", [{"quarantined": True}, {"busy": "python (pid 7) of bob"}, {"health": "XID 79"}])
def test_what_is_out_of_use_is_not_handed_out_but_still_promised(out: dict[str, object]) -> None:
    w = world()
    w.do(SetDevice("GPU-0", **out))  # type: ignore[arg-type]
    first, second = w.submit(gpu_job(), gpu_job(2000))
    assert of(w.engine.state.jobs[first.id]) == ["GPU-1"]
    assert w.phase(second.id.number) == "queued"  # two are what the machine has
    w.do(SetDevice("GPU-0", health="ok", quarantined=False, busy=""))
    w.finish(first.id)
    assert of(w.engine.state.jobs[second.id]) == ["GPU-0", "GPU-1"]


def test_what_is_ill_from_the_beginning_is_no_promise() -> None:
    inventory = machine(4, gpus=2)
    w = World(inventory=replace(inventory, devices=(inventory.devices[0], replace(inventory.devices[1], health="does not answer"))))
    with pytest.raises(NeverFits, match="this machine has 1 that is well") as refused:
        w.submit(gpu_job(2000))
    assert "GPU-1 is ill: does not answer" in refused.value.hint


def test_an_illness_brings_quarantine_that_only_a_release_ends() -> None:
    w = world(1)
    w.do(SetDevice("GPU-0", health="XID 79"))
    assert settings(w.last) == {"device.GPU-0": {"reason": "it fell ill: XID 79"}}
    w.do(SetDevice("GPU-0", health="ok"))
    assert device(w, "GPU-0").quarantined and not device(w, "GPU-0").usable
    w.do(SetDevice("gpu:0", quarantined=False))
    assert settings(w.last) == {"device.GPU-0": None} and device(w, "GPU-0").usable


def test_a_quarantine_survives_a_restart_and_its_release_does_too() -> None:
    w = world(1)
    w.do(SetDevice("GPU-0", quarantined=True, reason="smells"))
    kept = {a.name: a.value for a in w.last if isinstance(a, Set)}
    after = World(inventory=machine(4, gpus=1), loaded=Loaded((), (), kept, 1, 0))
    assert device(after, "GPU-0").trouble == "is in quarantine: smells"
    kept |= {"device.GPU-0": "null"}
    assert device(World(inventory=machine(4, gpus=1), loaded=Loaded((), (), kept, 1, 0)), "GPU-0").usable


def test_who_runs_on_what_falls_ill_is_told_once_and_the_others_are_not() -> None:
    w = world()
    ill, well = w.submit(gpu_job(), gpu_job())
    w.begin()
    w.do(SetDevice("GPU-0", health="XID 79"))
    told = "its gpu 0 is ill: XID 79"
    assert [(a.job.id, a.text) for a in w.last if isinstance(a, Warn)] == [(ill.id, told)]
    assert (w.saved[ill.id].reason, w.saved[well.id].reason) == (told, "")
    w.do(SetDevice("GPU-0", health="XID 79"))
    assert not w.last  # nothing new
    w.do(SetDevice("GPU-0", health="ok"))
    assert w.saved[ill.id].reason == ""


def test_a_failure_on_an_ill_device_says_so_and_a_success_does_not() -> None:
    w = world()
    failing, retried = w.submit(gpu_job(), gpu_job(retry=RetryDraft(retries=1)))
    w.begin()
    w.do(SetDevice("GPU-0", health="XID 79"))
    w.do(SetDevice("GPU-1", health="XID 80"))
    w.finish(failing.id, 1)
    w.finish(retried.id, 1)
    assert w.ended[failing.id].reason == "exit code 1; its gpu 0 is ill: XID 79"
    assert w.saved[retried.id].reason.endswith("its gpu 1 is ill: XID 80")
    w = world(1)
    (good,) = w.submit(gpu_job())
    w.begin()
    w.do(SetDevice("GPU-0", health="XID 79"))
    w.finish(good.id)
    assert w.ended[good.id].reason == ""


def test_why_names_what_is_out_of_use_and_who_uses_it() -> None:
    w = world(3)
    w.do(SetDevice("GPU-0", quarantined=True, reason="smells, by root"))
    w.do(SetDevice("GPU-1", busy="python (pid 7) of bob"))
    (job,) = w.submit(gpu_job(2000))
    why = w.engine.why(job.id, w.now)
    assert why.kind is WhyKind.RESOURCES
    assert why.summary == (
        "it needs 2 gpu; 1 of 3 is free (gpu 0 is in quarantine: smells, by root; gpu 1 is used by python (pid 7) of bob, which AIOS did not start)"
    )


def test_a_device_that_no_probe_finds_any_more_is_ill_and_its_job_keeps_its_grant() -> None:
    w = world()
    (job,) = w.submit(gpu_job())
    w.begin()
    w.do(InventoryChanged(replace(w.inventory, devices=w.inventory.devices[1:])))
    assert device(w, "GPU-0").health == GONE and device(w, "GPU-0").quarantined
    assert w.saved[job.id].reason == f"its gpu 0 is ill: {GONE}"
    w.finish(job.id)
    w.do(InventoryChanged(w.inventory))
    assert device(w, "GPU-0").health == "ok" and device(w, "GPU-0").quarantined


def test_numbered_devices_keep_their_ids_when_the_file_before_them_is_gone() -> None:
    def fpgas(*files: str) -> Inventory:
        return replace(machine(4), devices=tuple(Device(f"fpga-{n}", "fpga", n, paths=(f"/dev/{file}",)) for n, file in enumerate(files)))

    w = World(inventory=fpgas("a", "b"))
    w.do(InventoryChanged(fpgas("b", "c")))
    known = {d.id: (d.paths[0], d.health) for d in w.engine.state.pool.inventory.devices}
    assert known == {"fpga-0": ("/dev/a", GONE), "fpga-1": ("/dev/b", "ok"), "fpga-2": ("/dev/c", "ok")}


def test_an_unknown_device_is_named_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="no device 'GPU-9'") as refused:
        world().do(SetDevice("GPU-9", busy="x"))
    assert refused.value.hint == "devices: GPU-0, GPU-1"


def test_a_short_job_does_not_follow_on_a_device_in_quarantine() -> None:
    """Staged successors take over a grant: not that of a device that is out of use by then."""
    w = world(1)
    w.submit(*[gpu_job() for _ in range(6)])
    for number in (1, 2, 3):
        w.begin(JobId(number))
        w.finish(JobId(number), run_s=0.002)
    assert w.engine.state.staging.behind
    w.do(SetDevice("GPU-0", quarantined=True))
    assert not w.engine.state.staging.behind
    running = next(iter(w.engine.state.shares))
    w.begin(running)
    w.finish(running, run_s=0.002)
    assert not w.engine.state.shares


def test_what_was_seen_of_devices_outlives_an_engine_that_is_made_anew() -> None:
    """When a full disk has room again: quarantines are as they were committed, health and foreign use as they were seen."""
    w = world()
    w.do(SetDevice("GPU-0", busy="python (pid 7) of bob"))
    w.do(SetDevice("GPU-1", quarantined=True))  # was never committed
    after = carried_over(machine(4, gpus=2), w.engine.state.pool.inventory)
    assert [(d.busy, d.quarantined) for d in after.devices] == [("python (pid 7) of bob", False), ("", False)]

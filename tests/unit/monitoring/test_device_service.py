"""The watch of devices as a service: what is handed on, once; what is tried again; a driver that says nothing."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from aiosd.clock import Instant
from aiosd.errors import DiskFull
from aiosd.monitoring.device_service import BLIND_S, CALMER, DeviceService
from aiosd.monitoring.looks import DeviceLook, DeviceSettings, GpuProcess, GpuRun

GIB = 1 << 30
RUN = GpuRun("5.-1.1", "5", 1, 77, {"GPU-0": 10 * GIB})
STRANGER = GpuProcess(4242, GIB, 0, user="bob", program="python3")


class World:
    """The clock, the probe and the keeper in one; `next` is what the probe sees."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.next: Sequence[DeviceLook] | None = ()
        self.asked: list[Mapping[str, int]] = []
        self.told: list[tuple[object, ...]] = []
        self.full = False

    def now(self) -> Instant:
        return Instant(1e9 + self.now_s, self.now_s)

    async def look(self, runs: Mapping[str, int]) -> Sequence[DeviceLook] | None:
        self.asked.append(runs)
        self.now_s += 1.0
        return self.next

    async def set_device(self, device_id: str, *, health: str | None = None, busy: str | None = None) -> None:
        self._tell("device", device_id, health, busy)

    async def warn(self, run: GpuRun, text: str, before: str) -> None:
        self._tell("warn", run.job_id, text, before)

    async def stop(self, run: GpuRun, how: str, reason: str) -> None:
        self._tell("stop", run.job_id, how)

    def _tell(self, *what: object) -> None:
        if self.full:
            raise DiskFull("the disk is full")
        self.told.append(what)


def see(world: World, *processes: GpuProcess, trouble: str = "", looks: int = 1, runs: Sequence[GpuRun] = (RUN,), service: DeviceService) -> None:
    world.next = [DeviceLook("GPU-0", "gpu 0", None if trouble else processes, 500, trouble)]

    async def several() -> None:
        for _ in range(looks):
            await service.look(runs)

    asyncio.run(several())


def service_of(world: World, **settings: float) -> DeviceService:
    return DeviceService(world, lambda: [RUN], world, world, DeviceSettings(memory_patience_s=3.0, **settings))  # type: ignore[arg-type]


def test_a_stranger_is_handed_on_once_shown_and_taken_back() -> None:
    world = World()
    service = service_of(world)
    see(world, STRANGER, looks=5, service=service)
    assert world.told == [("device", "GPU-0", None, "pid 4242 of bob")]
    assert [use.program for use in service.foreign_use] == ["python3"]
    see(world, looks=3, service=service)
    assert world.told[1:] == [("device", "GPU-0", None, "")] and not service.foreign_use
    assert world.asked[0] == {"5.-1.1": 77}


def test_an_ill_device_is_handed_on_and_so_is_its_recovery() -> None:
    world = World()
    service = service_of(world)
    see(world, trouble="GPU is lost", looks=4, service=service)
    see(world, looks=6, service=service)
    assert world.told == [("device", "GPU-0", "GPU is lost", None), ("device", "GPU-0", "ok", None)]


def test_over_use_is_warned_once_then_stopped_once() -> None:
    world = World()
    service = service_of(world)
    see(world, GpuProcess(9, 12 * GIB, 500, run=RUN.key), looks=9, service=service)
    text = "it uses 12 GiB of the memory of gpu 0; it was granted 10 GiB; if that lasts 3s it is stopped"
    assert world.told == [("warn", "5", text, ""), ("stop", "5", "overuse")]


def test_a_warning_that_is_over_is_taken_back() -> None:
    world = World()
    service = service_of(world)
    see(world, GpuProcess(9, 12 * GIB, 500, run=RUN.key), looks=2, service=service)
    see(world, GpuProcess(9, 8 * GIB, 500, run=RUN.key), service=service)
    assert [what[2] for what in world.told] == [world.told[1][3], ""]


def test_what_cannot_be_remembered_now_is_handed_on_later() -> None:
    world = World()
    service = service_of(world)
    world.full = True
    see(world, STRANGER, GpuProcess(9, 12 * GIB, 500, run=RUN.key), looks=6, service=service)
    assert not world.told
    world.full = False
    see(world, STRANGER, GpuProcess(9, 12 * GIB, 500, run=RUN.key), service=service)
    assert [what[0] for what in world.told] == ["device", "warn", "stop"]


def test_a_driver_that_says_nothing_is_told_after_a_while_until_it_speaks() -> None:
    world = World()
    service = service_of(world)
    see(world, service=service)
    world.next = None
    asyncio.run(service.look([RUN]))
    assert not service.warnings
    world.now_s += BLIND_S
    asyncio.run(service.look([RUN]))
    assert service.warnings == ("NVIDIA's driver has not answered for 32 s: what happens on the GPUs is not seen",)
    see(world, service=service)
    assert not service.warnings and not world.told


def test_a_driver_that_never_answered_is_told_too() -> None:
    world = World()
    service = service_of(world)
    world.next = None
    asyncio.run(service.look([]))
    world.now_s += BLIND_S
    asyncio.run(service.look([]))
    assert service.warnings


def test_a_machine_without_gpus_has_no_loop() -> None:
    world = World()
    asyncio.run(asyncio.wait_for(DeviceService(None, list, world, world).run(), 30))
    assert not world.asked


@pytest.mark.parametrize(("runs", "pause_s"), [((RUN,), 1.0), ((), 1.0 * CALMER)])
def test_the_pace_is_quick_only_while_a_job_holds_a_gpu(runs: Sequence[GpuRun], pause_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    world, pauses = World(), []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    world.next = [DeviceLook("GPU-0", "gpu 0")]
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(DeviceService(world, lambda: runs, world, world).run())
    assert pauses == [pause_s] * 3

"""A machine that becomes smaller below running jobs, and larger again: what they hold, and what others get, is defined."""

from dataclasses import replace

import pytest

from aiosd.errors import NeverFits
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.pool import Pool
from aiosd.resources.request import DeviceRequest, Request
from tests.unit.resources.machines import GIB, gpu, machine

BOX = machine(cpus=8, devices=tuple(gpu(index) for index in range(4)))


def gpus(millis: int, cpus: int = 1) -> Request:
    return Request(1000 * cpus, GIB, (DeviceRequest("gpu", millis),))


def taken(pool: Pool, request: Request) -> Grant:
    grant = pool.take(request)
    assert grant is not None
    return grant


def free_of(pool: Pool, device_id: str) -> tuple[int, int]:
    return next(((d.millis, d.memory_bytes) for d in pool.free().devices if d.device_id == device_id), (0, 0))


def without(inventory: Inventory, *lost: int) -> Inventory:
    return replace(inventory, devices=tuple(device for device in inventory.devices if device.index not in lost))


def test_a_gpu_that_is_lost_below_a_job_stays_with_it_and_comes_back_held() -> None:
    pool = Pool(BOX)
    grant = taken(pool, gpus(2000))
    pool = pool.with_inventory(without(BOX, 0))
    assert pool.used().devices == grant.devices
    assert [device.device_id for device in pool.free().devices] == ["GPU-2", "GPU-3"]
    assert pool.take(gpus(3000)) is None
    pool = pool.with_inventory(BOX)
    assert [device.device_id for device in pool.free().devices] == ["GPU-2", "GPU-3"]
    pool.give_back(grant)
    assert pool.take(gpus(4000)) is not None


def test_the_end_of_a_job_on_a_lost_gpu_frees_what_is_left_of_its_grant() -> None:
    pool = Pool(BOX)
    grant = taken(pool, gpus(2000, cpus=8))
    pool = pool.with_inventory(without(BOX, 0, 1))
    pool.give_back(grant)
    with pytest.raises(ValueError, match="not held"):
        pool.give_back(grant)
    assert pool.free().cpu_millis == 8000
    assert pool.take(gpus(3000)) is None
    assert pool.take(gpus(2000)) is not None


def test_a_gpu_that_falls_ill_below_a_job_is_shared_with_nobody() -> None:
    pool = Pool(BOX)
    grant = taken(pool, gpus(500))
    ill = replace(BOX, devices=tuple(replace(d, health="Xid 79") if d.index == 0 else d for d in BOX.devices))
    pool = pool.with_inventory(ill)
    assert [device.index for device in taken(pool, gpus(500)).devices] == [1]
    pool.give_back(grant)
    assert pool.take(gpus(4000)) is None


@pytest.mark.parametrize("memory_bytes", [8 * GIB, 0])
def test_with_less_memory_than_is_held_nothing_more_is_given_until_it_is_enough(memory_bytes: int) -> None:
    pool = Pool(BOX)
    big, small = taken(pool, Request(1000, 40 * GIB)), taken(pool, Request(1000, 10 * GIB))
    pool = pool.with_inventory(replace(BOX, memory_bytes=memory_bytes))
    assert pool.free().memory_bytes == 0
    short = pool.shortage(Request(1000, 1))
    assert short is not None
    assert (short.resource, short.free) == ("memory", 0)
    pool.give_back(big)
    assert pool.take(Request(1000, 1)) is None
    pool.give_back(small)
    assert pool.free().memory_bytes == memory_bytes


def test_processors_that_went_offline_are_held_by_who_had_them_and_are_never_counted_as_free() -> None:
    pool = Pool(BOX)
    first, second = taken(pool, Request(4000, 0)), taken(pool, Request(3500, 0))
    pool = pool.with_inventory(replace(BOX, cpus=BOX.cpus[:2] + BOX.cpus[6:]))
    assert pool.free().cpu_millis == 500
    pool.give_back(first)
    assert pool.free().cpu_millis == 2500
    assert pool.take(Request(4000, 0)) is None
    pool = pool.with_inventory(BOX)
    assert pool.free().cpu_millis == 4500
    pool.give_back(second)
    assert pool.free().cpu_millis == 8000


def test_two_holders_of_one_gpu_are_both_counted_when_it_has_less_memory_than_they_hold() -> None:
    """A driver that keeps more for itself after its update."""
    pool = Pool(BOX)
    halves = [taken(pool, gpus(500)), taken(pool, gpus(500))]
    smaller = replace(BOX, devices=tuple(replace(d, memory_bytes=30 * GIB) for d in BOX.devices))
    pool = pool.with_inventory(smaller)
    assert free_of(pool, "GPU-0") == (0, 0)
    pool.give_back(halves[0])
    assert free_of(pool, "GPU-0") == (500, 10 * GIB)
    pool.give_back(halves[1])
    assert free_of(pool, "GPU-0") == (1000, 30 * GIB)


def test_what_the_smaller_machine_can_never_run_is_refused_and_what_is_out_for_a_time_is_not() -> None:
    pool = Pool(BOX).with_inventory(without(BOX, 3))
    with pytest.raises(NeverFits, match="asked for 4 gpu; this machine has 3"):
        pool.check_ever_fits(gpus(4000))
    quarantined = replace(BOX, devices=tuple(replace(d, quarantined=d.index == 3) for d in BOX.devices))
    Pool(BOX).with_inventory(quarantined).check_ever_fits(gpus(4000))


def test_an_exclusive_job_on_a_machine_that_grew_does_not_hold_what_came() -> None:
    pool = Pool(without(BOX, 3))
    alone = taken(pool, Request(1000, 0, exclusive=True))
    pool = pool.with_inventory(BOX)
    assert [device.index for device in pool.free().devices] == [3]
    assert pool.take(gpus(1000)) is None  # there are no processors for it
    pool.give_back(alone)
    assert pool.take(gpus(4000)) is not None

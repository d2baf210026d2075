"""The pool: what it gives, in which order, and how it says no."""

import gc

import pytest

from aiosd.errors import InvalidArgument, NeverFits
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.inventory import Device
from aiosd.resources.pool import Pool, Shortage, format_amount
from aiosd.resources.request import DeviceRequest, Request
from tests.unit.resources.machines import GIB, gpu, machine


def cpus_of(grant: Grant | None) -> list[int]:
    assert grant is not None
    return [cpu.cpu for cpu in grant.cpus]


def devices_of(grant: Grant | None) -> list[str]:
    assert grant is not None
    return [device.device_id for device in grant.devices]


def gpus(millis: int, model: str = "", memory_bytes: int = 0, cpu_millis: int = 1000) -> Request:
    return Request(cpu_millis, 0, (DeviceRequest("gpu", millis, model, memory_bytes),))


# Processors


def test_whole_processors_come_from_the_node_with_the_least_sufficient_room() -> None:
    pool = Pool(machine(cpus=8, nodes=2))
    pool.assign(Grant((CpuGrant(0, 1000), CpuGrant(1, 1000)), 0))
    assert cpus_of(pool.take(Request(2000, 0))) == [2, 3]  # fills node 0, keeps node 1 whole
    assert cpus_of(pool.take(Request(4000, 0))) == [4, 5, 6, 7]


def test_a_request_larger_than_any_node_has_free_takes_few_nodes() -> None:
    pool = Pool(machine(cpus=12, nodes=3))
    pool.assign(Grant((CpuGrant(0, 1000),), 0))
    assert cpus_of(pool.take(Request(6000, 0))) == [4, 5, 6, 7, 8, 9]


def test_threads_of_one_core_stay_together_even_when_their_numbers_do_not() -> None:
    inventory = machine(cpus=8, nodes=1)
    interleaved = tuple(type(cpu)(cpu.id, cpu.id % 4, 0, 0) for cpu in inventory.cpus)  # 0 and 4 are one core
    pool = Pool(type(inventory)("node", interleaved, GIB, GIB))
    assert cpus_of(pool.take(Request(2000, 0))) == [0, 4]


def test_parts_share_a_processor_best_fit_first() -> None:
    pool = Pool(machine())
    pool.assign(Grant((CpuGrant(3, 500), CpuGrant(5, 700)), 0))
    assert cpus_of(pool.take(Request(300, 0))) == [5]
    assert cpus_of(pool.take(Request(400, 0))) == [3]


def test_the_remainder_is_on_the_node_of_the_whole_ones() -> None:
    pool = Pool(machine())
    pool.assign(Grant((CpuGrant(7, 500),), 0))  # node 1 is the best fit for 2 whole ones
    assert cpus_of(pool.take(Request(2500, 0))) == [4, 5, 7]


def test_the_sum_decides_when_no_processor_is_whole() -> None:
    pool = Pool(machine(cpus=4, nodes=1))
    pool.assign(Grant(tuple(CpuGrant(n, 600) for n in range(4)), 0))
    assert pool.take(Request(1700, 0)) is None
    grant = pool.take(Request(1600, 0))
    assert grant is not None
    assert grant.cpu_millis == 1600
    assert pool.free().cpus == ()


def test_processors_are_near_the_devices() -> None:
    pool = Pool(machine(devices=(gpu(0, numa_node=1),)))
    assert cpus_of(pool.take(gpus(1000, cpu_millis=2000))) == [4, 5]
    assert cpus_of(pool.take(Request(2000, 0))) == [6, 7]


# Devices


def test_whole_devices_must_be_untouched_and_parts_pack() -> None:
    pool = Pool(machine(devices=(gpu(0), gpu(1))))
    assert devices_of(pool.take(gpus(300))) == ["GPU-0"]
    assert devices_of(pool.take(gpus(1000))) == ["GPU-1"]
    assert devices_of(pool.take(gpus(600))) == ["GPU-0"]
    assert pool.take(gpus(200)) is None


def test_a_part_comes_with_its_share_of_memory_unless_it_asks() -> None:
    pool = Pool(machine(devices=(gpu(0),)))
    assert pool.take(gpus(250)).devices == (DeviceGrant("GPU-0", "gpu", 0, 250, 10 * GIB),)  # type: ignore[union-attr]
    assert pool.take(gpus(100, memory_bytes=30 * GIB)).devices[0].memory_bytes == 30 * GIB  # type: ignore[union-attr]
    assert pool.shortage(gpus(500)) == Shortage("gpu memory", 20 * GIB, 0, 40 * GIB)


def test_a_model_matches_without_regard_to_case_spaces_and_dashes() -> None:
    pool = Pool(machine(devices=(gpu(0, "Tesla T4"), gpu(1, "NVIDIA A100-SXM4-40GB"))))
    assert devices_of(pool.take(gpus(1000, "a100 sxm4"))) == ["GPU-1"]
    assert pool.shortage(gpus(1000, "A100")) == Shortage("gpu:A100", 1000, 0, 1000)


def test_any_gpu_leaves_the_named_model_to_its_neighbour() -> None:
    pool = Pool(machine(devices=(gpu(0, "A100"), gpu(1, "T4"))))
    both = Request(1000, 0, (DeviceRequest("gpu", 1000), DeviceRequest("gpu", 1000, "a100")))
    assert sorted(devices_of(pool.take(both))) == ["GPU-0", "GPU-1"]


def test_an_ill_device_is_never_granted() -> None:
    pool = Pool(machine(devices=(gpu(0, health="Xid 79"), gpu(1))))
    assert devices_of(pool.take(gpus(1000))) == ["GPU-1"]
    assert pool.take(gpus(100)) is None


def test_a_failed_take_of_devices_leaves_nothing_taken() -> None:
    pool = Pool(machine(devices=(gpu(0), gpu(1))))
    before = pool.free()
    assert pool.take(Request(1000, 0, (DeviceRequest("gpu", 1000), DeviceRequest("gpu", 2000)))) is None
    assert pool.free() == before


# Exclusive


def test_exclusive_needs_an_idle_machine_and_leaves_nothing() -> None:
    pool = Pool(machine(devices=(gpu(0), gpu(1, health="gone"))))
    small = pool.take(Request(100, 0))
    assert small is not None
    assert pool.shortage(Request(100, 0, exclusive=True)) == Shortage("the whole machine", 1000, 0, 1000)
    pool.give_back(small)
    alone = pool.take(Request(100, 0, exclusive=True))
    assert alone is not None
    assert (alone.cpu_millis, alone.memory_bytes, devices_of(alone)) == (8000, 64 * GIB, ["GPU-0"])
    assert pool.take(Request(1, 0)) is None
    pool.give_back(alone)
    assert pool.take(Request(8000, 0)) is not None


# Giving back, assigning, adopting


def test_what_is_not_held_cannot_be_given_back() -> None:
    pool = Pool(machine())
    grant = pool.take(Request(1000, GIB))
    assert grant is not None
    pool.give_back(grant)
    with pytest.raises(ValueError, match="not held"):
        pool.give_back(grant)


def test_equal_grants_are_held_as_often_as_they_were_taken() -> None:
    pool = Pool(machine(cpus=1, nodes=1))
    first, second = pool.take(Request(500, 0)), pool.take(Request(500, 0))
    assert first == second
    assert first is not None
    pool.give_back(first)
    assert pool.free().cpu_millis == 500
    pool.give_back(first)
    assert pool.free().cpu_millis == 1000


@pytest.mark.parametrize(
    ("grant", "named"),
    [
        (Grant((CpuGrant(0, 600),), 0), "0.6 of processor 0, of which 0.5 is free"),
        (Grant((CpuGrant(99, 1000),), 0), "processor 99"),
        (Grant((CpuGrant(1, 600), CpuGrant(1, 600)), 0), "1.2 of processor 1"),
        (Grant((), 100 * GIB), "100 GiB of memory"),
        (Grant((), 0, (), 200 * GIB), "200 GiB of disk"),
        (Grant((), 0, (DeviceGrant("GPU-0", "gpu", 0, 1000, 0),)), "1 of GPU-0, of which 0.5 is free"),
        (Grant((), 0, (DeviceGrant("GPU-7", "gpu", 7, 1000, 0),)), "1 of GPU-7"),
    ],
)
def test_assign_names_what_is_not_free(grant: Grant, named: str) -> None:
    pool = Pool(machine(devices=(gpu(0),)))
    pool.assign(Grant((CpuGrant(0, 500),), 0, (DeviceGrant("GPU-0", "gpu", 0, 500, 0),)))
    before = pool.free()
    with pytest.raises(ValueError, match=named):
        pool.assign(grant)
    assert pool.free() == before


def test_a_run_keeps_what_it_holds_of_a_machine_that_became_smaller() -> None:
    pool = Pool(machine(devices=(gpu(0), gpu(1))))
    both, one = pool.take(gpus(2000, cpu_millis=6000)), pool.take(Request(1000, 60 * GIB))
    assert both is not None
    assert one is not None
    smaller = pool.with_inventory(machine(cpus=4, devices=(gpu(0, health="Xid 79"),), memory_bytes=32 * GIB))
    assert smaller.used() == pool.used()
    assert smaller.free().memory_bytes == 0
    smaller.give_back(one)
    smaller.give_back(both)
    assert smaller.take(gpus(1000)) is None  # GPU-0 is ill, GPU-1 is gone
    assert smaller.free() == Pool(smaller.inventory).free()


# What-if


def test_a_trial_leaves_no_trace_even_when_it_raises() -> None:
    pool = Pool(machine(devices=(gpu(0), gpu(1))))
    kept = pool.take(gpus(1000))
    assert kept is not None
    before = (pool.free(), pool.used())
    with pytest.raises(RuntimeError), pool.trial():  # noqa: PT012
        pool.give_back(kept)
        pool.hold(gpus(2000))
        with pool.trial() as inner:
            inner.take(Request(1000, 0))
        raise RuntimeError
    assert (pool.free(), pool.used()) == before


def test_a_hold_keeps_later_jobs_from_what_the_first_waits_for() -> None:
    pool = Pool(machine(devices=(gpu(0), gpu(1))))
    pool.take(gpus(500))
    with pool.trial():
        pool.hold(gpus(2000, cpu_millis=6000))
        assert pool.take(gpus(100)) is None  # of GPU-0 too: both must become free
        assert pool.take(Request(1000, 0)) is not None
        assert pool.shortage(Request(1000, 0)) == Shortage("cpu", 1000, 0, 8000)
    assert pool.take(gpus(100)) is not None


def test_an_exclusive_hold_withholds_all() -> None:
    pool = Pool(machine())
    with pool.trial():
        pool.hold(Request(1000, 0, exclusive=True))
        assert pool.take(Request(1, 0)) is None
    assert pool.take(Request(1, 0)) is not None


def test_a_hold_outside_of_a_trial_is_refused() -> None:
    with pytest.raises(ValueError, match="outside of a trial"):
        Pool(machine()).hold(Request(1000, 0))


# Shortages and refusals


@pytest.mark.parametrize(
    ("request_", "short"),
    [
        (Request(7500, 0), Shortage("cpu", 7500, 7000, 8000)),
        (Request(1000, 64 * GIB), Shortage("memory", 64 * GIB, 63 * GIB, 64 * GIB)),
        (Request(1000, 0, (), 101 * GIB), Shortage("disk", 101 * GIB, 100 * GIB, 100 * GIB)),
        (gpus(2000), Shortage("gpu", 2000, 1000, 2000)),
        (gpus(1000, "h100"), Shortage("gpu:h100", 1000, 0, 0)),
        (gpus(1000, "", 50 * GIB), Shortage("gpu memory", 50 * GIB, 40 * GIB, 40 * GIB)),
    ],
)
def test_the_shortage_is_named(request_: Request, short: Shortage) -> None:
    pool = Pool(machine(devices=(gpu(0), gpu(1))))
    pool.take(Request(1000, GIB, (DeviceRequest("gpu", 1000),)))
    assert pool.shortage(request_) == short
    assert pool.take(request_) is None


def test_amounts_are_written_in_their_unit() -> None:
    assert Shortage("gpu", 2000, 500, 8000).asked_text == "2"
    assert Shortage("cpu", 2000, 500, 8000).free_text == "0.5"
    assert Shortage("memory", 0, 0, 64 * GIB).total_text == "64 GiB"
    assert format_amount("gpu memory", 10 * GIB) == "10 GiB"


@pytest.mark.parametrize(
    ("request_", "message", "hint"),
    [
        (Request(9000, 0), "asked for 9 processors; this machine has 8", "at most 8"),
        (Request(1000, 65 * GIB), "asked for 65 GiB of memory; this machine has 64 GiB", "at most 64 GiB"),
        (gpus(3000), "asked for 3 gpu; this machine has 1", "GPU-1 is ill: Xid 79"),
        (gpus(1000, "h100"), "asked for 1 gpu:h100; this machine has none of that model", "NVIDIA A100-SXM4-40GB"),
        (gpus(500, "", 41 * GIB), "41 GiB of the memory of one gpu", "at most 40 GiB"),
        (Request(1000, 0, (DeviceRequest("npu", 1000),)), "this machine has no npu", "fpga, gpu"),
        (Request(1000, 0, (DeviceRequest("fpga", 700), DeviceRequest("fpga", 700))), "asked for 1.4 fpga; this machine has 1", "at most 1"),
    ],
)
def test_what_never_fits_is_refused_with_what_the_machine_has(request_: Request, message: str, hint: str) -> None:
    pool = Pool(machine(devices=(gpu(0), gpu(1, health="Xid 79"), Device("fpga-0", "fpga", 0))))
    with pytest.raises(NeverFits) as refusal:
        pool.check_ever_fits(request_)
    assert message in str(refusal.value)
    assert hint in refusal.value.hint
    assert set(refusal.value.facts) == {"resource", "asked", "machine_has"}


@pytest.mark.parametrize("request_", [Request(0, 0), Request(-1, 0), Request(1000, -1), Request(1 << 63, 0), gpus(1500), gpus(-1000), gpus(0)])
def test_senseless_amounts_are_not_a_matter_of_size(request_: Request) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        Pool(machine(devices=(gpu(0),))).check_ever_fits(request_)
    assert not isinstance(refusal.value, NeverFits)


def test_a_full_machine_is_no_reason_to_refuse_for_ever() -> None:
    pool = Pool(machine())
    pool.take(Request(8000, 64 * GIB))
    pool.check_ever_fits(Request(8000, 64 * GIB))


def test_used_is_the_sum_by_processor_and_device() -> None:
    pool = Pool(machine(devices=(gpu(0),)))
    pool.take(gpus(250, cpu_millis=500))
    pool.take(gpus(250, cpu_millis=500))
    assert pool.used() == Grant((CpuGrant(0, 1000),), 0, (DeviceGrant("GPU-0", "gpu", 0, 500, 20 * GIB),))


def test_a_trial_that_an_error_left_open_undoes_nothing_later() -> None:
    pool = Pool(machine())
    kept: list[object] = []

    def fails() -> None:
        inner = pool.trial()
        inner.__enter__()
        pool.take(Request(1000, GIB))
        kept.append(inner)
        raise RuntimeError

    with pytest.raises(RuntimeError), pool.trial():
        fails()
    assert pool.used().cpu_millis == 0
    grant = pool.take(Request(2000, GIB))
    with pool.trial():
        pool.take(Request(1000, GIB))
        kept.clear()
        gc.collect()
        assert pool.used().cpu_millis == 3000
    assert pool.grants() == [grant]

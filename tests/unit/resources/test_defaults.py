"""From a draft to a complete request."""

import pytest

from aiosd.errors import InvalidArgument
from aiosd.resources.defaults import complete_request
from aiosd.resources.request import DeviceRequest, Request
from tests.unit.resources.machines import GIB, machine


def complete(cpu_millis: int = 0, memory_bytes: int = 0, devices: tuple[DeviceRequest, ...] = (), disk_bytes: int = 0) -> Request:
    return complete_request(
        cpu_millis=cpu_millis, memory_bytes=memory_bytes, devices=devices, disk_bytes=disk_bytes,
        exclusive=False, inventory=machine(cpus=8, memory_bytes=64 * GIB), default_cpu_millis=1000,
    )  # fmt: skip


def test_nothing_asked_is_one_processor_and_its_share_of_memory() -> None:
    assert complete() == Request(1000, 8 * GIB)


def test_memory_follows_the_processors_and_is_never_more_than_there_is() -> None:
    assert complete(cpu_millis=2500).memory_bytes == 20 * GIB
    assert complete(cpu_millis=80_000).memory_bytes == 64 * GIB
    assert complete(cpu_millis=2500, memory_bytes=GIB).memory_bytes == GIB


def test_equal_wishes_are_equal_requests() -> None:
    one = (DeviceRequest("gpu", 1000, "A100"), DeviceRequest("fpga", 1000), DeviceRequest("GPU", 1000, " a100"))
    other = (DeviceRequest("fpga", 1000), DeviceRequest("gpu", 2000, "a100"))
    assert complete(devices=one) == complete(devices=other)
    assert hash(complete(devices=one)) == hash(complete(devices=other))


def test_two_halves_are_not_one_whole() -> None:
    halves = (DeviceRequest("gpu", 500), DeviceRequest("gpu", 500))
    assert complete(devices=halves).devices == halves


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"cpu_millis": -1}, "cpu_millis must be at least 0, not -1"),
        ({"memory_bytes": -5}, "memory_bytes must be at least 0, not -5"),
        ({"memory_bytes": 1 << 63}, "memory_bytes must be at most"),
        ({"disk_bytes": -1}, "disk_bytes must be at least 0"),
        ({"devices": (DeviceRequest("gpu", 1500),)}, "1.5 of gpu is neither a part of one nor a whole number"),
        ({"devices": (DeviceRequest("gpu", 0),)}, "millis of gpu must be at least 1"),
        ({"devices": (DeviceRequest("", 1000),)}, "a device needs a kind"),
        ({"devices": (DeviceRequest("gpu", 1000 * ((1 << 62) // 1000)),) * 2}, "must be at most"),
    ],
)
def test_senseless_amounts_are_refused(wish: dict[str, int], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        complete(**wish)  # type: ignore[arg-type]

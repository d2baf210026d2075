"""GPUs and other devices as people ask for them."""

import pytest

from aios.devices import parse_devices, parse_gpus
from aios.errors import InvalidArgument
from aios.resources import DeviceRequest


@pytest.mark.parametrize(
    ("text", "model", "millis"),
    [(2, "", 2000), ("2", "", 2000), (0.5, "", 500), ("a100:2", "a100", 2000), ("a100", "a100", 1000), ("H100 SXM:0.25", "H100 SXM", 250)],
)
def test_gpus(text: str | float, model: str, millis: int) -> None:
    assert parse_gpus(text) == DeviceRequest("gpu", millis, model)


def test_gpu_memory_and_none() -> None:
    assert parse_gpus(1, memory="10G") == DeviceRequest("gpu", 1000, "", 10 << 30)
    assert parse_gpus(0) is None


@pytest.mark.parametrize("bad", [1.5, "a100:1.5", ":2", "a100:x", -1, float("nan"), ""])
def test_gpus_refused(bad: str | float) -> None:
    with pytest.raises(InvalidArgument):
        parse_gpus(bad)


@pytest.mark.parametrize("given", [{"fpga": 1, "nic": 2}, "fpga=1,nic=2", ["fpga=1", "nic=2"], "fpga,nic:2"])
def test_other_devices(given: object) -> None:
    assert parse_devices(given) == (DeviceRequest("fpga", 1000), DeviceRequest("nic", 2000))  # type: ignore[arg-type]


def test_models_of_other_devices() -> None:
    assert parse_devices("fpga:u250=1") == parse_devices("fpga:u250:1") == (DeviceRequest("fpga", 1000, "u250"),)


@pytest.mark.parametrize("bad", ["", "fpga=", "=1", "fpga=1,,nic=1", "fpga=-1", "fpga=1,fpga=2", 3, "fp ga=1", ["a", "a"]])
def test_other_devices_refused(bad: object) -> None:
    with pytest.raises(InvalidArgument):
        parse_devices(bad)  # type: ignore[arg-type]

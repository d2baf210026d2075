"""The variables that a grant becomes."""

import pytest

from aiosd.resources.environment import THREAD_VARIABLES, grant_variables
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.inventory import Device
from tests.unit.resources.machines import GIB, gpu, machine

BOARD = (
    Device("npu-x-0", "npu-x", 0, paths=("/dev/npu0",)),
    Device("npu-x-1", "npu-x", 1, paths=("/dev/npu1", "/dev/npu1ctl")),
    Device("license-0", "license", 0),
)
MACHINE = machine(devices=(gpu(0), gpu(1), *BOARD))


def grant(*devices: DeviceGrant, cpu_millis: int = 1000) -> Grant:
    return Grant((CpuGrant(0, cpu_millis),), 2 * GIB, devices)


def whole(index: int) -> DeviceGrant:
    return DeviceGrant(f"GPU-{index}", "gpu", index, 1000, 40 * GIB)


@pytest.mark.parametrize(("millis", "threads"), [(100, "1"), (1000, "1"), (1500, "2"), (4000, "4")])
def test_threads_are_the_processors_rounded_up(millis: int, threads: str) -> None:
    variables = grant_variables(grant(cpu_millis=millis), MACHINE)
    assert {variables[name] for name in THREAD_VARIABLES} == {threads}


def test_cuda_sees_exactly_the_granted_gpus() -> None:
    variables = grant_variables(grant(whole(1), whole(0)), MACHINE)
    assert variables["CUDA_VISIBLE_DEVICES"] == variables["NVIDIA_VISIBLE_DEVICES"] == "GPU-1,GPU-0"
    assert variables["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "AIOS_GPU_MEMORY_BYTES" not in variables


def test_a_job_without_gpus_sees_none_where_there_are_some() -> None:
    variables = grant_variables(grant(), MACHINE)
    assert variables["CUDA_VISIBLE_DEVICES"] == ""
    assert variables["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_a_machine_without_gpus_says_nothing_about_cuda() -> None:
    assert not [name for name in grant_variables(grant(), machine()) if "VISIBLE" in name]


def test_a_part_of_a_gpu_says_how_much_memory() -> None:
    parts = (DeviceGrant("GPU-0", "gpu", 0, 250, 10 * GIB), DeviceGrant("GPU-0", "gpu", 0, 250, 10 * GIB))
    variables = grant_variables(grant(*parts), MACHINE)
    assert variables["CUDA_VISIBLE_DEVICES"] == "GPU-0"
    assert variables["AIOS_GPU_MEMORY_BYTES"] == str(20 * GIB)


def test_other_kinds_give_their_numbers_and_files() -> None:
    devices = [DeviceGrant(device.id, device.kind, device.index, 1000, 0) for device in BOARD[1:]]
    variables = grant_variables(grant(*devices), MACHINE)
    assert variables["AIOS_NPU_X_INDICES"] == "1"
    assert variables["AIOS_NPU_X_DEVICES"] == "/dev/npu1,/dev/npu1ctl"
    assert variables["AIOS_LICENSE_INDICES"] == "0"
    assert "AIOS_LICENSE_DEVICES" not in variables


def test_parts_go_through_mps_where_it_runs() -> None:
    parts = (DeviceGrant("GPU-1", "gpu", 1, 500, 20 * GIB), DeviceGrant("GPU-0", "gpu", 0, 250, 10 * GIB))
    variables = grant_variables(grant(*parts), MACHINE, "/run/mps")
    assert variables["CUDA_VISIBLE_DEVICES"] == "GPU-1,GPU-0"
    assert variables["CUDA_MPS_PIPE_DIRECTORY"] == "/run/mps"
    assert variables["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "25"
    assert variables["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=20480M,1=10240M"


@pytest.mark.parametrize("devices", [(), (whole(0),), (DeviceGrant("MIG-0", "gpu", 0, 500, GIB),)], ids=["none", "whole", "instance"])
def test_what_is_not_a_part_of_a_gpu_does_not_go_through_mps(devices: tuple[DeviceGrant, ...]) -> None:
    assert not [name for name in grant_variables(grant(*devices), MACHINE, "/run/mps") if "MPS" in name]
    assert not [name for name in grant_variables(grant(DeviceGrant("GPU-0", "gpu", 0, 500, GIB)), MACHINE) if "MPS" in name]

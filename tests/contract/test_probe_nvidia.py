"""The probe of NVIDIA GPUs, on recorded answers and on a real card."""

from pathlib import Path

import pytest

from aiosd.host.probes.nvidia import Nvml, probe_nvidia
from aiosd.resources.inventory import Device, DeviceLink
from aiosd.resources.settings import ResourceSettings
from tests.fakes.nvml import DRIVER_NOT_LOADED, NOT_SUPPORTED, UNKNOWN, FakeNvml, a100, failing_card, mig_card, nvlink_box

SETTINGS = ResourceSettings(state_directory="/")


def test_an_nvlink_box(tmp_path: Path) -> None:
    for index in range(8):
        place = tmp_path / "sys/bus/pci/devices" / f"0000:{0x07 + 0x20 * index:02x}:00.0"
        place.mkdir(parents=True)
        (place / "numa_node").write_text(f"{index // 4}\n", encoding="ascii")
    nvml = nvlink_box()
    found = probe_nvidia(SETTINGS, tmp_path, nvml)
    assert [device.numa_node for device in found.devices] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert found.devices[3] == Device(a100(3).uuid, "gpu", 3, "NVIDIA A100-SXM4-40GB", 40 << 30, 0, ("/dev/nvidia3",))
    assert len(found.links) == 28
    assert {link.kind for link in found.links} == {"nvlink"}
    assert not nvml.open


@pytest.mark.parametrize(("level", "kind"), [(0, "pix"), (10, "pix"), (20, "pxb"), (30, "phb"), (40, "node"), (50, "sys")])
def test_what_lies_between_two_gpus_without_nvlink(tmp_path: Path, level: int, kind: str) -> None:
    a, b = a100(0), a100(1)
    found = probe_nvidia(SETTINGS, tmp_path, FakeNvml((a, b), {(a.uuid, b.uuid): level}))
    assert found.links == (DeviceLink(a.uuid, b.uuid, kind),)


def test_a_split_card_is_its_instances(tmp_path: Path) -> None:
    access = {"gi2": 21, "gi2/ci0": 22, "gi9": 84, "gi9/ci0": 85}
    for place, minor in access.items():
        directory = tmp_path / "proc/driver/nvidia/capabilities/gpu0/mig" / place
        directory.mkdir(parents=True)
        (directory / "access").write_text(f"DeviceFileMinor: {minor}\nDeviceFileMode: 444\n", encoding="ascii")
    large, small, whole = probe_nvidia(SETTINGS, tmp_path, mig_card()).devices
    assert (large.id[:4], large.parent_id, large.model) == ("MIG-", a100(0).uuid, "NVIDIA A100-SXM4-40GB MIG 3g.20gb")
    assert large.paths == ("/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap21", "/dev/nvidia-caps/nvidia-cap22")
    assert small.memory_bytes == 5_100_273_664
    assert (whole.id, whole.parent_id) == (a100(1).uuid, "")


def test_a_split_card_without_instances_cannot_be_used(tmp_path: Path) -> None:
    (card,) = probe_nvidia(SETTINGS, tmp_path, FakeNvml((a100(0, mig=(None, None)),))).devices
    assert (card.id, card.health) == (a100(0).uuid, "MIG is on, but it has no instances")


def test_a_failing_card_is_ill_and_its_neighbours_are_well(tmp_path: Path) -> None:
    lost, closed, well = probe_nvidia(SETTINGS, tmp_path, failing_card()).devices
    assert (lost.id, lost.health) == (a100(0).uuid, "GPU is lost")
    assert (closed.id, closed.index, closed.health) == ("", 1, "Unknown Error")
    assert (well.id, well.health) == (a100(2).uuid, "ok")


def test_a_gpu_that_shares_the_machines_memory_is_well(tmp_path: Path) -> None:
    (card,) = probe_nvidia(SETTINGS, tmp_path, FakeNvml((a100(0, errors={"memory": NOT_SUPPORTED}, minor=-1, bus=""),))).devices
    assert (card.memory_bytes, card.paths, card.health) == (0, (), "ok")


def test_no_driver_is_normal_and_a_broken_one_is_said(tmp_path: Path) -> None:
    absent = probe_nvidia(SETTINGS, tmp_path, FakeNvml(init_error=DRIVER_NOT_LOADED))
    broken = probe_nvidia(SETTINGS, tmp_path, FakeNvml(init_error=UNKNOWN))
    assert (absent.devices, absent.warnings) == ((), ())
    assert broken.warnings == ("NVIDIA's management library cannot be used: Unknown Error",)


@pytest.mark.parametrize("name", [name for name in vars(Nvml) if name.startswith("nvml")])
def test_the_library_and_its_fake_have_every_function(name: str) -> None:
    pynvml = pytest.importorskip("pynvml")
    assert callable(getattr(pynvml, name))
    assert callable(getattr(FakeNvml, name))


@pytest.mark.gpu
def test_a_real_card() -> None:
    found = probe_nvidia(SETTINGS)
    assert not found.warnings
    assert found.devices
    for device in found.devices:
        assert device.id.startswith(("GPU-", "MIG-"))
        assert device.model
        assert all(Path(path).exists() for path in device.paths)
        assert device.health == "ok"

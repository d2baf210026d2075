"""The probe of NVIDIA GPUs, on recorded answers and on a real card."""

from pathlib import Path

import pytest

from aiosd.host.probes.nvidia import probe_nvidia
from aiosd.host.probes.nvml import Nvml
from aiosd.resources.inventory import Device, DeviceLink
from aiosd.resources.settings import ResourceSettings
from aiosd.resources.topology import bytes_per_s, pcie_bytes_per_s
from tests.fakes.nvml import DRIVER_NOT_LOADED, NOT_SUPPORTED, UNKNOWN, FakeNvml, a100, failing_card, mig_card, nvlink_box

GB = 10**9
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
    assert {(link.kind, link.nvlinks, link.bytes_per_s) for link in found.links} == {("nvlink", 12, 240 * GB)}
    assert not nvml.open


@pytest.mark.parametrize(("level", "kind"), [(0, "pix"), (10, "pix"), (20, "pxb"), (30, "phb"), (40, "node"), (50, "sys")])
def test_what_lies_between_two_gpus_without_nvlink(tmp_path: Path, level: int, kind: str) -> None:
    a, b = a100(0), a100(1)
    found = probe_nvidia(SETTINGS, tmp_path, FakeNvml((a, b), {(a.uuid, b.uuid): level}))
    assert found.links == (DeviceLink(a.uuid, b.uuid, kind, 0, pcie_bytes_per_s(kind)),)


def test_the_slower_slot_of_two_counts(tmp_path: Path) -> None:
    for bus, speed, width in (("0000:07:00.0", "16.0 GT/s PCIe", "16"), ("0000:27:00.0", "16.0 GT/s PCIe", "8")):
        place = tmp_path / "sys/bus/pci/devices" / bus
        place.mkdir(parents=True)
        (place / "max_link_speed").write_text(f"{speed}\n", encoding="ascii")
        (place / "max_link_width").write_text(f"{width}\n", encoding="ascii")
    a, b = a100(0), a100(1)
    (link,) = probe_nvidia(SETTINGS, tmp_path, FakeNvml((a, b), {(a.uuid, b.uuid): 10})).links
    assert link.bytes_per_s == 12 * GB
    (tmp_path / "sys/bus/pci/devices/0000:07:00.0/max_link_speed").write_text("Unknown\n", encoding="ascii")
    (link,) = probe_nvidia(SETTINGS, tmp_path, FakeNvml((a, b), {(a.uuid, b.uuid): 10})).links
    assert link.bytes_per_s == pcie_bytes_per_s("pix")


def test_nvlinks_from_card_to_card_are_counted_by_pair(tmp_path: Path) -> None:
    """As on a box without switches: two links to one neighbour, one to another, one that is down."""
    bus = [a100(index).bus for index in range(3)]
    first = a100(0, nvlinks=(bus[1].lower(), bus[1], "", bus[2]), capability=(7, 0))
    second = a100(1, nvlinks=(bus[0], bus[0]), capability=(7, 0))
    third = a100(2, nvlinks=(bus[0],), capability=(7, 0))
    pairs = {(first.uuid, second.uuid): "nvlink", (first.uuid, third.uuid): "nvlink", (second.uuid, third.uuid): 50}
    found = probe_nvidia(SETTINGS, tmp_path, FakeNvml((first, second, third), pairs)).links
    assert [(link.kind, link.nvlinks, link.bytes_per_s) for link in found] == [
        ("nvlink", 2, 40 * GB), ("nvlink", 1, 20 * GB), ("sys", 0, pcie_bytes_per_s("sys")),
    ]  # fmt: skip


def test_a_driver_that_tells_nothing_of_its_nvlinks_still_has_them(tmp_path: Path) -> None:
    a, b = a100(0, errors={"nvlink": UNKNOWN, "capability": UNKNOWN}), a100(1)
    (link,) = probe_nvidia(SETTINGS, tmp_path, FakeNvml((a, b), {(a.uuid, b.uuid): "nvlink"})).links
    assert link == DeviceLink(a.uuid, b.uuid, "nvlink")
    assert bytes_per_s(link) > pcie_bytes_per_s("pix")


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

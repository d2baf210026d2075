"""Every probe: on trees of files as known machines have them, and on the machine at hand."""

import os
import threading
from pathlib import Path

import pytest

from aiosd.errors import ConfigError
from aiosd.host.probes import PROBES, _ask, discover, survey
from aiosd.host.probes.cpu import probe_cpu_model, probe_cpus, probe_numa_nodes
from aiosd.host.probes.declared import probe_declared
from aiosd.host.probes.disk import probe_disk
from aiosd.host.probes.found import Found
from aiosd.host.probes.fpga import probe_fpga
from aiosd.host.probes.kernel_files import parse_list
from aiosd.host.probes.memory import probe_memory
from aiosd.resources.inventory import Cpu, NumaNode
from aiosd.resources.settings import DeclaredDevice, ResourceSettings

MIB = 1 << 20
GIB = 1 << 30
NOTHING = ResourceSettings(state_directory="/")


def plant(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n", encoding="utf-8")


@pytest.fixture
def two_sockets(tmp_path: Path) -> Path:
    """Two sockets of two cores of two threads; 0 and 4 are threads of one core; 64 GiB."""
    files = {"sys/devices/system/cpu/online": "0-7", "proc/meminfo": "MemTotal:       67108864 kB\nMemFree: 1 kB"}
    files["proc/cpuinfo"] = "processor\t: 0\nmodel name\t: Quick CPU 2"
    for cpu in range(8):
        topology = f"sys/devices/system/cpu/cpu{cpu}/topology"
        files |= {f"{topology}/core_id": str(cpu % 2), f"{topology}/physical_package_id": str(cpu % 4 // 2)}
    files |= {"sys/devices/system/node/node0/cpulist": "0-1,4-5", "sys/devices/system/node/node1/cpulist": "2-3,6-7"}
    files |= {f"sys/devices/system/node/node{n}/meminfo": f"Node {n} MemTotal:       33554432 kB\nNode {n} MemFree: 5 kB" for n in (0, 1)}
    files["proc/sys/kernel/hostname"] = "quick"
    files["proc/sys/kernel/osrelease"] = "6.8.0"
    plant(tmp_path, files)
    return tmp_path


def in_v2(root: Path, group: str, files: dict[str, str], top: str = "/") -> None:
    """Put this process into a group of version 2, of which some files are given by their path below the mount."""
    plant(root, {"proc/self/cgroup": f"0::{group}", "proc/self/mountinfo": f"30 23 0:26 {top} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw"})
    plant(root, {f"sys/fs/cgroup/{path}": text for path, text in files.items()})


def in_v1(root: Path, group: str, files: dict[str, str]) -> None:
    cgroups = f"12:memory:{group}\n5:cpu,cpuacct:{group}\n3:cpuset:{group}\n1:name=systemd:{group}\n0::{group}"
    mounts = "\n".join(f"3{n} 23 0:3{n} / /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}" for n, name in enumerate(("memory", "cpu,cpuacct", "cpuset")))
    plant(root, {"proc/self/cgroup": cgroups, "proc/self/mountinfo": mounts})
    plant(root, {f"sys/fs/cgroup/{path}": text for path, text in files.items()})


def ids(cpus: tuple[Cpu, ...]) -> list[int]:
    return [cpu.id for cpu in cpus]


ALL = frozenset(range(8))

# Processors


def test_processors_have_their_core_socket_and_node(two_sockets: Path) -> None:
    cpus = probe_cpus(ALL, root=two_sockets)
    assert ids(cpus) == list(range(8))
    assert cpus[5] == Cpu(id=5, core=1, socket=0, numa_node=0)
    assert cpus[6] == Cpu(id=6, core=0, socket=1, numa_node=1)
    assert probe_numa_nodes(two_sockets) == (NumaNode(0, (0, 1, 4, 5), 32 * GIB), NumaNode(1, (2, 3, 6, 7), 32 * GIB))
    assert probe_cpu_model(two_sockets) == "Quick CPU 2"


def test_only_what_this_process_may_use_and_what_is_online(two_sockets: Path) -> None:
    plant(two_sockets, {"sys/devices/system/cpu/online": "0-5"})
    assert ids(probe_cpus(frozenset({1, 4, 7}), root=two_sockets)) == [1, 4]


def test_numa_nodes_know_how_far_the_others_are(two_sockets: Path) -> None:
    plant(two_sockets, {"sys/devices/system/node/node0/distance": "10 21", "sys/devices/system/node/node1/distance": "unknown"})
    assert [node.distances for node in probe_numa_nodes(two_sockets)] == [(10, 21), ()]


def test_a_machine_that_hides_its_topology_still_has_processors(tmp_path: Path) -> None:
    assert probe_cpus(frozenset({0, 1}), root=tmp_path) == (Cpu(0, 0, 0, 0), Cpu(1, 1, 0, 0))


def test_reserved_processors_are_the_first(two_sockets: Path) -> None:
    assert ids(probe_cpus(ALL, reserved=2, root=two_sockets)) == [1, 2, 3, 5, 6, 7]  # 0 and 4 are one core
    with pytest.raises(ConfigError, match=r"cpus_reserved = 8 leaves no processor for jobs: this machine has 8"):
        probe_cpus(ALL, reserved=8, root=two_sockets)


@pytest.mark.parametrize(("quota", "count"), [("250000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("900000 100000", 8), ("0 0", 8)])
def test_a_quota_shows_so_many_whole_processors(two_sockets: Path, quota: str, count: int) -> None:
    in_v2(two_sockets, "/pod/box", {"pod/box/cpu.max": "max 100000", "pod/cpu.max": quota})  # the parent's counts as well
    assert len(probe_cpus(ALL, root=two_sockets)) == count


def test_a_quota_shows_neighbours_and_different_hosts_different_ones(two_sockets: Path) -> None:
    in_v2(two_sockets, "/", {"cpu.max": "200000 100000"})
    windows = {tuple(ids(probe_cpus(ALL, hostname=f"pod-{n}", root=two_sockets))) for n in range(20)}
    assert windows == {(0, 4), (1, 5), (2, 6), (3, 7)}


def test_limits_of_version_1(two_sockets: Path) -> None:
    in_v1(
        two_sockets,
        "/docker/12ab",  # a container: the path is the host's, the mount is the container's own group
        {
            "cpu,cpuacct/cpu.cfs_quota_us": "350000",
            "cpu,cpuacct/cpu.cfs_period_us": "100000",
            "cpuset/cpuset.cpus": "2-7",
            "memory/memory.limit_in_bytes": str(8 * GIB),
        },
    )
    cpus = ids(probe_cpus(ALL, root=two_sockets))
    assert len(cpus) == 3
    assert set(cpus) <= {2, 3, 4, 5, 6, 7}
    assert probe_memory(0, two_sockets).total_bytes == 8 * GIB


def test_the_cpuset_of_version_2(two_sockets: Path) -> None:
    in_v2(two_sockets, "/box", {"cpuset.cpus.effective": "0-7", "box/cpuset.cpus.effective": "3,6"})
    assert ids(probe_cpus(ALL, root=two_sockets)) == [3, 6]


# Memory


def test_the_automatic_reserve(two_sockets: Path) -> None:
    assert probe_memory(None, two_sockets) == (64 * GIB, 64 * GIB - 64 * GIB * 3 // 100)
    plant(two_sockets, {"proc/meminfo": f"MemTotal: {2 * MIB} kB"})
    assert probe_memory(None, two_sockets) == (2 * GIB, 2 * GIB - 256 * MIB)
    plant(two_sockets, {"proc/meminfo": f"MemTotal: {300 * 1024} kB"})
    assert probe_memory(None, two_sockets) == (300 * MIB, 150 * MIB)


def test_the_tightest_memory_limit_up_the_tree_counts(two_sockets: Path) -> None:
    in_v2(two_sockets, "/a/b", {"a/b/memory.max": "max", "a/memory.max": str(4 * GIB), "memory.max": str(9 * GIB)})
    assert probe_memory(GIB, two_sockets) == (4 * GIB, 3 * GIB)


def test_a_mount_that_shows_only_a_part_of_the_tree(two_sockets: Path) -> None:
    in_v2(two_sockets, "/pods/one/inner", {"inner/memory.max": str(2 * GIB)}, top="/pods/one")
    assert probe_memory(0, two_sockets).total_bytes == 2 * GIB


def test_huge_pages_are_not_for_everybody(two_sockets: Path) -> None:
    plant(two_sockets, {"proc/meminfo": "MemTotal: 67108864 kB\nHugetlb:  4194304 kB"})
    assert probe_memory(0, two_sockets).total_bytes == 60 * GIB


def test_a_reserve_that_leaves_nothing_is_refused(two_sockets: Path) -> None:
    with pytest.raises(ConfigError, match="this machine has 64 GiB"):
        probe_memory(64 * GIB, two_sockets)


# Declared devices and disk


def test_declared_by_number_and_by_files(tmp_path: Path) -> None:
    plant(tmp_path, {f"dev/accel{n}": "" for n in (10, 2, 1)})
    settings = ResourceSettings(
        state_directory="/",
        devices=(DeclaredDevice("license", count=2), DeclaredDevice("npu", paths=("/dev/accel*", "/dev/gone", "/dev/x*"), model="N1", memory_bytes=GIB)),
    )
    found = probe_declared(settings, tmp_path)
    assert [(device.kind, device.paths, device.health) for device in found.devices] == [
        ("license", (), "ok"),
        ("license", (), "ok"),
        ("npu", ("/dev/accel1",), "ok"),
        ("npu", ("/dev/accel2",), "ok"),
        ("npu", ("/dev/accel10",), "ok"),
        ("npu", ("/dev/gone",), "/dev/gone does not exist"),
    ]
    assert {(device.model, device.memory_bytes) for device in found.devices if device.kind == "npu"} == {("N1", GIB)}
    assert found.warnings == ("no file matches /dev/x*, declared as npu in resources.device",)


def test_disk_is_what_is_free_less_the_reserve(tmp_path: Path) -> None:
    free = probe_disk(tmp_path)
    assert free > 0
    assert probe_disk(tmp_path / "not" / "made" / "yet") == pytest.approx(free, rel=0.05)
    assert probe_disk(tmp_path, reserve_bytes=1 << 62) == 0


# FPGAs


def test_a_xilinx_card_is_its_user_function(tmp_path: Path) -> None:
    drivers = "sys/bus/pci/drivers"
    user = {"vendor": "0x10ee", "device": "0x5005", "numa_node": "1", "rom.u.0/VBNV": "xilinx_u250_gen3x16", "drm/renderD129/dev": "226:129"}
    plant(tmp_path, {f"{drivers}/xocl/0000:3b:00.1/{name}": text for name, text in user.items()})
    plant(tmp_path, {f"{drivers}/xclmgmt/0000:{bus}:00.0/vendor": "0x10ee" for bus in ("3b", "af")})
    plant(tmp_path, {f"{drivers}/xclmgmt/0000:af:00.0/device": "0x5004"})
    card, blocked = probe_fpga(NOTHING, tmp_path).devices
    assert (card.model, card.paths, card.numa_node, card.health) == ("xilinx_u250_gen3x16", ("/dev/dri/renderD129",), 1, "ok")
    assert (blocked.model, blocked.health) == ("PCI 10ee:5004", "the user function of 0000:af:00.0 has no driver (xocl)")


def test_an_intel_card_is_a_region_with_a_management_engine(tmp_path: Path) -> None:
    card = "sys/devices/pci0000:3a/0000:3b:00.0"
    plant(tmp_path, {f"{card}/{name}": text for name, text in (("vendor", "0x8086"), ("device", "0x0b30"), ("numa_node", "0"))})
    plant(tmp_path, {f"{card}/fpga_region/region0/{name}/uevent": "" for name in ("dfl-fme.0", "dfl-port.0", "dfl-port.1")})
    plant(tmp_path, {f"{card}/dfl-fme-mgr.1/fpga_manager/fpga0/state": "operating", "sys/class/fpga_region/region1/compat_id": "1"})
    (tmp_path / card / "fpga_region/region0/device").symlink_to(tmp_path / card)
    (tmp_path / card / "dfl-fme-mgr.1/fpga_manager/fpga0/device").symlink_to(tmp_path / card / "dfl-fme-mgr.1")
    (tmp_path / "sys/class/fpga_manager").mkdir()
    (tmp_path / "sys/class/fpga_manager/fpga0").symlink_to(tmp_path / card / "dfl-fme-mgr.1/fpga_manager/fpga0")
    (tmp_path / "sys/class/fpga_region/region0").symlink_to(tmp_path / card / "fpga_region/region0")
    (device,) = probe_fpga(NOTHING, tmp_path).devices  # neither its inner manager nor its inner region is a second one
    assert (device.model, device.paths, device.numa_node) == ("PCI 8086:0b30", ("/dev/dfl-port.0", "/dev/dfl-port.1", "/dev/dfl-fme.0"), 0)


@pytest.mark.parametrize(("state", "health"), [("operating", "ok"), ("unknown", "ok"), ("write error", "the FPGA manager fpga0 says: write error")])
def test_a_board_with_an_fpga_inside(tmp_path: Path, state: str, health: str) -> None:
    plant(tmp_path, {"sys/class/fpga_manager/fpga0/name": "Xilinx Zynq FPGA Manager", "sys/class/fpga_manager/fpga0/state": state})
    (device,) = probe_fpga(NOTHING, tmp_path).devices
    assert (device.model, device.health) == ("Xilinx Zynq FPGA Manager", health)


# Together


def test_devices_are_numbered_by_kind_and_found_once(two_sockets: Path) -> None:
    plant(two_sockets, {"dev/fpga0": "", "sys/class/fpga_manager/fpga0/name": "found", "sys/class/fpga_manager/fpga1/name": "another"})
    settings = ResourceSettings(state_directory="/", devices=(DeclaredDevice("fpga", paths=("/dev/fpga0",), model="declared"), DeclaredDevice("npu", count=1)))
    found = survey(settings, two_sockets, ALL).inventory
    assert [(device.id, device.model) for device in found.devices if device.kind != "gpu"] == [("fpga-0", "declared"), ("npu-0", ""), ("fpga-1", "another")]
    assert (found.hostname, found.kernel, found.cpu_millis) == ("quick", "6.8.0", 8000)


def test_a_probe_that_a_driver_keeps_costs_only_its_own_devices() -> None:
    hangs = threading.Event()

    def probe(settings: ResourceSettings, root: Path) -> Found:
        hangs.wait(60)
        return Found()

    found = _ask("nvidia", probe, ResourceSettings(state_directory="/"), Path("/"), patience_s=0.05)
    hangs.set()
    assert found == Found(warnings=("the nvidia probe has no answer after 0 s: its devices are not known",))


def test_an_error_in_a_probe_is_no_answer_of_the_machine() -> None:
    def probe(settings: ResourceSettings, root: Path) -> Found:
        raise KeyError("a slip")

    with pytest.raises(KeyError):
        _ask("nvidia", probe, ResourceSettings(state_directory="/"), Path("/"))


def test_a_probe_that_trips_costs_only_its_own_devices(two_sockets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trip(_settings: ResourceSettings, _root: Path) -> None:
        raise PermissionError(13, "Permission denied", "/dev/odd")

    monkeypatch.setitem(PROBES, "odd", trip)
    result = survey(ResourceSettings(state_directory="/", devices=(DeclaredDevice("npu", count=1),)), two_sockets, ALL)
    assert "npu-0" in [device.id for device in result.inventory.devices]
    assert any("the odd probe failed" in warning and "/dev/odd" in warning for warning in result.warnings)


@pytest.mark.parametrize(("text", "numbers"), [("", set()), ("0", {0}), ("0-2,5", {0, 1, 2, 5}), ("1\n3", {1, 3})])
def test_the_kernels_lists(text: str, numbers: set[int]) -> None:
    assert parse_list(text) == numbers


def test_this_machine(tmp_path: Path) -> None:
    found = discover(ResourceSettings(state_directory=str(tmp_path)))
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert {cpu.id for cpu in found.cpus} <= os.sched_getaffinity(0)
    assert found.cpus
    assert 0 < found.memory_bytes < found.memory_total_bytes <= physical
    assert found.disk_bytes > 0
    assert found.hostname
    assert len({device.id for device in found.devices}) == len(found.devices)

"""FPGAs that the kernel knows: Xilinx (XRT) cards, Intel DFL cards, and FPGA managers of boards with an FPGA inside.

Sources: the kernel's Documentation/fpga/dfl.rst and ABI/testing/sysfs-class-fpga-manager; XRT's sysfs.rst.
"""

from collections.abc import Iterator
from pathlib import Path

from aiosd.host.probes.found import Found
from aiosd.host.probes.kernel_files import listing, read_int, read_text
from aiosd.resources.inventory import Device
from aiosd.resources.settings import ResourceSettings


def probe_fpga(_settings: ResourceSettings, root: Path = Path("/")) -> Found:
    """Every FPGA once, with the device files that programs open."""
    return Found((*_xilinx(root), *_dfl(root), *_managers(root)))


def _xilinx(root: Path) -> Iterator[Device]:
    """Cards under XRT have two PCI functions: xocl's is what programs use, xclmgmt's is for the administrator.

    A card of which only the second has its driver is there, but cannot be used.
    """
    drivers = root / "sys/bus/pci/drivers"
    users = listing(drivers / "xocl", ["*:*:*.*"])
    for function in users:
        nodes = [f"/dev/dri/{node.name}" for node in listing(function / "drm", ["renderD*"])]
        health = "ok" if nodes else f"{function.name} has no render node"
        yield _device(_xilinx_model(function) or _pci_model(function), function, nodes, health)
    slots = {_slot(function) for function in users}
    for function in listing(drivers / "xclmgmt", ["*:*:*.*"]):
        if _slot(function) not in slots:
            yield _device(_xilinx_model(function) or _pci_model(function), function, [], f"the user function of {function.name} has no driver (xocl)")


def _slot(function: Path) -> str:
    """`0000:3b:00.1` without the number of the function: the card."""
    return function.name.rpartition(".")[0]


def _xilinx_model(function: Path) -> str:
    """The name of the shell on the card, such as xilinx_u250_gen3x16_xdma_shell_4_1."""
    return next((name for rom in listing(function, ["rom*", "rom*/*"]) if (name := read_text(rom / "VBNV"))), "")


def _dfl(root: Path) -> Iterator[Device]:
    """An FPGA region with a dfl-fme is a card: the fme reprograms it, each dfl-port is an accelerator on it."""
    for region in listing(root / "sys/class/fpga_region", ["region[0-9]*"]):
        engines = listing(region, ["dfl-fme.*"])
        if not engines:
            continue
        names = [path.name for path in (*listing(region, ["dfl-port.*"]), *engines)]
        yield _device(_pci_model(region / "device"), region / "device", [f"/dev/{name}" for name in names], "ok")


def _managers(root: Path) -> Iterator[Device]:
    """FPGA managers other than those inside DFL cards, which are part of their card."""
    for manager in listing(root / "sys/class/fpga_manager", ["fpga[0-9]*"]):
        if "dfl" in (manager / "device").resolve().name or "dfl-fme" in str(manager.resolve()):
            continue
        state = read_text(manager / "state")
        health = f"the FPGA manager {manager.name} says: {state}" if "error" in state else "ok"
        file = f"/dev/{manager.name}"
        yield _device(read_text(manager / "name"), manager / "device", [file] if (root / file.lstrip("/")).exists() else [], health)


def _pci_model(function: Path) -> str:
    """What is known of a PCI device without a database of names: its numbers."""
    vendor, device = read_text(function / "vendor"), read_text(function / "device")
    return f"PCI {vendor.removeprefix('0x')}:{device.removeprefix('0x')}" if vendor and device else ""


def _device(model: str, place: Path, paths: list[str], health: str) -> Device:
    node = read_int(place / "numa_node", -1)
    return Device(id="", kind="fpga", index=0, model=model, numa_node=node, paths=tuple(paths), health=health)

"""What is claimed has been tried: each resource's control files are written, a process is put in, refused a device, and killed."""

import subprocess
import sys
from collections.abc import Mapping

from aiosd.host import cell
from aiosd.host.cell import CannotConfine, Cell
from aiosd.host.cells.kernel import Tree
from aiosd.host.cells.limits import Limits, Machine
from aiosd.host.cells.port import RESOURCES, Enforcement

_PATIENCE_S = 10.0
# Waits for a line, tries to open each file, says which were refused, and waits for its end.
_SUBJECT = """
import os, sys
for path in sys.stdin.readline().split("\\0")[:-1]:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        print("opened", path, flush=True)
    except PermissionError:
        print("refused", flush=True)
    except OSError as error:
        print("silent", error, flush=True)
print("done", flush=True)
sys.stdin.read()
"""


def try_out(tree: Tree, machine: Machine) -> Enforcement:
    """What of a tree works. Leaves nothing behind. Blocks, for a few hundredths of a second."""
    limits = _limits(machine)
    lacking = {resource: why for resource in RESOURCES if resource != "end" and (why := _lacks(tree, resource, machine) or _try_writes(tree, resource, limits))}
    held = frozenset(RESOURCES) - lacking.keys()
    refused = _try_process(tree, limits, held)
    if "" in refused:  # none can be put in: then nothing of it holds
        return Enforcement(0, frozenset(), dict.fromkeys(RESOURCES, refused[""]))
    lacking.update(refused)
    return Enforcement(tree.version, held - lacking.keys(), lacking)


def _lacks(tree: Tree, resource: str, machine: Machine) -> str:
    if resource in ("io", "io weight") and not machine.disks:
        return "this machine has no disk that can be limited"
    return tree.lacks(resource)


def _limits(machine: Machine) -> Limits:
    """Of everything something; no process of the trial comes near them."""
    cpus = [cpu.id for cpu in machine.inventory.cpus][:1]
    files = tuple(dict.fromkeys(file for of_device in machine.devices.values() for file in of_device))
    return Limits(
        cpus=tuple(cpus), quota_us=50_000, cpu_weight=100, memory_bytes=256 << 20, pids=64, disks=machine.disks,
        io_read_bytes_per_s=1 << 40, io_write_bytes_per_s=1 << 40, io_weight=100, denied=files,
    )  # fmt: skip


def _try_writes(tree: Tree, resource: str, limits: Limits) -> str:
    """Why this resource cannot be limited; empty: it can."""
    made = Cell(*tree.cell(cell.TRIAL, limits, (resource,)))  # type: ignore[arg-type]
    try:
        made.make()
    except CannotConfine as error:
        return str(error)
    return "" if made.remove() else f"the control group '{made.killing}' cannot be removed"


def _try_process(tree: Tree, limits: Limits, held: frozenset[str]) -> Mapping[str, str]:
    """What does not work with a real process, by resource; "" where none can be put in at all."""
    made = Cell(*tree.cell(cell.TRIAL, limits, held))  # type: ignore[arg-type]
    subject = subprocess.Popen([sys.executable, "-I", "-S", "-c", _SUBJECT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        made.make()
        tree.place_spawner(subject.pid)
        for directory in made.directories:
            cell.write(f"{directory}/cgroup.procs", str(subject.pid))
        wrong = _try_devices(subject, limits) if limits.denied and "devices" in held else {}
        made.kill()
        return wrong | _try_end(subject)
    except (CannotConfine, OSError) as error:
        return {"": f"no process can be put into a control group: {error}"}
    finally:
        subject.kill()
        subject.communicate()
        made.remove()


def _try_devices(subject: "subprocess.Popen[bytes]", limits: Limits) -> dict[str, str]:
    """The first device file will do: the kernel decides about all by the same program or list."""
    assert subject.stdin is not None
    assert subject.stdout is not None
    subject.stdin.write(limits.denied[0].path.encode(errors="surrogateescape") + b"\0\n")
    subject.stdin.flush()
    answer = subject.stdout.readline().decode(errors="replace").strip()
    return {"devices": f"a process that was to be kept from it has opened '{limits.denied[0].path}'"} if answer.startswith("opened") else {}


def _try_end(subject: "subprocess.Popen[bytes]") -> dict[str, str]:
    try:
        subject.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        return {"end": f"a process was not killed with its control group within {_PATIENCE_S:g} s"}
    return {}

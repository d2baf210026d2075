"""What the daemon knows of itself and of its machine."""

import os
from pathlib import Path

from aiosd.host import isolation, itself
from aiosd.resources.inventory import Cpu, Device, Inventory


def test_the_machine_is_between_idle_and_busy() -> None:
    load = itself.LoadMeter().look()
    assert 0 <= load.cpu_busy_permille <= 1000
    assert load.memory_available_bytes > 0
    assert load.load_average_1m >= 0


def test_the_daemon_has_an_owner_and_a_size() -> None:
    assert (itself.own_user().uid, itself.own_user().gid) == (os.getuid(), os.getgid())
    assert itself.own_user().name
    assert 1 << 20 < itself.resident_bytes() < 1 << 40


def test_its_log_is_a_file_or_none() -> None:
    assert itself.log_file() == "" or Path(itself.log_file()).is_absolute()


def test_no_isolation_is_claimed_that_is_not_there() -> None:
    cpus = (Cpu(0, 0, 0, 0),)
    plain = isolation.report(Inventory("h", cpus, 1, 1))
    assert [line.resource for line in plain] == ["cpu", "memory", "disk", "network"]
    full = isolation.report(Inventory("h", cpus, 1, 1, devices=(Device("GPU-1", "gpu", 0), Device("fpga-0", "fpga", 0))))
    assert [line.resource for line in full] == ["cpu", "memory", "gpu", "devices", "disk", "network"]
    assert all(line.state == (isolation.WATCHED if line.resource == "disk" else isolation.NOT_ENFORCED) and line.detail for line in full)
    (disk,) = [line for line in isolation.report(Inventory("h", cpus, 1, 1), disk_enforced=True) if line.resource == "disk"]
    assert disk.state == "enforced by project quotas"

"""What the daemon knows of itself and of its machine."""

import os
from pathlib import Path

from aiosd.host import itself


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

"""The lock of the state directory: one holder, who is named to the others."""

import os
from pathlib import Path

import pytest

from aiosd.errors import AlreadyRunning, StorageUnwritable
from aiosd.host.lock import FILE, lock_state


def test_a_second_one_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    lock = lock_state(str(tmp_path))
    with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}") as caught:
        lock_state(str(tmp_path))
    assert caught.value.facts == {"pid": str(os.getpid()), "state_directory": str(tmp_path)}
    lock.release()


def test_after_release_the_next_may_have_it(tmp_path: Path) -> None:
    lock_state(str(tmp_path)).release()
    lock_state(str(tmp_path)).release()


def test_the_pid_of_a_dead_daemon_is_written_over_and_nothing_of_it_stays(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("12345678901234\n")
    lock = lock_state(str(tmp_path))
    assert (tmp_path / FILE).read_text() == f"{os.getpid()}\n"
    lock.release()


def test_the_lock_is_not_inherited_by_programs(tmp_path: Path) -> None:
    lock = lock_state(str(tmp_path))
    assert not os.get_inheritable(lock.descriptor)
    lock.release()


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageUnwritable, match=str(tmp_path / "none")):
        lock_state(str(tmp_path / "none"))

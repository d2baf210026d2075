"""A process is its pid and its start together, and a tree is found whole."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aiosd.errors import InvalidArgument
from aiosd.host import processes, runfile
from aiosd.host.processes import Process, descendants
from aiosd.host.records import RunRecord
from aiosd.host.signalling import number_of


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started
        started.kill()


def test_descendants_are_found_through_the_living_only() -> None:
    table = {pid: Process(pid, parent, 1, state, 0) for pid, parent, state in [(1, 0, "S"), (2, 1, "S"), (3, 2, "S"), (4, 2, "Z"), (5, 1, "T"), (9, 8, "S")]}
    assert [process.pid for process in descendants(table, 1)] == [2, 5, 3]
    assert descendants(table, 3) == []


def test_the_snapshot_knows_this_process_and_its_child(child: subprocess.Popen[bytes]) -> None:
    table = processes.snapshot()
    assert table[child.pid].parent == os.getpid()
    assert table[child.pid].start_ticks == runfile.start_ticks(child.pid)
    assert table[child.pid].session == os.getsid(0)


def test_a_signal_goes_to_the_process_that_was_meant_or_to_none(child: subprocess.Popen[bytes]) -> None:
    process = processes.snapshot()[child.pid]
    assert not processes.send(replace(process, start_ticks=process.start_ticks - 1), signal.SIGKILL)
    assert child.poll() is None
    assert processes.send(process, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not processes.send(process, signal.SIGKILL)


def test_a_shim_is_alive_only_as_itself_and_in_this_boot(child: subprocess.Popen[bytes]) -> None:
    boot = runfile.boot_id()
    record = RunRecord(shim_pid=child.pid, shim_start_ticks=runfile.start_ticks(child.pid), boot_id=boot)
    pidfd = processes.open_shim(record, boot)
    assert pidfd is not None
    assert not processes.ended(pidfd)
    os.close(pidfd)
    assert processes.open_shim(replace(record, shim_start_ticks=1), boot) is None
    assert processes.open_shim(record, "another boot") is None


@pytest.mark.parametrize("name", ["TERM", "SIGTERM", "term"])
def test_signals_have_names(name: str) -> None:
    assert number_of(name) == signal.SIGTERM


def test_an_unknown_signal_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="WINK"):
        number_of("WINK")

"""Where MPS counts as running, and what is said of it."""

import os
from pathlib import Path

import pytest

from aiosd.host.mps import gpu_memory_line, pipe_directory
from tests.unit.resources.machines import gpu, machine


def test_it_runs_where_its_control_pipe_is(tmp_path: Path) -> None:
    assert pipe_directory("auto", str(tmp_path)) == ""
    (tmp_path / "control").touch()
    assert pipe_directory("auto", str(tmp_path)) == str(tmp_path)
    assert pipe_directory("off", str(tmp_path)) == ""


@pytest.mark.root
def test_a_directory_that_a_user_made_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "control").touch()
    os.chown(tmp_path, 12345, 12345)
    assert pipe_directory("auto", str(tmp_path)) == ""


def test_what_is_said_of_it() -> None:
    assert gpu_memory_line(machine(), "/run/mps", "avoid") == ()
    (line,) = gpu_memory_line(machine(devices=(gpu(0),)), "/run/mps", "avoid")
    assert (line.resource, line.state) == ("gpu memory", "watched") and "MPS at /run/mps" in line.detail and "not handed out" in line.detail
    (line,) = gpu_memory_line(machine(devices=(gpu(0),)), "", "ignore")
    assert line.detail.endswith("shown and ignored; no MPS")

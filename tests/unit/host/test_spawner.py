"""The spawner's end of a warm shim."""

import os
import socket
import subprocess

from aiosd.host.spawner import _Warm


def test_a_shim_that_has_just_ended_takes_nothing_and_need_not_be_killed() -> None:
    process = subprocess.Popen(["/bin/true"])
    pidfd = os.pidfd_open(process.pid)
    process.wait()
    mine, its = socket.socketpair()
    its.close()
    warm = _Warm(process.pid, pidfd, mine, b"")
    assert not warm.give(b"4.-1.1\nplan")
    warm.kill()
    warm.close()

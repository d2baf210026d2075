"""What a shim kills is its own, also when numbers of processes are given out again."""

import os
import subprocess

from aiosd.host import shim


def test_a_process_that_has_other_parents_than_were_seen_is_a_stranger() -> None:
    process = subprocess.Popen(["sleep", "1000"])
    try:
        shim._kill(process.pid, (1 << 30, (1 << 30) + 1))
        shim._kill(1 << 30, (os.getpid(), os.getpid()))
        assert process.poll() is None
        shim._kill(process.pid, (1 << 30, os.getpid()))
        assert process.wait(30) == -9
    finally:
        process.kill()
        process.wait()

"""A child at work goes on where a signal of the kernel is none of its business."""

import subprocess
import sys

PROGRAM = """
import os, signal, sys, types
from aiosd.host.bywork_child import main

def work():
    os.kill(os.getpid(), signal.SIGIO)
    print("done")

module = types.ModuleType("at_work")
module.main = work
sys.modules["at_work"] = module
main("at_work", False)
"""


def test_a_lease_that_is_broken_ends_no_child() -> None:
    """Somebody may open a file for writing in the moment in which it is asked whether anybody has."""
    assert subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout == "done\n"

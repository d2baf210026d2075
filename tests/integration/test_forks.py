"""What the daemon starts as another user is forked, beside gRPC's threads: none of it crashes on its way to its program."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, os, subprocess, sys
from aiosd.__main__ import main
main(["--print-config"])
import grpc.aio

def fork():  # and not vfork, since it changes its user
    return subprocess.run(["/bin/true"], user=os.getuid()).returncode

async def beside():
    server = grpc.aio.server()
    server.add_insecure_port("unix:" + sys.argv[1])
    await server.start()
    print([code for code in [await asyncio.to_thread(fork) for _ in range(400)] if code], file=sys.stderr)
    await server.stop(0)

asyncio.run(beside())
"""


def test_what_is_forked_beside_grpc_does_not_crash(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "s")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n")

"""The watch of GPUs on a real NVIDIA machine: strangers, the jobs' own processes, their memory, and which devices CUDA sees."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aiosd.clock import SystemClock
from aiosd.host.gpu_watch import NvmlWatch, watched
from aiosd.host.probes.nvidia import probe_nvidia
from aiosd.monitoring.looks import DeviceLook, GpuProcess
from aiosd.resources.inventory import Inventory
from aiosd.resources.settings import ResourceSettings
from tests.e2e.daemon import Daemon, a_daemon, eventually

pytestmark = pytest.mark.gpu
MIB = 1 << 20
HELD_BYTES = 256 * MIB
INITIAL_NAMESPACE = "pid:[4026531836]"  # the kernel's own number for it

# Holds memory on the first device that CUDA shows, says how many there are, and lives until it is killed. The driver's library is all it needs.
HOLD = f"""
import ctypes, time
cuda = ctypes.CDLL("libcuda.so.1")
def ask(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    if code:
        raise SystemExit(f"{{name}}: {{code}}")
if cuda.cuInit(0) == 100:
    print("devices 0", flush=True)
    raise SystemExit
count, device, context, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
ask("cuInit", 0)
ask("cuDeviceGetCount", ctypes.byref(count))
ask("cuDeviceGet", ctypes.byref(device), 0)
ask("cuCtxCreate_v2", ctypes.byref(context), 0, device)
ask("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t({HELD_BYTES}))
print("devices", count.value, flush=True)
time.sleep(1000)
"""


@contextmanager
def stranger(output: Path) -> Iterator[int]:
    """A process that computes, and that is below neither this one nor a daemon."""
    made = subprocess.run(["sh", "-c", f'"$0" -c "$1" >{output} 2>&1 & echo $!', sys.executable, HOLD], stdout=subprocess.PIPE, check=True)
    pid = int(made.stdout)
    try:
        eventually(lambda: "devices" in output.read_text(), f"it holds memory: {output.read_text()}")
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def seen(pid: int, runs: dict[str, int]) -> GpuProcess | None:
    """How NVML shows the process now, once it does."""

    async def look() -> list[DeviceLook]:
        found = probe_nvidia(ResourceSettings(state_directory="/"))
        return list(await NvmlWatch(watched(Inventory("box", (), 0, 0, devices=found.devices)), SystemClock(), patience_s=30).look(runs) or ())

    return next((p for one in asyncio.run(look()) for p in one.processes or () if p.pid == pid), None)


@pytest.fixture
def numbers_are_ours(tmp_path: Path) -> None:
    """In a container the driver may know processes by other numbers than we do: then nothing can be told of them."""
    if os.readlink("/proc/self/ns/pid") == INITIAL_NAMESPACE:
        return
    with stranger(tmp_path / "first") as pid, suppress(AssertionError):
        eventually(lambda: seen(pid, {}), "NVML shows it", 10)
        return
    pytest.skip("NVML does not know the processes of this container by their numbers")


@pytest.fixture
def holder(numbers_are_ours: None, tmp_path: Path) -> Iterator[int]:
    with stranger(tmp_path / "said") as pid:
        yield pid


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with a_daemon({"AIOSD_DAEMON__LOG_FORMAT": "json", "AIOSD_MONITORING__PERIOD_S": "0.5"}) as daemon:
        yield daemon.start()


def test_a_stranger_is_seen_with_its_memory(holder: int) -> None:
    process = eventually(lambda: seen(holder, {}), "NVML shows it")
    assert process is not None and process.memory_bytes >= HELD_BYTES
    assert not process.run and not process.ours and not process.graphics and "python" in process.program


def test_a_process_below_a_shim_is_its_run_s(holder: int) -> None:
    process = eventually(lambda: seen(holder, {"1.-1.1": holder}), "NVML shows it")
    assert process is not None and process.run == "1.-1.1"


def test_a_stranger_keeps_a_gpu_from_being_handed_out(holder: int, daemon: Daemon) -> None:
    client = daemon.client()
    found = eventually(lambda: [use for use in client.node().foreign_use if use.pid == holder], "it is shown")
    assert found[0].memory_bytes >= HELD_BYTES and found[0].user
    count = len(client.node().inventory.devices_by_kind()["gpu"])
    job = daemon.aiosctl("run", "-d", "--gpus", str(count), "--", "true").stdout.decode().split()[-1]
    assert client.job(job).state.value == "queued" and f"pid {holder}" in daemon.aiosctl("why", job).stdout.decode()


def test_a_job_sees_what_it_was_granted(daemon: Daemon) -> None:
    job = daemon.aiosctl("run", "-d", "--gpus", "1", "--", sys.executable, "-c", HOLD).stdout.decode().split()[-1]
    eventually(lambda: "devices 1" in daemon.aiosctl("logs", job).stdout.decode(), "CUDA shows one device")


def test_a_job_s_memory_is_measured_and_is_no_foreign_use(numbers_are_ours: None, daemon: Daemon) -> None:
    client = daemon.client()
    eventually(lambda: not client.node().foreign_use, "the GPU is free")
    job = daemon.aiosctl("run", "-d", "--gpus", "1", "--", sys.executable, "-c", HOLD).stdout.decode().split()[-1]
    eventually(lambda: any(sample.gpu_memory_bytes >= HELD_BYTES for sample in client.stats(job).samples), "its memory is measured")
    assert not client.node().foreign_use


def test_a_job_without_a_gpu_sees_none(daemon: Daemon) -> None:
    done = daemon.aiosctl("run", "--", sys.executable, "-c", HOLD)
    assert "devices 0" in done.stdout.decode()

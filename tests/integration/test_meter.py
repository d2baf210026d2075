"""The meter on real processes: a stand-in for a shim with children below it."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiosd.clock import SystemClock
from aiosd.host.gpu_meter import GpuUse, GpuUses
from aiosd.host.meter import ProcMeter, parse_stat
from aiosd.monitoring.ports import WatchedRun
from aiosd.monitoring.series import Totals


@contextmanager
def shim(code: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs `code`, then says "ready", and lives until its input ends."""
    text = f"import os, subprocess, sys\n{code}\nprint('ready', flush=True)\nsys.stdin.read()\nos.killpg(0, 9)"
    process = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def measure(*pids: int, gpus: GpuUses | None = None) -> dict[str, Totals]:
    meter = ProcMeter(SystemClock(), gpus)
    try:
        return dict(asyncio.run(meter.measure([WatchedRun(f"run{n}", pid, "", 0.0, uses_gpu=gpus is not None) for n, pid in enumerate(pids)])))
    finally:
        meter.close()


BURN = "[sys.executable, '-c', 'import time\\nwhile time.process_time() < 0.3: pass']"


def test_the_time_of_those_that_ended_counts_on() -> None:
    with shim(f"subprocess.run({BURN})\nsubprocess.run(['sh', '-c', '\"$0\" \"$@\"; exec sleep 1000 &', *{BURN}])") as process:
        totals = measure(process.pid)["run0"]
    assert 0.5 <= totals.cpu_user_s + totals.cpu_system_s < 3.0


def test_the_time_of_those_that_live_counts_and_the_shim_s_own_does_not() -> None:
    child = "import time\nwhile time.process_time() < 0.3: pass\nprint('ready', flush=True)\ntime.sleep(1000)"
    own = "import time\nwhile time.process_time() < 1.0: pass\n"
    with shim(f"{own}made = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\nmade.stdout.readline()") as process:
        totals = measure(process.pid)["run0"]
    assert 0.25 <= totals.cpu_user_s + totals.cpu_system_s < 0.9
    assert totals.processes == 1


def test_memory_of_the_tree_and_what_is_shared_counts_once() -> None:
    block = 64 << 20
    grandchildren = (
        "import mmap, os, time\n"
        f"shared = mmap.mmap(-1, {block}); shared.write(bytes({block}))\n"
        "reading, writing = os.pipe()\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        sum(shared[::4096]); os.write(writing, b'x'); time.sleep(1000)\n"
        "for _ in range(3): os.read(reading, 1)\n"
        "print('ready', flush=True)\n"
        "time.sleep(1000)"
    )
    with shim(f"made = subprocess.Popen([sys.executable, '-c', {grandchildren!r}], stdout=subprocess.PIPE)\nmade.stdout.readline()") as process:
        totals = measure(process.pid)["run0"]
    assert totals.processes == 4
    assert block < totals.memory_bytes < 2.5 * block  # four times the block if it were summed up


def test_bytes_written(tmp_path: Path) -> None:
    with shim(f"subprocess.run(['dd', 'if=/dev/zero', 'of={tmp_path}/file', 'bs=1M', 'count=4', 'conv=fsync'], stderr=subprocess.DEVNULL)") as process:
        totals = measure(process.pid)["run0"]
    if not Path("/proc/self/io").exists():
        pytest.skip("this kernel does not count what processes write")
    assert totals.write_bytes == 0 or 4 << 20 <= totals.write_bytes < 5 << 20  # 0: the directory is in memory


def test_a_run_that_is_gone_is_left_out() -> None:
    with shim("") as process:
        gone = subprocess.Popen(["true"])
        gone.wait()
        assert measure(process.pid, gone.pid).keys() == {"run0"}


def test_many_runs_are_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    listdir = os.listdir

    def counting(path: str) -> list[str]:
        listed.append(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", counting)
    with shim("subprocess.Popen(['sleep', '1000'])") as first, shim("subprocess.Popen(['sleep', '1000'])") as second:
        listed.clear()
        assert [t.processes for t in measure(first.pid, second.pid).values()] == [1, 1]
        assert listed == ["/proc"]


def test_a_hundred_processes_are_measured_in_no_time() -> None:
    with shim("for _ in range(100): subprocess.Popen(['sleep', '1000'])") as process:
        begun = time.process_time()
        totals = measure(process.pid)
        assert totals["run0"].processes == 100
        assert time.process_time() - begun < 0.5


def test_a_name_may_hold_anything() -> None:
    line = b"7 (a ) b (\n) S 3 7 7 0 -1 4194304 100 200 5 6 11 12 13 14 20 0 1 0 99 1000 10 18446744073709551615"
    assert parse_stat(line) == (3, b"S", 11, 12, 13, 14, 5, 6)


def test_gpu_use_is_summed_over_the_tree() -> None:
    class Gpus:
        def by_process(self) -> dict[int, GpuUse]:
            return {int(name): GpuUse(10, 100) for name in os.listdir("/proc") if name.isdigit()}

    with shim("for _ in range(2): subprocess.Popen(['sleep', '1000'])") as process:
        totals = measure(process.pid, gpus=Gpus())["run0"]
    assert (totals.gpu_memory_bytes, totals.gpu_permille) == (20, 200)

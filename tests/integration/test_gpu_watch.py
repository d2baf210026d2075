"""The watch of GPUs on recorded answers of NVML, with real processes in the place of the recorded ones; and on a driver that hangs."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pynvml
import pytest
import structlog

from aiosd.clock import SystemClock
from aiosd.host import gpu_look
from aiosd.host.gpu_look import GpuEyes, Watched
from aiosd.host.gpu_meter import GpuUse
from aiosd.host.gpu_watch import NvmlWatch, watched
from aiosd.monitoring.illness import CRITICAL_XIDS, Illness
from aiosd.resources.inventory import Device, Inventory
from tests.fakes.nvml import DRIVER_NOT_LOADED, FakeNvml, PlayedNvml, a100, frames_of, played
from tests.fakes.record_nvml import record

CARDS = (Watched(a100(0).uuid, "gpu 0"), Watched(a100(1).uuid, "gpu 1"))
GIB = 1 << 30


@contextmanager
def stranger() -> Iterator[int]:
    """A process that is not below this one, as somebody else's is not below the daemon."""
    made = subprocess.run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"], stdout=subprocess.PIPE, check=True)
    pid = int(made.stdout)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def shim() -> Iterator[tuple[int, int]]:
    """A process, and one below it."""
    script = "import subprocess, sys\nmade = subprocess.Popen(['sleep', '1000'])\nprint(made.pid, flush=True)\nsys.stdin.read()\nmade.kill()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.pid, int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def eyes(nvml: FakeNvml, devices: tuple[Watched, ...] = CARDS) -> GpuEyes:
    return GpuEyes(devices, lambda: nvml)  # type: ignore[arg-type, return-value]


def frames(nvml: PlayedNvml, devices: tuple[Watched, ...] = CARDS, runs: dict[str, int] | None = None) -> Iterator[list]:  # type: ignore[type-arg]
    looking = eyes(nvml, devices)
    for _ in nvml.frames:
        yield looking.look(runs or {})
        nvml.advance()


def test_a_stranger_and_a_desktop_are_told_with_their_users() -> None:
    with stranger() as pid, stranger() as desktop:
        seen = list(frames(played("foreign_process", {4242: pid, 900: desktop})))
    first = [look[0].processes for look in seen]
    assert [len(p) for p in first] == [*[0] * 2, *[1] * 5, *[0] * 5]
    (process,) = first[3]
    me = os.stat("/proc/self").st_uid
    assert (process.pid, process.memory_bytes, process.busy_permille, process.graphics, process.run, process.ours) == (pid, 3 * GIB, 970, False, "", False)
    assert process.user == __import__("pwd").getpwuid(me).pw_name and process.program
    assert seen[0][1].processes[0].graphics and not seen[0][1].trouble


def test_a_process_belongs_to_the_run_whose_shim_is_above_it_and_the_daemon_s_own_to_none() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    try:
        with shim() as (above, below):
            look = next(frames(played("shared_card", {1001: below, 1002: child.pid}), CARDS[:1], {"7.-1.1": above}))[0]
    finally:
        child.kill()
        child.wait()
    assert [(p.pid, p.run, p.ours) for p in look.processes] == [(below, "7.-1.1", False), (child.pid, "", True)]
    assert [p.busy_permille for p in look.processes] == [500, 300]


def test_a_process_that_is_not_there_any_more_is_nobody_s() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert next(frames(played("foreign_process", {900: gone.pid})))[1].processes == ()


def test_the_parts_of_a_split_card_are_looked_at_one_by_one() -> None:
    parts = tuple(Watched(f"MIG-11111111-aaaa-5555-8888-00000000000{n}", f"gpu {n}", (), a100(0).uuid) for n in (1, 2))
    with stranger() as one, stranger() as other:
        seen = list(frames(played("mig", {1001: one, 4242: other}), (*parts, CARDS[1])))
    assert [[p.pid for p in look.processes] for look in seen[0]] == [[one], [other], []]
    assert [look.busy_permille for look in seen[0]] == [None, None, 0]
    assert [look.xids for look in seen[2]] == [(31,), (31,), ()]
    assert not seen[3][0].xids


def test_a_card_that_falls_off_the_bus_is_ill_at_once_and_its_neighbour_is_well() -> None:
    illness, said = Illness(), []
    for n, looks in enumerate(frames(played("xid"))):
        for look in looks:
            illness.see(look, float(n))
        said.append(illness.health(float(n)))
    assert {look[CARDS[0].device_id] for look in said} == {"ok"}
    assert [look[CARDS[1].device_id] for look in said] == ["ok", "ok", *[f"XID 79: {CRITICAL_XIDS[79]}"] * 6]


def test_a_glitch_is_nothing_a_lost_card_is_ill_and_comes_back() -> None:
    illness, said = Illness(), []
    for n, looks in enumerate(frames(played("lost_and_back"))):
        for look in looks:
            illness.see(look, float(n))
        said.append(illness.health(float(n)))
    assert {look[CARDS[0].device_id] for look in said} == {"ok"}
    second = [look[CARDS[1].device_id] for look in said]
    assert second == [*["ok"] * 6, *["GPU is lost"] * 8, "ok", *["2 new uncorrectable memory errors"] * 5]


def test_a_device_file_that_is_gone_is_trouble(tmp_path: Path) -> None:
    file = tmp_path / "nvidia0"
    file.touch()
    inventory = Inventory(
        "box",
        (),
        0,
        0,
        devices=(
            Device(a100(0).uuid, "gpu", 0, paths=(str(file), str(tmp_path / "never"))),
            Device("GPU-x", "gpu", 1, health="ill"),
            Device("npu-0", "npu", 0),
        ),
    )
    devices = watched(inventory)
    assert devices == (Watched(a100(0).uuid, "gpu 0", (str(file),)),)
    looking = eyes(FakeNvml((a100(0),)), devices)
    assert looking.look({})[0].trouble == ""
    file.unlink()
    assert looking.look({})[0].trouble == f"its device file {file} is gone"


def test_a_driver_that_cannot_be_used_is_trouble_of_every_device_and_is_tried_again() -> None:
    nvml = FakeNvml((a100(0),), init_error=DRIVER_NOT_LOADED)
    looking = eyes(nvml, CARDS[:1])
    assert looking.look({})[0].trouble == "NVIDIA's driver does not answer: Driver Not Loaded"
    nvml._init_error = 0
    assert looking.look({})[0].trouble == ""


def test_after_many_bad_answers_the_library_is_opened_anew() -> None:
    nvml = FakeNvml((a100(0, errors={"handle": 15}),))
    opened = []
    nvml.nvmlInit = lambda: (opened.append(1), setattr(nvml, "open", True))[0]  # type: ignore[method-assign, func-returns-value]
    looking = eyes(nvml, CARDS[:1])
    for _ in range(12):
        assert looking.look({})[0].trouble == "GPU is lost"
    assert len(opened) == 2


def test_the_meter_gets_what_each_process_uses() -> None:
    async def scenario() -> None:
        with stranger() as one, stranger() as other:
            nvml = played("shared_card", {1001: one, 1002: other})
            watch = NvmlWatch(CARDS[:1], SystemClock(), lambda: nvml)  # type: ignore[arg-type, return-value]
            assert watch.by_process() == {}
            await watch.look({})
            assert watch.by_process() == {one: GpuUse(8 * GIB, 500), other: GpuUse(12 * GIB, 300)}

    asyncio.run(scenario())


def test_a_driver_that_hangs_keeps_nobody_waiting_and_its_answer_is_taken_when_it_comes() -> None:
    hangs = threading.Event()

    async def scenario() -> None:
        nvml = FakeNvml((a100(0),))
        nvml.nvmlInit = lambda: (hangs.wait(60), setattr(nvml, "open", True))[1]  # type: ignore[method-assign, func-returns-value]
        watch = NvmlWatch(CARDS[:1], SystemClock(), lambda: nvml, patience_s=0.05)  # type: ignore[arg-type, return-value]
        assert await watch.look({}) is None
        assert await watch.look({}) is None
        hangs.set()
        for _ in range(600):
            if (looks := await watch.look({})) is not None:
                break
        assert looks is not None and looks[0].device_id == CARDS[0].device_id

    asyncio.run(scenario())


def test_a_daemon_ends_although_its_driver_hangs() -> None:
    program = (
        "import asyncio, threading, types\n"
        "from aiosd.clock import SystemClock\nfrom aiosd.host.gpu_look import Watched\nfrom aiosd.host.gpu_watch import NvmlWatch\n"
        "nvml = types.SimpleNamespace(nvmlInit=lambda: threading.Event().wait())\n"
        "watch = NvmlWatch((Watched('GPU-0', 'gpu 0'),), SystemClock(), lambda: nvml, 0.05)\n"
        "print(asyncio.run(watch.look({})))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("None\n", 0), done.stderr


def test_a_look_that_fails_as_nobody_foresaw_is_logged_and_is_none() -> None:
    fails = [True]

    def load() -> FakeNvml:
        if fails[0]:
            raise ZeroDivisionError("a slip")
        return FakeNvml((a100(0),))

    async def scenario() -> None:
        watch = NvmlWatch(CARDS[:1], SystemClock(), load)  # type: ignore[arg-type]
        with structlog.testing.capture_logs() as logged:
            assert await watch.look({}) is None and await watch.look({}) is None
        assert [record["event"] for record in logged] == ["a look at the GPUs failed"]
        fails.insert(0, False)
        assert await watch.look({})

    asyncio.run(scenario())


def test_what_is_asked_is_what_the_library_has() -> None:
    """No test here can ask the real one, but its names can be looked at."""
    asked = set(re.findall(r"\bnvml\w+", Path(gpu_look.__file__).read_text(encoding="utf-8"))) - {"nvml"}
    assert len(asked) > 10
    assert not [name for name in asked if not hasattr(pynvml, name)]


@pytest.mark.parametrize("name", ["foreign_process", "shared_card", "mig"])
def test_what_is_played_is_recorded_as_it_was(name: str) -> None:
    nvml = played(name)
    again = record(nvml, len(nvml.frames), 1.0, "", lambda seconds: nvml.advance())
    assert frames_of(json.loads(json.dumps(again)), {}) == [list(frame) for frame in nvml.frames]

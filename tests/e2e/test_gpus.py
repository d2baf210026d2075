"""GPUs from end to end: a real daemon with real jobs, whose NVML is played from a file that the test writes."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import aios
from tests.arch.source import ROOT
from tests.e2e.daemon import Daemon, a_daemon, eventually

GIB = 1 << 30
SETTINGS = {
    "AIOSD_DAEMON__LOG_FORMAT": "json",
    "AIOSD_MONITORING__GPU_PERIOD_S": "0.1",
    "AIOSD_RESOURCES__GPU_MEMORY_PATIENCE_S": "0.5",
    "AIOSD_RESOURCES__GPU_IDLE_S": "1",
}


class Cards:
    """Two A100s; `show` replaces what they answer."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.show()

    @property
    def settings(self) -> dict[str, str]:
        """Of a daemon that sees these cards."""
        return SETTINGS | {
            "AIOSD_RESOURCES__MPS_DIRECTORY": str(self.file.parent / "mps"),
            "PLAYED_NVML": str(self.file),
            "PYTHONPATH": f"{ROOT / 'tests/fakes/played_nvml'}:{ROOT}",
        }

    def show(self, *cards: Mapping[str, object]) -> None:
        """`cards`: what differs from an idle A100, one after the other."""
        frame = [_idle(n) | dict(cards[n] if n < len(cards) else {}) for n in range(2)]
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"frames": [{"cards": frame}]}))
        new.replace(self.file)


def _idle(number: int) -> dict[str, object]:
    uuid = f"GPU-{number:08x}-0000-0000-0000-000000000000"
    return {"uuid": uuid, "name": "NVIDIA A100-SXM4-40GB", "memory_bytes": 40 * GIB, "utilisation": 0, "samples": [], "ecc_errors": 0}


def busy(*processes: tuple[int, int], percent: int = 50) -> dict[str, object]:
    """A card with processes, each (pid, bytes), that all work."""
    return {"compute": list(processes), "utilisation": percent, "samples": [[pid, percent, 1000] for pid, _ in processes]}


@contextmanager
def stranger() -> Iterator[int]:
    """A process that is not below the daemon, nor below this one."""
    made = subprocess.run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"], stdout=subprocess.PIPE, check=True)
    pid = int(made.stdout)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def cards(tmp_path: Path) -> Cards:
    return Cards(tmp_path / "nvml.json")


@pytest.fixture
def played(cards: Cards) -> Iterator[Daemon]:
    with a_daemon(cards.settings) as daemon:
        yield daemon.start()


def run(daemon: Daemon, *options: str, command: Sequence[str] = ("sleep", "1000")) -> str:
    done = daemon.aiosctl("run", "-d", "--cpus", "0.1", "--memory", "16M", *options, "--", *command)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().split()[-1]


def main_pid(client: aios.Client, job: str) -> int:
    """The pid of the job's command: below its shim."""

    def look() -> int:
        record = client.job(job)
        shim = record.run.pid if record.run else 0
        below = Path(f"/proc/{shim}/task/{shim}/children") if shim else None
        return int((below.read_text().split() or ["0"])[0]) if below and below.exists() else 0

    return eventually(look, f"job {job} has a process")


def test_a_stranger_s_gpu_is_shown_avoided_and_handed_out_when_it_is_free(played: Daemon, cards: Cards) -> None:
    client = played.client()
    with stranger() as pid:
        cards.show(busy((pid, 3 * GIB)), busy((pid, GIB)))
        found = eventually(lambda: len(client.node().foreign_use) == 2 and client.node().foreign_use, "it is shown")
        assert [(use.pid, use.memory_bytes) for use in found] == [(pid, 3 * GIB), (pid, GIB)]
        shown = played.aiosctl("node").stdout.decode()
        assert f"3 GiB by pid {pid} of {found[0].user}" in shown
        job = run(played, "--gpus", "1")
        assert str(client.job(job).state) == "queued"
        assert f"pid {pid}" in played.aiosctl("why", job).stdout.decode()
        cards.show(busy((pid, 3 * GIB)))
        eventually(lambda: client.job(job).state.value == "running", "it runs on the free one")
        grant = client.job(job).grant
        assert grant is not None and [part.index for part in grant.devices] == [1]
    cards.show()
    eventually(lambda: not client.node().foreign_use, "nobody is left")
    assert any(record.get("event") == "foreign use is over" for record in played.logged())


def test_the_one_who_takes_more_than_his_share_is_warned_then_stopped_and_his_neighbour_is_not(played: Daemon, cards: Cards) -> None:
    client = played.client()
    greedy, modest = (run(played, "--gpus", "0.5") for _ in range(2))
    pids = [main_pid(client, job) for job in (greedy, modest)]
    devices = {part.index for job in (greedy, modest) for part in client.job(job).grant.devices}  # type: ignore[union-attr]
    assert devices == {0}
    cards.show(busy((pids[0], 30 * GIB), (pids[1], 9 * GIB)))
    ended = eventually(lambda: client.job(greedy).state.ended and client.job(greedy), "the greedy one is stopped")
    assert ended.state.value == "failed" and "it uses 30 GiB of the memory of gpu 0; it was granted 20 GiB" in ended.reason
    assert any(record.get("job") == greedy and "it uses 30 GiB" in str(record.get("warning")) for record in played.logged())
    assert client.job(modest).state.value == "running"
    told = [record for record in played.logged() if record.get("job") == modest and record.get("logger") == "gpus"]
    assert not [record for record in told if record["event"] == "a run is stopped" or "it uses" in str(record.get("warning"))]
    used = eventually(lambda: [s for s in client.stats(modest).samples if s.gpu_memory_bytes], "it is measured")
    assert used[-1].gpu_memory_bytes == 9 * GIB
    with stranger() as pid:  # the next daemon knows its own jobs from others
        cards.show(busy((pids[1], 9 * GIB)), busy((pid, GIB)))
        again = played.restart().client()
        found = eventually(lambda: again.node().foreign_use, "the stranger is seen")
        assert [use.pid for use in found] == [pid] and again.job(modest).state.value == "running"


def test_an_idle_gpu_is_reported_and_a_queue_may_take_it_back(cards: Cards) -> None:
    with a_daemon(cards.settings) as daemon:
        config = daemon.root / "config" / "aios"
        config.mkdir(parents=True)
        (config / "aiosd.toml").write_text('[queues.night]\nidle_gpus = "cancel"\nidle_gpus_after_s = 1.5\n')
        daemon.start()
        client = daemon.client()
        kept = run(daemon, "--gpus", "1")
        pid = main_pid(client, kept)
        cards.show({"compute": [[pid, GIB]]})
        eventually(lambda: [idle.job_id for idle in client.node().idle_devices] == [kept], "it is reported")
        eventually(lambda: "idle" in client.job(kept).reason, "its owner is told")
        assert "idle" in daemon.aiosctl("stats", kept).stdout.decode()
        cards.show(busy((pid, GIB)))
        eventually(lambda: not client.node().idle_devices and not client.job(kept).reason, "it works again")
        taken = run(daemon, "--gpus", "1", "--queue", "night")
        ended = eventually(lambda: client.job(taken).state.ended and client.job(taken), "the queue takes it back")
        assert ended.state.value == "cancelled" and "queue night takes them back" in ended.reason
        assert client.job(kept).state.value == "running"


def test_jobs_that_share_a_gpu_go_through_mps_where_it_runs(played: Daemon, cards: Cards) -> None:
    mps = cards.file.parent / "mps"
    mps.mkdir()
    (mps / "control").touch()
    half = played.aiosctl("run", "--gpus", "0.5", "--", "env").stdout.decode().splitlines()
    assert {f"CUDA_MPS_PIPE_DIRECTORY={mps}", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=50", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=0=20480M"} <= set(half)
    whole = played.aiosctl("run", "--gpus", "1", "--", "env").stdout.decode()
    assert "CUDA_VISIBLE_DEVICES=GPU-" in whole and "CUDA_MPS" not in whole
    assert f"MPS at {mps}" in played.aiosctl("node").stdout.decode()


def test_a_card_that_falls_off_the_bus_is_quarantined_and_its_job_is_told(played: Daemon, cards: Cards) -> None:
    client = played.client()
    job = run(played, "--gpus", "1")
    eventually(lambda: client.job(job).state.value == "running", "it runs")
    cards.show({"xids": [31]})
    cards.show({"xids": [79]})
    device = eventually(lambda: [d for d in client.node().inventory.devices if d.health != "ok"], "it is ill")[0]
    assert device.index == 0 and device.health.startswith("XID 79")
    eventually(lambda: "XID 79" in client.job(job).reason, "its job is told")
    cards.show()
    later = run(played, "--gpus", "1")
    eventually(lambda: client.job(later).state.value == "running", "the other card is handed out")
    waiting = run(played, "--gpus", "1")
    assert client.job(waiting).state.value == "queued"

"""A policy that fails in a real daemon: jobs run all the same, an operator sees it, and the evidence is on the disk."""

from aiosd.scheduling.dump import load
from tests.e2e.daemon import Daemon, eventually


def test_jobs_run_and_the_operator_is_told(daemon: Daemon) -> None:
    daemon.module = "tests.e2e.failing_daemon"
    daemon.start()
    with daemon.client() as client:
        assert client.set_policy("broken").name == "broken"
        job = client.submit(["true"])
        job.wait(timeout=60)
        assert str(job.state) == "succeeded"
        (warning,) = [each for each in client.node().warnings if "policy" in each]
        assert warning.startswith("degraded: policy broken failed: it raised ZeroDivisionError") and "fifo" in warning
        assert "degraded" in daemon.aiosctl("node").stdout.decode()
        (kept,) = eventually(lambda: [file for file in (daemon.state / "faults").glob("policy-broken-*.json") if file.stat().st_size], "the evidence is there")
        assert load(kept.read_text()).lanes and kept.stat().st_mode & 0o077 == 0
        eventually(lambda: any(e.get("event") == "policy failed; fifo stands in" and e.get("snapshot") == str(kept) for e in daemon.logged()), "it is logged")
        client.set_policy("fair")
        assert not [each for each in client.node().warnings if "policy" in each]
        assert client.submit(["true"]).wait(timeout=60).state == "succeeded"
    assert daemon.stop() == 0

"""A real daemon on a machine that is short of memory by its settings: it waits, says why, and goes on when the settings allow it."""

import signal

from tests.e2e.daemon import Daemon, eventually

MOST = 1 << 60  # more than any machine has available


def test_a_job_waits_while_too_little_memory_is_available(daemon: Daemon) -> None:
    config = daemon.root / "config" / "aios" / "aiosd.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f"[resources]\nmemory_available_bytes = {MOST}\n")
    client = daemon.start(AIOSD_MONITORING__PRESSURE_PERIOD_S="0.1").client()
    job = client.submit(["true"])
    why = daemon.aiosctl("why", job.id)
    assert b"the machine is short of memory" in why.stdout, why
    assert any("no job starts: only" in warning for warning in client.node().warnings)
    assert str(job.refresh().state) == "queued"
    config.write_text("[resources]\nmemory_available_bytes = 0\n")
    daemon.running.send_signal(signal.SIGHUP)
    eventually(lambda: job.refresh().ended, "the job runs when there is memory again")
    assert job.exit_code == 0

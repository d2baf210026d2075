"""Learned requests of a real daemon: applied where they were left open, and a run that they starved runs again with what it would have had."""

from tests.e2e.daemon import Daemon

MIB = 1 << 20
# A little memory, and 200 MiB of it while the file exists.
PROGRAM = "import os, sys; big = os.path.exists(sys.argv[1]); block = bytearray(200 << 20) if big else b''; print(len(block))"


def test_what_was_learned_is_applied_and_taken_back_where_it_was_too_little(daemon: Daemon) -> None:
    client = daemon.start(AIOSD_RESOURCES__RIGHTSIZE="apply", AIOSD_ISOLATION__WATCHDOG_PERIOD_S="0.1").client()
    flag = daemon.root / "big"
    command = ["python3", "-c", PROGRAM, str(flag)]
    usual = client.submit(command, name="train", cpus=1)
    assert usual.wait().exit_code == 0
    for _ in range(2):
        client.submit(command, name="train", cpus=1).wait()
    learned = client.submit(command, name="train", cpus=1)
    assert learned.request.memory_bytes < usual.request.memory_bytes
    assert "learned from 3 earlier runs" in learned.rightsizing
    assert learned.wait().exit_code == 0
    asked = client.submit(command, name="train", cpus=1, memory="100M")
    assert (asked.request.memory_bytes, asked.rightsizing) == (100 * MIB, "")

    if not any(one.resource == "memory" and one.state.startswith("enforced") for one in client.node().isolation):
        return  # nothing here would kill a run that is over in a moment
    flag.touch()
    starved = client.submit(command, name="train", cpus=1)
    assert starved.request.memory_bytes < 200 * MIB
    assert starved.wait().exit_code == 0
    assert starved.attempt == 2
    assert starved.grant is not None
    assert starved.grant.memory_bytes == usual.request.memory_bytes
    assert any("in place of" in each.what for each in client.schedule().adjustments)

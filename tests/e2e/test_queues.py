"""Queues, qualities of service, shares and the policy of a real daemon: by SDK and command line, and over a restart."""

import json

import pytest

from aios import errors
from aios.spec import SubmitOptions
from tests.e2e.daemon import Daemon, eventually

PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")


def test_rules_hold_at_once_and_over_a_restart(daemon: Daemon) -> None:
    config = daemon.root / "config" / "aios"
    config.mkdir(parents=True)
    (config / "aiosd.toml").write_text("[qos.high]\npriority = 5\nmax_running = 1\n[accounts.lab]\nshares = 3\n")
    client = daemon.start().client()
    made = client.set_queue(
        "night", max_cpus=2, user_running=1, max_queued=2, share=0.5, borrow=True, weights={"age": 5.0}, allowed_users=["root", "@root"], preempt_mode="requeue"
    )
    assert (made.cpu_millis, made.user_running, made.share_permille, made.borrow, made.weights) == (2000, 1, 500, True, {"age": 5.0})
    first, second = (client.submit(["sleep", "600"], queue="night", account="lab", **PLAIN) for _ in range(2))
    eventually(lambda: first.refresh().state == "running", "the first runs")
    assert second.refresh().state == "queued" and "limit" in second.reason
    with pytest.raises(errors.NotFound, match="no account"):
        client.submit(["true"], account="nobody", **PLAIN)
    client.set_policy("priority", backfill="conservative", weights={"size": 7.0})
    client.close()
    client = daemon.restart().client()
    policy, queue = client.policy(), client.queue("night")
    assert (policy.name, policy.backfill, policy.weights["size"], policy.weights["age"]) == ("priority", "conservative", 7.0, 1000.0)
    assert (queue.allowed_users, queue.preempt_mode, queue.max_queued, queue.weights) == (("root", "@root"), "requeue", 2, {"age": 5.0})
    shared = {node.name: node for node in client.shares().nodes}
    assert (shared["lab"].running, shared["lab"].queued, shared["lab"].shares) == (1, 1, 3.0)
    assert [(qos.name, qos.max_running) for qos in client.qos()] == [("high", 1)]
    listed = json.loads(daemon.aiosctl("share", "-o", "json").stdout)
    assert listed[0]["name"] == "lab" and listed[0]["usage"] > 0
    client.cancel(first.id, second.id)
    client.close()

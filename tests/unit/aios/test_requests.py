"""From a JobSpec to the wire, field by field, and what is refused on the way."""

import os
from pathlib import Path

import pytest

from aios._requests import captured_environment, job_spec, reservation, submission, update
from aios.errors import InvalidArgument
from aios.records import JobRecord
from aios.spec import JobSpec
from aios.v1 import jobs_pb2 as pb


def test_the_least_is_the_command_where_we_are() -> None:
    wire = job_spec(JobSpec(["true"]))
    assert wire == pb.JobSpec(command=["true"], cwd=os.getcwd(), request={}, retry={})


def test_every_field() -> None:
    wire = job_spec(
        JobSpec(
            "echo $X", name="n", cpus="1.5", memory="1G", gpus=0.5, gpu_memory="2G", gres={"fpga": 1}, disk="3G", time="1h", queue="q", priority=-5,
            nice=19, account="a", array="0-9%2", after_ok=[JobRecord(id="7"), "8.1"], after=5, begin=1.8e9, deadline="2027-01-01T00:00:00Z", retries=3,
            retry_on="oom, exit", backoff=2, preemptible=True, checkpoint_signal="sigusr1", grace="60s", cwd="/tmp", labels={"k": "v"}, output="o-%j",
            error="/e", retry_memory_factor=2, retry_memory_max="64G", exclusive=True, hold=True, notify="mail", stdin=True, script="#!/bin/sh",
            io_read="200M", io_write=1 << 20, io_weight=500,
            secrets={"TOKEN": b"t\0", "TEXT": "u"}, private_tmp=True, login=True, umask=0o27, limits={"nofile": 64, "core": (0, -1)},
            model_outputs={"digits": "out", "a/b:try": Path("m.onnx")},
        )
    )  # fmt: skip
    assert list(wire.command) == ["/bin/sh", "-c", "echo $X"]
    request = wire.request
    assert (request.cpu_millis, request.memory_bytes, request.disk_bytes, request.exclusive) == (1500, 1 << 30, 3 << 30, True)
    assert [(one.kind, one.millis, one.memory_bytes) for one in request.devices] == [("gpu", 500, 2 << 30), ("fpga", 1000, 0)]
    assert [(one.kind, one.job_id) for one in wire.dependencies] == [(1, "5"), (2, "7"), (2, "8.1")]
    assert (wire.time_limit_s, wire.grace_s, wire.begin_at_s, wire.deadline_at_s) == (3600, 60, 1.8e9, 1798761600)
    assert (wire.retry.retries, list(wire.retry.conditions), wire.retry.backoff_s) == (3, [pb.RetryPolicy.OOM, pb.RetryPolicy.EXIT], 2)
    assert (wire.retry.oom_memory_factor, wire.retry.oom_memory_max_bytes) == (2, 64 << 30)
    assert (wire.stdout_path, wire.stderr_path, wire.cwd, wire.checkpoint_signal) == ("/tmp/o-%j", "/e", "/tmp", "USR1")
    assert (wire.io_read_bytes_per_s, wire.io_write_bytes_per_s, wire.io_weight) == (200 << 20, 1 << 20, 500)
    assert (wire.nice, wire.priority, wire.held, wire.stdin_open, wire.preemptible, dict(wire.labels)) == (19, -5, True, True, True, {"k": "v"})
    assert [(one.name, one.value) for one in wire.secrets] == [("TOKEN", b"t\0"), ("TEXT", b"u")]
    assert (wire.private_tmp, wire.login_environment, wire.umask) == (True, True, 0o27)
    assert [(one.name, one.soft, one.hard) for one in wire.process_limits] == [("nofile", 64, 64), ("core", 0, -1)]
    assert [(one.model, one.branch, one.path) for one in wire.model_outputs] == [("digits", "", "out"), ("a/b", "try", "m.onnx")]


def test_secrets_and_limits_that_cannot_be_are_refused_and_a_secret_is_not_said_again() -> None:
    for wrong in (
        {"secrets": {"TOKEN": 12345678}},
        {"limits": {"nofile": "many"}},
        {"limits": {"nofile": (1, 2, 3)}},
        {"limits": {"nofile": True}},
        {"model_outputs": {"digits:": "out"}},
        {"model_outputs": {"digits": ""}},
        {"model_outputs": {":try": "out"}},
        {"umask": 0o1000},
    ):
        with pytest.raises(InvalidArgument) as caught:
            job_spec(JobSpec(["true"], **wrong))  # type: ignore[arg-type]
        assert "12345678" not in str(caught.value)
    assert "hush" not in repr(JobSpec(["true"], secrets={"TOKEN": b"hush"}))


def test_a_reservation_is_what_a_job_would_ask_for_and_a_length() -> None:
    wire = reservation(1.8e9, "4h", "ann, @lab", JobSpec("", gpus="a100:2", memory="16G"), "demo")
    assert (wire.from_s, wire.until_s, list(wire.users), wire.reason) == (1.8e9, 1.8e9 + 4 * 3600, ["ann", "@lab"], "demo")
    assert (wire.request.memory_bytes, [(d.kind, d.model, d.millis) for d in wire.request.devices]) == (16 << 30, [("gpu", "a100", 2000)])
    with pytest.raises(InvalidArgument, match="length"):
        reservation(1.8e9, "soon", ["ann"], JobSpec(""), "")


def test_a_memory_factor_out_of_its_bounds_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="retry_memory_factor must be 1 to 100"):
        job_spec(JobSpec(["true"], retry_memory_factor=0.5))


def test_one_environment_is_shared_and_a_jobs_own_is_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HERE", "1")
    monkeypatch.setenv("AIOS_RUN_KEY", "9.-1.1")
    monkeypatch.setenv("RAW", os.fsdecode(b"\xff"))
    request = submission([JobSpec(["a"]), JobSpec(["b"], env={"X": "y"}), JobSpec(["c"], env={"X": "y"}, inherit_env=False)], "key")
    shared = {one.name: one.value for one in request.environment}
    assert shared["HERE"] == "1" and not shared.keys() & {"AIOS_RUN_KEY", "RAW"} and shared == captured_environment()
    first, second, third = ({one.name: one.value for one in spec.environment} for spec in request.specs)
    assert first == {} and second == {**shared, "X": "y"} and third == {"X": "y"} and request.idempotency_key == "key"
    assert list(submission([JobSpec(["b"], env={"X": "y"})], "").environment) == []


def test_an_update_names_only_what_changes() -> None:
    wire = update("42", {"memory": "8G", "priority": 10, "time": 0, "labels": {"a": ""}})
    assert wire == pb.UpdateJobRequest(id="42", memory_bytes=8 << 30, priority=10, time_limit_s=0, labels={"a": ""})
    assert not wire.HasField("nice") and wire.HasField("time_limit_s")
    with pytest.raises(InvalidArgument, match="cannot change colour"):
        update("42", {"colour": "red"})  # type: ignore[typeddict-unknown-key]

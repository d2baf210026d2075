"""What a caller can get wrong is refused with the field and the value; what was left out is filled in."""

from math import inf, nan

import pytest

from aiosd.errors import AiosError, FailedPrecondition, InvalidArgument, NotFound
from aiosd.ids import JobId
from aiosd.jobs.admit import admit, dependencies
from aiosd.jobs.draft import JobDraft, RetryDraft
from aiosd.jobs.job import Dependency, DependencyKind, Environment, JobSpec, RetryPolicy
from aiosd.jobs.settings import JobsSettings
from aiosd.scheduling.rules import QueueSettings
from tests.unit.jobs.world import draft, machine

QUEUES = {"default": QueueSettings("default"), "closed": QueueSettings("closed", open=False), "short": QueueSettings("short", max_time_limit_s=60.0)}


def admitted(job_draft: JobDraft, **variables: str) -> JobSpec:
    return admit(job_draft, Environment("0" * 64, variables), JobsSettings(max_command_bytes=200_000, max_environment_bytes=1000), QUEUES, machine())


def test_defaults_are_filled_in() -> None:
    spec = admitted(draft("/usr/bin/python", "train.py"))
    assert (spec.name, spec.queue, spec.grace_s, spec.time_limit_s, spec.request.cpu_millis) == ("python", "default", 30.0, 0.0, 1000)
    assert spec.retry == RetryPolicy(oom_memory_factor=1.5) and spec.array is None
    assert admitted(draft("a", queue="short")).time_limit_s == 60.0


@pytest.mark.parametrize(("program", "name"), [("/opt/42", "job"), ("/usr/bin/", "job"), ("a\nb", "job"), ("x" * 300, "job"), ("./run.sh", "run.sh")])
def test_a_name_that_nobody_chose_is_never_a_reason_to_refuse(program: str, name: str) -> None:
    assert admitted(draft(program)).name == name


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"name": "42.7"}, InvalidArgument, "looks like a job id"),
        ({"name": "a\tb"}, InvalidArgument, "not printable"),
        ({"name": "n" * 257}, InvalidArgument, "longer"),
        ({"queue": "none"}, NotFound, "no queue 'none'"),
        ({"queue": "closed"}, FailedPrecondition, "closed"),
        ({"queue": "short", "time_limit_s": 61.0}, InvalidArgument, "more than queue 'short' allows"),
        ({"time_limit_s": nan}, InvalidArgument, "time_limit_s"),
        ({"grace_s": -1.0}, InvalidArgument, "grace_s"),
        ({"begin_at_s": inf}, InvalidArgument, "begin_at_s"),
        ({"deadline_at_s": 1e13}, InvalidArgument, "deadline_at_s"),
        ({"model_outputs": (("digits", "main", "a"), ("digits", "main", "b"))}, InvalidArgument, "two model outputs are for digits:main"),
        ({"model_outputs": (("digits", "main", "a\0b"),)}, InvalidArgument, "NUL"),
        ({"model_outputs": tuple((f"m{n}", "main", "a") for n in range(65))}, InvalidArgument, "at most 64"),
        ({"priority": 2_000_000}, InvalidArgument, "priority"),
        ({"nice": 20}, InvalidArgument, "nice"),
        ({"retry": RetryDraft(retries=-1)}, InvalidArgument, "retries"),
        ({"retry": RetryDraft(conditions=("rain",))}, InvalidArgument, "'rain'"),
        ({"retry": RetryDraft(backoff_s=nan)}, InvalidArgument, "backoff_s"),
        ({"labels": {"": "x"}}, InvalidArgument, "label"),
        ({"labels": {str(i): "x" for i in range(65)}}, InvalidArgument, "64 labels"),
        ({"checkpoint_signal": "SIGKILL"}, InvalidArgument, "SIGKILL"),
        ({"stdout_path": "a\0b"}, InvalidArgument, "stdout_path has a NUL byte in it at position 1"),
        ({"account": "a\nb"}, InvalidArgument, "account"),
        ({"array": "9-1"}, InvalidArgument, "ends before"),
        ({"script": "x" * 200_001}, InvalidArgument, "script"),
    ],
)
def test_what_is_wrong_is_refused_by_name(fields: dict[str, object], kind: type[AiosError], message: str) -> None:
    with pytest.raises(kind, match=message):
        admitted(draft("a", **fields))


def test_commands_and_directories() -> None:
    for command, message in [
        ((), "empty"),
        (("",), "empty"),
        (("a", "b\0"), "argument 1 has a NUL"),
        (("a", "x" * 131_072), "argument 1"),
        (("x" * 99_999,) * 3, "command has"),
    ]:
        with pytest.raises(InvalidArgument, match=message):
            admitted(JobDraft(command=command, cwd="/"))
    with pytest.raises(InvalidArgument, match="not absolute"):
        admitted(JobDraft(command=("a",), cwd="here"))
    assert admitted(JobDraft(command=(), script="#!/bin/sh", cwd="/")).name == "script"
    assert admitted(draft("a", checkpoint_signal="sigusr1")).checkpoint_signal == "USR1"


@pytest.mark.parametrize(
    ("variables", "message"), [({"A=B": "1"}, "'A=B'"), ({"A": "\0"}, "environment variable A has a NUL"), ({"A": "x" * 1000}, "environment has")]
)
def test_environments(variables: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        admitted(draft("a"), **variables)


def test_dependencies_by_id_and_by_position() -> None:
    wanted = draft("a", dependencies=(("after-ok", "#0"), ("after", "3.7"), ("after-ok", "#0")))
    assert dependencies(wanted, 1, range(5, 7)) == (Dependency(DependencyKind.AFTER_OK, JobId(5)), Dependency(DependencyKind.AFTER, JobId(3, 7)))


@pytest.mark.parametrize(
    ("kind", "text", "error"),
    [("when", "1", InvalidArgument), ("after", "#2", InvalidArgument), ("after", "#", InvalidArgument), ("after", "#" + "9" * 5000, InvalidArgument), ("after", "one", InvalidArgument),
     ("after", "9" * 30, InvalidArgument), ("after", "6", InvalidArgument), ("after", "6.1", InvalidArgument), ("after", "7", NotFound)],
)  # fmt: skip
def test_wrong_dependencies(kind: str, text: str, error: type[AiosError]) -> None:
    with pytest.raises(error):
        dependencies(draft("a", dependencies=((kind, text),)), 1, range(5, 7))

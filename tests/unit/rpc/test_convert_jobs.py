"""Jobs survive the way over the wire in both directions, and what is wrong is refused by its name."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from math import inf, nan

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from aios.v1 import jobs_pb2 as pb
from aios.v1 import resources_pb2
from aiosd.errors import InvalidArgument
from aiosd.jobs.draft import JobChange, JobDraft, RequestDraft, RetryDraft
from aiosd.jobs.job import Job, JobSpec, ModelOutput, Phase, ProcessLimit
from aiosd.monitoring.stats import Progress
from aiosd.rpc import convert_jobs as convert
from aiosd.rpc.convert_jobs import JobConverter
from tests.unit.rpc.records import ARRAY, ENDED, QUEUED, RUNNING, SPEC, specs


def from_submit(request: pb.SubmitJobsRequest, most: int = 10) -> convert.SubmitWish:
    return asyncio.run(convert.from_submit(request, most))


def draft_of(spec: JobSpec) -> JobDraft:
    """The draft that asks for exactly `spec`, every default written out."""
    request = RequestDraft(spec.request.cpu_millis, spec.request.memory_bytes, spec.request.devices, spec.request.disk_bytes, spec.request.exclusive)
    conditions = tuple(c.value for c in sorted(spec.retry.conditions, key=list(convert.CONDITIONS).index))
    return JobDraft(
        name=spec.name,
        command=spec.command,
        cwd=spec.cwd,
        environment=dict(spec.environment.variables),
        request=request,
        array=spec.array.text if spec.array else "",
        dependencies=tuple((d.kind.value, str(d.job_id)) for d in spec.dependencies),
        time_limit_s=spec.time_limit_s,
        grace_s=spec.grace_s,
        retry=RetryDraft(
            spec.retry.retries, conditions, spec.retry.backoff_s, spec.retry.backoff_max_s, spec.retry.oom_memory_factor, spec.retry.oom_memory_max_bytes
        ),
        begin_at_s=spec.begin_at_s,
        deadline_at_s=spec.deadline_at_s,
        priority=spec.priority,
        nice=spec.nice,
        queue=spec.queue,
        qos=spec.qos,
        account=spec.account,
        labels=dict(spec.labels),
        held=spec.held,
        stdout_path=spec.stdout_path,
        stderr_path=spec.stderr_path,
        stdin_open=spec.stdin_open,
        preemptible=spec.preemptible,
        checkpoint_signal=spec.checkpoint_signal,
        notify_command=spec.notify_command,
        script=spec.script,
        io_read_bytes_per_s=spec.io_read_bytes_per_s,
        io_write_bytes_per_s=spec.io_write_bytes_per_s,
        io_weight=spec.io_weight,
        secrets=dict.fromkeys(spec.secrets, b""),  # a value is never answered
        private_tmp=spec.private_tmp,
        login_environment=spec.login_environment,
        umask=spec.umask,
        process_limits=tuple((limit.name, limit.soft, limit.hard) for limit in spec.process_limits),
        model_outputs=tuple((one.model, one.branch, one.path) for one in spec.model_outputs),
    )


@given(specs)
@settings(max_examples=60, deadline=None)
def test_a_spec_comes_back_as_the_draft_that_asks_for_it(spec: JobSpec) -> None:
    packed = convert.to_spec(spec, with_environment=True).SerializeToString()
    assert convert.from_spec(pb.JobSpec.FromString(packed)) == draft_of(spec)


def test_every_field_of_a_spec_is_converted() -> None:
    """A field added to the proto and forgotten in the converter would stay at its default here."""
    spec = convert.to_spec(
        replace(
            ARRAY.spec,
            account="a",
            held=True,
            stdout_path="o",
            stderr_path="e",
            stdin_open=True,
            preemptible=True,
            checkpoint_signal="USR1",
            notify_command="n",
            script="s",
            io_read_bytes_per_s=1,
            io_write_bytes_per_s=2,
            io_weight=3,
            secrets=("s",),
            private_tmp=True,
            login_environment=True,
            process_limits=(ProcessLimit("core", 0, 0),),
            model_outputs=(ModelOutput("digits", "main", "out"),),
            qos="fast",
            nice=1,
            priority=2,
            begin_at_s=1.0,
            deadline_at_s=2.0,
        ),
        with_environment=True,
    )
    spec.dependencies.add(kind=pb.Dependency.AFTER, job_id="1")
    assert {field.name for field, _ in spec.ListFields()} == {field.name for field in pb.JobSpec.DESCRIPTOR.fields}


def test_a_secret_is_answered_with_its_name_alone_and_is_no_part_of_the_digest() -> None:
    def request(value: bytes) -> pb.SubmitJobsRequest:
        return pb.SubmitJobsRequest(specs=[pb.JobSpec(command=["a"], secrets=[pb.Secret(name="TOKEN", value=value)])], idempotency_key="k")

    wish, other = from_submit(request(b"hush")), from_submit(request(b"other"))
    assert wish.drafts[0].secrets == {"TOKEN": b"hush"}
    assert "hush" not in repr(wish)
    assert wish.digest == other.digest
    assert convert.to_spec(replace(SPEC, secrets=("TOKEN",))).secrets == [pb.Secret(name="TOKEN")]


def test_a_secret_that_is_named_twice_or_not_at_all_is_refused() -> None:
    for names in (["A", "A"], [""]):
        with pytest.raises(InvalidArgument, match="secrets") as caught:
            convert.from_spec(pb.JobSpec(secrets=[pb.Secret(name=name, value=b"hush") for name in names]))
        assert "hush" not in str(caught.value)


def test_an_empty_spec_is_a_draft_of_defaults() -> None:
    assert convert.from_spec(pb.JobSpec()) == JobDraft(command=())


def test_environment_is_left_out_unless_asked_for() -> None:
    assert not JobConverter().to_job(QUEUED).spec.environment
    assert [(v.name, v.value) for v in JobConverter().to_job(QUEUED, with_environment=True).spec.environment] == [("A", "1")]


def test_a_shared_environment_goes_to_the_specs_that_bring_none() -> None:
    request = pb.SubmitJobsRequest(environment=[pb.EnvironmentVariable(name="S", value="shared")])
    request.specs.add(command=["a"])
    request.specs.add(command=["b"], environment=[pb.EnvironmentVariable(name="O", value="own")])
    request.specs.add(command=["c"])
    first, second, third = from_submit(request).drafts
    assert (first.environment, second.environment) == ({"S": "shared"}, {"O": "own"})
    assert third.environment is first.environment  # kept once, however many jobs share it


def test_the_digest_tells_requests_apart_and_knows_the_same_again() -> None:
    def digest(command: str, key: str = "k", **labels: str) -> str:
        return from_submit(pb.SubmitJobsRequest(specs=[pb.JobSpec(command=[command], labels=labels)], idempotency_key=key)).digest

    assert digest("a", x="1", y="2") == digest("a", y="2", x="1")
    assert digest("a") != digest("b")
    assert digest("a", key="") == ""


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (pb.JobSpec(time_limit_s=nan), "time_limit_s"),
        (pb.JobSpec(grace_s=-1), "grace_s"),
        (pb.JobSpec(begin_at_s=inf), "begin_at_s"),
        (pb.JobSpec(deadline_at_s=-inf), "deadline_at_s"),
        (pb.JobSpec(command=["ok", "a\0b"]), "command[1]"),
        (pb.JobSpec(name="\0"), "name"),
        (pb.JobSpec(script="#!\0"), "script"),
        (pb.JobSpec(labels={"k": "\0"}), "labels[k]"),
        (pb.JobSpec(environment=[pb.EnvironmentVariable(name="K", value="\0")]), "environment[K]"),
        (pb.JobSpec(environment=[pb.EnvironmentVariable(name="\0", value="v")]), "environment[0].name"),
        (pb.JobSpec(dependencies=[pb.Dependency(job_id="1")]), "dependencies[0].kind"),
        (pb.JobSpec(dependencies=[pb.Dependency(kind=99, job_id="1")]), "dependencies[0].kind"),  # type: ignore[arg-type]
        (pb.JobSpec(dependencies=[pb.Dependency(kind=pb.Dependency.AFTER)]), "dependencies[0].job_id"),
        (pb.JobSpec(retry=pb.RetryPolicy(conditions=[pb.RetryPolicy.EXIT, 42])), "retry.conditions[1]"),  # type: ignore[list-item]
        (pb.JobSpec(retry=pb.RetryPolicy(backoff_s=nan)), "retry.backoff_s"),
        (pb.JobSpec(request=resources_pb2.Request(cpu_millis=-1)), "request.cpu_millis"),
        (pb.JobSpec(request=resources_pb2.Request(devices=[resources_pb2.DeviceRequest()])), "request.devices[0].kind"),
        (pb.JobSpec(request=resources_pb2.Request(devices=[resources_pb2.DeviceRequest(kind="gpu", millis=-5)])), "request.devices[0].millis"),
    ],
)
def test_what_is_wrong_is_named_as_its_author_sees_it(spec: pb.JobSpec, field: str) -> None:
    with pytest.raises(InvalidArgument) as alone:
        from_submit(pb.SubmitJobsRequest(specs=[spec]))
    assert str(alone.value).startswith(f"{field} ")
    assert alone.value.hint
    with pytest.raises(InvalidArgument) as among:
        from_submit(pb.SubmitJobsRequest(specs=[pb.JobSpec(), pb.JobSpec(), spec]))
    assert among.value.facts["field"] == f"specs[2].{field}"


def test_a_submission_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="specs is empty"):
        from_submit(pb.SubmitJobsRequest())


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_draft_or_an_error_that_is_typed(packed: bytes) -> None:
    try:
        request = pb.SubmitJobsRequest.FromString(packed)
    except DecodeError:  # not protobuf at all: the interceptor's matter
        return
    with suppress(InvalidArgument):
        from_submit(request)


def test_unknown_fields_do_not_matter() -> None:
    spec = pb.JobSpec.FromString(pb.JobSpec(name="n").SerializeToString() + b"\xfa\x3f\x03new")  # field 1023
    assert convert.from_spec(spec).name == "n"


def test_the_tables_know_every_word_in_both_directions() -> None:
    assert set(convert.PHASES) == set(Phase)
    assert {pb.JobPhase.Name(n) for n in convert.PHASES.values()} == set(pb.JobPhase.keys()) - {"JOB_PHASE_UNSPECIFIED"}
    assert {pb.Dependency.Kind.Name(n) for n in convert.DEPENDENCIES.values()} == set(pb.Dependency.Kind.keys()) - {"KIND_UNSPECIFIED"}
    assert {pb.RetryPolicy.Condition.Name(n) for n in convert.CONDITIONS.values()} == set(pb.RetryPolicy.Condition.keys()) - {"CONDITION_UNSPECIFIED"}


def test_an_update_changes_what_it_mentions_only() -> None:
    assert convert.from_update(pb.UpdateJobRequest(id="1")) == JobChange()
    assert convert.from_update(pb.UpdateJobRequest(priority=0, queue="", labels={"a": ""})) == JobChange(priority=0, queue="", labels={"a": ""})
    full = pb.UpdateJobRequest(
        id="1",
        priority=1,
        time_limit_s=2,
        begin_at_s=3,
        deadline_at_s=4,
        queue="q",
        qos="fast",
        name="n",
        cpu_millis=5,
        memory_bytes=6,
        array_limit=7,
        nice=8,
        labels={"k": "v"},
    )
    assert {field.name for field, _ in full.ListFields()} == {field.name for field in pb.UpdateJobRequest.DESCRIPTOR.fields}
    assert convert.from_update(full) == JobChange(1, 2, 3, 4, "q", "fast", "n", 5, 6, 7, 8, {"k": "v"})


@pytest.mark.parametrize(
    "change",
    [{"time_limit_s": nan}, {"cpu_millis": -1}, {"memory_bytes": -1}, {"array_limit": -1}, {"name": "\0"}, {"labels": {"k": "\0"}}],
)
def test_an_update_with_an_impossible_value_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(change))):
        convert.from_update(pb.UpdateJobRequest(id="1", **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", Phase)
def test_a_job_in_any_phase_is_an_answer(phase: Phase) -> None:
    assert JobConverter().to_job(replace(QUEUED, phase=phase)).phase == pb.JobPhase.Value(f"JOB_PHASE_{phase.name}")


def test_a_run_carries_what_its_job_reported_and_where_its_output_is() -> None:
    asked: list[Job] = []

    def progress_of(job: Job) -> Progress | None:
        asked.append(job)
        return Progress(3, 10, {"loss": 0.25}, 300, 13.0)

    converter = JobConverter(progress_of, lambda job: (f"/logs/{job.run_key}.out", "/logs/\udcff"))
    run = converter.to_job(RUNNING).run
    assert (run.started_at_s, run.pid, run.stdout_path, run.stderr_path) == (12.5, 77, "/logs/42.-1.1.out", "/logs/\\udcff")
    assert (run.progress.done, run.progress.total, dict(run.progress.metrics), run.progress.step, run.progress.at_s) == (3, 10, {"loss": 0.25}, 300, 13.0)
    assert asked == [RUNNING]
    assert not converter.to_job(QUEUED).HasField("run")
    assert asked == [RUNNING]
    assert not JobConverter().to_job(RUNNING).run.HasField("progress")


def test_an_outcome_says_what_is_known_and_what_is_not() -> None:
    outcome = JobConverter().to_job(ENDED).outcome
    assert (outcome.exit_code, outcome.HasField("signal"), outcome.HasField("oom_killed")) == (3, False, False)
    assert {field.name for field, _ in outcome.usage.ListFields()} == {field.name for field in pb.Usage.DESCRIPTOR.fields}
    assert not JobConverter().to_job(RUNNING).HasField("outcome")


def test_an_array_adds_up() -> None:
    array = JobConverter().to_job(ARRAY).array
    assert (array.total, array.pending, array.active, array.succeeded, array.failed, array.limit, array.pending_ranges) == (10, 4, 2, 1, 3, 2, "6-9")
    assert array.pending + array.active + array.succeeded + array.failed == array.total
    assert not JobConverter().to_job(replace(QUEUED, spec=SPEC)).HasField("array")


@pytest.mark.parametrize(
    "output", [{"model": "no/"}, {"model": "a b"}, {"model": "%s"}, {"model": "ok", "branch": "-x"}, {"path": "x"}, {"model": "ok", "path": ""}]
)
def test_a_model_output_that_no_registration_would_take_is_refused_at_once(output: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        convert.from_spec(pb.JobSpec(command=["a"], model_outputs=[pb.ModelOutput(**{"path": "out", **output})]))

"""What is shown of somebody else's job: nothing that its user wrote, all that one's own wait depends on."""

from dataclasses import replace

from hypothesis import given, settings

from aios.v1 import jobs_pb2 as pb
from aiosd.access.principal import Principal, Role
from aiosd.ids import JobId
from aiosd.jobs.ahead import AheadJob
from aiosd.jobs.explain import Why, WhyKind
from aiosd.jobs.job import Environment, JobSpec, Phase
from aiosd.jobs.ports import JobFilter
from aiosd.monitoring.stats import Progress
from aiosd.rpc.auth import Call, NoTrail
from aiosd.rpc.convert_jobs import JobConverter
from aiosd.rpc.privacy import NOBODY, narrowed, redacted_ahead, redacted_why
from tests.unit.rpc.records import ARRAY, ENDED, OWNER, QUEUED, RUNNING, specs

SECRET = "hush-hush"
TOLD = {"request", "array", "time_limit_s", "begin_at_s", "priority", "nice", "queue", "qos", "preemptible"}
PRIVATE = JobConverter(lambda job: Progress(1.0, 2.0, {SECRET: 1.0}, 3, 4.0), lambda job: (f"/home/{SECRET}", f"/{SECRET}"), lambda job: True)
WRITTEN = replace(
    QUEUED.spec, name=SECRET, command=(SECRET,), cwd=f"/{SECRET}", environment=Environment("d", {SECRET: SECRET}), labels={SECRET: SECRET}, account=SECRET,
    stdout_path=SECRET, stderr_path=SECRET, notify_command=SECRET, script=SECRET, checkpoint_signal=SECRET,
)  # fmt: skip


def test_nothing_that_its_user_wrote_is_told() -> None:
    for job in (QUEUED, RUNNING, ENDED, ARRAY):
        for phase in Phase:
            private = replace(job, spec=replace(WRITTEN, array=job.spec.array), phase=phase, attempt=2, reason=SECRET)
            if private.outcome is not None:
                private = replace(private, outcome=replace(private.outcome, reason=SECRET))
            told = PRIVATE.to_job(private, with_environment=True)
            assert told.redacted
            assert SECRET.encode() not in told.SerializeToString()


@settings(deadline=None)
@given(specs)
def test_only_fields_that_were_decided_on_are_told(spec: JobSpec) -> None:
    """Also of a field that a later version adds: it is private until somebody says otherwise."""
    told = PRIVATE.to_job(replace(QUEUED, spec=spec))
    assert {field.name for field, _ in told.spec.ListFields()} <= TOLD


def test_what_ones_own_wait_depends_on_is_told() -> None:
    told, whole = PRIVATE.to_job(RUNNING), JobConverter().to_job(RUNNING)
    for name in ("id", "user", "uid", "phase", "submitted_at_s", "eligible_at_s", "attempt", "revision"):
        assert getattr(told, name) == getattr(whole, name), name
    assert (told.spec.request, told.spec.queue, told.spec.priority) == (whole.spec.request, whole.spec.queue, whole.spec.priority)
    assert (told.run.grant, told.run.started_at_s) == (whole.run.grant, whole.run.started_at_s)
    assert PRIVATE.to_job(QUEUED).reason == "behind 41"
    assert PRIVATE.to_job(ARRAY).array == JobConverter().to_job(ARRAY).array
    ended = PRIVATE.to_job(ENDED)
    assert (ended.outcome.ended_at_s, ended.outcome.run_s, ended.outcome.HasField("exit_code")) == (20.0, 8.0, False)


def test_how_much_memory_somebody_else_ran_out_of_is_not_told() -> None:
    why = Why(JobId(42), WhyKind.OUT_OF_MEMORY, f"it ended out of memory: {SECRET}", "fair", "memory", "60 MiB", machine_has="1 GiB", suggestions=("more",))
    assert redacted_why(why) == Why(JobId(42), WhyKind.OUT_OF_MEMORY, "it ended out of memory", "fair")
    waits = replace(why, kind=WhyKind.RESOURCES, summary="it needs 2 gpu")
    assert redacted_why(waits) == replace(waits, suggestions=())


def test_whose_accounts_go_first_is_told_to_nobody_else() -> None:
    why = Why(JobId(42), WhyKind.BEHIND, "it would fit", "fair", ahead_jobs=(AheadJob(JobId(1), "ada", "mine"), AheadJob(JobId(2), "bob", SECRET)))
    for role, accounts in ((Role.USER, ["mine", ""]), (Role.OPERATOR, ["mine", SECRET])):
        with Call(Principal(OWNER.uid, OWNER.gid, OWNER.name, role), "Jobs.Why", NoTrail()):
            assert [each.account for each in redacted_ahead(why).ahead_jobs] == accounts


def test_ones_own_job_is_whole() -> None:
    converter = JobConverter(hides=lambda job: job.owner.uid != OWNER.uid)
    assert converter.to_job(RUNNING) == JobConverter().to_job(RUNNING)
    assert converter.to_job(replace(RUNNING, owner=replace(OWNER, uid=7))).redacted


def as_seen(role: Role, asked: JobFilter) -> JobFilter:
    with Call(Principal(OWNER.uid, OWNER.gid, OWNER.name, role), "Jobs.List", NoTrail()):
        return narrowed(asked)


def test_a_search_for_what_is_private_is_among_ones_own_jobs() -> None:
    for asked in (JobFilter(name="x"), JobFilter(labels={"a": "b"})):
        assert as_seen(Role.USER, asked).users == {"ada"}
        assert as_seen(Role.USER, replace(asked, users=frozenset({"ada", "bob"}))).users == {"ada"}
        assert as_seen(Role.USER, replace(asked, users=frozenset({"bob"}))).users == NOBODY
        assert as_seen(Role.OPERATOR, asked) == asked
    public = JobFilter(users=frozenset({"bob"}), queues=frozenset({"q"}), phases=frozenset({Phase.QUEUED}))
    assert as_seen(Role.VIEWER, public) == public


def test_a_job_message_has_no_field_that_nobody_thought_of() -> None:
    """A new field of a job must be looked at: is it private? Then it stays out of `redacted`; else it goes there, and here."""
    thought_of = {
        "id",
        "spec",
        "user",
        "uid",
        "phase",
        "reason",
        "submitted_at_s",
        "eligible_at_s",
        "attempt",
        "run",
        "outcome",
        "array",
        "revision",
        "redacted",
        "preemptions",
        "rightsizing",
        "models_read",
        "datasets_read",
        "models_made",
        "datasets_made",
        "registering",  # of another user: not told
    }
    assert {field.name for field in pb.Job.DESCRIPTOR.fields} == thought_of

"""Jobs of every kind for the tests of the network door: one by hand, and any by hypothesis."""

from dataclasses import replace

from hypothesis import strategies as st

from aiosd.ids import WHOLE, JobId
from aiosd.jobs.job import (
    ArrayProgress,
    ArraySpec,
    Dependency,
    DependencyKind,
    Environment,
    Job,
    JobSpec,
    ModelOutput,
    Outcome,
    Owner,
    Phase,
    ProcessLimit,
    RetryCondition,
    RetryPolicy,
    Run,
    Usage,
)
from aiosd.jobs.ranges import IndexRanges
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.request import DeviceRequest, Request

OWNER = Owner(1000, 1000, "ada")
SPEC = JobSpec(
    name="train",
    command=("python", "train.py"),
    cwd="/home/ada",
    environment=Environment("d", {"A": "1"}),
    request=Request(2000, 1 << 30, (DeviceRequest("gpu", 1000),)),
    labels={"team": "vision"},
    time_limit_s=60.0,
)
GRANT = Grant((CpuGrant(3, 1000), CpuGrant(4, 500)), 1 << 30, (DeviceGrant("GPU-1", "gpu", 0, 1000, 1 << 34),), 5)
QUEUED = Job(id=JobId(42), spec=SPEC, owner=OWNER, phase=Phase.QUEUED, submitted_at_s=10.0, eligible_at_s=11.0, reason="behind 41", revision=7)
RUNNING = replace(QUEUED, phase=Phase.RUNNING, attempt=1, run=Run(GRANT, 12.0, "boot", started_at_s=12.5, shim_pid=77))
ENDED = replace(
    RUNNING, phase=Phase.FAILED, outcome=Outcome(20.0, exit_code=3, usage=Usage(1.5, 0.5, 100, 1, 2, 3, 4, 5, 0.5, 0.25, 0.125, 6), wait_s=1.0, run_s=8.0)
)
ARRAY = replace(
    QUEUED,
    spec=replace(SPEC, array=ArraySpec("0-9%2", IndexRanges((range(10),)), 2)),
    array=ArrayProgress(IndexRanges((range(6, 10),)), active=2, succeeded=1, failed=1, cancelled=2),
)

words = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
names = words.filter(bool)
times = st.floats(0, 1e12, allow_nan=False)
counts = st.integers(0, 2**63 - 1)
labels = st.dictionaries(words, words, max_size=3)
small = st.integers(0, 2**31 - 1)
job_ids = st.builds(JobId, st.integers(0, 10**17), st.one_of(st.just(WHOLE), st.integers(0, 10**17)))
requests = st.builds(
    Request,
    counts,
    counts,
    st.lists(st.builds(DeviceRequest, names, counts, words, counts), max_size=3).map(tuple),
    counts,
    st.booleans(),
)
grants = st.builds(
    Grant,
    st.lists(st.builds(CpuGrant, small, small), max_size=3).map(tuple),
    counts,
    st.lists(st.builds(DeviceGrant, words, words, small, counts, counts), max_size=2).map(tuple),
    counts,
)
specs = st.builds(
    JobSpec,
    name=words,
    command=st.lists(words, max_size=3).map(tuple),
    cwd=words,
    environment=st.builds(Environment, words, st.dictionaries(words, words, max_size=3)),
    request=requests,
    array=st.one_of(st.none(), st.builds(ArraySpec, names, st.just(IndexRanges((range(3),))), small)),
    dependencies=st.lists(st.builds(Dependency, st.sampled_from(DependencyKind), job_ids), max_size=3).map(tuple),
    time_limit_s=times,
    grace_s=times,
    retry=st.builds(RetryPolicy, st.integers(0, 2**32 - 1), st.frozensets(st.sampled_from(RetryCondition)), times, times, times, st.integers(0, 2**62)),
    begin_at_s=times,
    deadline_at_s=times,
    priority=st.integers(-(2**31), 2**31 - 1),
    nice=st.integers(-20, 19),
    queue=words,
    qos=words,
    account=words,
    labels=labels,
    held=st.booleans(),
    stdout_path=words,
    stderr_path=words,
    stdin_open=st.booleans(),
    preemptible=st.booleans(),
    checkpoint_signal=words,
    notify_command=words,
    script=words,
    secrets=st.lists(names, max_size=3, unique=True).map(tuple),
    private_tmp=st.booleans(),
    login_environment=st.booleans(),
    umask=st.integers(0, 0o777),
    model_outputs=st.lists(st.builds(ModelOutput, st.sampled_from(["digits", "a/b-%a", "%j"]), st.sampled_from(["main", "try-%A"]), names), max_size=2).map(
        tuple
    ),
    process_limits=st.lists(st.builds(ProcessLimit, words, st.integers(-1, 2**63 - 1), st.integers(-1, 2**63 - 1)), max_size=2).map(tuple),
)

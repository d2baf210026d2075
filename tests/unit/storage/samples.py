"""Jobs to store: a plain one, an array with elements, one with every field filled in, and hypothesis strategies for all of them."""

import hashlib
from dataclasses import fields, replace

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
    Stop,
    StopCause,
    Usage,
)  # fmt: skip
from aiosd.jobs.ranges import IndexRanges
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.request import DeviceRequest, Request

ALICE = Owner(1000, 1000, "alice")
BOB = Owner(1001, 100, "bob")


def environment(**variables: str) -> Environment:
    return Environment(hashlib.sha256(repr(sorted(variables.items())).encode()).hexdigest(), variables)


PLAIN = JobSpec(name="train", command=("/bin/true",), cwd="/tmp", environment=environment(PATH="/bin"), request=Request(1000, 1 << 30))
ARRAY = replace(PLAIN, name="sweep", array=ArraySpec("0-9%3", IndexRanges((range(10),)), 3))


def live(number: int, index: int = WHOLE, *, spec: JobSpec = PLAIN, owner: Owner = ALICE, phase: Phase = Phase.QUEUED, revision: int = 0) -> Job:
    return Job(id=JobId(number, index), spec=spec, owner=owner, phase=phase, submitted_at_s=1_700_000_000.0 + number, revision=revision or number)


def ended(
    number: int,
    index: int = WHOLE,
    *,
    spec: JobSpec = PLAIN,
    owner: Owner = ALICE,
    phase: Phase = Phase.SUCCEEDED,
    revision: int = 0,
) -> Job:
    job = live(number, index, spec=spec, owner=owner, phase=phase, revision=revision)
    return replace(job, outcome=Outcome(job.submitted_at_s + 5.25, 0, usage=Usage(0.5, 0.25, 1 << 20), wait_s=1.125, run_s=4.125))


RICH_SPEC = JobSpec(
    name="résumé 名前 'quoted' \"twice\" \\ %s :x ?",
    command=("sh", "-c", "echo 'a\nb'\t\x01 $HOME", "", "Ω"),
    cwd="/home/al ice",
    environment=environment(PATH="/bin:/usr/bin", EMPTY="", STRANGE="a=b\n\x7f€"),
    request=Request(2500, 3 << 40, (DeviceRequest("gpu", 2000, "a100", 1 << 33), DeviceRequest("fpga", 1000)), 5 << 30, True),
    array=ArraySpec("1,4,7-20:2%5", IndexRanges((range(1, 2), range(4, 5), range(7, 20, 2))), 5),
    dependencies=(Dependency(DependencyKind.AFTER_OK, JobId(3)), Dependency(DependencyKind.AFTER_ANY, JobId(4, 2))),
    time_limit_s=0.1 + 0.2,
    grace_s=1e-9,
    retry=RetryPolicy(3, frozenset({RetryCondition.OOM, RetryCondition.EXIT}), 2.5, 1e6, 1.5, 1 << 40),
    begin_at_s=1_700_000_000.123456,
    deadline_at_s=2e9,
    priority=-(2**31),
    nice=19,
    queue="night",
    qos="urgent",
    account="lab",
    labels={"team": "vision", "": "empty key", 'a"b': "c\nd"},
    held=True,
    stdout_path="/tmp/%j.out",
    stderr_path="/dev/null",
    stdin_open=True,
    preemptible=True,
    checkpoint_signal="USR1",
    notify_command="mail",
    script="#!/bin/sh\n" + "x" * 5000,
    io_read_bytes_per_s=1 << 20,
    io_write_bytes_per_s=1 << 21,
    io_weight=500,
    secrets=("TOKEN", "key.pem"),
    secrets_at="/state/secrets/0f",
    private_tmp=True,
    login_environment=True,
    umask=0o077,
    process_limits=(ProcessLimit("nofile", 4096, -1),),
    model_outputs=(ModelOutput("vision/digits", "try-%a", "out %j/Ω.onnx"),),
    open_cpus=True,
    open_memory=True,
)
RICH = Job(
    id=JobId(10**18 - 1),
    spec=RICH_SPEC,
    owner=Owner(2**32 - 2, 2**32 - 3, "DOM\\user"),
    phase=Phase.STOPPING,
    submitted_at_s=1_700_000_000.1,
    eligible_at_s=1_700_000_000.2,
    attempt=4,
    retries_used=3,
    not_before_s=1_700_000_000.3,
    reason="because",
    run=Run(
        Grant((CpuGrant(0, 1000), CpuGrant(7, 500)), 1 << 40, (DeviceGrant("GPU-1", "gpu", 1, 500, 1 << 33),), 9),
        1.5, "boot", 2.5, 3.5, 4242, 4.5, 5.5, JobId(17, 3), Grant((CpuGrant(0, 1000), CpuGrant(7, 1000)), 1 << 40), 6.5,
    ),
    stop=Stop(StopCause.PREEMPT, "too long", 99.5, True, 98.5, True),
    outcome=Outcome(3.25, None, 9, True, True, "killed", Usage(1.5, 2.5, 3, 4, 5, 6, 7, 8, 0.5, 0.25, 0.125, 9), 1.25, 2.75),
    array=ArrayProgress(IndexRanges((range(3, 9, 2), range(11, 12))), 1, 2, 3, 4),
    unmet=(Dependency(DependencyKind.AFTER, JobId(3, 1)),),
    memory_bytes=5 << 30,
    rightsizing="it asks for less",
    rightsized=True,
    gpu_s=7.5,
    ran_out=(4 << 30, 3 << 30),
    preemptions=2,
    made_room_for=JobId(17, 3),
    revision=2**53 + 1,
)  # fmt: skip

_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_numbers = st.floats(allow_nan=False, allow_infinity=False)
_counts = st.integers(0, 2**62)
_ranges = st.builds(lambda start, steps, step: range(start, start + steps * step, step), _counts, st.integers(1, 50), st.integers(1, 9))
_index_ranges = st.builds(IndexRanges, st.lists(_ranges, max_size=3).map(tuple))
_job_ids = st.builds(JobId, st.integers(1, 10**18 - 1), st.integers(WHOLE, 10**18 - 1))
_environments = st.dictionaries(_text, _text, max_size=3).map(lambda variables: environment(**{f"V{k}": v for k, v in variables.items()}))

for _kind, _strategy in {str: _text, float: _numbers, int: _counts, IndexRanges: _index_ranges, JobId: _job_ids, Environment: _environments}.items():
    st.register_type_strategy(_kind, _strategy)
_RECORDS = (DeviceRequest, Request, CpuGrant, DeviceGrant, Grant, Dependency, RetryPolicy, ArraySpec, JobSpec, Usage, Run, Outcome, Stop, ArrayProgress, Job)
for _record in _RECORDS:
    st.register_type_strategy(_record, st.builds(_record, **{f.name: ... for f in fields(_record)}))  # "...": defaults are not good enough
any_job = st.from_type(Job)

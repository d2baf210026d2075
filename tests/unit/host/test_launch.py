"""Where a run's files lie, and what its environment is made of."""

import marshal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.errors import FailedPrecondition
from aiosd.host.launch import Layout, Plans
from aiosd.host.prepare import Plan
from aiosd.ids import JobId
from aiosd.jobs.job import Environment, Job, JobSpec, Owner, Phase, Run
from aiosd.resources.grant import CpuGrant, Grant
from aiosd.resources.request import Request

LAYOUT = Layout(Path("/state"))


def job(number: int = 1234, index: int = -1, env: Mapping[str, str] | None = None, **spec: object) -> Job:
    filled = JobSpec(name="n", command=("true",), cwd="/cwd", environment=Environment("d", env or {}), request=Request(1000, 5), **spec)  # type: ignore[arg-type]
    grant = Grant((CpuGrant(2, 1000), CpuGrant(5, 500)), 7)
    return Job(
        id=JobId(number, index), spec=filled, owner=Owner(0, 0, "me"), phase=Phase.STARTING, submitted_at_s=0.0, attempt=3, run=Run(grant, 0.0, "boot"),
    )  # fmt: skip


def variables(one: Job, granted: Mapping[str, str]) -> dict[str, str]:
    """What the shim makes of the plan it is sent."""
    return Plan(*marshal.loads(Plans(LAYOUT, "unix:/t", lambda _: granted).plan_of(one))).env


@pytest.mark.parametrize(
    ("one", "paths"),
    [
        (job(), ("/state/logs/1/1234/job.3.out", "/state/logs/1/1234/job.3.err")),
        (job(index=7), ("/state/logs/1/1234/7.3.out", "/state/logs/1/1234/7.3.err")),
        (job(stdout_path="a"), ("/cwd/a", "/cwd/a")),
        (job(stdout_path="/x/%j.%a.%A", stderr_path="%%e"), ("/x/1234..3", "/cwd/%e")),
        (job(index=7, stdout_path="%j_%a_%%a"), ("/cwd/1234_7_%a", "/cwd/1234_7_%a")),
        (job(stderr_path="e"), ("/state/logs/1/1234/job.3.out", "/cwd/e")),
    ],
)
def test_output_paths(one: Job, paths: tuple[str, str]) -> None:
    assert LAYOUT.log_paths(one) == paths


def test_the_grant_sets_thread_counts_only_where_the_job_does_not_and_devices_always() -> None:
    one = job(env={"OMP_NUM_THREADS": "9", "CUDA_VISIBLE_DEVICES": "0,1", "AIOS_JOB_ID": "forged"})
    granted = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "GPU-x"}
    made = variables(one, granted)
    assert (made["OMP_NUM_THREADS"], made["MKL_NUM_THREADS"], made["CUDA_VISIBLE_DEVICES"], made["AIOS_JOB_ID"]) == ("9", "2", "GPU-x", "1234")


def test_the_variables_that_every_job_sees() -> None:
    made = variables(job(index=7, checkpoint_signal="USR1"), {})
    assert made == {
        "AIOS_JOB_ID": "1234.7", "AIOS_JOB_NAME": "n", "AIOS_ARRAY_INDEX": "7", "AIOS_ATTEMPT": "3", "AIOS_TARGET": "unix:/t",
        "AIOS_SCRATCH": "/state/scratch/1234.7.3", "AIOS_CHECKPOINT_DIR": "/state/checkpoints/1234.7", "AIOS_CPUS": "2,5", "AIOS_CPU_MILLIS": "1500",
        "AIOS_MEMORY_BYTES": "7", "AIOS_QUEUE": "default", "AIOS_RUN_KEY": "1234.7.3", "AIOS_REPORT_FILE": "/state/logs/1/1234/7.3.report",
        "AIOS_CHECKPOINT_SIGNAL": "USR1", "AIOS_SUBMIT_DIR": "/cwd",
    }  # fmt: skip


def test_a_job_that_holds_nothing_is_not_launched() -> None:
    with pytest.raises(FailedPrecondition, match="1234"):
        variables(replace(job(), run=None), {})


def test_what_runs_share_is_kept_apart_by_environment_and_grant() -> None:
    plans = Plans(LAYOUT, "unix:/t", lambda grant: {"OMP_NUM_THREADS": str(grant.cpu_millis)})

    def seen(one: Job) -> dict[str, str]:
        return Plan(*marshal.loads(plans.plan_of(one))).env

    first, second = job(env={"A": "1"}), job(env={"A": "2"})
    second = replace(second, spec=replace(second.spec, environment=Environment("other", {"A": "2"})))
    smaller = replace(first, run=Run(Grant((CpuGrant(2, 1000),), 7), 0.0, "boot"))
    assert [seen(one)["A"] for one in (first, second, first)] == ["1", "2", "1"]
    assert [seen(one)["OMP_NUM_THREADS"] for one in (first, smaller)] == ["1500", "1000"]

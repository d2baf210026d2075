"""This machine's past as lines of a trace."""

from dataclasses import replace

from aiosd.jobs.history import work_of
from aiosd.jobs.job import Outcome, Owner
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.resources.request import DeviceRequest, Request
from aiosd.simulation.cleaning import Rules, clean
from aiosd.simulation.history import TITLES, line_of
from aiosd.simulation.records import Machine
from aiosd.simulation.traces import read_trace
from tests.unit.rpc.records import RUNNING

GRANT = Grant((CpuGrant(0, 1000), CpuGrant(1, 1000)), 1 << 30, (DeviceGrant("g", "gpu", 0, 1000, 0),))
assert RUNNING.run is not None
RUN = replace(RUNNING.run, grant=GRANT, started_at_s=130.0)
SPEC = replace(
    RUNNING.spec, request=Request(1500, 1 << 29, (DeviceRequest("gpu", 500), DeviceRequest("fpga", 1000))), time_limit_s=600.0, grace_s=30.0, array=None
)
ENDED = replace(
    RUNNING, spec=SPEC, run=RUN, array=None, submitted_at_s=100.0, eligible_at_s=110.0, outcome=Outcome(190.0, exit_code=0, run_s=60.0), memory_bytes=0
)  # fmt: skip


def test_what_is_written_is_read() -> None:
    raw = read_trace((TITLES + line_of(ENDED)).encode(), "history")
    [row] = raw.rows
    assert (row.submit_s, row.run_s, row.limit_s, row.waited_s) == (110, 60, 630, 20)
    assert (row.cpu_millis, row.memory_bytes, row.gpu_millis, row.user) == (1500, 1 << 29, 500, ENDED.owner.name)
    assert row.work == work_of(SPEC).replace("\n", "_")
    [job] = clean(raw, Machine(4000, 1 << 30, 1), "cpu", Rules()).jobs
    assert (job.cpu_millis, job.memory_bytes, job.gpu_millis, job.limit_s, job.work) == (1500, 1 << 29, 500, 630, row.work)


def test_what_never_ran_is_left_out() -> None:
    assert line_of(replace(ENDED, run=None)) == ""
    assert line_of(replace(ENDED, outcome=None)) == ""
    assert line_of(replace(ENDED, outcome=Outcome(190.0, run_s=0.0))) == ""


def test_a_job_that_had_the_machine_for_itself_is_as_large_as_it_was() -> None:
    exclusive = replace(ENDED, spec=replace(SPEC, request=Request(1000, 0, exclusive=True)))
    [row] = read_trace((TITLES + line_of(exclusive)).encode(), "history").rows
    assert (row.cpu_millis, row.memory_bytes, row.gpu_millis) == (2000, 1 << 30, 1000)


def test_names_cannot_break_the_table() -> None:
    evil = replace(ENDED, owner=Owner(1, 1, 'a,"b\nc'), spec=replace(SPEC, account="#x,y"))
    [row] = read_trace((TITLES + line_of(evil)).encode(), "history").rows
    assert (row.user, row.group) == ("a__b_c", "#x_y")

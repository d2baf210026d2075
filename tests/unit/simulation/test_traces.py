"""Traces as they are read: SWF and CSV, packed or not, and errors that name line and field."""

import gzip

import pytest

from aiosd.errors import InvalidArgument
from aiosd.simulation import traces
from aiosd.simulation.traces import read_trace

SWF = b"""; MaxProcs: 100
; a comment
1 0 5 100 4 -1 -1 8 200 2048 1 3 7 -1 2 -1 -1 -1
2 10 -1 50 4 -1 -1 -1 -1 -1 0 -1 -1 -1 -1 -1 -1 -1
3 20 -1 50 4 -1 -1 4 -1 -1 2 -1 -1 -1 -1 -1 -1 -1
"""
CSV = b"""# Somewhere, 64 GPUs
submit_s,run_s,req,user,group,walltime_req_s,status,orig_wait_s,model
0,100,2,ada,vc1,200,done,5,vgg
1.5,50,0.5,,vc1,,,,dqn
"""


def test_swf_takes_what_was_requested_and_else_what_was_allocated() -> None:
    raw = read_trace(SWF, "jobs.swf")
    first, second = raw.rows  # the third is a part of a checkpointed job, which has a line for the whole
    assert (raw.capacity, raw.unit) == (100, "cpu")
    assert (first.submit_s, first.run_s, first.size, first.limit_s, first.user, first.queue, first.waited_s) == (0, 100, 8, 200, "3", "2", 5)
    assert first.memory_bytes == 2048 * 1024 * 8
    assert (second.size, second.limit_s, second.user, second.waited_s, second.status) == (4, 0, "", None, "failed")


def test_csv_reads_titles_and_the_capacity_of_its_comment() -> None:
    raw = read_trace(CSV, "jobs.csv")
    first, second = raw.rows
    assert (raw.capacity, raw.unit, first.line) == (64, "gpu", 3)
    assert (first.size, first.user, first.group, first.limit_s) == (2, "ada", "vc1", 200)
    assert (second.submit_s, second.size, second.user, second.limit_s, second.waited_s) == (1.5, 0.5, "", 0, None)


def test_gpu_milli_counts_for_each_of_req() -> None:
    raw = read_trace(b"submit_s,run_s,req,gpu_milli,cpu_milli,mem_mib\n0,1,2,1000,12000,4\n0,1,1,460,6000,2\n0,1,0,0,500,1\n", "pods.csv")
    assert [(row.gpu_millis, row.cpu_millis, row.memory_bytes) for row in raw.rows] == [(2000, 12000, 4 << 20), (460, 6000, 2 << 20), (0, 500, 1 << 20)]


@pytest.mark.parametrize(("data", "name"), [(SWF, "jobs.swf.gz"), (CSV, "jobs.csv.gz"), (b"\xef\xbb\xbf" + CSV, "bom.csv")])
def test_packed_or_not(data: bytes, name: str) -> None:
    assert len(read_trace(gzip.compress(data), name).rows) == len(read_trace(data, name).rows) == 2


def test_all_members_of_a_packed_file_are_read() -> None:
    """As `cat` and the parallel packers make them."""
    begin, end = CSV.rsplit(b"1.5,", 1)
    assert read_trace(gzip.compress(begin) + gzip.compress(b"1.5," + end), "a.csv.gz") == read_trace(CSV, "a.csv.gz")


def test_swf_is_known_by_its_comments_too() -> None:
    assert read_trace(SWF, "jobs.txt").capacity == 100


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"1 0 5 x 4 -1 -1 8 200 2048 1 3 7 -1 2 -1 -1 -1", "a.swf", "a.swf, line 1: run time is 'x', not a number"),
        (b"1 0 5", "a.swf", "a.swf, line 1: it has 3 fields, not 18"),
        (CSV + b"3,nan,1,,,,,,\n", "a.csv", "a.csv, line 5: run_s is 'nan', not a number of at most"),
        (CSV + b"3,1e300,1,,,,,,\n", "a.csv", "line 5: run_s is '1e300'"),
        (CSV + b"3,,1,,,,,,\n", "a.csv", "a.csv, line 5: run_s is '', not a number"),
        (CSV + b"3,4\n", "a.csv", "line 5: it has 7 fields less than titles"),
        (CSV + b"3,4,1,,,,,,,,\n", "a.csv", "line 5: it has 2 fields more than titles"),
        (b"a,b,c\n1,2,3\n", "a.csv", "its titles lack submit_s, run_s"),
        (b"submit_s,run_s\n1,2\n", "a.csv", "its titles lack one of req, cpu_milli, gpu_milli, gpus"),
        (CSV + b'3,"4,1,,,,,,\n' + b"5,6,1,,,,,,\n" * 20_000, "a.csv", "field larger than field limit"),
        (b"# " + b"9" * 5000 + b" GPUs\n" + CSV, "a.csv", "the size of the machine is '999"),
        (b"; MaxProcs: " + b"9" * 5000 + b"\n" + SWF, "a.swf", "a.swf, line 1: the size of the machine is '999"),
        (gzip.compress(CSV) + b"more", "a.csv.gz", "cannot be unpacked"),
        (b"", "a.csv", "a.csv is empty"),
        (b"# only a comment\n", "a.csv", "has no line of titles"),
        (b"submit_s,run_s,req\n", "a.csv", "has no job"),
        (b"; MaxProcs: 5\n", "a.swf", "has no job"),
        (b"submit_s,run_s,req\n1,2,\xff\n", "a.csv", "line 2: it is not text"),
        (b"\x1f\x8b a broken file", "a.gz", "cannot be unpacked"),
        (gzip.compress(CSV)[:-12], "a.csv.gz", "ends in the middle"),
    ],
)
def test_what_cannot_be_read_is_named(data: bytes, name: str, says: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_trace(data, name)
    assert says in str(caught.value)
    assert caught.value.hint


def test_a_file_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "LARGEST_BYTES", 1000)
    with pytest.raises(InvalidArgument, match="when unpacked"):
        read_trace(gzip.compress(b"0" * 100_000), "bomb.csv.gz")

"""What jobs print on its way to many readers: byte for byte, with the daemon's memory bounded, and nothing left open."""

import hashlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

import aios
from aios.spec import SubmitOptions
from aios.v1 import jobs_pb2 as pb
from tests.e2e.daemon import LONG, PATIENCE_S, Daemon, eventually

PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")
BIG_BYTES = (1 << 30) if LONG else 200 << 20
GROWTH_BYTES = 48 << 20


def test_binary_output_comes_as_it_was_written(client: aios.Client) -> None:
    script = "import os, sys; data = bytes(range(256)) * 4096; os.write(1, data[:7]); os.write(2, b'\\xff\\0err'); sys.stdout.buffer.write(data[7:])"
    job = client.submit([sys.executable, "-c", script], env={}, inherit_env=False).wait()
    out, err = (b"".join(c.data for c in client.log_chunks(job.id, output=which)) for which in ("stdout", "stderr"))
    assert out == bytes(range(256)) * 4096
    assert err == b"\xff\0err"


def test_much_output_does_not_grow_the_daemon(daemon: Daemon) -> None:
    client = daemon.start().client()
    client.submit(["true"], **PLAIN).wait()
    before = daemon.memory_bytes()
    job = client.submit(["sh", "-c", f"head -c {BIG_BYTES} /dev/zero | tr '\\0' 'z'"], cpus=1, env={}, inherit_env=False)
    size, digest, most = 0, hashlib.md5(), before
    for at, chunk in enumerate(client.log_chunks(job.id, follow=True)):
        assert chunk.offset == size or chunk.ended is not None
        size += len(chunk.data)
        digest.update(chunk.data)
        if at % 64 == 0:
            most = max(most, daemon.memory_bytes())
    expected = hashlib.md5()
    for _ in range(BIG_BYTES >> 20):
        expected.update(b"z" * (1 << 20))
    assert (size, digest.digest()) == (BIG_BYTES, expected.digest())
    assert max(most, daemon.memory_bytes()) - before < GROWTH_BYTES


def test_ten_followers_each_see_all(client: aios.Client) -> None:
    job = client.submit("for n in $(seq 1 200); do echo line $n; echo err $n >&2; sleep 0.005; done; printf last", **PLAIN)
    with ThreadPoolExecutor(10) as threads:
        readers = [threads.submit(lambda: list(client.log_chunks(job.id, follow=True))) for _ in range(10)]
        followed = [reader.result(PATIENCE_S) for reader in readers]
    for chunks in followed:
        texts = {which: b"".join(c.data for c in chunks if c.output is which).decode() for which in aios.Output}
        assert texts[aios.Output.STDOUT] == "".join(f"line {n}\n" for n in range(1, 201)) + "last"
        assert texts[aios.Output.STDERR] == "".join(f"err {n}\n" for n in range(1, 201))
        assert [c.ended.id for c in chunks if c.ended is not None] == [job.id]


def test_a_slow_reader_costs_no_memory_and_holds_nobody_up(daemon: Daemon) -> None:
    client = daemon.start().client()
    before = daemon.memory_bytes()
    job = client.submit(["sh", "-c", f"head -c {100 << 20} /dev/zero"], cpus=1, env={}, inherit_env=False)
    with grpc.insecure_channel(daemon.target) as channel:
        logs = channel.unary_stream("/aios.v1.Jobs/Logs", pb.JobLogsRequest.SerializeToString, pb.LogChunk.FromString)
        answers = logs(pb.JobLogsRequest(id=job.id, follow=True), metadata=daemon.metadata())
        read = len(next(answers).data)
        assert job.wait().state is aios.State.SUCCEEDED  # the job is not held up
        assert client.submit(["true"], **PLAIN).wait().state is aios.State.SUCCEEDED
        time.sleep(0.5)
        assert daemon.memory_bytes() - before < GROWTH_BYTES
        read += sum(len(chunk.data) for chunk in answers)
    assert read == 100 << 20


def test_clients_that_vanish_leave_nothing_behind(daemon: Daemon) -> None:
    client, root = daemon.start().client(), daemon.root
    job = client.submit(f"while [ ! -e {root}/go ]; do echo x; sleep 0.02; done", **PLAIN)
    eventually(lambda: job.refresh().state is aios.State.RUNNING, "it runs")
    _vanish(daemon, job.id)
    before = eventually(lambda: _quiet(daemon), "it is quiet")
    for _ in range(3):
        _vanish(daemon, job.id)
    most = before + 6  # connections to the database are opened as they are needed, a few; twelve clients have gone
    eventually(lambda: daemon.descriptors() <= most, f"descriptors are back to {before}")
    (root / "go").touch()
    assert job.wait().state is aios.State.SUCCEEDED
    assert "Traceback" not in daemon.said(1000)


def _vanish(daemon: Daemon, job_id: str) -> None:
    """Four processes in the middle of a stream each, killed."""
    verbs = (["logs", "-f", job_id], ["ps", "-w"], ["wait", job_id], ["events", "-f"])
    environment = {**daemon.environment, "AIOS_TARGET": daemon.target}
    idle = eventually(lambda: _quiet(daemon), "those who went before are gone")
    readers = [
        subprocess.Popen([sys.executable, "-m", "aiosctl", *verb], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for verb in verbs
    ]
    try:
        eventually(lambda: daemon.descriptors() >= idle + len(verbs) - 1, "they are connected")
        time.sleep(0.2)
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()


def _quiet(daemon: Daemon) -> int:
    """The number of descriptors, when it does not change any more."""
    before = daemon.descriptors()
    time.sleep(0.5)
    return before if daemon.descriptors() == before else 0


def test_standard_input_reaches_a_job_and_ends(client: aios.Client) -> None:
    data = bytes(range(256)) * 8192
    job = client.submit(["sh", "-c", "md5sum; echo end"], stdin=True, **PLAIN)
    written = client.write_input(job.id, [data[at : at + 50_000] for at in range(0, len(data), 50_000)])
    assert written == len(data)
    job.wait()
    assert job.output() == f"{hashlib.md5(data).hexdigest()}  -\nend\n"


def test_tail_and_lines(client: aios.Client, tmp_path: Path) -> None:
    job = client.submit("seq 1 1000; printf 'no end'", **PLAIN).wait()
    assert list(job.logs(tail=3)) == ["999", "1000", "no end"]
    assert list(job.logs()) == [*map(str, range(1, 1001)), "no end"]

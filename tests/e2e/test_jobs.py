"""Jobs as real processes: how they end, what they see, how whole trees are stopped, what waits for what."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

import aios
from aios.spec import SubmitOptions
from tests.e2e.daemon import Daemon, eventually

PLAIN = SubmitOptions(cpus=0.1, memory="16M", env={}, inherit_env=False, cwd="/")
TREE = """
import os, signal, sys, time
mark = sys.argv[1]
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def grow(name, *, own_session):
    if os.fork() == 0:
        if own_session:
            os.setsid()
        if os.fork() == 0:  # its parent is gone: nobody but the supervisor is left to own it
            with open(f"{mark}.{name}", "a", buffering=1) as file:
                while True:
                    file.write("x")
                    file.flush()
                    time.sleep(0.02)
        os._exit(0)
grow("child", own_session=False)
grow("daemon", own_session=True)
while True:
    time.sleep(0.02)
"""


@pytest.fixture
def place(shared: Daemon, request: pytest.FixtureRequest) -> Path:
    """A directory of the test's own, with a short name."""
    place = shared.root / f"t{abs(hash(request.node.name)) % 10**8}"
    place.mkdir()
    return place


# How they end


@pytest.mark.parametrize(("script", "state", "code", "number"), [
    ("exit 0", "succeeded", 0, None), ("exit 42", "failed", 42, None), ("exit 255", "failed", 255, None),
    ("kill -KILL $$", "failed", None, 9), ("kill -HUP $$", "failed", None, 1),
])  # fmt: skip
def test_an_end_is_kept_as_it_was(client: aios.Client, script: str, state: str, code: int | None, number: int | None) -> None:
    job = client.submit(script, **PLAIN).wait()
    assert (job.state, job.exit_code, job.signal) == (state, code, number)
    assert job.outcome is not None and not job.outcome.core_dumped


def test_a_core_dump_is_told(client: aios.Client, place: Path) -> None:
    job = client.submit(["sh", "-c", "ulimit -c 100000 || exit 77; kill -ABRT $$"], **{**PLAIN, "cwd": place}).wait()
    if job.exit_code == 77:
        pytest.skip("this machine lets no process dump core: its hard limit is 0")
    assert job.signal == signal.SIGABRT
    assert job.outcome is not None
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if not pattern.startswith(("|", "/")) and pattern:
        assert job.outcome.core_dumped
        assert "core dumped" in job.reason


def test_usage_is_measured(client: aios.Client) -> None:
    script = "import time; data = bytearray(80 << 20); end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    job = client.submit([sys.executable, "-c", script], env={}, inherit_env=False).wait()
    assert job.outcome is not None
    usage = job.outcome.usage
    assert 0.25 < usage.cpu_user_s + usage.cpu_system_s < 5
    assert 80 << 20 < usage.memory_peak_bytes < 400 << 20
    assert 0.3 < job.outcome.run_s < 30
    assert job.outcome.wait_s >= 0


def test_a_missing_directory_or_program_fails_the_job_and_says_why(client: aios.Client) -> None:
    program = client.submit(["/no/such/program"], **PLAIN).wait()
    assert (program.state, program.exit_code) == (aios.State.FAILED, 127)
    assert "/no/such/program" in program.reason
    directory = client.submit(["true"], **{**PLAIN, "cwd": "/no/such/place"}).wait()
    assert directory.state is aios.State.FAILED
    assert "/no/such/place" in directory.reason
    no_program = client.submit(["/etc"], **PLAIN).wait()
    assert (no_program.state, no_program.exit_code) == (aios.State.FAILED, 126)
    assert client.submit(["true"], **PLAIN).wait().state is aios.State.SUCCEEDED


# Whole trees


def test_a_tree_is_suspended_resumed_and_cancelled_as_one(client: aios.Client, shared: Daemon, place: Path) -> None:
    mark = place / "m"
    job = client.submit([sys.executable, "-c", TREE, str(mark)], grace=0.5, **PLAIN)
    files = [Path(f"{mark}.child"), Path(f"{mark}.daemon")]
    eventually(lambda: all(file.exists() and file.stat().st_size > 2 for file in files), "the tree grows")
    assert job.suspend().state is aios.State.SUSPENDED
    eventually(lambda: not _grow(files), "all of it stands still")
    assert job.resume().state is aios.State.RUNNING
    eventually(lambda: len(_grow(files)) == 2, "all of it goes on")
    job.cancel(reason="enough")
    assert job.wait().state is aios.State.CANCELLED
    assert job.signal == signal.SIGKILL  # SIGTERM was ignored
    assert not _grow(files)
    assert not [command for command in shared.processes().values() if str(mark) in command]


def test_a_time_limit_ends_a_tree_that_ignores_sigterm(client: aios.Client, shared: Daemon, place: Path) -> None:
    mark = place / "m"
    job = client.submit([sys.executable, "-c", TREE, str(mark)], time=1, grace=0.5, **PLAIN).wait()
    assert job.state is aios.State.TIMED_OUT
    assert "time limit" in job.reason
    assert job.outcome is not None and 1.4 < job.outcome.run_s < 10
    assert not [command for command in shared.processes().values() if str(mark) in command]


def test_what_a_job_leaves_behind_ends_with_it(client: aios.Client, shared: Daemon, place: Path) -> None:
    job = client.submit(f"setsid sleep 612 & echo $! > {place}/pid; exit 0", **PLAIN).wait()
    assert job.state is aios.State.SUCCEEDED
    eventually(lambda: not [c for c in shared.processes().values() if "sleep 612" in c], "what it left behind is ended")


def test_a_polite_end_within_the_grace(client: aios.Client) -> None:
    job = client.submit("trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done", grace=600, **PLAIN)
    eventually(lambda: "ready" in job.output(), "it is ready")
    job.cancel().wait(60)
    assert (job.state, job.exit_code) == (aios.State.CANCELLED, 0)
    assert job.output() == "ready\nsaved\n"


def _grow(files: list[Path]) -> list[Path]:
    """Those that grew while we looked."""
    before = [file.stat().st_size for file in files]
    time.sleep(0.25)
    return [file for file, size in zip(files, before, strict=True) if file.stat().st_size > size]


# What waits for what


def test_retries_pause_longer_each_time_and_then_give_up(client: aios.Client, place: Path) -> None:
    job = client.submit(f"date +%s.%N >> {place}/at; exit 3", retries=2, backoff=0.3, **PLAIN).wait()
    assert (job.state, job.exit_code, job.attempt) == (aios.State.FAILED, 3, 3)
    at = [float(line) for line in (place / "at").read_text().split()]
    assert at[1] - at[0] >= 0.3
    assert at[2] - at[1] >= 0.6


def test_retries_end_with_the_first_success_and_mind_their_conditions(client: aios.Client, place: Path) -> None:
    job = client.submit(f"echo x >> {place}/n; [ $(wc -l < {place}/n) -ge 3 ]", retries=9, backoff=0.05, **PLAIN).wait()
    assert (job.state, job.attempt) == (aios.State.SUCCEEDED, 3)
    other = client.submit("exit 3", retries=9, retry_on="oom", **PLAIN).wait()
    assert (other.state, other.attempt) == (aios.State.FAILED, 1)


def test_dependencies_are_met_or_end_what_waits_for_them(client: aios.Client, place: Path) -> None:
    go = place / "go"
    wait = f"while [ ! -e {go} ]; do sleep 0.02; done; "
    good, bad = client.submit(wait, **PLAIN), client.submit(wait + "exit 1", **PLAIN)
    waiting = {
        "after": client.submit(["true"], after=good, **PLAIN),
        "ok good": client.submit(["true"], after_ok=good, **PLAIN),
        "ok bad": client.submit(["true"], after_ok=bad, **PLAIN),
        "failed bad": client.submit(["true"], after_failed=bad, **PLAIN),
        "failed good": client.submit(["true"], after_failed=good, **PLAIN),
        "any both": client.submit(["true"], after_any=[good, bad], **PLAIN),
    }
    chained = client.submit(["true"], after_ok=waiting["ok bad"], **PLAIN)
    assert waiting["after"].wait().state is aios.State.SUCCEEDED
    assert waiting["ok good"].refresh().state is aios.State.WAITING
    assert waiting["any both"].why().kind == "dependency"
    go.touch()
    states = {name: job.wait().state.value for name, job in waiting.items()}
    assert states == {
        "after": "succeeded", "ok good": "succeeded", "ok bad": "skipped", "failed bad": "succeeded", "failed good": "skipped", "any both": "succeeded",
    }  # fmt: skip
    assert bad.id in waiting["ok bad"].reason
    assert chained.wait().state is aios.State.SKIPPED
    with pytest.raises(aios.errors.AiosError, match="999999"):
        client.submit(["true"], after="999999", **PLAIN)


def test_a_ring_of_dependencies_is_refused_whole(client: aios.Client) -> None:
    before = len(list(client.jobs(include_ended=True)))
    with pytest.raises(aios.errors.InvalidArgument):
        client.submit_many([aios.JobSpec(["true"], after="#1", **PLAIN), aios.JobSpec(["true"], after="#0", **PLAIN)])
    assert len(list(client.jobs(include_ended=True))) == before


def test_an_array_keeps_to_its_limit_and_knows_its_elements(client: aios.Client, place: Path) -> None:
    script = f"touch {place}/$AIOS_ARRAY_INDEX.on; ls {place} | grep -c on >> {place}/seen; sleep 0.1; rm {place}/$AIOS_ARRAY_INDEX.on; exit $((AIOS_ARRAY_INDEX % 2))"
    job = client.submit(script, array="1-9:2,10,12%3", **PLAIN).wait()
    assert job.array is not None
    assert (job.array.total, job.array.succeeded, job.array.failed, job.array.pending, job.array.active) == (7, 2, 5, 0, 0)
    assert 1 <= max(map(int, (place / "seen").read_text().split())) <= 3
    elements = {element.array_index: element.exit_code for element in job.elements()}
    assert elements == {1: 1, 3: 1, 5: 1, 7: 1, 9: 1, 10: 0, 12: 0}
    assert job.state is aios.State.FAILED
    assert job[10].state is aios.State.SUCCEEDED


def test_hold_release_and_requeue(client: aios.Client, place: Path) -> None:
    job = client.submit(f"echo x >> {place}/n; while [ ! -e {place}/go ]; do sleep 0.02; done", hold=True, grace=1, **PLAIN)
    assert (job.state, job.why().kind) == (aios.State.HELD, "held")
    job.release()
    eventually((place / "n").exists, "it runs")
    job.requeue(reason="once more")
    eventually(lambda: (place / "n").read_text() == "x\nx\n", "it runs again")
    (place / "go").touch()
    assert job.wait().state is aios.State.SUCCEEDED
    assert job.attempt == 2


def test_begin_time_and_deadline(client: aios.Client) -> None:
    tomorrow = client.submit(["true"], begin=time.time() + 86400, **PLAIN)
    assert (tomorrow.state, tomorrow.why().kind) == (aios.State.WAITING, "begin-time")
    tomorrow.cancel()
    begin_s = time.time() + 1.0
    later = client.submit(["true"], begin=begin_s, **PLAIN)
    late = client.submit(["true"], hold=True, deadline=time.time() + 0.5, **PLAIN)
    assert later.wait().started_at_s >= begin_s - 0.01
    assert late.wait().state is aios.State.SKIPPED
    assert "deadline" in late.reason


def test_priority_decides_who_goes_next(daemon: Daemon) -> None:
    client = daemon.start(AIOSD_SCHEDULER__POLICY="priority").client()
    order, spec = daemon.root / "order", SubmitOptions(**{**PLAIN, "cpus": len(client.node().inventory.cpus)})
    blocker = client.submit(f"while [ ! -e {daemon.root}/go ]; do sleep 0.02; done", **spec)
    eventually(lambda: blocker.refresh().state is aios.State.RUNNING, "the machine is full")
    jobs = [client.submit(f"echo {priority} >> {order}", priority=priority, **spec) for priority in (1, 5, 3, -2)]
    assert jobs[3].why().kind in ("resources", "behind")
    (daemon.root / "go").touch()
    for job in jobs:
        job.wait()
    assert order.read_text().split() == ["5", "3", "1", "-2"]


# What they see


def test_the_environment_of_a_job(client: aios.Client, place: Path, shared: Daemon) -> None:
    script = "import json, os; print(json.dumps([dict(os.environ), sorted(os.sched_getaffinity(0)), os.getcwd(), [os.path.isdir(os.environ['AIOS_' + d]) for d in ('SCRATCH', 'CHECKPOINT_DIR')]]))"
    asked = {"MINE": "yes", "OMP_NUM_THREADS": "7", "AIOS_JOB_ID": "forged"}
    job = client.submit([sys.executable, "-c", script], name="seer", cpus=1, memory="64M", env=asked, inherit_env=False, cwd=place).wait()
    assert job.state is aios.State.SUCCEEDED, job.reason
    environment, affinity, cwd, directories = json.loads(job.output())
    assert job.grant is not None
    granted = [cpu.cpu for cpu in job.grant.cpus]
    assert affinity == granted
    assert cwd == str(place.resolve())
    assert environment["MINE"] == "yes"
    assert environment["OMP_NUM_THREADS"] == "7"  # the user knows better
    assert environment["MKL_NUM_THREADS"] == "1"
    assert environment["AIOS_JOB_ID"] == job.id
    assert environment["AIOS_JOB_NAME"] == "seer"
    assert environment["AIOS_ATTEMPT"] == "1"
    assert environment["AIOS_TARGET"] == shared.target
    assert environment["AIOS_CPUS"] == ",".join(map(str, granted))
    assert environment["AIOS_MEMORY_BYTES"] == str(64 << 20)
    assert "AIOS_ARRAY_INDEX" not in environment
    assert directories == [True, True]
    scratch = Path(environment["AIOS_SCRATCH"])  # what was in it went with the run; its shim may keep the empty directory for another
    eventually(lambda: not scratch.exists(), "the scratch directory is gone when the shim is")


def test_no_descriptor_and_no_secret_of_the_daemon_reaches_a_job(client: aios.Client) -> None:
    job = client.submit(["sh", "-c", "ls /proc/self/fd | sort -n | tr '\\n' ' '; env | grep -c AIOSD_ ; umask; cat"], **PLAIN).wait()
    descriptors, count = job.output().split("\n")[0].rsplit(" ", 1)
    assert descriptors.split() == ["0", "1", "2", "3"]  # the last is ls's own
    assert count == "0"
    assert "0022" in job.output()


def test_large_arguments_and_environments_are_taken_or_refused(client: aios.Client) -> None:
    job = client.submit(["sh", "-c", "n=0; for a; do n=$((n + ${#a})); done; echo $n", "sh", *["a" * 100_000] * 10], **PLAIN).wait()
    assert job.output() == "1000000\n"
    rich = client.submit(["sh", "-c", "env | wc -c"], **{**PLAIN, "env": {f"V{n}": "b" * 100_000 for n in range(10)}}).wait()
    assert int(rich.output()) > 1_000_000
    with pytest.raises(aios.errors.InvalidArgument, match="more than"):
        client.submit(["true", *["a" * 100_000] * 30], **PLAIN)
    with pytest.raises(aios.errors.InvalidArgument, match="more than"):
        client.submit(["true"], **{**PLAIN, "env": {f"V{n}": "b" * 100_000 for n in range(30)}})
    with pytest.raises(aios.errors.InvalidArgument, match="kernel"):
        client.submit(["true", "a" * (1 << 20)], **PLAIN)


@pytest.mark.parametrize("command", [["a\0b"], ["true", "x\0"], []])
def test_a_command_that_cannot_be_one_is_refused(client: aios.Client, command: list[str]) -> None:
    with pytest.raises(aios.errors.InvalidArgument):
        client.submit(command, **PLAIN)


@pytest.mark.parametrize("more", [{"env": {"A": "x\0y"}}, {"env": {"A=B": "x"}}, {"env": {"": "x"}}, {"cwd": "/a\0b"}, {"name": "a\0b"}])
def test_nul_bytes_and_wrong_names_are_refused(client: aios.Client, more: dict[str, object]) -> None:
    with pytest.raises(aios.errors.InvalidArgument):
        client.submit(["true"], **{**PLAIN, **more})  # type: ignore[arg-type]


def test_what_never_fits_is_refused_with_the_amounts(client: aios.Client) -> None:
    with pytest.raises(aios.errors.NeverFits) as refused:
        client.submit(["true"], cpus=100_000)
    assert refused.value.facts["resource"] == "cpu"
    assert "100000" in str(refused.value)
    with pytest.raises(aios.errors.NeverFits):
        client.submit(["true"], memory="100T")
    with pytest.raises(aios.errors.NeverFits):
        client.submit(["true"], gres="unicorn=1")


def test_output_goes_to_files_that_were_named(client: aios.Client, place: Path) -> None:
    job = client.submit("echo out; echo err >&2", array="0-1", output=place / "o.%j.%a.%A", error=place / "e.%a", **PLAIN).wait()
    assert job.state is aios.State.SUCCEEDED
    assert (place / f"o.{job.id}.1.1").read_text() == "out\n"
    assert (place / "e.0").read_text() == "err\n"
    assert os.stat(place / "e.0").st_mode & 0o777 == 0o644


# How they are named, and what is said of those that wait


def test_a_name_goes_on_meaning_a_job_that_has_ended(shared: Daemon, client: aios.Client) -> None:
    job = client.submit("echo dark", **{**PLAIN, "name": "lone-night"}).wait()
    for verb in ("show", "logs", "wait"):
        done = shared.aiosctl(verb, "lone-night")
        assert done.returncode == 0, done.stderr
        assert {"show": f"Job {job.id}\n".encode(), "logs": b"dark\n", "wait": b""}[verb] in done.stdout
    again = client.submit("exit 0", **{**PLAIN, "name": "lone-night"}).wait()
    refused = shared.aiosctl("show", "lone-night")
    assert refused.returncode != 0 and f"jobs {again.id}, {job.id}".encode() in refused.stderr and b"use the id" in refused.stderr


def test_what_waits_says_why_in_lists_and_in_full(client: aios.Client) -> None:
    cpus = len(client.node().inventory.cpus)
    runs = client.submit("sleep 60", **{**PLAIN, "cpus": 0.5})
    waits = client.submit("exit 0", **{**PLAIN, "cpus": cpus})
    why = waits.why()
    assert why.summary.startswith(f"it needs {cpus} processor")
    assert client.job(waits.id).reason == "waits for cpu"
    assert [job.reason for job in client.jobs() if job.id == waits.id] == ["waits for cpu"]
    client.cancel(runs.id)
    assert waits.wait().state == "succeeded"

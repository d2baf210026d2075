"""What a run on real processes finds, and how it ends: exit codes, signals, sentences, files, input."""

import json
import os
import resource
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.errors import FailedPrecondition
from aiosd.ids import JobId
from aiosd.jobs.job import Job, Outcome, Phase
from tests.contract.launching import GRANT, PATIENCE_S, RealWorld, eventually, in_loop, job, out, sh, shims, text


@in_loop
async def test_a_fatal_signal_and_its_core_flag_are_told(real: RealWorld) -> None:
    async with real.daemon() as ear:
        end = await ear.run(sh("kill -SEGV $$"))
    assert (end.signal, end.exit_code, end.error) == (signal.SIGSEGV, None, "")
    assert isinstance(end.core_dumped, bool)


@in_loop
async def test_what_a_run_used_is_told(real: RealWorld) -> None:
    async with real.daemon() as ear:
        end = await ear.run(sh("i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"))
    assert end.usage.cpu_user_s > 0
    assert end.usage.memory_peak_bytes > 100_000
    assert 0 < end.run_s < PATIENCE_S
    assert abs(end.ended_at_s - time.time()) < PATIENCE_S


@pytest.mark.parametrize(
    ("broken", "code", "words"),
    [
        (job("true", cwd="/no/such/directory"), 127, ["/no/such/directory", "working directory"]),
        (job("no-such-command-here"), 127, ["no-such-command-here", "PATH"]),
        (job("/no/such/file"), 127, ["/no/such/file"]),
        (job("/etc/passwd"), 126, ["/etc/passwd"]),
        (job("/etc"), 126, ["/etc", "directory"]),
        (job("true", stdout_path="/no/such/directory/out"), 126, ["/no/such/directory/out"]),
        (job("/bin/echo", "x" * 200_000), 126, ["/bin/echo", "too long"]),
    ],
)
@in_loop
async def test_what_cannot_be_run_fails_alone_with_a_sentence(real: RealWorld, broken: Job, code: int, words: list[str]) -> None:
    async with real.daemon() as ear:
        end = await ear.run(broken)
        assert (end.exit_code, end.signal) == (code, None)
        assert all(word in end.error for word in words), end.error
        assert (await ear.run(job("true", number=2))).exit_code == 0


@in_loop
async def test_a_text_file_without_a_first_line_is_run_by_the_shell(real: RealWorld, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("echo from $0 $1")
    program.chmod(0o755)
    one = job("./program", "here", cwd=str(tmp_path))
    async with real.daemon() as ear:
        assert (await ear.run(one)).exit_code == 0
        assert out(ear, one) == b"from ./program here\n"


@in_loop
async def test_a_job_has_its_environment_directory_processors_and_signals(real: RealWorld, tmp_path: Path) -> None:
    script = (
        "import json,os,signal;print(json.dumps([dict(os.environ),os.getcwd(),sorted(os.sched_getaffinity(0)),os.getsid(0)==os.getpid(),"
        "os.nice(0),[str(signal.getsignal(n)) for n in (13,10,17)],os.listdir('/proc/self/fd'),signal.pthread_sigmask(0,[])==set()]))"
    )
    one = job("python3", "-c", script, cwd=str(tmp_path), env={"MINE": "\u00e4 b", "OMP_NUM_THREADS": "7", "CUDA_VISIBLE_DEVICES": "0"}, nice=3)
    async with real.daemon() as ear:
        assert (await ear.run(one)).exit_code == 0, Path(ear.launcher.log_paths(one)[1]).read_text()
        env, cwd, cpus, leads, nice, dispositions, descriptors, unmasked = json.loads(out(ear, one))
    assert (cwd, cpus, leads, nice, unmasked) == (str(tmp_path), [GRANT.cpus[0].cpu], True, os.nice(0) + 3, True)
    assert (env["MINE"], env["OMP_NUM_THREADS"], env["CUDA_VISIBLE_DEVICES"]) == ("\u00e4 b", "7", "")
    assert (env["AIOS_JOB_ID"], env["AIOS_ATTEMPT"], env["AIOS_RUN_KEY"], env["AIOS_CPUS"]) == ("1", "1", "1.-1.1", str(cpus[0]))
    assert "AIOS_ARRAY_INDEX" not in env
    assert set(dispositions) <= {"0", "Handlers.SIG_DFL", "1", "Handlers.SIG_IGN"}
    assert dispositions[1:] == [str(signal.SIG_DFL)] * 2
    assert len(descriptors) == 4  # three streams and the directory that is being listed


@in_loop
async def test_scratch_is_removed_and_a_checkpoint_is_kept(real: RealWorld) -> None:
    messy = "mkdir -p $AIOS_SCRATCH/a/b && ln -s / $AIOS_SCRATCH/a/root && touch $AIOS_SCRATCH/a/b/c && chmod 0 $AIOS_SCRATCH/a/b"
    kept, empty = sh(f"{messy}; touch $AIOS_CHECKPOINT_DIR/model", number=1), job("true", number=2)
    async with real.daemon() as ear:
        await ear.run(kept)
        await ear.run(empty)
        await ear.run(job("true", number=3, nice=1))
    await eventually(lambda: (os.listdir(real.state / "scratch"), os.listdir(real.state / "checkpoints")) == ([], ["1"]))
    assert os.path.isdir("/etc")


@in_loop
async def test_output_files_follow_their_patterns_and_may_be_one(real: RealWorld, tmp_path: Path) -> None:
    one = replace(sh("echo out; echo err >&2", cwd=str(tmp_path), stdout_path="%j-%a-%A%%.log"), id=JobId(7, 3))
    async with real.daemon() as ear:
        assert (await ear.run(one)).exit_code == 0
        assert ear.launcher.log_paths(one) == (str(tmp_path / "7-3-1%.log"),) * 2
    assert (tmp_path / "7-3-1%.log").read_text() == "out\nerr\n"


@in_loop
async def test_binary_output_and_a_large_environment_pass_through(real: RealWorld) -> None:
    env = {f"V{n}": "x" * 100_000 for n in range(10)}
    one = sh("head -c 100000 /dev/urandom; printf '\\000\\377'; echo ${#V9} >&2", env=env)
    async with real.daemon() as ear:
        assert (await ear.run(one)).exit_code == 0
        assert len(out(ear, one)) == 100_002
        assert out(ear, one).endswith(b"\0\xff")
        assert Path(ear.launcher.log_paths(one)[1]).read_text() == "100000\n"


@pytest.mark.parametrize("first", ["#!/usr/bin/env -S sh -e\n", "#!/bin/sh\n", ""])
@in_loop
async def test_a_script_runs_with_its_arguments_and_is_removed(real: RealWorld, first: str) -> None:
    one = job("a", "b c", script=f'{first}echo "$2"; exit 4\n')
    async with real.daemon() as ear:
        end = await ear.run(one)
        assert (end.exit_code, out(ear, one)) == (4, b"b c\n")
    assert os.listdir(real.state / "runs") == [one.run_key]


@in_loop
async def test_open_input_is_written_and_ended(real: RealWorld) -> None:
    cat = job("cat", stdin_open=True)
    async with real.daemon() as ear:
        ear.launcher.launch(cat)
        await ear.launched(cat)
        for part in (b"one\n", b"two\n"):
            await eventually(lambda part=part: shims(ear).write_input(cat, part) == len(part))  # type: ignore[misc]
        shims(ear).end_input(cat)
        assert (await ear.exit(cat)).exit_code == 0
        assert out(ear, cat) == b"one\ntwo\n"
        with pytest.raises(FailedPrecondition):
            shims(ear).write_input(cat, b"late")


@in_loop
async def test_input_that_is_ended_at_once_ends(real: RealWorld) -> None:
    cat = job("cat", stdin_open=True)
    async with real.daemon() as ear:
        ear.launcher.launch(cat)
        shims(ear).end_input(cat)
        assert (await ear.exit(cat)).exit_code == 0


@in_loop
async def test_a_link_in_place_of_the_scratch_directory_is_not_followed(real: RealWorld, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    async with real.daemon() as ear:
        assert (await ear.run(sh(f"rmdir $AIOS_SCRATCH && ln -s {tmp_path}/mine $AIOS_SCRATCH"))).exit_code == 0
    assert os.listdir(tmp_path / "mine") == ["file"]
    assert os.listdir(real.state / "scratch") == []


@in_loop
async def test_the_next_attempt_gets_the_checkpoint_which_goes_when_the_job_has_succeeded(real: RealWorld) -> None:
    first = sh("echo 1 > $AIOS_CHECKPOINT_DIR/step; exit 1")
    second = replace(sh('[ "$(cat $AIOS_CHECKPOINT_DIR/step)" = 1 ]'), attempt=2)
    async with real.daemon() as ear:
        assert (await ear.run(first)).exit_code == 1
        ear.launcher.forget(replace(first, phase=Phase.FAILED))
        ear.events.clear()
        assert (await ear.run(second)).exit_code == 0
        assert os.listdir(real.state / "checkpoints" / "1") == ["step"]
        ear.launcher.forget(replace(second, phase=Phase.SUCCEEDED))
    await eventually(lambda: os.listdir(real.state / "checkpoints") == [])


@in_loop
async def test_a_notify_command_is_run_beside_everything_else(real: RealWorld, tmp_path: Path) -> None:
    one = sh("exit 3", notify_command=f'echo "$AIOS_JOB_ID $AIOS_JOB_STATE $AIOS_JOB_EXIT_CODE" > {tmp_path}/told; ulimit -n >> {tmp_path}/told')
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    async with real.daemon() as ear:
        end = await ear.run(one)
        ear.launcher.notify(replace(one, phase=Phase.FAILED, run=None, outcome=Outcome(end.ended_at_s, exit_code=end.exit_code)))
        assert await text(tmp_path / "told", 2) == ["1", "failed", "3", str(limit)]

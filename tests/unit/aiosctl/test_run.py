"""`run` and `logs`: bytes, statuses, signals, input; what the SDK is asked."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from aios.jobs import LogChunk
from aios.records import Output, State
from aiosctl import foreground
from aiosctl.feed import Ended, Feed
from tests.unit.aiosctl.fake_client import FakeClient, make_job, make_outcome, make_run

BINARY = bytes(range(256))


def ended(state: State = State.SUCCEEDED, **outcome: object) -> LogChunk:
    return LogChunk(None, 0, b"", ended=make_job(state=state, run=make_run(), outcome=make_outcome(**outcome)))


def test_output_is_byte_exact_and_goes_where_it_went(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.chunks = [
        LogChunk(Output.STDOUT, 0, BINARY),
        LogChunk(Output.STDERR, 0, b"\xff err"),
        LogChunk(Output.STDOUT, 256, b"last, no newline"),
        ended(State.FAILED, exit_code=3, reason="exit code 3"),
    ]
    result = cli("run", "--", "cmd")
    assert result.status == 3
    assert (result.out_bytes, result.err_bytes) == (BINARY + b"last, no newline", b"\xff err")
    assert fake.called("log_chunks") == [(("42",), {"follow": True})]


def test_options_end_at_the_first_word_that_is_none(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.chunks = [ended()]
    assert cli("run", "--cpus", "2", "python", "--gpus", "x", "--", "-d").status == 0
    ((args, options),) = fake.called("submit")
    assert args == (("python", "--gpus", "x", "--", "-d"),)
    assert (options["cpus"], options["gpus"], options["inherit_env"], options["stdin"]) == ("2", None, True, False)


def test_every_flag_reaches_the_sdk(cli, fake) -> None:  # type: ignore[no-untyped-def]
    line = (
        "run -d --name n --cpus 4 --memory 16G --gpus a100:2 --gpu-memory 10G --gres fpga=1 --disk 50G --time 2h --queue q --priority 5 --nice 3 --account a --array 0-99%8 --after 12 "
        "--after-ok 13,14 --after-any 15 --after-failed 16 --begin now+1h --deadline now+2h --retries 3 --retry-on oom,preempt --preemptible --checkpoint-signal USR1 --grace 60s --env K=V=W "
        "--cwd /tmp --label k=v --output o.txt --error e.txt --exclusive --hold --notify true --backoff 5s --retry-memory-factor 2 --retry-memory-max 64G --key once "
        "--io-read 200M --io-write 100M --io-weight 500 --model-output digits=m.onnx --model-output a:b=x=y -- cmd"
    )
    assert cli(*line.split()).out == "42\n"
    ((args, options),) = fake.called("submit")
    begin, deadline = options.pop("begin"), options.pop("deadline")
    assert 3500 < deadline - begin < 3700
    assert args == (("cmd",),) and options == {
        "name": "n", "cpus": "4", "memory": 16 << 30, "gpus": "a100:2", "gpu_memory": 10 << 30, "gres": ["fpga=1"], "disk": 50 << 30, "time": 7200.0, "queue": "q", "qos": "", "priority": 5, "nice": 3,
        "account": "a", "array": "0-99%8", "after": ["12"], "after_ok": ["13", "14"], "after_any": ["15"], "after_failed": ["16"], "retries": 3, "retry_on": ("oom", "preempt"), "backoff": 5.0,
        "retry_memory_factor": 2.0, "retry_memory_max": 64 << 30,
        "preemptible": True, "checkpoint_signal": "USR1", "grace": 60.0, "env": {"K": "V=W"}, "inherit_env": True, "cwd": "/tmp", "labels": {"k": "v"}, "output": "/tmp/o.txt",
        "error": "/tmp/e.txt", "exclusive": True, "hold": True, "notify": "true", "stdin": False, "script": "", "key": "once", "io_read": 200 << 20, "io_write": 100 << 20, "io_weight": 500,
        "secrets": None, "private_tmp": False, "login": False, "umask": None, "limits": None, "model_outputs": {"digits": "m.onnx", "a:b": "x=y"},
    }  # fmt: skip


def test_what_keeps_a_job_to_itself_reaches_the_sdk(cli, fake, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "token").write_bytes(b"hush\0\n")
    line = f"run -d --secret TOKEN=@{tmp_path}/token --private-tmp --login --umask 027 --limit nofile=64:128 --limit core=0 --limit stack=unlimited --limit data=1G -- cmd"
    assert cli(*line.split()).out == "42\n"
    ((_, options),) = fake.called("submit")
    assert options["secrets"] == {"TOKEN": b"hush\0\n"}
    assert (options["private_tmp"], options["login"], options["umask"]) == (True, True, 0o27)
    assert options["limits"] == {"nofile": (64, 128), "core": 0, "stack": -1, "data": 1 << 30}


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--secret=TOKEN=hush", "can be seen by everybody"), ("--secret=TOKEN=@/nowhere/token", "No such file"), ("--secret=TOKEN", "can be seen"),
        ("--umask=089", "is not a umask"), ("--umask=-1", "is not a umask"), ("--limit=nofile", "is not NAME=LIMIT"), ("--model-output=digits", "is not MODEL=PATH"), ("--model-output==x", "is not MODEL=PATH"), ("--limit=nofile=1:x", "limit"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_of_them_is_wrong_usage_and_no_secret_is_said_again(cli, fake, flag: str, said: str) -> None:  # type: ignore[no-untyped-def]
    result = cli("run", "-d", flag, "--", "cmd")
    assert result.status == 2
    assert said in result.err
    assert "hush" not in result.err


def test_an_array_needs_d_and_d_has_no_stdin(cli, fake) -> None:  # type: ignore[no-untyped-def]
    assert cli("run", "--array", "0-3", "--", "cmd").status == 2
    assert cli("run", "-d", "-i", "--", "cmd").status == 2
    assert cli("run").status == 2
    assert fake.asked == []


def test_stdin_is_fed_only_with_i(cli, fake, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    fed = Event()

    def chunks() -> Iterator[LogChunk]:
        assert fed.wait(30)
        yield ended()

    fake.chunks = chunks()
    read, write = os.pipe()
    os.write(write, BINARY)
    os.close(write)
    monkeypatch.setattr(foreground, "STDIN", read)
    original = fake.write_input

    def write_input(ref: str, pieces: Iterator[bytes]) -> int:
        taken = original(ref, pieces)
        fed.set()
        return taken

    monkeypatch.setattr(fake, "write_input", write_input)
    assert cli("run", "-i", "--", "cat").status == 0
    os.close(read)
    assert fake.fed == BINARY and fake.called("submit")[0][1]["stdin"] is True
    fake.asked.clear()
    fake.chunks = [ended()]
    cli("run", "--", "cat")
    assert fake.called("write_input") == []


class Signalled(FakeClient):
    """A job that runs until it is cancelled; a signal reaches us as soon as it is followed."""

    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self.numbers = list(numbers)
        self.cancelled = [Event() for _ in numbers]

    def log_chunks(self, ref: str, **options: object) -> Iterator[LogChunk]:
        yield LogChunk(Output.STDOUT, 0, b"running\n")
        for number, done in zip(self.numbers, self.cancelled, strict=True):
            os.kill(os.getpid(), number)
            assert done.wait(30)
        yield ended(State.CANCELLED, exit_code=None, signal=15, reason="cancelled")

    def cancel(self, *refs: str, **options: object) -> None:
        super().cancel(*refs, **options)
        self.cancelled[len(self.called("cancel")) - 1].set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_the_job_and_its_status_is_ours(cli, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:  # type: ignore[no-untyped-def]
    client = Signalled(number)
    monkeypatch.setattr("aiosctl.session.connect", lambda: client)
    result = cli("run", "--", "sleep", "60")
    assert (result.status, result.out) == (143, "running\n")
    assert client.called("cancel") == [(("42",), {"reason": f"{number.name} to `aiosctl run`", "force": False})]
    assert result.err == "job 42 cancelled: signal 15 (SIGTERM): cancelled\n"


def test_a_second_signal_kills(cli, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    client = Signalled(signal.SIGTERM, signal.SIGTERM)
    monkeypatch.setattr("aiosctl.session.connect", lambda: client)
    cli("run", "--", "sleep", "60")
    assert [options["force"] for _, options in client.called("cancel")] == [False, True]


def test_handlers_are_ours_only_while_it_runs(cli, fake) -> None:  # type: ignore[no-untyped-def]
    before = signal.getsignal(signal.SIGTERM)
    fake.chunks = [ended()]
    cli("run", "--", "true")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("answer", "status", "cancels"), [("d", 0, 0), ("c", 143, 1)])
def test_ctrl_c_on_a_terminal_asks(cli, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, cancels: int) -> None:  # type: ignore[no-untyped-def]
    client = Signalled(signal.SIGINT)
    monkeypatch.setattr("aiosctl.session.connect", lambda: client)
    monkeypatch.setattr(foreground, "can_ask", lambda: True)
    monkeypatch.setattr(foreground.Foreground, "_ask", lambda self: answer)
    result = cli("run", "--", "sleep", "60")
    for done in client.cancelled:
        done.set()
    assert (result.status, len(client.called("cancel"))) == (status, cancels)
    assert ("job 42 goes on" in result.err) == (answer == "d")


def test_a_reader_that_goes_away_cancels_the_job_quietly(cli, fake, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    def broken(chunk: LogChunk) -> None:
        raise BrokenPipeError

    fake.chunks = [LogChunk(Output.STDOUT, 0, b"y\n")]
    monkeypatch.setattr("aiosctl.stream.write", broken)
    monkeypatch.setattr(foreground, "forget_output", lambda: None)
    result = cli("run", "--", "yes")
    assert (result.status, result.err) == (141, "")
    assert len(fake.called("cancel")) == 1


def test_a_job_that_could_not_start_says_why(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.chunks = [ended(State.FAILED, exit_code=127, reason="cannot run 'x': there is no such command")]
    result = cli("run", "--", "x")
    assert (result.status, result.err) == (127, "job 42 failed: exit 127: cannot run 'x': there is no such command\n")


def test_the_end_is_asked_for_when_the_stream_does_not_tell_it(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.known = {"42": make_job(state=State.FAILED, outcome=make_outcome(exit_code=4, reason="exit code 4"))}
    assert cli("run", "--", "x").status == 4


def test_logs_give_the_status_only_when_asked(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.chunks = [LogChunk(Output.STDOUT, 0, BINARY), ended(State.FAILED, exit_code=6)]
    result = cli("logs", "-f", "42")
    assert (result.status, result.out_bytes) == (0, BINARY)
    assert cli("logs", "-f", "--exit-status", "--tail", "3", "--stderr", "42").status == 6
    assert fake.called("log_chunks")[1] == (("42",), {"follow": True, "tail": 3, "output": Output.STDERR, "attempt": 0})
    assert cli("logs", "--exit-status", "42").status == 2


def test_a_feed_gives_items_pokes_errors_and_the_end() -> None:
    feed = Feed([1, 2]).start()
    assert (feed.next(30), feed.next(30)) == (1, 2)
    with pytest.raises(Ended):
        feed.next(30)
    feed.poke()
    assert feed.next(30) is None

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("cut")

    batches = Feed(broken()).start().batches(30)
    assert next(batches) == [1]
    with pytest.raises(ValueError, match="cut"):
        next(batches)


def test_a_feed_reads_ahead_only_so_far() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    feed = Feed(numbers()).start()
    assert feed.next(30) == 0
    assert len(taken) < 200

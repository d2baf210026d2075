"""A job in the foreground: its output as it comes, our signals on their way to it, and word of why it waits."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING

from aios.errors import AiosError
from aios.jobs import Job, LogChunk
from aios.records import State
from aiosctl import describe, stream
from aiosctl.failures import BROKEN_PIPE, DONE, INTERRUPTED, forget_output, warn
from aiosctl.feed import Ended, Feed
from aiosctl.output import escaped, is_terminal
from aiosctl.status import job_status

if TYPE_CHECKING:
    from aios import Client

_FIRST_WORD_S = 1.0  # silence before we say that it waits
_NEXT_WORD_S = 5.0
_NOTICE_S = 1.0  # how late a signal may be noticed that comes just before a wait begins, as that wakes nobody
_ASK_S = 0.1  # the same at the question
STDIN = 0


class Foreground:
    """One job, followed until it has ended or the user leaves it."""

    def __init__(self, client: "Client", job: Job, *, feed_stdin: bool) -> None:
        self._client = client
        self._job = job
        self._asks = can_ask()
        self._signals: list[int] = []  # came and not yet answered
        self._cancels = 0
        self._said = ""
        self._look_at = monotonic() + _FIRST_WORD_S if is_terminal(sys.stderr) else None
        self._feed: Feed[LogChunk] = Feed(client.log_chunks(job.id, follow=True))
        self._input = Input(client, job) if feed_stdin else None

    def follow(self) -> int:
        """Pass everything on until the end; returns the status to exit with."""
        with _on_signals(self._on_signal):
            self._feed.start()
            if self._input:
                self._input.start()
            try:
                ended = self._until_end()
            except BrokenPipeError:
                forget_output()
                self._cancel("nobody reads its output any more")
                return BROKEN_PIPE
            except KeyboardInterrupt:  # a second signal while our own output was stuck
                self._cancel("interrupted")
                return INTERRUPTED
        if ended is None:
            print(f"job {self._job.id} goes on; `aiosctl logs -f {self._job.id}` shows its output", file=sys.stderr)
            return DONE
        self._tell_end(ended)
        return job_status(ended)

    def _until_end(self) -> Job | None:
        """The job as it ended; None when the user left it."""
        ended: Job | None = None
        while True:
            while self._signals:
                if not self._answer(self._signals.pop(0)):
                    return None
            try:
                chunk = self._feed.next(self._patience_s())
            except Ended:
                registers = self._job.model_outputs  # which is done after its end
                return ended if ended is not None and not registers else self._client.wait(self._job.id)
            if chunk is not None:
                stream.write(chunk)
                ended = chunk.ended or ended
                self._look_at = None  # it runs
            elif self._look_at is not None and monotonic() >= self._look_at:
                self._say_why()

    def _patience_s(self) -> float:
        return _NOTICE_S if self._look_at is None else min(_NOTICE_S, max(0.0, self._look_at - monotonic()))

    def _say_why(self) -> None:
        """One line on the terminal when the job waits, and another when the reason has changed."""
        try:
            answer = self._client.why(self._job.id, timeout=2.0)
        except AiosError:
            self._look_at = monotonic() + _NEXT_WORD_S  # the log stream will say what is wrong, if it stays wrong
            return
        if answer.kind == "not-waiting":
            self._look_at = None
            return
        if answer.summary != self._said:
            self._said = answer.summary
            print(f"job {self._job.id} waits: {escaped(answer.summary)}", file=sys.stderr, flush=True)
        self._look_at = monotonic() + _NEXT_WORD_S

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Remember it and wake the loop; when a first one is still unanswered (output blocked), break in."""
        self._signals.append(number)
        if len(self._signals) > 1:
            raise KeyboardInterrupt
        self._feed.poke()

    def _answer(self, number: int) -> bool:
        """Do what a signal asks for; False when the user leaves the job to itself."""
        if number == signal.SIGINT and self._asks and not self._cancels:
            choice = self._ask()
            if choice == "d":
                return False
            if choice != "c":
                return True
        name = signal.Signals(number).name
        self._cancel(f"{name} to `aiosctl run`")
        return True

    def _cancel(self, reason: str) -> None:
        """First politely; asked again, by SIGKILL. That it has ended meanwhile is no error."""
        self._cancels += 1
        try:
            self._client.cancel(self._job.id, reason=reason, force=self._cancels > 1)
        except AiosError as error:
            warn(f"job {self._job.id} could not be cancelled: {error}")

    def _ask(self) -> str:
        """`d`, `c`, or anything else to go on; a second Ctrl-C at the question is `c`."""
        from select import select

        with _paused(self._input), _on_signals(_interrupt):
            try:
                with open("/dev/tty", encoding="utf-8", errors="replace") as terminal:
                    print("\ndetach or cancel? [d/c] ", end="", file=sys.stderr, flush=True)
                    while not select([terminal], [], [], _ASK_S)[0]:
                        continue  # a signal that came just before a blocking read would wait for its end
                    line = terminal.readline()
            except KeyboardInterrupt:
                print(file=sys.stderr)
                return "c"
        return line.strip().lower()[:1] if line else "c"

    def _tell_end(self, ended: Job) -> None:
        """A word where the exit status alone would not tell why."""
        plain_exit = ended.outcome is not None and ended.outcome.exit_code is not None and describe.says_no_more(ended)
        if (ended.state is State.SUCCEEDED and not ended.model_outputs) or (plain_exit and ended.state in (State.SUCCEEDED, State.FAILED)):
            return
        why = describe.ending(ended) or ended.reason
        print(f"job {ended.id} {ended.state.value}" + (f": {escaped(why)}" if why else ""), file=sys.stderr)


class Input:
    """Our stdin on its way to the job, by a thread of its own; it can pause, so that a question can be answered."""

    def __init__(self, client: "Client", job: Job) -> None:
        self.paused = False
        self._client = client
        self._job = job

    def start(self) -> None:
        Thread(target=self._feed, name="aiosctl-stdin", daemon=True).start()

    def _feed(self) -> None:
        try:
            self._client.write_input(self._job.id, self._pieces())
        except AiosError as error:
            if not self._job_ended():
                warn(f"stdin no longer reaches job {self._job.id}: {error}")

    def _job_ended(self) -> bool:
        """A job that does not read to the end of its input is no error."""
        try:
            return self._client.job(self._job.id).ended
        except AiosError:
            return True

    def _pieces(self) -> Iterator[bytes]:
        import os
        from select import select

        while True:
            ready = select([STDIN], [], [], 0.2)[0]
            if self.paused or not ready:
                continue
            piece = os.read(STDIN, 1 << 16)
            if not piece:
                return
            yield piece


def can_ask() -> bool:
    """Whether somebody sits at a terminal who can see a question and answer it."""
    if not is_terminal(sys.stderr):
        return False
    try:
        with open("/dev/tty", "rb"):
            return True
    except OSError:
        return False


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _paused(input_: Input | None) -> Iterator[None]:
    if input_:
        input_.paused = True
    try:
        yield
    finally:
        if input_:
            input_.paused = False


@contextmanager
def _on_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """SIGINT and SIGTERM go to `handler` within the block."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)

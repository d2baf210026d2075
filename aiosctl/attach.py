"""`attach`: a terminal beside a running job."""

import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import click

from aiosctl import session
from aiosctl.completing import LIVE_JOB
from aiosctl.failures import FAILED, Refused, leave
from aiosctl.lazy import verb
from aiosctl.output import is_terminal

if TYPE_CHECKING:
    from aios._attach import AttachSession


@verb("aiosctl attach 42", "aiosctl attach 42 -- nvidia-smi", context_settings={"allow_interspersed_args": False})
@click.argument("job", type=LIVE_JOB)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[--] [CMD]...")
def attach(job: str, command: tuple[str, ...]) -> None:
    """Open a shell (or CMD) beside a running job: its directory, environment, processors and devices.

    Leaving it does not touch the job. Exit status: that of the shell.
    """
    words = command[1:] if command[:1] == ("--",) else command  # the -- after JOB reaches us as a word
    on_terminal = is_terminal(sys.stdin)
    rows, columns = _size()
    with session.connect() as client, client.attach(job, words, rows=rows, columns=columns) as terminal:
        with _raw_keys(on_terminal), _resized(terminal, on_terminal):
            Thread(target=_send_keys, args=(terminal,), name="aiosctl-keys", daemon=True).start()
            for data in terminal:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        status = terminal.exit_code
    if status is None:
        raise Refused(f"the terminal beside job {job} was closed", "the job may have ended: `aiosctl show " + job + "`", FAILED)
    leave(status)


def _size() -> tuple[int, int]:
    """Rows and columns of our terminal; 24 and 80 where there is none."""
    try:
        found = os.get_terminal_size(sys.__stdin__.fileno() if sys.__stdin__ else 0)
    except OSError:
        return 24, 80
    return found.lines, found.columns


def _send_keys(terminal: "AttachSession") -> None:
    while data := os.read(0, 4096):
        terminal.send(data)
    terminal.close_input()


@contextmanager
def _raw_keys(on_terminal: bool) -> Iterator[None]:
    """Every key goes to the other terminal, Ctrl-C too; ours is as it was afterwards, whatever happens."""
    if not on_terminal:
        yield
        return
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextmanager
def _resized(terminal: "AttachSession", on_terminal: bool) -> Iterator[None]:
    """The other terminal takes every new size of ours."""
    if not on_terminal:
        yield
        return
    before = signal.signal(signal.SIGWINCH, lambda number, frame: terminal.resize(*_size()))
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)

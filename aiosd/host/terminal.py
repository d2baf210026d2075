"""Terminals beside jobs: a shell or command on a pseudo-terminal, in the job's directory, environment, processors and group."""

import asyncio
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from aiosd.errors import FailedPrecondition
from aiosd.host import processes, terminal_child
from aiosd.host.identities import Identities, Identity
from aiosd.host.records import RunRecord, read_run
from aiosd.jobs.job import Job, Phase
from aiosd.resources.oversubscription import processors

ROWS, COLUMNS = 24, 80
BLOCK_BYTES = 65536
GRACE_S = 1.0  # between hanging up and killing
LAST_WORDS_S = 0.5  # what the command printed may reach us after its end
_PAUSE_S = 0.01
_LOOKS = 200  # for a run that is about to begin
_WITH_PROCESSES = (Phase.RUNNING, Phase.SUSPENDED, Phase.STOPPING)


class PtyTerminals:
    """Implements the Terminals that the network door needs. `run_file` tells where the run file of a key lies.

    Whoever asks, the command runs as the job's owner: a daemon of root gives nobody root's terminal beside a user's job.
    """

    def __init__(self, run_file: Callable[[str], str], identities: Identities | None = None) -> None:
        self._run_file = run_file
        self._identities = identities or Identities()

    async def open(self, job: Job, command: Sequence[str], rows: int, columns: int) -> "PtyTerminal":
        """A terminal beside the job; it is told to end when the run has ended. Raises FailedPrecondition."""
        if job.run is None or job.phase not in _WITH_PROCESSES:
            raise FailedPrecondition(f"job {job.id} is {job.phase}: there is nothing to attach to", hint="attach while it runs", job=job.id, phase=job.phase)
        record = await self._begun(job)
        owner = await asyncio.to_thread(self._identities.of, job.owner)
        main = processes.open_main(record) if record is not None else None
        try:
            order = _order(job, owner, command, main)
            order["cell"] = record.cell if record else ""
            return PtyTerminal(order, rows or ROWS, columns or COLUMNS, job.run.shim_pid)
        finally:
            if main is not None:
                os.close(main)

    async def _begun(self, job: Job) -> RunRecord | None:
        """What is recorded of the run, with its main process; a run that has just been launched is waited for a moment."""
        for _ in range(_LOOKS):
            record = read_run(self._run_file(job.run_key))
            if record is not None and (record.main_pid or record.end is not None):
                return record
            await asyncio.sleep(_PAUSE_S)
        return record


class PtyTerminal:
    """One command on its terminal. `close` must be called, also when the command has ended: it reaps."""

    def __init__(self, order: Mapping[str, object], rows: int, columns: int, shim_pid: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._master, terminal = os.openpty()
        try:
            _set_size(self._master, rows, columns)
            if isinstance(uid := order["uid"], int):
                os.fchown(terminal, uid, -1)
            os.set_blocking(self._master, False)
            self._process = _spawn(order, terminal)
        except OSError:
            os.close(self._master)
            raise
        finally:
            os.close(terminal)
        self._ended = asyncio.Event()
        self._exit_code = 0
        self._closing = False
        self._waiting: set[asyncio.Event] = set()  # of whoever reads or writes just now
        self._watched: set[int] = set()
        self._on_end(self._process.pid, self._on_ended)
        if shim_pid:
            self._on_end(shim_pid, self._hang_up)

    async def write(self, data: bytes) -> None:
        while data and not self._closing and not self._ended.is_set():
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer, None)
            except OSError:  # the terminal has nobody any more
                return

    async def resize(self, rows: int, columns: int) -> None:
        if not self._closing:
            _set_size(self._master, rows or ROWS, columns or COLUMNS)

    async def output(self) -> AsyncIterator[bytes]:
        """For one reader. A process that goes on in the background does not keep it from ending."""
        while not self._closing:
            try:
                piece = os.read(self._master, BLOCK_BYTES)
            except BlockingIOError:
                patience_s = LAST_WORDS_S if self._ended.is_set() else None
                if not await self._ready(self._loop.add_reader, self._loop.remove_reader, patience_s):
                    return
                continue
            except OSError:  # EIO: all of its processes have closed it
                return
            yield piece

    async def exit_code(self) -> int:
        await self._ended.wait()
        return self._exit_code

    async def close(self) -> None:
        """May be called again, as by one who was cancelled in the middle of it."""
        if not self._closing:
            self._closing = True
            self._wake()
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._master)  # the kernel hangs up
        if self._process.returncode is not None:
            return
        await self._kill_session()
        await self._ended.wait()
        self._process.wait()  # only now may its number, and so the session's, be given to another
        for pidfd in tuple(self._watched):
            self._forget(pidfd)

    async def _kill_session(self) -> None:
        """Everything of the session: told first, killed then. The leader is not reaped yet, so the session is still ours."""
        number, kill_at_s = signal.SIGHUP, self._loop.time() + GRACE_S
        told: set[int] = set()
        while members := self._members():
            for member in members:
                if number == signal.SIGKILL or member.pid not in told:
                    told.add(member.pid)
                    processes.send(member, number)
            await asyncio.sleep(_PAUSE_S)
            if self._loop.time() > kill_at_s:
                number = signal.SIGKILL

    def _members(self) -> list[processes.Process]:
        return [p for p in processes.snapshot().values() if p.session == self._process.pid and p.state not in "ZX"]

    def _on_ended(self) -> None:
        """The command has ended; it stays a zombie until `close`, so that the number of its session is not given away."""
        ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        if ended is not None:
            self._exit_code = ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status
        self._ended.set()
        self._wake()

    def _hang_up(self) -> None:
        if not self._ended.is_set() and not self._closing:
            self._process.send_signal(signal.SIGHUP)

    def _on_end(self, pid: int, call: Callable[[], object]) -> None:
        """Call when the process has ended; at once when there is none."""
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            call()
            return

        def on_end() -> None:
            self._forget(pidfd)
            call()

        self._watched.add(pidfd)
        self._loop.add_reader(pidfd, on_end)

    def _forget(self, pidfd: int) -> None:
        self._watched.discard(pidfd)
        self._loop.remove_reader(pidfd)
        os.close(pidfd)

    async def _ready(self, add: Callable[..., None], remove: Callable[[int], bool], patience_s: float | None) -> bool:
        """Waits until the terminal can be read or written, the command ends or it is closed; False when patience ran out."""
        ready = asyncio.Event()
        self._waiting.add(ready)
        add(self._master, ready.set)
        try:
            async with asyncio.timeout(patience_s):
                await ready.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(ready)
            if not self._closing:
                remove(self._master)
        return True

    def _wake(self) -> None:
        for ready in self._waiting:
            ready.set()


def _order(job: Job, owner: Identity, command: Sequence[str], main: int | None) -> dict[str, object]:
    """What the child is to become; where the main process is gone, what is known of it from the job's record. `main`: its directory in /proc."""
    other_user = os.geteuid() == 0 and owner.uid != 0
    environment = _environment_of(main) or {**(owner.variables if other_user else {}), **job.spec.environment.variables}
    environment.setdefault("TERM", "xterm-256color")
    return {
        "command": list(command) or [owner.shell],
        "environment": environment,
        "cwd": job.spec.cwd,
        "umask": job.spec.umask,
        "cpus": _processors(main) or list(processors(job.run.grant)) if job.run else [],
        "beside": main,
        "uid": owner.uid if other_user else None,
        "hardened": other_user and _hardened(main),
        "gid": owner.gid,
        "gids": list(owner.groups),
    }


def _environment_of(main: int | None) -> dict[str, str]:
    """The environment a process began with, the grant's variables included; empty when it cannot be read."""
    try:
        content = processes.read_in(main, "environ") if main is not None else b""
    except OSError:
        return {}
    pairs = (os.fsdecode(entry).partition("=") for entry in content.split(b"\0") if b"=" in entry)
    return {name: value for name, _, value in pairs if name}


def _hardened(main: int | None) -> bool:
    """Whether the job has given up new privileges: then so does what comes beside it. Where that cannot be seen, it does."""
    try:
        return main is None or b"NoNewPrivs:\t0" not in processes.read_in(main, "status")
    except OSError:
        return True


def _processors(main: int | None) -> list[int]:
    """Those that it may run on, as /proc lists them: "0-3,8"."""
    try:
        status = processes.read_in(main, "status").decode(errors="replace") if main is not None else ""
    except OSError:
        return []
    listed = re.search(r"^Cpus_allowed_list:\s*([\d,-]+)$", status, re.MULTILINE)
    ranges = (part.partition("-") for part in listed[1].split(",")) if listed else ()
    return [cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)]


def _set_size(master: int, rows: int, columns: int) -> None:
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", _bounded(rows), _bounded(columns), 0, 0))


def _bounded(size: int) -> int:
    return max(1, min(size, 0xFFFF))


def _spawn(order: Mapping[str, object], terminal: int) -> subprocess.Popen[bytes]:
    """A small Python process takes the terminal and the job's place before it becomes the command.

    It is a process of its own because the daemon has threads: code between its fork and exec could wait for a lock for ever.
    """
    handed_over, beside = os.memfd_create("terminal"), order["beside"]
    try:
        with open(handed_over, "w", closefd=False) as file:
            json.dump(order, file)
        os.lseek(handed_over, 0, os.SEEK_SET)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", terminal_child.__file__, str(handed_over)],
            stdin=terminal, stdout=terminal, stderr=terminal, cwd="/", env={}, start_new_session=True,
            pass_fds=(handed_over, *((beside,) if isinstance(beside, int) else ())),
        )  # fmt: skip
    finally:
        os.close(handed_over)

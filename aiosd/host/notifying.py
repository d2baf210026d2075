"""The commands that users want run when a job has ended for good (`--notify`): as the job's owner, a few at once, never in anybody's way.

Best effort: what waits in line when the daemon stops or dies is not run, and what runs then goes on without its time limit.
"""

import ctypes
import os
import resource
import signal
import subprocess
import threading
from collections import Counter, deque
from collections.abc import Mapping

import structlog

from aiosd.host.identities import Identities, Identity
from aiosd.jobs.job import Job

_AT_ONCE = 4
_LIMIT_S = 60.0
_SHELL = "/bin/sh"
_PR_SET_NO_NEW_PRIVS = 38
# What the daemon has for itself alone goes: its limit of open files, its safety from the OOM killer. The directory is entered by the shell,
# which is the owner already.
_COMMAND = 'ulimit -S -n "$1" 2>/dev/null; echo 0 2>/dev/null >/proc/self/oom_score_adj; cd "$2" 2>/dev/null || cd /; exec /bin/sh -c "$3"'
log = structlog.get_logger("jobs")


class Notices:
    """Its threads are daemon threads, made when there is something to do: the interpreter does not wait for them at its end."""

    def __init__(self, at_once: int = _AT_ONCE, limit_s: float = _LIMIT_S, identities: Identities | None = None, *, hardened: bool = False) -> None:
        """With `identities`, a command runs as the owner of its job, not as who the daemon is; `hardened`: and gains no privileges."""
        self._at_once, self._limit_s, self._identities, self._hardened = at_once, limit_s, identities, hardened
        self._at_once_of_one = at_once if identities is None else max(1, at_once // 2)  # one user's slow commands leave room for others'
        self._open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._waiting: dict[int, deque[Job]] = {}  # by uid; whose turn it is comes first
        self._running: Counter[int] = Counter()
        self._threads = 0
        self._lock = threading.Lock()

    def add(self, job: Job) -> None:
        """Run the command of `job`, when its turn has come. Returns at once."""
        with self._lock:
            self._waiting.setdefault(job.owner.uid, deque()).append(job)
            if self._threads == self._at_once:
                return
            self._threads += 1
        threading.Thread(target=self._run_all, name="notify", daemon=True).start()

    def close(self) -> None:
        """Run no more of them; those that run go on."""
        with self._lock:
            dropped = sum(map(len, self._waiting.values()))
            self._waiting.clear()
        if dropped:
            log.warning("notify commands that still waited in line are not run", count=dropped)

    def _run_all(self) -> None:
        while (job := self._next()) is not None:
            try:
                trouble = self._run(job)
            finally:
                with self._lock:
                    self._running[job.owner.uid] -= 1
            if trouble:
                log.warning("the notify command failed", job=str(job.id), why=trouble)  # not what it is: that is its user's

    def _next(self) -> Job | None:
        """Users take turns. One who has as many as it may gets its next when one of them has ended, by the thread that ran that."""
        with self._lock:
            for uid in [uid for uid in self._waiting if self._running[uid] < self._at_once_of_one]:
                line = self._waiting.pop(uid)
                self._running[uid] += 1
                job = line.popleft()
                if line:
                    self._waiting[uid] = line
                return job
            self._threads -= 1
            return None

    def _run(self, job: Job) -> str:
        owner = self._identities.of(job.owner) if self._identities is not None else None
        if owner is None or owner.uid == 0 or not self._hardened:
            return _run(job, owner, self._open_files, self._limit_s)
        said = [""]

        def hardened() -> None:
            """On a thread of its own: one that has given up new privileges never gets them again, and neither does what it starts."""
            if ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
                said[0] = "new privileges cannot be given up"
            else:
                said[0] = _run(job, owner, self._open_files, self._limit_s)

        thread = threading.Thread(target=hardened, name="notify-hardened", daemon=True)
        thread.start()
        thread.join()
        return said[0]


def environment_of(job: Job, owner: Identity | None = None) -> Mapping[str, str]:
    """The owner's, the job's own, and how the job ended; exit code and signal are empty where there is none."""
    outcome = job.outcome
    return {
        **(owner.variables if owner is not None else {}),
        **job.spec.environment.variables,
        "AIOS_JOB_ID": str(job.id),
        "AIOS_JOB_NAME": job.spec.name,
        "AIOS_JOB_STATE": str(job.phase),
        "AIOS_JOB_EXIT_CODE": _number(outcome.exit_code if outcome is not None else None),
        "AIOS_JOB_SIGNAL": _number(outcome.signal if outcome is not None else None),
        "AIOS_JOB_REASON": job.reason,
    }


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _run(job: Job, owner: Identity | None, open_files: int, limit_s: float) -> str:
    """Blocks. What went wrong, or nothing."""
    words = [_SHELL, "-c", _COMMAND, "notify", str(open_files), job.spec.cwd, job.spec.notify_command]
    user, group, groups = (owner.uid, owner.gid, owner.groups) if owner is not None else (None, None, None)
    try:
        process = subprocess.Popen(
            words, env=environment_of(job, owner), cwd="/", user=user, group=group, extra_groups=groups, umask=job.spec.umask,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return str(error)
    try:
        status = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its leader is not reaped yet, so the number is still its own
        process.wait()
        return f"it was killed after {limit_s:g} s"
    return f"exit code {status}" if status > 0 else f"ended by signal {-status}" if status else ""

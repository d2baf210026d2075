"""The child of aside.py, at its beginning: it loads what it will need, gives up what it will not, and runs its program."""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

NOBODY = 65534  # user and group, as every Linux has them
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NICEST = 19
_FIRST_TO_GO = "1000"  # when memory is short the kernel takes this process, and no job


def main(program: str, preload: Sequence[str], memory_bytes: int, cpu_s: int) -> None:
    """Never returns. Modules first: where root's files are for root alone, nobody could not read them later."""
    parent = os.getppid()
    run = import_module(program).main
    for name in preload:
        import_module(name)
    _lower(memory_bytes, cpu_s)
    _give_up_root()
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # last: a change of user undoes it
    if os.getppid() != parent:
        os._exit(1)  # the daemon went before it could be heard
    sys.exit(run(sys.stdin.buffer, sys.stdout.buffer))


def _lower(memory_bytes: int, cpu_s: int) -> None:
    """It takes what others leave, writes no file, and no more than it was given."""
    os.nice(_NICEST)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write(_FIRST_TO_GO)
    for limit, most in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        _, hardest = resource.getrlimit(limit)
        least = most if hardest == resource.RLIM_INFINITY else min(most, hardest)
        resource.setrlimit(limit, (least, least))


def _give_up_root() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)

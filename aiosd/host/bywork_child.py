"""The child of bywork.py, at its beginning: it takes what others leave, and ends with the daemon."""

import ctypes
import os
import resource
import signal
from contextlib import suppress
from importlib import import_module

_PR_SET_PDEATHSIG = 1
_NICE, _NICEST = 5, 19
_BEST_EFFORT_LAST, _IDLE = 2 << 13 | 7, 3 << 13  # of the disk
_IOPRIO_SET, _WHO_PROCESS = {"x86_64": 251, "i386": 289, "i686": 289, "ppc64le": 273, "s390x": 282}.get(os.uname().machine, 30), 1
_MEMORY_BYTES = 4 << 30  # of address space, which libraries and threads take, too; what is used is a tenth of it
_FIRST_TO_GO = "1000"  # when memory is short the kernel takes this process, and no job


def main(program: str, patient: bool) -> None:
    """`patient`: nobody waits for it, so it takes only what is left. Else it goes behind the daemon, but is not starved by busy jobs."""
    parent = os.getppid()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # the daemon went before it could be heard
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # which a lease that is broken sends; see sources.py
    os.nice(_NICEST if patient else _NICE)
    libc.syscall(_IOPRIO_SET, _WHO_PROCESS, 0, _IDLE if patient else _BEST_EFFORT_LAST)  # where the disk's scheduler knows it
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write(_FIRST_TO_GO)
    import_module(program).main()

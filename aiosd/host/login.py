"""The variables of a login shell: the shell of the user is run as the user, and asked what it exports; imports next to nothing."""

import os
import time

from aiosd.host.prepare import CannotStart
from aiosd.host.waiting import readable

PATIENCE_S = 20.0
MOST_BYTES = 1 << 20
_ASK = "/usr/bin/printf '\\0'; /usr/bin/env -0; /usr/bin/printf '\\0'"  # whatever the profile prints comes before the first NUL
_END = b"\0\0"  # no variable is empty
_NOT_OF_USE = ("_", "SHLVL", "PWD", "OLDPWD")


def variables(shell: str, base: dict[str, str]) -> dict[str, str]:
    """What the shell exports that is started with `base` alone. The caller is the user already. Raises CannotStart."""
    reading, writing = os.pipe()
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, nothing, 2)]
        pid = os.posix_spawn(shell, ["-" + os.path.basename(shell), "-c", _ASK], base, file_actions=actions)  # by its name it knows that it is a login
        os.close(writing)
        writing = -1
        text = _read(reading, pid, shell)
    except OSError as error:
        raise CannotStart(f"cannot run '{shell}' for the login environment: {error.strerror}") from None
    finally:
        for fd in (reading, writing, nothing):
            if fd >= 0:
                os.close(fd)
    pairs = (entry.partition("=") for entry in os.fsdecode(text).split("\0")[1:])
    found = {name: value for name, equals, value in pairs if name and equals and name not in _NOT_OF_USE}
    if not found:
        raise CannotStart(f"the login shell '{shell}' told no environment: see what the profile of the user does")
    return found


def _read(fd: int, pid: int, shell: str) -> bytes:
    """Until all is told; what a profile leaves running in the background is not waited for, nor one that asks or hangs."""
    give_up_s, text = time.monotonic() + PATIENCE_S, b""
    while readable((fd,), max(0.0, give_up_s - time.monotonic())):
        more = os.read(fd, 65536)
        text += more
        if not more or _END in text or len(text) > MOST_BYTES:
            _end(pid)
            return text
    _end(pid)
    raise CannotStart(f"the login shell '{shell}' has not told its environment within {PATIENCE_S:g} s: see what the profile of the user waits for")


def _end(pid: int) -> None:
    """It has told what was asked; a shell that has ended is only waited for."""
    os.kill(pid, 9)
    os.waitpid(pid, 0)

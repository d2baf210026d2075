"""One thread that is another user than the rest of its process, as the kernel allows it and the C library hides it."""

import ctypes
import os
import platform

import pytest

NOBODY = 65534
_SETRESUID = {"x86_64": 117, "aarch64": 147}  # numbers of the system call


def act_as(uid: int) -> None:
    """From now on this thread's effective user is `uid`: what it connects to is told so. Needs root; the thread stays so."""
    number = _SETRESUID.get(platform.machine())
    if number is None:
        pytest.skip(f"the number of setresuid on {platform.machine()} is not known here")
    unchanged = ctypes.c_long(-1)
    if ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), unchanged, ctypes.c_long(uid), unchanged):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

"""A thread of the daemon that touches files as a user of the machine, and the opening of files that a user named.

setfsuid(2) and its kin change one thread alone when they are called without the C library's help, which would change all.
The kernel takes root's power over files away with them, and gives it back with uid 0.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aiosd.host.identities import Identity

_SET_GROUPS = {"x86_64": 116, "i386": 206, "i686": 206, "ppc64le": 81, "s390x": 206}.get(os.uname().machine, 159)
_OPENAT2 = 437  # on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02
_AT_FDCWD = -100
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO)
_UNASKABLE = (errno.ENOSYS, errno.EPERM)  # an old kernel, or a container that filters what it does not know

_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@contextmanager
def acting_as(identity: Identity | None) -> Iterator[None]:
    """What this thread does with files within is done as that user, with its groups; None: as whoever the daemon is.

    raises    PermissionError when the kernel does not let it
    """
    if identity is None or identity.uid == os.geteuid():
        yield
        return
    groups, gid, uid = os.getgroups(), os.getegid(), os.geteuid()
    try:
        _become(identity.uid, identity.gid, identity.groups)
        yield
    finally:
        _become(uid, gid, groups)


def _become(uid: int, gid: int, groups: Sequence[int]) -> None:
    """The order serves both ways: groups are changed while this thread may do so."""
    array = (ctypes.c_uint32 * len(groups))(*groups)
    if _libc.syscall(_SET_GROUPS, len(groups), array):
        raise PermissionError(ctypes.get_errno(), "cannot take the groups of a user")
    for change, number in ((_libc.setfsgid, gid), (_libc.setfsuid, uid)):
        change(ctypes.c_uint32(number))
        if change(ctypes.c_uint32(0xFFFFFFFF)) != ctypes.c_int(number).value:  # it tells what is in force, and cannot fail in another way
            raise PermissionError(errno.EPERM, f"cannot act as user {uid}")


def open_regular(path: str) -> int | None:
    """A descriptor of a regular file of a file system; None when there is nothing to read, as of a pipe, a terminal or /proc.

    Links are followed as for any program of the user, but for those of /proc, which would lead to what the daemon has open.
    raises    OSError when it may not be read
    """
    try:
        opened = _open(path)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise
    found = os.fstat(opened)
    if stat.S_ISREG(found.st_mode) and found.st_dev != os.stat("/proc").st_dev:
        return opened
    os.close(opened)
    return None


def _open(path: str) -> int:
    """O_NONBLOCK: a pipe must not hang us."""
    how = _How(_FLAGS, 0, _RESOLVE_NO_MAGICLINKS)
    opened = int(_libc.syscall(_OPENAT2, _AT_FDCWD, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)))
    if opened >= 0:
        return opened
    number = ctypes.get_errno()
    if number in _UNASKABLE:
        return os.open(path, _FLAGS | os.O_NOFOLLOW)
    raise OSError(number, os.strerror(number), path)

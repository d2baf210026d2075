"""Project quotas: how much may be stored below a directory, held by the file system (ext4, XFS); imports next to nothing.

The number of a project comes from the directory's inode, which no other directory of the file system has at the same time.
The owner of a file may take it out of its project again, so what is stored is looked at beside this too.
"""

import ctypes
import fcntl
import os

_PROJECT_QUOTA = 2  # the type, beside those of users and groups
_SET, _STATE = 0x800008, 0x5808  # Q_SETQUOTA, Q_XGETQSTATV
_LIMITS_ENFORCED = 1 << 5
_QUOTACTL_FD = 443  # on every architecture, since Linux 5.14
_GET_ATTRIBUTES, _SET_ATTRIBUTES = 0x801C581F, 0x401C5820
_INHERITED = 0x200
_OURS, _NUMBERS = 0x40000000, 0x3FFFFFFF
_LIMITS_ARE_VALID = 1
_BLOCK_BYTES = 1024

_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    """struct fsxattr, of 28 bytes."""

    _fields_ = (
        ("flags", ctypes.c_uint32),
        ("extent", ctypes.c_uint32),
        ("extents", ctypes.c_uint32),
        ("project", ctypes.c_uint32),
        ("rest", ctypes.c_uint8 * 12),
    )


class _Limits(ctypes.Structure):
    """struct if_dqblk, of 72 bytes."""

    _fields_ = (
        ("hard_blocks", ctypes.c_uint64),
        ("soft_blocks", ctypes.c_uint64),
        ("rest", ctypes.c_uint64 * 6),
        ("valid", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
    )


def enforced(path: str) -> bool:
    """Whether the file system of `path` holds project quotas, and this process may set them."""
    try:
        fd = _open(path)
    except OSError:
        return False
    try:
        state = (ctypes.c_uint8 * 512)(1)  # the version that is wanted; the kernel writes less
        if os.geteuid() != 0 or _libc.syscall(_QUOTACTL_FD, fd, _STATE << 8 | _PROJECT_QUOTA, 0, ctypes.byref(state)):
            return False
        return bool(int.from_bytes(bytes(state[2:4]), "little") & _LIMITS_ENFORCED)
    finally:
        os.close(fd)


def hold(path: str, most_bytes: int) -> None:
    """No more than `most_bytes` is stored from now on below `path`, a new directory. Raises OSError."""
    fd = _open(path)
    try:
        project = _project(fd)
        _set_limit(fd, project, max(1, most_bytes // _BLOCK_BYTES))
        _set_project(fd, project, _INHERITED)
    finally:
        os.close(fd)


def release(path: str) -> None:
    """Forget the limit, before the directory is removed; nothing happens where there is none."""
    try:
        fd = _open(path)
    except OSError:
        return
    try:
        attributes = _Attributes()
        fcntl.ioctl(fd, _GET_ATTRIBUTES, attributes)
        if attributes.flags & _INHERITED:
            _set_project(fd, 0, 0)  # else nothing could be moved up in it, which is how trees are removed
            _set_limit(fd, _project(fd), 0)
    except OSError:
        return
    finally:
        os.close(fd)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _project(fd: int) -> int:
    """Not what the directory says of itself: its owner could have changed that."""
    return _OURS | os.fstat(fd).st_ino & _NUMBERS


def _set_project(fd: int, project: int, inherited: int) -> None:
    attributes = _Attributes()
    fcntl.ioctl(fd, _GET_ATTRIBUTES, attributes)
    attributes.project = project
    attributes.flags = attributes.flags & ~_INHERITED | inherited
    fcntl.ioctl(fd, _SET_ATTRIBUTES, attributes)


def _set_limit(fd: int, project: int, blocks: int) -> None:
    limits = _Limits(hard_blocks=blocks, soft_blocks=blocks, valid=_LIMITS_ARE_VALID)
    if _libc.syscall(_QUOTACTL_FD, fd, _SET << 8 | _PROJECT_QUOTA, project, ctypes.byref(limits)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

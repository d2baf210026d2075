"""What the store asks of a file system beyond the ordinary: clones, holes, lists of who may come in, and an early start of writing."""

import ctypes
import errno
import fcntl
import os
import struct

from aiosd.errors import AiosError, DiskFull, StorageUnwritable

_FICLONE = 0x40049409
_WRITE = 2  # SYNC_FILE_RANGE_WRITE
_HOLE_BYTES = 1 << 20
_ACL, _ACL_VERSION, _ENTRY = "system.posix_acl_access", struct.pack("<I", 2), struct.Struct("<HHI")  # linux/posix_acl_xattr.h
_OWNER, _USER, _GROUP, _MASK, _OTHERS, _UNNAMED = 0x01, 0x02, 0x04, 0x10, 0x20, 0xFFFFFFFF
_ALL, _ENTER, _NOTHING = 7, 5, 0
_ZEROS = bytes(_HOLE_BYTES)

_libc = ctypes.CDLL(None, use_errno=True)
_sync_file_range = getattr(_libc, "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def clone(source: int, target: int) -> bool:
    """Make `target` the same as `source` without copying; False where the file system cannot, or they are in two."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def let_in(directory: str, uid: int) -> bool:
    """Beside its owner this user alone comes through it, and changes nothing; False where the file system keeps no such lists. Raises OSError."""
    entries = ((_OWNER, _ALL, _UNNAMED), (_USER, _ENTER, uid), (_GROUP, _NOTHING, _UNNAMED), (_MASK, _ENTER, _UNNAMED), (_OTHERS, _NOTHING, _UNNAMED))
    try:
        os.setxattr(directory, _ACL, _ACL_VERSION + b"".join(_ENTRY.pack(*entry) for entry in entries))
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return False
        raise
    return True


def write_all(fd: int, data: "bytes | bytearray | memoryview") -> None:
    """raises    OSError (a full disk)"""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_sparse(fd: int, data: bytes | memoryview) -> None:
    """Large runs of zeros become holes; the caller sets the length at the end."""
    view = memoryview(data)
    for at in range(0, len(view), _HOLE_BYTES):
        part = view[at : at + _HOLE_BYTES]
        if part == _ZEROS[: len(part)]:
            os.lseek(fd, len(part), os.SEEK_CUR)
        else:
            write_all(fd, part)


def start_writing(fd: int) -> None:
    """Have the kernel begin to write what is dirty, so that the synchronisation at the end has less to wait for. A hint: never fails."""
    if _sync_file_range is not None:
        _sync_file_range(fd, 0, 0, _WRITE)


def explained(error: OSError, directory: str) -> AiosError:
    """What an error of the store's own files means to whoever asked."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"the disk of {directory} is full; nothing was kept", hint="free some space: aiosctl model gc", path=directory)
    return StorageUnwritable(f"the store in {directory} cannot be used: {error.strerror}", hint="look at the disk", path=directory, file=str(error.filename))

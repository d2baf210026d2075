"""The kernel's news that files have changed: three calls of the C library, and the format of what they send."""

import ctypes
import os
from collections.abc import Iterator
from struct import Struct

MODIFY, MOVE_SELF, DELETE_SELF = 0x2, 0x800, 0x400
CREATE, MOVED_TO = 0x100, 0x80
OVERFLOW_WATCH = -1  # stands for all: news were dropped

_ONESHOT = 0x80000000
_FILE = MODIFY | MOVE_SELF | DELETE_SELF | _ONESHOT
_DIRECTORY = CREATE | MOVED_TO | MOVE_SELF | DELETE_SELF | _ONESHOT
_EVENT = Struct("iIII")  # watch, mask, cookie, length of the name that follows


class Inotify:
    """One kernel queue. A watch sends news once and is then gone, so that a busy file costs nothing while nobody waits."""

    def __init__(self) -> None:
        """Raises OSError when this user has all the instances it may have."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = _checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")

    def watch_file(self, path: str) -> int:
        """The watch on a file: its next growth, removal or renaming is news. Raises OSError, FileNotFoundError among them."""
        return self._add(path, _FILE)

    def watch_directory(self, path: str) -> int:
        """The watch on a directory: the next file that appears in it is news. Raises OSError."""
        return self._add(path, _DIRECTORY)

    def remove(self, watch: int) -> None:
        """End a watch; nothing happens when it is gone already."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> Iterator[int]:
        """The watches of which there is news; empty when there is none."""
        try:
            news = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        at = 0
        while at < len(news):
            watch, _, _, name_length = _EVENT.unpack_from(news, at)
            at += _EVENT.size + name_length
            yield watch

    def close(self) -> None:
        os.close(self.fd)

    def _add(self, path: str, mask: int) -> int:
        return _checked(self._libc.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(mask)), path)


def _checked(result: int, what: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result

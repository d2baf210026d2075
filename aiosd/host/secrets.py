"""Secrets on their way into a run: from root's copy to files that only the run's user can read; imports next to nothing."""

import os

from aiosd.host import directories
from aiosd.host.prepare import CannotStart

_MODE = 0o400


def hand_out(kept: str, place: str, names: list[str], uid: int, gid: int) -> None:
    """Copy the values of `names` from `kept` to the new directory `place`, and give it to the user. Raises CannotStart.

    Until the last step the directory is ours alone, so that what is made in it is what it seems.
    """
    try:
        directories.make_owned(place, os.geteuid(), os.getegid())
        for name in names:
            _copy(f"{kept}/{name}", f"{place}/{name}", uid, gid)
        os.chown(place, uid, gid, follow_symlinks=False)
    except FileNotFoundError as error:
        raise CannotStart(f"the secret '{os.path.basename(error.filename or '')}' is not kept any more: submit the job again") from None
    except OSError as error:
        raise CannotStart(f"cannot hand out secrets in '{place}': {error.strerror}") from None


def _copy(source: str, target: str, uid: int, gid: int) -> None:
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        try:
            while piece := os.read(reading, 1 << 16):
                while piece:
                    piece = piece[os.write(writing, piece) :]
            os.fchown(writing, uid, gid)
        finally:
            os.close(writing)
    finally:
        os.close(reading)

"""A file or directory that a user wants at a path, made as that user: it appears whole, or nothing of it does."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aiosd.errors import AlreadyExists, Denied, DiskFull, InvalidArgument, NotFound, StorageUnwritable
from aiosd.host.acting import acting_as
from aiosd.host.identities import Identity

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def writing(path: str, identity: Identity | None, *, replace: bool) -> Iterator[int]:
    """A descriptor to write to, which has its name at the end of the block. `replace`: also where a file is already.

    raises    AlreadyExists, NotFound (no such directory), Denied, DiskFull, InvalidArgument
    """
    target = _target(path)
    making = _beside(target)
    with _explained(target, identity):
        with acting_as(identity):
            _check_free(target, replace=replace)
            fd = os.open(making, _FLAGS, 0o666)
        try:
            yield fd
            os.fsync(fd)
            with acting_as(identity):
                if replace:
                    os.rename(making, target)
                else:
                    os.link(making, target)  # fails where somebody was faster
        finally:
            os.close(fd)
            with acting_as(identity), suppress(OSError):
                making.unlink()


@contextmanager
def filling(path: str, identity: Identity | None) -> Iterator[Path]:
    """A new directory to fill, as that user, which has its name at the end of the block. One that is there is never replaced."""
    target = _target(path)
    making = _beside(target)
    with _explained(target, identity):
        with acting_as(identity):
            _check_free(target, replace=False)
            making.mkdir()
        try:
            yield making
            with acting_as(identity):
                os.rename(making, target)
        except BaseException:
            with acting_as(identity), suppress(OSError):
                shutil.rmtree(making)
            raise


def _target(path: str) -> Path:
    target = Path(path)
    if not target.is_absolute() or "\0" in path or not target.name:
        raise InvalidArgument(f"the path must be absolute, not {path!r}", path=path)
    return target


def _beside(target: Path) -> Path:
    """A name that nobody else comes to, not even after a crash; short enough also where each letter takes four bytes."""
    return target.parent / f".{target.name[:50]}.aios-{uuid.uuid4().hex[:12]}"


def _check_free(target: Path, *, replace: bool) -> None:
    if os.path.lexists(target) and not (replace and target.is_file() and not target.is_symlink()):
        hint = "--force replaces a file; nothing else is ever replaced" if target.is_file() else "name a path where there is nothing"
        raise AlreadyExists(f"there is something at {target} already", hint=hint, path=target)


@contextmanager
def _explained(target: Path, identity: Identity | None) -> Iterator[None]:
    who = identity.name if identity else "the user of the daemon"
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise AlreadyExists(f"there is something at {target} already", hint="name a path where there is nothing", path=target) from None
    except FileNotFoundError:
        raise NotFound(f"there is no directory {target.parent}", path=target) from None
    except PermissionError:
        raise Denied(f"{who} may not write to {target.parent}", path=target) from None
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"there is no room for {target}; nothing was kept of it", hint="name a place with more room", path=target) from None
        raise StorageUnwritable(f"{target} cannot be written: {error.strerror}", hint="look at its disk", path=target) from None

"""The directories of a run: made, removed like `rm -rf`, or kept empty by a warm shim for its next run; imports next to nothing.

To rename an empty directory costs a fifth of removing it and making another. What is kept is as it was made, or it is removed.
"""

import os

_MODE = 0o755
_PRIVATE, _PASSABLE = 0o700, 0o711
_NOT_PERMITTED = 1  # EPERM
_MOVED = ".aios-removed-"
_ROUNDS = 100_000  # levels of depth
_DIRECTORY = 0o040000
_spares: dict[str, tuple[str, tuple[int, int] | None]] = {}  # of this process: purpose -> path and owner, as for `keep`


def make(path: str, purpose: str = "") -> None:
    """Make a directory with its parents, from the spare of that purpose where there is one; one that exists stays. Raises OSError."""
    if _used_spare(path, purpose, None):
        return
    try:
        os.mkdir(path, _MODE)
    except FileExistsError:
        return
    except FileNotFoundError:
        make(os.path.dirname(path))
        make(path)


def keep(path: str, purpose: str, name: str, owner: tuple[int, int] | None = None) -> bool:
    """Take an empty directory out of use, as the spare `name`; False: it is not as it was made, and stays where it is.

    owner  uid and gid of whose alone it is, and whose it will be again; None: it is ours, for all to read
    """
    try:
        found = os.lstat(path)
        if found.st_mode != _DIRECTORY | (_PRIVATE if owner else _MODE) or found.st_uid != (owner[0] if owner else os.geteuid()):
            return False
        if (owner and found.st_gid != owner[1]) or os.listdir(path):
            return False
        if name != path:
            os.rename(path, name)
    except OSError:
        return False
    _spares[purpose] = name, owner
    return True


def _used_spare(path: str, purpose: str, owner: tuple[int, int] | None) -> bool:
    """Whether the spare of that purpose is now `path`; when it was another owner's, it is removed: there is never more than one."""
    spare, whose = _spares.pop(purpose, ("", None))
    if not spare:
        return False
    try:
        if whose == owner:
            os.rename(spare, path)
            return True
        os.rmdir(spare)
    except OSError:
        _try(os.rmdir, spare)  # the path is there already (an earlier attempt's checkpoint), or the spare is gone
    return False


def drop_spares() -> None:
    """Remove what was kept: there will be no next run."""
    while _spares:
        _try(os.rmdir, _spares.popitem()[1][0])


def make_owned(path: str, uid: int, gid: int, purpose: str = "") -> None:
    """Make a directory for one user alone, below directories of ours that others can only pass through. Raises OSError.

    Nobody else can make names above it, so between the making and the giving it stays what it is. One that exists stays with whom
    it belongs to: a job may have the number of another, whose state was lost, and what that one has left is its user's. Only what
    is empty, and ours, was made for this.
    With a purpose it is the spare of that purpose, where there is one and it was this user's before.
    """
    if _used_spare(path, purpose, (uid, gid)):
        return
    try:
        os.mkdir(path, _PRIVATE)
    except FileExistsError:
        found = os.lstat(path)
        if found.st_uid == uid and found.st_gid == gid:
            return
        if found.st_uid != uid and (found.st_uid != os.geteuid() or os.listdir(path)):
            raise PermissionError(_NOT_PERMITTED, f"it is there, and belongs to user {found.st_uid}", path) from None
    except FileNotFoundError:
        _make_passable(os.path.dirname(path))
        make_owned(path, uid, gid)
        return
    os.chown(path, uid, gid, follow_symlinks=False)


def _make_passable(path: str) -> None:
    try:
        os.mkdir(path, _PASSABLE)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make_passable(os.path.dirname(path))
        _make_passable(path)


def remove_tree(path: str) -> None:
    """Like `rm -rf` of a tree that a hostile user may be changing: no link is followed, whatever is swapped at any moment.

    What lies deeper is moved up to the top before it is emptied, so that two descriptors do for any depth. Unreadable
    directories are opened up where that is needed (not for root). What cannot be removed, or is made faster, stays.
    """
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except NotADirectoryError:  # a file, or a link that a job has put there: what it points to is none of ours
        _try(os.unlink, path)
    except OSError:
        _remove_full(path)


def _remove_full(path: str) -> None:
    top = _open_directory(path, None)
    if top < 0:
        return
    try:
        if os.geteuid() == 0:
            os.fchown(top, 0, 0)  # nobody comes in by its name any more
        os.fchmod(top, _PRIVATE)
        before: list[str] = []
        for moved in range(_ROUNDS):
            names = os.listdir(top)
            if not names or names == before:
                break
            before = names
            for at, name in enumerate(names):
                _remove_at(top, name, f"{moved}.{at}")
    except OSError:
        return
    finally:
        os.close(top)
    _try(os.rmdir, path)


def _remove_at(top: int, name: str, mark: str) -> None:
    """Remove what has this name in the directory `top`; what it holds below is moved to `top`, for the next round."""
    if _unlinked(name, top):
        return
    inner = _open_directory(name, top)
    if inner < 0:
        return
    try:
        for at, below in enumerate(os.listdir(inner)):
            if not _unlinked(below, inner) and not _removed(below, inner):
                _move(inner, below, top, f"{_MOVED}{mark}.{at}")
    except OSError:
        return
    finally:
        os.close(inner)
    _removed(name, top)


def _unlinked(name: str, within: int) -> bool:
    """False: it is a directory. What cannot be unlinked is left, and found again."""
    try:
        os.unlink(name, dir_fd=within)
    except IsADirectoryError:
        return False
    except OSError:
        return True
    return True


def _removed(name: str, within: int) -> bool:
    try:
        os.rmdir(name, dir_fd=within)
    except OSError:
        return False
    return True


def _move(inner: int, name: str, top: int, new: str) -> None:
    try:
        try:
            os.rename(name, new, src_dir_fd=inner, dst_dir_fd=top)
        except PermissionError:  # a directory that its owner may not write; root needs no such help, and must not give it by name
            if os.geteuid() == 0:
                return
            os.chmod(name, _PRIVATE, dir_fd=inner)
            os.rename(name, new, src_dir_fd=inner, dst_dir_fd=top)
    except OSError:
        return


def _open_directory(name: str, within: int | None) -> int:
    """A descriptor of the directory itself, -1 when it is none any more or cannot be opened."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            return _usable(os.open(name, flags, dir_fd=within))
        except PermissionError:
            if os.geteuid() == 0:
                return -1
            os.chmod(name, _PRIVATE, dir_fd=within)
            return os.open(name, flags, dir_fd=within)
    except OSError:
        return -1


def _usable(fd: int) -> int:
    """Its own user may have taken the right to write from a directory; for root that changes nothing."""
    if os.geteuid() != 0:
        os.fchmod(fd, _PRIVATE)
    return fd


def _try(call, *arguments) -> None:  # type: ignore[no-untyped-def]  # Callable would have to be imported
    try:
        call(*arguments)
    except OSError:
        return

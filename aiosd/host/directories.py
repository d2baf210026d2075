"""The directories of a run: made, removed like `rm -rf`, or kept empty by a warm shim for its next run; imports next to nothing.

To rename an empty directory costs a fifth of removing it and making another. What is kept is as it was made, or it is removed.
"""

import os

_MODE = 0o755
_AS_MADE = 0o040000 | _MODE  # a directory, and no bit more
_spares: dict[str, str] = {}  # of this process: purpose -> path


def make(path: str, purpose: str = "") -> None:
    """Make a directory with its parents, from the spare of that purpose where there is one; one that exists stays. Raises OSError."""
    spare = _spares.pop(purpose, "")
    if spare:
        try:
            os.rename(spare, path)
        except OSError:
            _try(os.rmdir, spare)  # the path is there already (an earlier attempt's checkpoint), or the spare is gone
        else:
            return
    try:
        os.mkdir(path, _MODE)
    except FileExistsError:
        return
    except FileNotFoundError:
        make(os.path.dirname(path))
        make(path)


def keep(path: str, purpose: str, name: str) -> bool:
    """Take an empty directory out of use, as the spare `name`; False: it is not as it was made, and stays where it is."""
    try:
        found = os.lstat(path)
        if found.st_mode != _AS_MADE or found.st_uid != os.geteuid() or os.listdir(path):
            return False
        if name != path:
            os.rename(path, name)
    except OSError:
        return False
    _spares[purpose] = name
    return True


def drop_spares() -> None:
    """Remove what was kept: there will be no next run."""
    while _spares:
        _try(os.rmdir, _spares.popitem()[1])


def remove_tree(path: str) -> None:
    """Like `rm -rf`: any depth, links not followed, unreadable directories opened up; what cannot be removed stays."""
    waiting: list[tuple[str, bool]] = []
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except NotADirectoryError:  # a file, or a link that a job has put there: what it points to is none of ours
        _try(os.unlink, path)
    except OSError:
        waiting.append((path, False))
    while waiting:
        directory, emptied = waiting.pop()
        if emptied:
            _try(os.rmdir, directory)
        else:
            waiting.append((directory, True))
            waiting.extend((inner, False) for inner in _empty(directory))


def _empty(directory: str) -> list[str]:
    """Unlink the files of a directory; its subdirectories."""
    _try(os.chmod, directory, 0o700)
    try:
        with os.scandir(directory) as entries:
            found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:
        return []
    for name, is_directory in found:
        if not is_directory:
            _try(os.unlink, name)
    return [name for name, is_directory in found if is_directory]


def _try(call, *arguments) -> None:  # type: ignore[no-untyped-def]  # Callable would have to be imported
    try:
        call(*arguments)
    except OSError:
        return

"""Where a daemon lives: a user's own places by the XDG rules, the system's by custom; and how its directories are made."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiosd.errors import StorageUnwritable

_PASSABLE, _OURS = 0o711, 0o600
FALLBACK_RUNTIME = "/tmp/aios-{uid}"  # noqa: S108  # private: it is made 0700, and refused when somebody else owns it


@dataclass(frozen=True, slots=True)
class Places:
    """The defaults of one way to run the daemon; the configuration may move the two directories."""

    state_directory: str
    runtime_directory: str
    config_file: Path
    users: str = "own"  # or "all"

    def defaults(self) -> dict[str, str]:
        """As `settings_file.load` takes them."""
        return {"state_directory": self.state_directory, "runtime_directory": self.runtime_directory, "users": self.users}


SYSTEM = Places("/var/lib/aios", "/run/aios", Path("/etc/aios/aiosd.toml"), users="all")


def user_places(environment: Mapping[str, str], uid: int, home: str) -> Places:
    """Those of one user. A variable that is not an absolute path counts as unset, as the XDG specification asks."""

    def directory(variable: str, default: str) -> str:
        value = environment.get(variable, "")
        return value.rstrip("/") if value.startswith("/") else default

    runtime = directory("XDG_RUNTIME_DIR", "")
    return Places(
        state_directory=directory("XDG_STATE_HOME", f"{home}/.local/state") + "/aios",
        runtime_directory=f"{runtime}/aios" if runtime else FALLBACK_RUNTIME.format(uid=uid),
        config_file=Path(directory("XDG_CONFIG_HOME", f"{home}/.config")) / "aios" / "aiosd.toml",
    )


def prepare_directory(path: str, mode: int = 0o700, *, passable: bool = False) -> None:
    """Make the directory, with its parents, where it is not there; refuse one that is somebody else's, a link or a file.

    `passable`: every user may pass through the parents that are made.
    Without this check anyone could make /tmp/aios-1000 first, and own the socket that the user then trusts.
    raises  StorageUnwritable naming the directory and what is wrong with it
    """
    try:
        for parent in reversed(Path(path).parents) if passable else ():
            if not parent.exists():
                parent.mkdir()
                parent.chmod(_PASSABLE)  # whatever the umask says
        if _made(Path(path), mode):
            os.chmod(path, mode)  # as asked for, not what the umask of a daemon leaves of it
        found = os.lstat(path)
    except OSError as error:
        raise StorageUnwritable(
            f"the directory {path} cannot be made: {error.strerror}", hint="name another in the configuration, or make it writable for this user", path=path
        ) from None
    sticky_parent = os.stat(os.path.dirname(path) or "/").st_mode & stat.S_ISVTX
    if stat.S_ISLNK(found.st_mode) and not sticky_parent:
        found = os.stat(path)  # a link in a directory of ours is our own choice
    if not stat.S_ISDIR(found.st_mode):
        raise StorageUnwritable(f"{path} is not a directory", hint="move it away, or name another directory in the configuration", path=path)
    if found.st_uid not in (os.geteuid(), 0):
        raise StorageUnwritable(
            f"the directory {path} belongs to user {found.st_uid}, not to {os.geteuid()}",
            hint="name another in the configuration",
            path=path,
            owner=found.st_uid,
        )
    if found.st_uid == os.geteuid() and found.st_mode & 0o022 & ~mode:
        os.chmod(path, mode)  # others must not be able to replace what is in it


def _made(path: Path, mode: int) -> bool:
    """Whether the directory was not there before; one that was keeps the mode that its owner chose."""
    try:
        path.mkdir(mode=mode, parents=True)
    except FileExistsError:
        if not path.is_dir():
            raise
        return False
    return True


def share_directory(path: str) -> None:
    """Let every user pass through to what is theirs in it, and see no name; files that lie in it directly are ours alone. Blocks.

    An older daemon, or systemd's StateDirectoryMode, may have left it open to all.
    """
    try:
        os.chmod(path, _PASSABLE)
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    os.chmod(entry.path, _OURS)
    except OSError as error:
        raise StorageUnwritable(
            f"the directory {path} cannot be kept from others: {error.strerror}", hint="make it the property of the daemon's user", path=path
        ) from None

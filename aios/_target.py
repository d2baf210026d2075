"""Where the daemon is: the target that was named, the system's socket, or the user's own."""

import os
import socket
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from aios.errors import Denied, InvalidArgument, StorageUnwritable

SYSTEM_SOCKET = Path("/run/aios/aiosd.sock")
_SOCKET_NAME = "aiosd.sock"
_LONGEST_SOCKET_PATH = 107  # sun_path holds 108 bytes with the final zero


class Origin(StrEnum):
    ARGUMENT = "argument"
    ENVIRONMENT = "AIOS_TARGET"
    SYSTEM = "system"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Target:
    """`address` as gRPC names it; `socket_path` when it is a Unix socket; `origin` says who chose it."""

    address: str
    socket_path: str
    origin: Origin

    def __str__(self) -> str:
        return self.address


def find_target(named: str | None = None) -> Target:
    """The argument, else AIOS_TARGET, else the system's socket if this user may use it, else the user's own.

    The system's also while its daemon is away: a daemon of one's own is no stand-in for it, and jobs would get lost there.
    """
    if named:
        return parse_target(named, Origin.ARGUMENT)
    if from_environment := os.environ.get("AIOS_TARGET"):
        return parse_target(from_environment, Origin.ENVIRONMENT)
    if _may_use(SYSTEM_SOCKET) or _has_run(SYSTEM_SOCKET):
        return parse_target(str(SYSTEM_SOCKET), Origin.SYSTEM)
    if runtime_directory().exists():
        private_directory(runtime_directory())  # else another user could listen there, and be told our environment
    return parse_target(str(own_socket()), Origin.OWN)


def parse_target(text: str, origin: Origin = Origin.ARGUMENT) -> Target:
    """`unix:/run/aios/aiosd.sock`, `/run/aios/aiosd.sock` or `host:port`."""
    hint = 'allowed: "unix:/path/to/aiosd.sock", "/path/to/aiosd.sock" or "host:port"'
    path = text.removeprefix("unix://").removeprefix("unix:")
    if path != text or text.startswith("/"):
        if not path.startswith("/") or "\0" in path:
            raise InvalidArgument(f"target {text!r} is not an absolute path", hint=hint)
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            raise InvalidArgument(f"target {text!r} is longer than a socket's path may be ({_LONGEST_SOCKET_PATH} bytes)", hint="use a shorter directory")
        return Target(f"unix:{path}", path, origin)
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise InvalidArgument(f"target {text!r} names neither a socket nor a host and port", hint=hint)
    return Target(text, "", origin)


def runtime_directory() -> Path:
    """Where the user's own daemon has its socket: $XDG_RUNTIME_DIR/aios, or /tmp/aios-UID where there is no such variable."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(base) / "aios" if base.startswith("/") else Path(f"/tmp/aios-{os.getuid()}")  # noqa: S108  # made 0700, its owner checked


def own_socket() -> Path:
    return runtime_directory() / _SOCKET_NAME


def state_directory() -> Path:
    """$XDG_STATE_HOME/aios, or ~/.local/state/aios."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return Path(base) / "aios" if base.startswith("/") else Path.home() / ".local" / "state" / "aios"


def private_directory(path: Path) -> Path:
    """The directory, made when it is not there; refused when anybody else could put something into it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        hint = "set XDG_RUNTIME_DIR and XDG_STATE_HOME to directories of your own"
        raise StorageUnwritable(f"{path} cannot be made: {error.strerror}", hint=hint, facts={"path": str(path)}) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise Denied(
            f"{path} is not a directory of user {os.getuid()}",
            hint="somebody else made it; remove it, or set XDG_RUNTIME_DIR and XDG_STATE_HOME to directories of your own",
            facts={"path": str(path)},
        )
    if found.st_mode & 0o022:
        raise Denied(f"{path} can be written by others (mode {found.st_mode & 0o7777:04o})", hint=f"chmod 700 {path}", facts={"path": str(path)})
    return path


def python_path(module_file: str, inherited: str) -> str:
    """PYTHONPATH for a process that must find the package of `module_file`, also in a checkout that is not installed."""
    root = Path(module_file).resolve().parent.parent
    installed = root.name in ("site-packages", "dist-packages")  # found anyway, and not to be put before the standard library
    return os.pathsep.join(filter(None, ("" if installed else str(root), inherited)))


def answers(socket_path: str) -> bool:
    """Whether something accepts connections at the socket now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(socket_path)
        except PermissionError:
            raise Denied(f"user {os.getuid()} may not use {socket_path}", hint="ask the machine's owner for access, or use another --target") from None
        except BlockingIOError:
            return True  # so many ask at once that one has to wait
        except OSError:
            return False
        return True


def _may_use(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode) and os.access(path, os.R_OK | os.W_OK)
    except OSError:
        return False


def _has_run(path: Path) -> bool:
    """Whether the machine's daemon has run since the last boot and has no socket now: it restarts, or somebody stopped it.

    systemd makes the directory when it starts the service, and keeps it.
    """
    try:
        found = path.parent.stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not os.path.lexists(path)

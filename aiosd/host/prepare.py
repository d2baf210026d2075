"""How a shim sets its run up: directories, limits, standard streams, the executable; and how it clears up behind it."""

import _signal  # type: ignore[import-not-found]  # typeshed does not know it; `signal` would bring enum into every shim
import marshal
import os

from aiosd.host import directories
from aiosd.host.cell import CannotConfine, Cell

SPARE = ".spare."  # how the names of checkpoint directories begin that wait for a run
SCRATCH, CHECKPOINT = "scratch", "checkpoint"
SHELL = "/bin/sh"
NOT_FOUND, NOT_RUN = 127, 126  # the exit codes of shells
ENOEXEC = 8
ALL_SIGNALS = [number for number in _signal.valid_signals() if number not in (_signal.SIGKILL, _signal.SIGSTOP)]
_writing: list[int] = []  # the writing end of this run's input
_cpus = os.sched_getaffinity(0)  # the spawner's, and so every shim's before its run


User = tuple[int, int, list[int], dict[str, str]]  # uid, gid, all groups, the variables of the account


class CannotStart(Exception):
    """The command could not be run; the text is a sentence for the user."""

    def __init__(self, text: str, exit_code: int = NOT_RUN) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class Plan:
    """Everything a shim needs to know of its run; travels as a marshalled tuple in this order.

    `shared` is the marshalled part of the environment that other runs have too, `own` goes over it, and it over `base`.
    What follows `checkpoint` is done by a forked child (`child.py`), which a run without any of it does not need:
    `cell`     a packed Cell, where it is confined; empty: there is none
    `user`     whom the run becomes; empty: it stays who the shim is
    `limits`   (number of the resource, soft, hard); `hardened`: no new privileges; `login`: the shell whose variables are taken, and what it begins with
    `secrets`  (directory of the kept values, the run's own directory for them, names)
    """

    FIELDS = (
        "runs", "command", "script", "cwd", "shared", "own", "cpus", "nice", "umask", "stdin_open", "stdout", "stderr", "logs", "scratch", "checkpoint",
        "cell", "user", "limits", "hardened", "login", "private_tmp", "secrets", "disk_bytes",
    )  # fmt: skip

    def __init__(
        self, runs: str, command: list[str], script: str, cwd: str, shared: bytes, own: dict[str, str], cpus: list[int], nice: int, umask: int,
        stdin_open: bool, stdout: str, stderr: str, logs: str, scratch: str, checkpoint: str,
        cell: tuple[object, ...] = (), user: User | tuple[()] = (), limits: tuple[tuple[int, int, int], ...] = (), hardened: bool = False,
        login: tuple[str, dict[str, str]] | tuple[()] = (), private_tmp: bool = False, secrets: tuple[str, str, list[str]] | tuple[()] = (),
        disk_bytes: int = 0,
    ) -> None:  # fmt: skip
        self.runs, self.command, self.script, self.cwd, self.shared, self.own, self.cpus = runs, command, script, cwd, shared, own, cpus
        self.nice, self.umask, self.stdin_open, self.stdout, self.stderr = nice, umask, stdin_open, stdout, stderr
        self.logs, self.scratch, self.checkpoint = logs, scratch, checkpoint
        self.cell = cell
        self.user, self.limits, self.hardened, self.login, self.private_tmp = user, limits, hardened, login, private_tmp
        self.secrets, self.disk_bytes = secrets, disk_bytes
        self.base: dict[str, str] = {}

    @property
    def needs_child(self) -> bool:
        return bool(self.cell or self.user or self.limits or self.login or self.private_tmp or self.secrets or self.disk_bytes)

    @property
    def env(self) -> dict[str, str]:
        return {**self.base, **marshal.loads(self.shared), **self.own}  # noqa: S302  the daemon's own, over its own socket

    def marshalled(self) -> bytes:
        return marshal.dumps(tuple(getattr(self, name) for name in self.FIELDS))


def start(path: str, plan: Plan) -> int:
    """Set up and spawn the run whose run file is `path`; the main process's pid. Raises CannotStart."""
    make_places(plan)
    try:
        os.chdir(plan.cwd)
    except OSError as error:
        raise CannotStart(f"cannot enter the working directory '{plan.cwd}': {error.strerror}", NOT_FOUND) from None
    limit(plan)
    os.umask(plan.umask)
    streams = open_streams(path, plan)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in streams]
        return _spawn(command_of(path, plan), plan, actions)
    finally:
        for fd in {fd for _, fd in streams}:
            os.close(fd)


def make_places(plan: Plan) -> None:
    """The directories of a run that stays who the shim is. Raises CannotStart."""
    os.umask(0o022)
    _make_directory(plan.scratch, SCRATCH)
    _make_directory(plan.checkpoint, CHECKPOINT)
    if not plan.stdout.startswith(plan.logs):
        _make_directory(plan.logs)  # for the report


def make_cell(plan: Plan) -> Cell | None:
    """The run's control groups; None where it has none. Raises CannotStart."""
    if not plan.cell:
        return None
    cell = Cell(*plan.cell)  # type: ignore[arg-type]  # as the daemon packed it
    try:
        cell.make()
    except CannotConfine as error:
        raise CannotStart(str(error)) from None
    return cell


def clean_up(path: str, plan: Plan, warm: bool) -> None:
    """Remove what only this run needed: its scratch directory, an empty checkpoint directory, its script and its fifo.

    A `warm` shim keeps the directories for its next run: the scratch under its old name, as no run has the same key; the
    checkpoint under a name of this process, because the job's next attempt may come to another shim at any moment.
    """
    _end_of_input()
    owner = plan.user[:2] if plan.user else None
    warm = warm and not (plan.disk_bytes or plan.private_tmp or plan.secrets)  # where a directory may have more to it than its mode
    if not (warm and directories.keep(plan.scratch, SCRATCH, plan.scratch, owner)):
        directories.remove_tree(plan.scratch)
    kept = warm and directories.keep(plan.checkpoint, CHECKPOINT, f"{os.path.dirname(plan.checkpoint)}/{SPARE}{os.getpid()}", owner)
    for remove, name, made in (
        (os.rmdir, plan.checkpoint, not kept), (os.unlink, path + ".in", plan.stdin_open), (os.unlink, path + ".sh", bool(plan.script)),
    ):  # fmt: skip
        if made:
            try:
                remove(name)
            except OSError:
                continue  # a checkpoint that is kept, or gone already


def undo(plan: Plan) -> bool:
    """Make this process fit for another run; False when it cannot be."""
    if plan.nice:
        return False  # what is nice stays nice
    try:
        os.chdir("/")
        os.sched_setaffinity(0, _cpus)
        _signal.signal(_signal.SIGUSR1, _signal.SIG_IGN)
    except OSError:
        return False
    return True


def _make_directory(path: str, purpose: str = "") -> None:
    try:
        directories.make(path, purpose)
    except OSError as error:
        raise CannotStart(f"cannot make the directory '{path}': {error.strerror}") from None


def limit(plan: Plan) -> None:
    if plan.cpus:
        try:
            os.sched_setaffinity(0, plan.cpus)
        except OSError:
            plan.cpus = []  # all of them are gone (unplugged, or a smaller cpuset): better to run anywhere than not at all
    if plan.nice:
        try:
            os.nice(plan.nice)
        except OSError as error:
            raise CannotStart(f"cannot set the niceness {plan.nice}: {error.strerror}") from None


def open_streams(path: str, plan: Plan) -> list[tuple[int, int]]:
    """Pairs of (stream's number, descriptor); without open input the job has the shim's own, which is /dev/null."""
    streams = [(0, open_input(path + ".in"))] if plan.stdin_open else []
    return [*streams, *open_outputs(plan)]


def open_outputs(plan: Plan) -> list[tuple[int, int]]:
    out = _open_output(plan.stdout, plan.logs)
    return [(1, out), (2, out if plan.stderr == plan.stdout else _open_output(plan.stderr, plan.logs))]


def _open_output(path: str, logs: str) -> int:
    """Opens for appending; only the daemon's own directory of logs is made, a user's must exist."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
    kept = path.startswith(logs + "/")
    mode = 0o600 if kept else 0o666
    try:
        try:
            return os.open(path, flags, mode)
        except FileNotFoundError:
            if not kept:
                raise
        _make_directory(logs)
        return os.open(path, flags, mode)
    except OSError as error:
        raise CannotStart(f"cannot open the output file '{path}': {error.strerror}") from None


def _end_of_input(_number: int = 0, _frame: object = None) -> None:
    while _writing:
        os.close(_writing.pop())


def open_input(path: str, owner: int = -1) -> int:
    """The reading end of a fifo; this process holds a writing end, so that no client's going away ends the input, until SIGUSR1."""
    _signal.signal(_signal.SIGUSR1, _end_of_input)
    try:
        os.mkfifo(path + ".new", 0o600)
        if owner >= 0:
            os.chown(path + ".new", owner, -1)  # in a directory where nobody else may make names; for who opens /dev/stdin
        reading = os.open(path + ".new", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        _writing.append(os.open(path + ".new", os.O_WRONLY | os.O_CLOEXEC))
        os.set_blocking(reading, True)
        os.rename(path + ".new", path)  # who sees the name finds both ends open and the signal handled
    except OSError as error:
        raise CannotStart(f"cannot make the input fifo '{path}': {error.strerror}") from None
    return reading


def command_of(path: str, plan: Plan) -> list[str]:
    """The command; for a script, what the kernel would make of its first line (the directory may be mounted noexec)."""
    if not plan.script:
        return plan.command
    name = path + ".sh"
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o700)
        with open(fd, "wb") as file:
            file.write(plan.script.encode(errors="surrogateescape"))
    except OSError as error:
        raise CannotStart(f"cannot write the script '{name}': {error.strerror}") from None
    first = plan.script.partition("\n")[0]
    interpreter = first[2:].split(None, 1) if first.startswith("#!") else []
    return [*([part.rstrip() for part in interpreter] or [SHELL]), name, *plan.command]


def _spawn(command: list[str], plan: Plan, actions: list[tuple[int, int, int]]) -> int:
    executable = find(command[0], plan)
    try:
        try:
            return _posix_spawn(executable, command, plan, actions)
        except OSError as error:
            if error.errno != ENOEXEC:
                raise
        return _posix_spawn(SHELL, [SHELL, executable, *command[1:]], plan, actions)  # as execvp does with a text file
    except FileNotFoundError:
        raise CannotStart(f"cannot run '{executable}': it, or the interpreter that it names, does not exist", NOT_FOUND) from None
    except OSError as error:
        raise CannotStart(f"cannot run '{executable}': {error.strerror}") from None
    except ValueError as error:
        raise CannotStart(f"cannot run '{executable}': {error}") from None  # a NUL byte, an `=` in a variable's name


def _posix_spawn(executable: str, command: list[str], plan: Plan, actions: list[tuple[int, int, int]]) -> int:
    """In a session of its own, so that a job's kill(0) does not reach its shim."""
    return os.posix_spawn(executable, command, plan.env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=ALL_SIGNALS)


def find(name: str, plan: Plan) -> str:
    """The executable as execvp finds it, by the job's own PATH and from its own directory."""
    if "/" in name:
        if os.path.isdir(name):
            raise CannotStart(f"cannot run '{name}': it is a directory")
        if not os.path.lexists(name):
            raise CannotStart(f"cannot run '{name}': there is no such file (from '{plan.cwd}')", NOT_FOUND)
        return name
    search = plan.env.get("PATH", os.defpath)
    refused = ""
    for directory in search.split(":"):
        candidate = f"{directory or '.'}/{name}"
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
        if not refused and os.path.isfile(candidate):
            refused = candidate
    if refused:
        raise CannotStart(f"cannot run '{refused}': it is not executable (chmod +x)")
    raise CannotStart(f"cannot run '{name}': there is no such command in PATH ({search})", NOT_FOUND)

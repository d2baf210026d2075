"""The forked child of a shim, which becomes the job's owner and then the command; imports next to nothing.

Whatever a user named is opened here, after the child has become that user: the working directory, the output files, the
executable. What lies in directories of ours is made by the shim beforehand and given to the user, because nobody else can make
names there. The shim stays who it is; it hears by a pipe, which closes at exec, why the command could not be run.
"""

import _signal  # type: ignore[import-not-found]
import ctypes
import os
import resource

from aiosd.host import directories, prepare
from aiosd.host.cell import Cell
from aiosd.host.prepare import CannotStart, Plan

_PR_SET_NO_NEW_PRIVS = 38
_KEYCTL = {"x86_64": 250, "i386": 288, "i686": 288, "ppc64le": 271, "s390x": 280}
_KEYCTL_GENERIC = 219  # of all younger architectures
_JOIN_SESSION_KEYRING = 1
_NOT_DEFAULT = (_signal.SIGPIPE, _signal.SIGUSR1, _signal.SIGCHLD, _signal.SIGINT, _signal.SIGXFSZ)
_OOM_SCORE = "/proc/self/oom_score_adj"

_libc = ctypes.CDLL(None, use_errno=True)
_syscall, _prctl = _libc.syscall, _libc.prctl  # found once: a child that looks them up does so on pages that it has to copy
_keyctl = _KEYCTL.get(os.uname().machine, _KEYCTL_GENERIC)


def start(path: str, plan: Plan) -> int:
    """Set up the run whose run file is `path` and fork what becomes its command; its pid. Raises CannotStart."""
    os.umask(0o022)
    tmp = _make_places(plan)
    command, cell = prepare.command_of(path, plan), prepare.make_cell(plan)
    if plan.script:
        _give(path + ".sh", plan)
    prepare.limit(plan)
    if plan.user:
        plan.base = dict(plan.user[3])
    variables = {} if plan.login else plan.env
    reading = prepare.open_input(path + ".in", _uid(plan)) if plan.stdin_open else -1
    told, telling = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            _become(plan, command, variables, cell, tmp, reading, telling)
        os.close(telling)
        telling = -1
        trouble = _read_all(told)
    finally:
        for fd in (reading, told, telling, *tmp):
            if fd >= 0:
                os.close(fd)
    if trouble:
        code, _, text = trouble.partition(b" ")
        raise CannotStart(text.decode(errors="surrogateescape"), int(code))
    return pid


def clean_up(plan: Plan) -> None:
    """What only a run of this kind had; the rest is cleared up as for any."""
    if plan.secrets:
        directories.remove_tree(plan.secrets[1])
    if plan.disk_bytes:
        from aiosd.host import quota

        quota.release(plan.scratch)


def _make_places(plan: Plan) -> list[int]:
    """The run's own directories, each its user's alone; descriptors of those that become its /tmp, from before it could touch them."""
    if not (plan.user or plan.disk_bytes or plan.private_tmp or plan.secrets):
        prepare.make_places(plan)
        return []
    uid, gid = plan.user[:2] if plan.user else (os.geteuid(), os.getegid())
    tmp: list[int] = []
    if plan.disk_bytes or plan.private_tmp:
        directories.drop_spares()  # what is made for this run must not be replaced by one of them
        _make_owned(plan.scratch, os.geteuid(), os.getegid())
    if plan.disk_bytes:
        _hold(plan.scratch, plan.disk_bytes)
    if plan.private_tmp:
        from aiosd.host import namespaces  # what few runs want, neither the spawner nor a shim has in memory before

        tmp = namespaces.make_places(plan.scratch)
    if plan.disk_bytes or plan.private_tmp:
        os.chown(plan.scratch, uid, gid, follow_symlinks=False)  # with what we have just made in it
    for place, purpose in ((plan.scratch, prepare.SCRATCH), (plan.checkpoint, prepare.CHECKPOINT), (plan.logs, "")):
        _make_owned(place, uid, gid, purpose)
    if plan.secrets:
        from aiosd.host import secrets

        secrets.hand_out(*plan.secrets, uid, gid)
    return tmp


def _hold(scratch: str, most_bytes: int) -> None:
    from aiosd.host import quota

    try:
        quota.hold(scratch, most_bytes)
    except OSError as error:
        raise CannotStart(f"cannot hold '{scratch}' to {most_bytes} bytes: {error.strerror}") from None


def _make_owned(place: str, uid: int, gid: int, purpose: str = "") -> None:
    try:
        directories.make_owned(place, uid, gid, purpose)
    except OSError as error:
        raise CannotStart(f"cannot make the directory '{place}': {error.strerror}") from None


def _give(path: str, plan: Plan) -> None:
    """A file that was made a moment ago in a directory of ours."""
    if plan.user:
        os.chown(path, plan.user[0], plan.user[1], follow_symlinks=False)


def _uid(plan: Plan) -> int:
    return plan.user[0] if plan.user else -1


def _read_all(fd: int) -> bytes:
    """Until the other end is closed: by exec, or by an end."""
    data = b""
    while more := os.read(fd, 4096):
        data += more
    return data


def _become(plan: Plan, command: list[str], variables: dict[str, str], cell: Cell | None, tmp: list[int], reading: int, telling: int) -> None:
    """In the child: never returns. What it does is little: each page that it touches is copied first."""
    try:
        os.setsid()
        if cell is not None:
            _go_into(cell)
        _reset_signals()
        if tmp:
            from aiosd.host import namespaces

            namespaces.enter(plan.scratch, tmp)
        if plan.user:
            _take_rights(plan.user)
        _confine(plan)
        os.umask(plan.umask)
        _enter(plan.cwd)
        if plan.login:
            from aiosd.host import login

            plan.base.update(login.variables(*plan.login))
            variables = plan.env
        if reading >= 0:
            os.dup2(reading, 0)
        for number, fd in prepare.open_outputs(plan):
            os.dup2(fd, number)
        _exec(command, variables, plan)
    except CannotStart as error:
        _tell(telling, error.exit_code, str(error))
    except BaseException as error:  # noqa: BLE001  the last words of a process that must not go on as a second shim
        _tell(telling, prepare.NOT_RUN, f"the run could not be set up: {type(error).__name__}: {error}")
    finally:
        os._exit(prepare.NOT_RUN)


def _go_into(cell: Cell) -> None:
    try:
        cell.enter()
    except OSError as error:
        raise CannotStart(f"cannot enter the control group '{cell.killing}': {error.strerror}") from None


def _tell(telling: int, code: int, text: str) -> None:
    os.write(telling, f"{code} {text}".encode(errors="surrogateescape"))


def _reset_signals() -> None:
    """As posix_spawn does for other runs: what spawner or shim ignore or handle would go on being so. All else is as they found it: default."""
    for number in _NOT_DEFAULT:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _take_rights(user: prepare.User) -> None:
    """Become the user, for good: real, effective and saved."""
    uid, gid, groups, _ = user
    if _protected:
        _give_up_protection()
    try:
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise CannotStart(f"cannot become user {uid}: {error.strerror}") from None
    _syscall(_keyctl, _JOIN_SESSION_KEYRING, None)  # a kernel without keyrings has none to share


def _is_protected() -> bool:
    """Whether the OOM killer spares this process, as it does a daemon of the unit; what the spawner has, its shims have."""
    try:
        fd = os.open(_OOM_SCORE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.read(fd, 16).strip() != b"0"
    finally:
        os.close(fd)


def _give_up_protection() -> None:
    fd = os.open(_OOM_SCORE, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"0")
    except OSError as error:
        raise CannotStart(f"cannot give up the daemon's protection from the OOM killer: {error.strerror}") from None
    finally:
        os.close(fd)


_protected = _is_protected()


def _confine(plan: Plan) -> None:
    """Limits as the user may set them: none can be raised over what the machine allows."""
    for number, soft, hard in plan.limits:
        try:
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError) as error:
            name = next((n for n in dir(resource) if n.startswith("RLIMIT_") and getattr(resource, n) == number), str(number))
            allowed = resource.getrlimit(number)[1]
            raise CannotStart(f"cannot set the limit {name[7:].lower()} to {soft}:{hard}: {error} (at most {allowed} here)") from None
    if plan.hardened and _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise CannotStart(f"cannot give up new privileges: {os.strerror(ctypes.get_errno())}")


def _enter(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except OSError as error:
        raise CannotStart(f"cannot enter the working directory '{cwd}': {error.strerror}", prepare.NOT_FOUND) from None


def _exec(command: list[str], variables: dict[str, str], plan: Plan) -> None:
    """Returns never; raises CannotStart."""
    executable = command[0] if "/" in command[0] else prepare.find(command[0], plan)
    try:
        try:
            os.execve(executable, command, variables)  # noqa: S606  the user's own command, as the user
        except OSError as error:
            if error.errno != prepare.ENOEXEC:
                raise
        os.execve(prepare.SHELL, [prepare.SHELL, executable, *command[1:]], variables)  # noqa: S606  as execvp does with a text file
    except FileNotFoundError:
        prepare.find(executable, plan)  # it may know more
        raise CannotStart(f"cannot run '{executable}': it, or the interpreter that it names, does not exist", prepare.NOT_FOUND) from None
    except OSError as error:
        prepare.find(executable, plan)
        raise CannotStart(f"cannot run '{executable}': {error.strerror}") from None
    except ValueError as error:
        raise CannotStart(f"cannot run '{executable}': {error}") from None

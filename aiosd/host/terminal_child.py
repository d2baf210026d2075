"""Becomes the command of a terminal: run as a script, it takes the terminal, its place and its rights, then execs; standard library only."""

import ctypes
import fcntl
import json
import os
import sys
import termios

NOT_RUN, NOT_FOUND = 126, 127  # the exit codes of shells
_CLONE_NEWNS = 0x00020000
_PR_SET_NO_NEW_PRIVS = 38


def main(order: dict) -> None:  # type: ignore[type-arg]  # as JSON has it
    """Never returns. The process leads a session already; its standard streams are the terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    join_groups(order["groups_of"], order["cell"])
    if order["cpus"]:
        try:
            os.sched_setaffinity(0, order["cpus"])
        except OSError as error:
            print(f"not on the job's processors: {error.strerror}", file=sys.stderr)
    join_files(order["groups_of"])
    if order["uid"] is not None:
        become(order)
    os.umask(order["umask"])
    try:
        os.chdir(order["cwd"])
    except OSError as error:
        print(f"not in the job's directory {order['cwd']}: {error.strerror}", file=sys.stderr)
    command, environment = order["command"], order["environment"]
    sys.stderr.flush()
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606  # the user's own command, as the user
    except OSError as error:
        print(f"cannot run '{command[0]}': {error.strerror}", file=sys.stderr, flush=True)
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN)


def join_groups(pid: int, cell: str) -> None:
    """Into the control groups of the job, so that what runs here is held and counted there, and ends with it.

    Where the job has a `cell` (one of its directories), nobody may stay out of it; any other group is joined where we may.
    """
    own, mounted, name = dict(groups("self")), mounts(), cell.rpartition("/")[2]
    for controller, path in groups(pid):
        if path == own.get(controller) or controller not in mounted:
            continue
        try:
            with open(f"{mounted[controller]}{path}/cgroup.procs", "w") as file:
                file.write("0")
        except OSError as error:
            if cell and path.endswith(f"/{name}"):
                print(f"cannot enter the job's control group {path}: {error.strerror}", file=sys.stderr, flush=True)
                os._exit(NOT_RUN)
    if cell and not any(path.endswith(f"/{name}") for _, path in groups("self")):
        print("the job has ended: there is no control group of it to be in", file=sys.stderr, flush=True)
        os._exit(NOT_RUN)


def groups(pid: int | str) -> list[tuple[str, str]]:
    """(controllers, path) of each hierarchy; the controllers of v2 are ""."""
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return []
    return [(controllers, path) for _, controllers, path in lines]


def mounts() -> dict[str, str]:
    """Where each hierarchy is mounted, by its controllers as /proc/PID/cgroup writes them."""
    found: dict[str, str] = {}
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            kind, place = after.split(), before.split()[4]
            if kind[0] == "cgroup2":
                found.setdefault("", place)
            elif kind[0] == "cgroup":
                found.setdefault(",".join(option for option in kind[2].split(",") if option not in ("rw", "ro", "xattr", "noprefix", "clone_children")), place)
    return found


def join_files(pid: int) -> None:
    """Into the mount namespace of the job, where it has a /tmp of its own; where we may not, its /tmp is not this one."""
    try:
        own = os.stat("/proc/self/ns/mnt")
        fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        if os.fstat(fd).st_ino != own.st_ino and ctypes.CDLL(None).setns(fd, _CLONE_NEWNS):
            print("not in the job's own /tmp", file=sys.stderr)
        os.close(fd)
    except OSError:
        return


def become(order: dict) -> None:  # type: ignore[type-arg]
    """The owner, for good, with no more than its job has; and without the protection from the OOM killer that a daemon has."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("0")
    except OSError:
        print("as safe from the OOM killer as the daemon", file=sys.stderr)
    os.setgroups(order["gids"])
    os.setresgid(order["gid"], order["gid"], order["gid"])
    os.setresuid(order["uid"], order["uid"], order["uid"])
    if order["hardened"]:
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


if __name__ == "__main__":
    with open(int(sys.argv[1])) as handed_over:
        wanted = json.load(handed_over)
    main(wanted)

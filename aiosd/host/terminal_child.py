"""Becomes the command of a terminal: run as a script, it takes the terminal, its place and its rights, then execs; standard library only.

As long as it is root it opens nothing by a name that the job's user could have put there. It enters the job's mount namespace
last, and only one that root has made: in one of the user's own making even /proc is what the user says.
"""

import ctypes
import fcntl
import json
import os
import sys
import termios

NOT_RUN, NOT_FOUND = 126, 127  # the exit codes of shells
_CLONE_NEWNS = 0x00020000
_NS_GET_USERNS = 0xB701
_PR_SET_NO_NEW_PRIVS = 38


def main(order: dict) -> None:  # type: ignore[type-arg]  # as JSON has it
    """Never returns. The process leads a session already; its standard streams are the terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    beside = order["beside"]  # the job's main process: its directory in /proc, as a descriptor
    join_groups(beside, order["cell"])
    if order["cpus"]:
        try:
            os.sched_setaffinity(0, order["cpus"])
        except OSError as error:
            print(f"not on the job's processors: {error.strerror}", file=sys.stderr)
    if order["uid"] is not None:
        give_up_protection()
    join_files(beside)
    if order["uid"] is not None:
        become(order)
    if beside is not None:
        os.close(beside)
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


def join_groups(beside: int | None, cell: str) -> None:
    """Into the control groups of the job, so that what runs here is held and counted there, and ends with it.

    Where the job has a `cell` (one of its directories), nobody may stay out of it; any other group is joined where we may.
    """
    own, mounted, name = dict(groups(None)), mounts(), cell.rpartition("/")[2]
    for controller, path in groups(beside) if beside is not None else ():
        if path == own.get(controller) or controller not in mounted:
            continue
        try:
            with open(f"{mounted[controller]}{path}/cgroup.procs", "w") as file:
                file.write("0")
        except OSError as error:
            if cell and path.endswith(f"/{name}"):
                print(f"cannot enter the job's control group {path}: {error.strerror}", file=sys.stderr, flush=True)
                os._exit(NOT_RUN)
    if cell and not any(path.endswith(f"/{name}") for _, path in groups(None)):
        print("the job has ended: there is no control group of it to be in", file=sys.stderr, flush=True)
        os._exit(NOT_RUN)


def groups(process: int | None) -> list[tuple[str, str]]:
    """(controllers, path) of each hierarchy, of a process or of this one; the controllers of v2 are ""."""
    try:
        with open(os.open("cgroup" if process is not None else "/proc/self/cgroup", os.O_RDONLY, dir_fd=process)) as file:
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


def join_files(beside: int | None) -> None:
    """Into the mount namespace of the job, where AIOS has given it a /tmp of its own; where we may not, its /tmp is not this one."""
    if beside is None:
        return
    try:
        fd = os.open("ns/mnt", os.O_RDONLY, dir_fd=beside)
        if not os.path.sameopenfile(fd, os.open("/proc/self/ns/mnt", os.O_RDONLY)) and (not ours(fd) or ctypes.CDLL(None).setns(fd, _CLONE_NEWNS)):
            print("not among the job's own mounts", file=sys.stderr)
    except OSError:
        return


def ours(namespace: int) -> bool:
    """Whether it belongs to this process's user namespace. Those of others were made by users, who may mount there what they like."""
    try:
        owner = fcntl.ioctl(namespace, _NS_GET_USERNS)
    except OSError:
        return False
    return os.path.sameopenfile(owner, os.open("/proc/self/ns/user", os.O_RDONLY))


def give_up_protection() -> None:
    """From the OOM killer, which a daemon has."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("0")
    except OSError:
        print("as safe from the OOM killer as the daemon", file=sys.stderr)


def become(order: dict) -> None:  # type: ignore[type-arg]
    """The owner, for good, with no more than its job has."""
    os.setgroups(order["gids"])
    os.setresgid(order["gid"], order["gid"], order["gid"])
    os.setresuid(order["uid"], order["uid"], order["uid"])
    if order["hardened"]:
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


if __name__ == "__main__":
    with open(int(sys.argv[1])) as handed_over:
        wanted = json.load(handed_over)
    main(wanted)

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
    join_groups(order["groups_of"])
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


def join_groups(pid: int) -> None:
    """Into the control group of the job, so that what runs here counts there; where we may not, it does not."""
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            path = next((line.rstrip("\n")[3:] for line in file if line.startswith("0::")), None)
        with open("/proc/self/cgroup") as file:
            own = next((line.rstrip("\n")[3:] for line in file if line.startswith("0::")), None)
        if path is not None and path != own:
            with open(f"/sys/fs/cgroup{path}/cgroup.procs", "w") as file:
                file.write("0")
    except OSError:
        return


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

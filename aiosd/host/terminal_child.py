"""Becomes the command of a terminal: run as a script, it takes the terminal, its place and its rights, then execs; standard library only."""

import fcntl
import json
import os
import sys
import termios

NOT_RUN, NOT_FOUND = 126, 127  # the exit codes of shells


def main(order: dict) -> None:  # type: ignore[type-arg]  # as JSON has it
    """Never returns. The process leads a session already; its standard streams are the terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    join_groups(order["groups_of"], order["cell"])
    if order["cpus"]:
        try:
            os.sched_setaffinity(0, order["cpus"])
        except OSError as error:
            print(f"not on the job's processors: {error.strerror}", file=sys.stderr)
    if order["uid"] is not None:
        os.setgroups(order["gids"])
        os.setgid(order["gid"])
        os.setuid(order["uid"])
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


if __name__ == "__main__":
    with open(int(sys.argv[1])) as handed_over:
        wanted = json.load(handed_over)
    main(wanted)

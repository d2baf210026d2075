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
    join_groups(order["groups_of"])
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


if __name__ == "__main__":
    with open(int(sys.argv[1])) as handed_over:
        wanted = json.load(handed_over)
    main(wanted)

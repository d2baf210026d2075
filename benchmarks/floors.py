"""The floors: what the machine itself needs for the same work, without any job system."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LOOP_C = r"""
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
extern char **environ;
int main(int argc, char **argv) {
    int left = atoi(argv[1]), slots = atoi(argv[2]), running = 0;
    char *command[] = {argv[3], NULL};
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    while (left || running) {
        while (left && running < slots) {
            pid_t pid;
            if (posix_spawn(&pid, command[0], NULL, NULL, command, environ)) return 1;
            left--; running++;
        }
        int status;
        if (waitpid(-1, &status, 0) < 0) return 1;
        running--;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.9f\n", (to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) / 1e9);
    return 0;
}
"""

LOOP_PYTHON = """
import os, sys, time
left, slots, command = int(sys.argv[1]), int(sys.argv[2]), [sys.argv[3]]
running, began_s = 0, time.perf_counter()
while left or running:
    while left and running < slots:
        os.posix_spawn(command[0], command, os.environ)
        left -= 1
        running += 1
    os.waitpid(-1, 0)
    running -= 1
print(time.perf_counter() - began_s)
"""

FIRST_ACT_C = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>
int main(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    printf("%lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
    return 0;
}
"""


def compiled(source: str, directory: Path, name: str) -> Path | None:
    """A static program of this C source; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = directory / name
    for options in (["-static"], []):
        done = subprocess.run([compiler, "-O2", *options, "-x", "c", "-", "-o", str(program)], input=source.encode(), capture_output=True)
        if done.returncode == 0:
            return program
    return None


def python_loop_s(count: int, slots: int, command: str) -> float:
    """Seconds for `count` runs, `slots` at a time, from a small Python process of its own."""
    return _told_s([sys.executable, "-I", "-S", "-c", LOOP_PYTHON, str(count), str(slots), command])


def c_loop_s(program: Path, count: int, slots: int, command: str) -> float:
    return _told_s([str(program), str(count), str(slots), command])


def _told_s(command: list[str]) -> float:
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def first_act_s(command: list[str]) -> float:
    """From just before posix_spawn to the time that the program tells as its first act."""
    reading, writing = os.pipe()
    began_s = time.time()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)])
    os.close(writing)
    with os.fdopen(reading) as told:
        told_s = float(told.read())
    os.waitpid(pid, 0)
    return told_s - began_s


def page_sync_s(directory: Path) -> Callable[[], float]:
    """A function that writes 4 KiB over the same place of a file there, and says how long until it was on the disk."""
    file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115  it lives as long as the function
    page = os.urandom(4096)
    file.write(page)
    os.fsync(file.fileno())

    def once_s() -> float:
        began_s = time.perf_counter()
        os.pwrite(file.fileno(), page, 0)
        os.fdatasync(file.fileno())
        return time.perf_counter() - began_s

    return once_s

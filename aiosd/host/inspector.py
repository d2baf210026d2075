"""The process that reads what nobody vouches for: one model or two, within limits, then it ends; started by `inspecting.py`.

It has a descriptor of each model and one to answer on, and gives up the rest: the daemon's rights, then memory, time and writing.
What it answers is not to be trusted either: a file that takes it over can make it say anything, and do nothing.
"""

import codecs
import ctypes
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import BinaryIO

import msgspec

from aiosd.models import tensordiff
from aiosd.models.diff import TensorDiff
from aiosd.models.findings import ScanFinding, Severity
from aiosd.models.formats.directory import FileReport, Inspection, inspect
from aiosd.models.reading import StoredTensor
from aiosd.models.scanning.files import scan_all
from aiosd.models.version import Schema

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_MOST_FILES, _DEEPEST = 2_000_000, 128  # more than sources.py goes down
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MOST_OPEN, _MOST_NAMELESS = 256, 100
_CODECS = ("cp437", "latin-1", "raw-unicode-escape", "unicode-escape")  # their files may not be readable for whom this becomes


class Work(msgspec.Struct, frozen=True):
    """What is to be done. `models`: a descriptor and the name of each; the second is compared with the first."""

    models: list[tuple[int, str]]
    answer: int
    memory_bytes: int
    cpu_s: int
    wall_s: int
    answer_bytes: int
    uid: int = -1
    gid: int = -1


def main(text: str) -> None:
    """Do the work, write the answer as JSON. Ends by a signal where it meets a limit."""
    work = msgspec.json.decode(text, type=Work)
    compares = len(work.models) > 1
    if compares:
        import numpy as np  # noqa: F401  # while its files can be read, and its threads have room
    _give_up(work)
    answer = _compare(*work.models) if compares else _inspect(*work.models[0])
    with os.fdopen(work.answer, "wb") as out:
        out.write(msgspec.json.encode(answer))


def _give_up(work: Work) -> None:
    for name in _CODECS:
        codecs.lookup(name)
    for number in (signal.SIGALRM, signal.SIGXFSZ, signal.SIGXCPU):  # the interpreter ignores the second: an error would hide the limit
        signal.signal(number, signal.SIG_DFL)
    signal.alarm(work.wall_s)
    if work.uid >= 0 and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(work.gid, work.gid, work.gid)
        os.setresuid(work.uid, work.uid, work.uid)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # nobody waits for the answer then; a change of user takes it back
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _limit(resource.RLIMIT_AS, work.memory_bytes)
    _limit(resource.RLIMIT_CPU, work.cpu_s, 1)
    _limit(resource.RLIMIT_FSIZE, work.answer_bytes)
    _limit(resource.RLIMIT_NOFILE, _MOST_OPEN)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(which: int, most: int, behind: int = 0) -> None:
    """`behind`: how much further the hard limit is, where the soft one tells by a signal of its own."""
    hard = resource.getrlimit(which)[1]
    wanted = most + behind if hard == resource.RLIM_INFINITY else min(most + behind, hard)
    resource.setrlimit(which, (min(most, wanted), wanted))


def _inspect(fd: int, name: str) -> Inspection:
    sizes, opens, nameless = _listed(fd, name)
    try:
        found = inspect(sizes, opens)
    except MemoryError:
        found = Inspection(Schema(notes=("it was not read: that takes more memory than a reader is given",)))
    findings, refused = scan_all((path for path, size in sizes.items() if size), opens)
    if len(sizes) >= _MOST_FILES:
        findings.append(ScanFinding("", Severity.BROKEN, f"it has more than {_MOST_FILES} files, and not all were looked at"))
    refused = {**refused, **dict.fromkeys(nameless, "its name is not UTF-8")}
    return replace(found, files={**found.files, **{path: FileReport(refused=why) for path, why in refused.items()}}, findings=findings)


def _compare(before: tuple[int, str], after: tuple[int, str]) -> TensorDiff:
    reports: list[Mapping[str, FileReport]] = []
    reads: list[tensordiff.Read] = []
    for fd, name in (before, after):
        sizes, opens, _ = _listed(fd, name)
        reports.append(inspect(sizes, opens).files)
        reads.append(_reader(opens))
    found = tensordiff.compare(reports[0], reports[1], reads[0], reads[1])
    notes = [f"{path}: {one.refused or one.left}" for files in reports for path, one in files.items() if one.refused or one.left]
    return TensorDiff(found.changes, found.unchanged, notes)


def _reader(opens: Callable[[str], BinaryIO]) -> tensordiff.Read:
    """Reads of one file after the other; what is not there, or shorter than it should be, is empty bytes."""
    held: dict[str, BinaryIO] = {}

    def read(tensor: StoredTensor, at: int, count: int) -> bytes:
        if tensor.file not in held:
            for file in held.values():
                file.close()
            held.clear()
            held[tensor.file] = opens(tensor.file)
        return os.pread(held[tensor.file].fileno(), count, tensor.offset + at)

    return read


def _listed(fd: int, name: str) -> tuple[Mapping[str, int], Callable[[str], BinaryIO], Sequence[str]]:
    """(the regular files by path, what opens one of them, those whose name is no text, as it can be shown); links are not followed."""
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode):
        return {name: found.st_size}, lambda path: os.fdopen(os.dup(fd), "rb", buffering=0), ()
    sizes, nameless = dict[str, int](), list[str]()
    for directory, names, files, at in os.fwalk(".", dir_fd=fd, follow_symlinks=False):
        if directory.count("/") >= _DEEPEST:
            names.clear()
        for file in files:
            state = os.stat(file, dir_fd=at, follow_symlinks=False)
            path = f"{directory}/{file}"[2:]
            if not stat.S_ISREG(state.st_mode) or len(sizes) >= _MOST_FILES:
                continue
            if _is_text(path):
                sizes[path] = state.st_size
            else:
                nameless.append(os.fsencode(path).decode(errors="backslashreplace"))
    return sizes, lambda path: _open(fd, path), nameless[:_MOST_NAMELESS]


def _is_text(name: str) -> bool:
    """Python's way to carry names that are none does not fit into JSON."""
    return name.isprintable() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _open(fd: int, path: str) -> BinaryIO:
    """Below `fd`, without following a link on the way."""
    *directories, name = path.split("/")
    at = os.dup(fd)
    for part in directories:
        try:
            inner = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=at)
        finally:
            os.close(at)
        at = inner
    try:
        return os.fdopen(os.open(name, _FLAGS, dir_fd=at), "rb", buffering=0)
    finally:
        os.close(at)


if __name__ == "__main__":
    main(sys.argv[1])

"""Has models read by a process of its own, with limits: whatever is in them, the daemon goes on. Blocks: call it from a worker or a thread."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

import aiosd
from aiosd.errors import Exhausted
from aiosd.host.inspector import Work
from aiosd.models.diff import TensorDiff
from aiosd.models.findings import ScanFinding, Severity
from aiosd.models.formats.directory import Inspection
from aiosd.models.version import Schema

_START = "import sys; sys.path.append({root!r}); from aiosd.host.inspector import main; main(sys.argv[1])"
_TOLD = 300  # letters of what a process says when it ends badly
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a reading process may take. `memory_bytes` are of address space: libraries count, too."""

    memory_bytes: int = 1 << 30
    cpu_s: int = 30
    wall_s: int = 120  # a slow disk is no fault of the model's
    answer_bytes: int = 64 << 20


COMPARING = Allowance(memory_bytes=2 << 30, cpu_s=600, wall_s=1800)  # it reads every byte


@dataclass(frozen=True, slots=True)
class Model:
    """An open file or directory (O_RDONLY; it stays the caller's), and the name of the file."""

    fd: int
    name: str


def inspect(model: Model, as_user: tuple[int, int] | None = None, allowance: Allowance | None = None) -> Inspection:
    """What a model says of itself; never raises for what is in it: a process that met its limits is a note.

    as_user  (uid, gid) that the process becomes, where the daemon is root; whoever that is must be able to read the files
    """
    try:
        return _ask([model], Inspection, as_user, allowance or Allowance())
    except Exhausted as error:
        return Inspection(Schema(notes=(f"it was not read: {error}",)), findings=[ScanFinding("", Severity.BROKEN, f"it could not be looked at: {error}")])


def compare(before: Model, after: Model, as_user: tuple[int, int] | None = None, allowance: Allowance = COMPARING) -> TensorDiff:
    """Tensor by tensor, how a model differs from what it was; see `tensordiff`.

    raises  Exhausted when that takes more than `allowance`
    """
    return _ask([before, after], TensorDiff, as_user, allowance)


def _ask(models: Sequence[Model], answer: type[_T], as_user: tuple[int, int] | None, allowance: Allowance) -> _T:
    with os.fdopen(os.memfd_create("answer", os.MFD_CLOEXEC), "rb") as out:
        uid, gid = as_user or (-1, -1)
        work = Work(
            [(one.fd, one.name) for one in models], out.fileno(), allowance.memory_bytes, allowance.cpu_s, allowance.wall_s, allowance.answer_bytes, uid, gid
        )
        done = _run(work, [*(one.fd for one in models), out.fileno()], allowance.wall_s)
        if done.returncode:
            raise Exhausted(_why(done), hint="nothing was changed; the file may be damaged, or made to do harm")
        out.seek(0)
        try:
            return msgspec.json.decode(out.read(), type=answer)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise Exhausted(f"the process that read it gave an answer that is none: {error}") from None


def _run(work: Work, fds: Sequence[int], wall_s: int) -> "subprocess.CompletedProcess[bytes]":
    root = str(Path(aiosd.__file__).resolve().parent.parent)
    command = [sys.executable, "-I", "-X", "utf8", "-c", _START.format(root=root), msgspec.json.encode(work).decode()]
    environment = {name: value for name in ("PATH", "LD_LIBRARY_PATH") if (value := os.environ.get(name))} | {"OPENBLAS_NUM_THREADS": "1"}
    try:
        return subprocess.run(
            command, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            pass_fds=fds, start_new_session=True, timeout=wall_s + 10, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -signal.SIGALRM, b"", b"")


def _why(done: "subprocess.CompletedProcess[bytes]") -> str:
    limits = {signal.SIGXCPU: "processor time", signal.SIGKILL: "memory or time", signal.SIGALRM: "time", signal.SIGXFSZ: "room for the answer"}
    if done.returncode < 0:
        number = -done.returncode
        known = limits.get(signal.Signals(number))
        return f"reading it took more {known} than is allowed" if known else f"the process that read it ended by {signal.Signals(number).name}"
    last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return f"the process that read it failed: {last[:_TOLD]}"

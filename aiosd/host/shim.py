"""The shim: the parent of one run, which claims it, sets it up, waits for all of its processes and writes down how it ended."""

import _signal  # type: ignore[import-not-found]
import _socket
import ctypes
import errno
import marshal
import os
import resource
import time

from aiosd.host import child, directories, faults, prepare, runfile
from aiosd.host.cell import Cell

_PR_SET_CHILD_SUBREAPER = 36
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_RETRY_S = 0.5
_FRAME_BYTES = 1 << 16
_BLOCK_BYTES = 512  # the unit of ru_inblock and ru_oublock

_boot_id = ""
_libc: ctypes.CDLL | None = None


def warm_up() -> None:
    """What every shim needs, made once in the spawner, so that shims share the pages."""
    global _boot_id, _libc  # noqa: PLW0603  set once, before the first fork
    _boot_id = runfile.boot_id()
    _libc = ctypes.CDLL(None)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    runfile.start_ticks("self")
    runfile.line({"started_at": time.time(), "key": "", "pid": None})


def main(frame: bytes, spawner: _socket.socket | None) -> None:
    """The whole life of a forked shim; does not return. With a socket to the spawner it may be given more runs, one after another."""
    status, key = 1, ""
    try:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        os.setsid()
        if _libc is not None:
            _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        faults.reached("shim.1-forked")
        while frame:
            name, _, packed = frame.partition(b"\n")
            key = name.decode()
            plan = prepare.Plan(*marshal.loads(packed))  # noqa: S302  the daemon's own, over its own socket
            frame = packed = b""  # not kept in memory for as long as the job runs
            _supervise(key, plan, warm=spawner is not None and not plan.nice)
            frame = _next_frame(spawner) if prepare.undo(plan) else b""
        status = 0
    except FileExistsError:
        status = 0  # barred by a newer daemon: this run does not take place
    except Exception as error:  # noqa: BLE001  the last words of a process that nobody waits for
        os.write(2, f"shim of {key}: {type(error).__name__}: {error}\n".encode(errors="replace"))
    finally:
        directories.drop_spares()
        os._exit(status)


def _next_frame(spawner: _socket.socket | None) -> bytes:
    """Tell the spawner that this shim is free, and wait for what it gives; empty when it wants no more."""
    if spawner is None:
        return b""
    try:
        spawner.send(b"i")
        frame = spawner.recv(_FRAME_BYTES)
    except OSError:
        return b""  # the spawner is gone
    size = 4 + int.from_bytes(frame[:4], "little")
    while frame and len(frame) < size:
        more = spawner.recv(size - len(frame))
        frame = frame + more if more else b""
    return frame[4:]


def _supervise(key: str, plan: prepare.Plan, warm: bool) -> None:
    path = f"{plan.runs}/{key}"
    cell = Cell(*plan.cell) if plan.cell else None  # type: ignore[arg-type]  # as the daemon packed it
    fd = _claim(path, key, cell.killing if cell is not None else "")
    faults.reached("shim.2-claimed")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    peaks_kib = [0]
    begun_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    try:
        main_pid = child.start(path, plan) if plan.needs_child else prepare.start(path, plan)
    except prepare.CannotStart as error:
        end: dict[str, runfile.Field] = {"exit_code": error.exit_code, "error": str(error)}
    except Exception as error:  # noqa: BLE001  whatever a strange plan brings about is the end of this run, and of nothing else
        end = {"exit_code": 126, "error": f"the run could not be set up: {type(error).__name__}: {error}"}
    else:
        runfile.record(fd, runfile.MAIN_AT, {"pid": main_pid, "spawned_steady": time.clock_gettime(time.CLOCK_BOOTTIME)})
        faults.reached("shim.3-spawned")
        plan.shared = b""
        end = _wait(main_pid, peaks_kib)
    end["run_s"] = max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - begun_s)
    end["ended_at"] = time.time()
    _end_children(peaks_kib, cell)
    faults.reached("shim.4-ended")
    end.update(_usage(before, max(peaks_kib)))
    if cell is not None:
        _close(cell, end)
    child.clean_up(plan)
    prepare.clean_up(path, plan, warm)
    _record_end(fd, end)
    os.close(fd)
    faults.reached("shim.5-recorded")


def _claim(path: str, key: str, cell: str) -> int:
    """The run file, made and held; on a full disk this waits for room, because the run has not begun and nothing is lost."""
    while True:
        try:
            return runfile.claim(path, {
                "version": runfile.VERSION, "key": key, "shim_pid": os.getpid(), "shim_start_ticks": runfile.start_ticks("self"),
                "boot_id": _boot_id, "cell": cell, "started_at": time.time(), "started_steady": time.clock_gettime(time.CLOCK_BOOTTIME),
            })  # fmt: skip
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
        time.sleep(_RETRY_S)


def _wait(main_pid: int, peaks_kib: list[int]) -> dict[str, runfile.Field]:
    """Reap whatever ends, until the main process has; how it did."""
    while True:
        pid, status, used = os.wait4(-1, 0)
        peaks_kib.append(used.ru_maxrss)
        if pid == main_pid:
            break
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status), "core_dumped": os.WCOREDUMP(status)}
    return {"exit_code": os.WEXITSTATUS(status)}


def _end_children(peaks_kib: list[int], cell: Cell | None) -> None:
    """Kill and reap until nobody is left: as the subreaper this process inherits every descendant that loses its parent.

    A cell's processes are killed before the others are looked for: none of them forks away from that.
    """
    options = os.WNOHANG
    while True:
        try:
            pid, _, used = os.wait4(-1, options)
        except ChildProcessError:
            return
        options = os.WNOHANG
        peaks_kib.append(used.ru_maxrss)
        if pid == 0:
            if cell is not None:
                cell.kill()
            _kill_descendants()
            options = 0  # wait for one of them; its children are mine then, and the next look finds them


def _kill_descendants() -> None:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            children.setdefault(_parent(name), []).append(int(name))
    me = os.getpid()
    doomed = [(pid, me) for pid in children.get(me, ())]
    for pid, parent in doomed:  # grows while it is walked
        doomed.extend((child, pid) for child in children.get(pid, ()))
        _kill(pid, (parent, me))


def _kill(pid: int, parents: tuple[int, int]) -> None:
    """Only if it still has one of these parents: the number of one that has just ended may be a stranger's by now."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _parent(str(pid)) in parents:
            _signal.pidfd_send_signal(fd, _signal.SIGKILL)
    except OSError:
        return  # it has just ended, or belongs to somebody else and is waited for
    finally:
        os.close(fd)


def _parent(pid: str) -> int:
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(os.read(fd, 1024).rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0
    finally:
        os.close(fd)


def _usage(before: resource.struct_rusage, peak_kib: int) -> dict[str, runfile.Field]:
    """What all processes of the run used. The peak is at least the shim's own size: the kernel counts what a process was before exec."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "cpu_user_s": used.ru_utime - before.ru_utime,
        "cpu_system_s": used.ru_stime - before.ru_stime,
        "memory_peak_bytes": peak_kib * 1024,
        "read_bytes": (used.ru_inblock - before.ru_inblock) * _BLOCK_BYTES,
        "write_bytes": (used.ru_oublock - before.ru_oublock) * _BLOCK_BYTES,
        "voluntary_switches": used.ru_nvcsw - before.ru_nvcsw,
        "involuntary_switches": used.ru_nivcsw - before.ru_nivcsw,
        "major_faults": used.ru_majflt - before.ru_majflt,
    }


def _close(cell: Cell, end: dict[str, runfile.Field]) -> None:
    """What the cell counted goes to the end of the run, and it is removed."""
    counted = cell.usage()
    end["memory_peak_bytes"] = counted.pop("cell_peak_bytes", 0) or end["memory_peak_bytes"]
    by_limit = counted.pop("oom_by_limit", None)
    end.update(counted)
    if by_limit is not None:
        end["oom_killed"] = bool(by_limit and end["oom_kills"] and end.get("exit_code") != 0)
    cell.remove()


def _record_end(fd: int, end: dict[str, runfile.Field]) -> None:
    """The room was taken when the run began; a file system that needs new room all the same is waited for."""
    while True:
        try:
            return runfile.record(fd, runfile.END_AT, end)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
        time.sleep(_RETRY_S)

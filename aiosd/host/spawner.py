"""The spawner: a small process that forks a shim for each run the daemon sends; standard library only, imports next to nothing.

Started by `spawning.py` with a socket to the daemon as standard input's neighbour. A frame is four bytes of length, the run's
key, a newline and a marshalled plan; the answer is one line `key pid errno`, and the shim's pidfd travels with it.
A few shims are kept warm between runs, because most of a short job's cost is the fork of its shim.
It ends when the daemon does; its shims live on.
"""

import _signal  # type: ignore[import-not-found]  # `signal` would bring enum and more, in every shim
import _socket
import gc
import os
import resource
import sys

from aiosd.host import faults, shim
from aiosd.host.waiting import readable

_RESET = range(1, 32)
_READ_BYTES = 1 << 18
_IDLE_S = 2.0  # how long a warm shim waits for another run


def main(fd: int, open_files: int) -> None:
    """Serve the daemon on `fd` until it hangs up. `open_files` is the limit that jobs inherit."""
    os.set_inheritable(fd, False)
    daemon = _socket.socket(fileno=fd)
    _reset_signals()
    _reset_oom_score()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files if hard < 0 else min(open_files, hard), hard))
    shim.warm_up()
    gc.collect()
    gc.freeze()  # a collection in a shim would write to, and so copy, every page
    gc.disable()
    _serve(daemon)


def _reset_signals() -> None:
    """Whatever the daemon ignored or the interpreter caught, jobs begin with the defaults; ended shims need no waiting for."""
    for number in _RESET:
        if number not in (_signal.SIGKILL, _signal.SIGSTOP):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)
    _signal.signal(_signal.SIGUSR1, _signal.SIG_IGN)  # the shim's end-of-input signal, before it can handle it


def _reset_oom_score() -> None:
    """When memory is short the kernel spares the daemon (OOMScoreAdjust in its unit), and none of its jobs."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return  # /proc is not what it usually is
    try:
        if int(os.read(fd, 16)) < 0:
            os.pwrite(fd, b"0", 0)
    finally:
        os.close(fd)


class _Pool:
    """Shims that may take another run after their first: a warm one costs a third of a fork. Only the spawner ends an idle one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.shims: dict[int, _Warm] = {}  # by the descriptor of their socket

    def idle(self) -> "_Warm | None":
        return next((warm for warm in self.shims.values() if not warm.key), None)

    def has_room(self) -> bool:
        return len(self.shims) < self._most

    def add(self, warm: "_Warm") -> None:
        self.shims[warm.socket.fileno()] = warm

    def drop(self, warm: "_Warm") -> None:
        """Hang up on it: it ends now, or after its run; by then it is its pidfd that tells."""
        del self.shims[warm.socket.fileno()]
        warm.close()

    def drop_idle(self) -> None:
        for warm in [warm for warm in self.shims.values() if not warm.key]:
            self.drop(warm)


class _Warm:
    """A shim of the pool; `key` is the run it has, empty while it is idle."""

    def __init__(self, pid: int, pidfd: int, socket: _socket.socket, key: bytes) -> None:
        self.pid, self.pidfd, self.socket, self.key = pid, pidfd, socket, key

    def give(self, frame: bytes) -> bool:
        """Hand a run to an idle shim; False when it cannot take it whole at once."""
        message = len(frame).to_bytes(4, "little") + frame
        try:
            return self.socket.send(message, _socket.MSG_DONTWAIT) == len(message)
        except OSError:
            return False

    def kill(self) -> None:
        try:
            _signal.pidfd_send_signal(self.pidfd, _signal.SIGKILL)
        except ProcessLookupError:
            return  # it has ended since we last looked, which is why it took nothing

    def close(self) -> None:
        os.close(self.pidfd)
        self.socket.close()


def _serve(daemon: _socket.socket) -> None:
    buffer = bytearray()
    pool = _Pool(0 if faults.armed() else 2 * (os.cpu_count() or 1))
    while True:
        wanted = [daemon.fileno(), *pool.shims]
        ready = readable(wanted, _IDLE_S if pool.idle() else None)
        if not ready:
            pool.drop_idle()
        for fd in ready:
            if fd in pool.shims:
                _hear(daemon, pool, pool.shims[fd])
        if daemon.fileno() in ready:
            data = daemon.recv(_READ_BYTES)
            if not data:
                return
            buffer = _take_frames(daemon, pool, buffer + data)


def _take_frames(daemon: _socket.socket, pool: _Pool, buffer: bytearray) -> bytearray:
    """Begin the runs of all whole frames; the rest."""
    while len(buffer) >= 4 and len(buffer) >= (size := 4 + int.from_bytes(buffer[:4], "little")):
        frame = bytes(buffer[4:size])
        del buffer[:size]
        faults.reached("spawner.1-received")
        _begin(daemon, pool, frame)
    return buffer or bytearray()  # an empty one of its own gives the room of a large frame back


def _hear(daemon: _socket.socket, pool: _Pool, warm: _Warm) -> None:
    """A shim of the pool has recorded the end of its run and is idle; or it has ended."""
    try:
        idle = warm.socket.recv(1)
    except OSError:
        idle = b""
    if not idle:
        pool.drop(warm)
        return
    key, warm.key = warm.key, b""
    _answer(daemon, b"%s 0 0\n" % key, -1, b"*")


def _begin(daemon: _socket.socket, pool: _Pool, frame: bytes) -> None:
    key = frame.partition(b"\n")[0]
    while (warm := pool.idle()) is not None:
        if warm.give(frame):
            warm.key = key
            _answer(daemon, b"%s %d 0\n" % (key, warm.pid), -1)  # the daemon has had its descriptor
            return
        warm.kill()  # what it has read of the frame must never begin
        pool.drop(warm)
    _fork(daemon, pool, frame, key)


def _fork(daemon: _socket.socket, pool: _Pool, frame: bytes, key: bytes) -> None:
    mine, its = _socket.socketpair() if pool.has_room() else (None, None)
    try:
        pid = os.fork()
    except OSError as error:
        for end in (mine, its):
            if end is not None:
                end.close()
        _answer(daemon, b"%s 0 %d\n" % (key, error.errno or 0), -1)
        return
    if pid == 0:
        daemon.close()
        for warm in pool.shims.values():
            warm.close()
        if mine is not None:
            mine.close()
        shim.main(frame, its)
    if its is not None:
        its.close()
    faults.count("shim.")
    faults.reached("spawner.2-forked")
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:  # it has ended already, or no descriptor is left: the daemon looks by itself
        pidfd = -1
    _answer(daemon, b"%s %d 0\n" % (key, pid), pidfd)
    if mine is not None and pidfd >= 0:
        pool.add(_Warm(pid, pidfd, mine, key))
    elif pidfd >= 0:
        os.close(pidfd)


def _answer(daemon: _socket.socket, text: bytes, pidfd: int, mark: bytes = b"-") -> None:
    """A line that begins with `+` brings a descriptor, one with `*` tells the end of a run."""
    try:
        if pidfd >= 0:
            passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pidfd.to_bytes(4, sys.byteorder))]
            try:
                daemon.sendmsg([b"+" + text], passed)
                return
            except OSError as error:
                if isinstance(error, (BrokenPipeError, ConnectionResetError)):
                    raise
                # too many descriptors on their way: the daemon opens this one by itself
        daemon.sendall(mark + text)
    except (BrokenPipeError, ConnectionResetError):
        return  # the daemon is gone; what it had sent is still to be begun or barred by the next one

"""One channel to the daemon: a deadline on every call, patience through a restart, and a fresh channel after a fork."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from aios import _autostart, _target
from aios._credentials import Credentials, tls_credentials
from aios._status import error_of
from aios._target import Origin, Target
from aios.errors import AiosError, DaemonUnreachable, InvalidArgument, Timeout, Unauthenticated, Unavailable

Answer = TypeVar("Answer", bound=Message)

_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),  # a proxy meant for the web is in the environment of many a cluster
    ("grpc.use_local_subchannel_pool", 1),
)
SYSTEM_PATIENCE_S = 600.0  # the machine's daemon comes back: somebody upgrades it, or systemd starts it again
_RESTART_S = 5.0  # longer than a restart of the system's daemon takes
_TOLD_AFTER_S = 2.0  # an absence; most restarts are over by then
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_abandoned: list[grpc.Channel] = []  # a parent's channels, seen from its forked child: neither used nor closed there


class Pauses:
    """Jittered, doubling pauses between two attempts, so that a hundred clients do not return as one."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._longest_s = _FIRST_PAUSE_S

    def pause(self) -> bool:
        """Sleep for a while; False, at once, when the deadline is reached."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(left_s, random.uniform(self._longest_s / 2, self._longest_s)))
        self._longest_s = min(self._longest_s * 2, _LONGEST_PAUSE_S)
        return True


class Channel:
    """Made cheaply, connected at the first call; threads may share it, and a forked child gets a connection of its own."""

    def __init__(
        self,
        target: Target,
        *,
        timeout_s: float,
        autostart: bool,
        credentials: grpc.ChannelCredentials | None = None,
        token: str = "",
        patience_s: float | None = None,
        on_away: Callable[[AiosError], None] | None = None,
    ) -> None:
        self.target = target
        self.timeout_s = timeout_s
        self.patience_s = (max(timeout_s, SYSTEM_PATIENCE_S) if _is_systems(target) else timeout_s) if patience_s is None else patience_s
        self._on_away = on_away
        self._away_since: float | None = None
        self._away_told = False
        self._autostart = autostart and _autostart.may_start(target)
        self._tls = credentials
        self.credentials = Credentials(target, token)
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._pid = os.getpid()
        self._met = False  # a daemon has answered here before: if it is away now, it restarts
        self._certain = False  # nothing has failed since it answered
        self._closed = False

    def unary(
        self, method: str, request: Message, answer: type[Answer], timeout: float | None = None, *, repeatable: bool = True, revive: bool = True
    ) -> Answer:
        """One call, repeated within its deadline while the daemon is away; a call that is not `repeatable` is sent once.

        revive  start the user's own daemon also when it was there before; who only waits leaves it as somebody stopped it
        """
        allowed_s = self.allowed(timeout)
        deadline = time.monotonic() + allowed_s
        pauses = Pauses(deadline)
        away: AiosError | None = None
        renewed = False
        while True:
            if self.ensure_daemon(deadline, force=not repeatable, revive=revive):
                deadline = time.monotonic() + allowed_s  # starting it had a time of its own
            try:
                call = self._opened().unary_unary(f"/aios.v1.{method}", type(request).SerializeToString, answer.FromString)
                got: Answer = call(request, timeout=max(0.0, deadline - time.monotonic()), metadata=self.credentials.metadata())
            except (grpc.RpcError, Unavailable) as failure:
                error = self.failed(failure, method) if isinstance(failure, grpc.RpcError) else failure
                if isinstance(error, Unauthenticated) and not renewed:  # refused before it was looked at, so it may be sent again
                    renewed = True
                    self.credentials.forget()
                    continue
                if isinstance(error, Timeout) and away is not None:
                    raise away from None  # the time went by while it was away: that says more
                if not repeatable or not isinstance(error, Unavailable) or not pauses.pause():
                    raise error from None
                away, renewed = error, False  # whoever answers next may be another daemon, with passes of its own
            else:
                self._here()
                return got

    def stream(self, method: str, request: Message, answer: type[Answer], deadline: float | None = None) -> Iterator[Answer]:
        """One server stream, opened once; its errors are typed. It ends with this generator."""
        renewed = False
        while True:
            call = self._opened().unary_stream(f"/aios.v1.{method}", type(request).SerializeToString, answer.FromString)
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            answers = call(request, timeout=timeout, metadata=self.credentials.metadata())
            try:
                for one in answers:
                    self._here()
                    renewed = True
                    yield one
            except grpc.RpcError as failure:
                error = self.failed(failure, method)
                if not isinstance(error, Unauthenticated) or renewed:
                    raise error from None
                renewed = True
                self.credentials.forget()
            else:
                return
            finally:
                answers.cancel()

    def upload(self, method: str, requests: Iterator[Message], answer: type[Answer], timeout: float | None) -> Answer:
        """One client stream; sent once, because what was taken of it cannot be known."""
        self.ensure_daemon(time.monotonic() + self.timeout_s, force=True)
        call = self._opened().stream_unary(f"/aios.v1.{method}", _serialize, answer.FromString)
        try:
            taken: Answer = call(requests, timeout=None if timeout is None else self.allowed(timeout), metadata=self.credentials.metadata(fresh=True))
        except grpc.RpcError as failure:
            raise self.failed(failure, method) from None
        return taken

    def duplex(self, method: str, requests: Iterator[Message], answer: type[Answer]) -> "grpc.CallIterator[Answer]":
        """Both directions at once; the caller cancels it, and types its errors with `failed`."""
        self.ensure_daemon(time.monotonic() + self.timeout_s, force=True)
        return self._opened().stream_stream(f"/aios.v1.{method}", _serialize, answer.FromString)(requests, metadata=self.credentials.metadata(fresh=True))

    def resuming(self, open_stream: Callable[[], Iterator[Answer]], deadline: float | None, at_end: Callable[[], bool]) -> Iterator[Answer]:
        """A stream that goes on after its daemon went away: `open_stream` asks for the rest of what was seen; over when `at_end`.

        An absence may last as long as the client's patience; then DaemonUnreachable. No daemon is started for it
        after the first: who stopped the daemon would see it come back for as long as anybody follows a log.
        """
        until = float("inf") if deadline is None else deadline
        self.ensure_daemon(min(until, time.monotonic() + self.timeout_s))
        pauses: Pauses | None = None
        while True:
            failure: AiosError = Unavailable(f"the daemon at {self.target} ended the stream", hint="it may be restarting; ask again")
            try:
                for one in open_stream():
                    pauses = None
                    yield one
                if at_end():
                    return
            except (Unavailable, Timeout) as error:
                failure = error
            if time.monotonic() >= until:
                raise Timeout("the time allowed is over, and the stream is not at its end", hint="allow more with timeout=, or None for no limit")
            pauses = pauses or Pauses(min(until, time.monotonic() + self.patience_s))
            if not pauses.pause() and time.monotonic() < until:
                raise failure

    def ensure_daemon(self, deadline: float, *, force: bool = False, revive: bool = True) -> bool:
        """Return when a daemon takes connections, True when it had to be started. Raises DaemonUnreachable.

        One that was met before, or that runs the job we are in, is waited for: it restarts. So may the system's, for some
        seconds. Any other that is away is away.
        """
        path = self.target.socket_path
        if (self._certain and not force and self._pid == os.getpid()) or not path:
            return False
        pauses, started, began = Pauses(deadline), False, time.monotonic()
        while not _target.answers(path):
            if self._autostart and (revive or not self._met):
                _autostart.start(timeout=_autostart.START_TIMEOUT_S)
                started = True
            else:
                self._away()
                restarts = self.target.origin is Origin.SYSTEM and time.monotonic() - began < _RESTART_S
                if not (self._met or restarts or "AIOS_JOB_ID" in os.environ) or not pauses.pause():
                    raise self._unreachable()
        self._certain = True
        return started

    def allowed(self, timeout: float | None) -> float:
        if timeout is None:
            return self.timeout_s
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 <= timeout < 1e10:
            raise InvalidArgument(f"timeout {timeout!r} is not a number of seconds", hint="allowed: seconds, 0 or more; None is the client's own")
        return float(timeout)

    def failed(self, failure: grpc.RpcError, method: str) -> AiosError:
        self._certain = False
        error = error_of(failure, method, str(self.target))
        if isinstance(error, Timeout) and self.target.socket_path and not _target.answers(self.target.socket_path):
            error = self._unreachable()
        if isinstance(error, Unavailable):
            self._away()
        return error

    def patient_until(self) -> float:
        """Until when, on the monotonic clock, a follower goes on waiting for a daemon that was here; 0: it never was."""
        return (self._away_since or 0.0) + self.patience_s if self._met else 0.0

    def _here(self) -> None:
        self._met = self._certain = True
        self._away_since = None

    def _away(self) -> None:
        """It has been seen to be away. Of an absence that lasts, whoever wants to know is told once."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since, self._away_told = now, False
        elif self._met and self._on_away is not None and not self._away_told and now - self._away_since >= _TOLD_AFTER_S:
            self._away_told = True
            self._on_away(self._unreachable())

    def close(self) -> None:
        with self._lock:
            channel, self._channel, self._closed = self._channel, None, True
        if channel is not None and self._pid == os.getpid():
            channel.close()

    def _opened(self) -> grpc.Channel:
        if self._pid != os.getpid():  # forked: the parent's channel, its threads and perhaps its held lock are not ours
            if self._channel is not None:
                _abandoned.append(self._channel)
            self._lock, self._channel, self._pid = threading.Lock(), None, os.getpid()
        with self._lock:
            if self._closed:
                raise InvalidArgument("this client is closed", hint="make a new aios.Client")
            if self._channel is None:
                address = self.target.address
                if self.target.socket_path:
                    self._channel = grpc.insecure_channel(address, _OPTIONS)
                else:  # never in the clear: what a network sees, others see
                    self._channel = grpc.secure_channel(address, self._tls or tls_credentials(), _OPTIONS)
            return self._channel

    def _unreachable(self) -> DaemonUnreachable:
        hints = {
            Origin.SYSTEM: "start it: systemctl start aiosd",
            Origin.OWN: "start it: aiosctl daemon start",
            Origin.ENVIRONMENT: "is AIOS_TARGET right? unset it to use this machine's own daemon",
            Origin.ARGUMENT: "is the target right? without one, this machine's own daemon is used",
        }
        where = {"target": str(self.target), "origin": str(self.target.origin)}
        return DaemonUnreachable(f"no daemon answers at {self.target}", hint=hints[self.target.origin], facts=where)


def _is_systems(target: Target) -> bool:
    """A daemon that somebody looks after: the machine's, or another machine's."""
    return target.socket_path in ("", str(_target.SYSTEM_SOCKET))


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()

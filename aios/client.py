"""The client: one connection to one daemon, with every call it answers."""

from types import TracebackType
from typing import TYPE_CHECKING

from aios._access_calls import AccessCalls
from aios._admin_calls import AdminCalls
from aios._forecast_calls import ForecastCalls
from aios._identity_calls import IdentityCalls
from aios._job_calls import JobCalls
from aios._node_calls import NodeCalls
from aios._queue_calls import QueueCalls
from aios._simulation_calls import SimulationCalls
from aios._target import find_target
from aios.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from aios._model_calls import ModelCalls, StoreCalls
    from aios.errors import AiosError


class Client(JobCalls, QueueCalls, NodeCalls, IdentityCalls, AccessCalls, AdminCalls, SimulationCalls, ForecastCalls):
    """Finds its daemon by `target`, then AIOS_TARGET, then the system's socket if it may use it, then the user's own.

    target       "unix:/path", "/path" or "host:port"
    timeout      seconds that a call may take, and that an absence of the daemon may last; every call has its own `timeout=`
    autostart    start the user's own daemon when it is asked for and there is none (AIOSD_AUTOSTART=0 forbids it too)
    credentials  for a host and port: `grpc.ssl_channel_credentials(...)`; without it TLS as AIOS_TLS_CA, AIOS_TLS_CERT and AIOS_TLS_KEY say
    token        for a host and port; without it the one in AIOS_TOKEN, or in the file that AIOS_TOKEN_FILE names
    patience     seconds that a follower (logs, watch, wait) waits for a daemon that went away; None: ten minutes for the system's, else `timeout`
    on_away      called once with the error when a daemon that was here has been away for two seconds

    On this machine the daemon knows by itself who calls; a host and port takes the token in AIOS_TOKEN, or a client certificate.

    Connects at the first call. Threads may share a client; after a fork the child's first call makes a connection of its own.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        timeout: float = 30.0,
        autostart: bool = True,
        credentials: "grpc.ChannelCredentials | None" = None,
        token: str = "",
        patience: float | None = None,
        on_away: "Callable[[AiosError], None] | None" = None,
    ) -> None:
        from aios._channel import Channel

        self._channel = Channel(
            find_target(target),
            timeout_s=_seconds("timeout", timeout),
            autostart=autostart,
            credentials=credentials,
            token=token,
            patience_s=None if patience is None else _seconds("patience", patience),
            on_away=on_away,
        )

    @property
    def models(self) -> "ModelCalls":
        """The calls about models."""
        from aios._model_calls import ModelCalls

        return ModelCalls(self._channel, self._job)

    @property
    def datasets(self) -> "StoreCalls":
        """The calls about datasets, which are kept as models are."""
        from aios._model_calls import StoreCalls
        from aios.versions import DATASET

        return StoreCalls(self._channel, DATASET)

    @property
    def target(self) -> str:
        """Where its daemon is, as gRPC names it."""
        return str(self._channel.target)

    def connect(self, *, timeout: float | None = None) -> "Client":
        """Make sure now that a daemon answers (every call does it by itself); raises DaemonUnreachable."""
        import time

        self._channel.ensure_daemon(time.monotonic() + self._channel.allowed(timeout), force=True)
        return self

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e10:
        raise InvalidArgument(f"{name} {value!r} is not a number of seconds", hint="allowed: more than 0, for example 30")
    return float(value)

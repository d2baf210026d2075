"""The gRPC server on its Unix socket, and over TLS where that is configured: how it is bound, how it begins and ends."""

import os
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import grpc
import structlog
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import DESCRIPTOR as HEALTH_FILE
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from aios.v1 import (
    access_pb2,
    access_pb2_grpc,
    admin_pb2,
    admin_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    node_pb2,
    node_pb2_grpc,
    queues_pb2,
    queues_pb2_grpc,
    simulation_pb2,
    simulation_pb2_grpc,
)
from aiosd.errors import AlreadyRunning, ConfigError
from aiosd.rpc.access import AccessServicer
from aiosd.rpc.admin import AdminServicer
from aiosd.rpc.auth import Gate
from aiosd.rpc.interceptor import CallGuard
from aiosd.rpc.jobs import JobsServicer
from aiosd.rpc.models import ModelsServicer
from aiosd.rpc.node import NodeServicer
from aiosd.rpc.queues import QueuesServicer
from aiosd.rpc.simulation import SimulationServicer
from aiosd.rpc.streams import OpenCalls

LONGEST_PATH_BYTES = 107  # sun_path of Linux, less its terminating NUL
WAITING_METHODS = (
    "/aios.v1.Jobs/Wait",
    "/aios.v1.Admin/Backup",
    "/aios.v1.Admin/Check",
    "/aios.v1.Simulation/Forecast",
    "/aios.v1.Models/CollectGarbage",
)
SERVICES = tuple(
    file.services_by_name[name].full_name
    for file, name in (
        (jobs_pb2.DESCRIPTOR, "Jobs"),
        (node_pb2.DESCRIPTOR, "Node"),
        (queues_pb2.DESCRIPTOR, "Queues"),
        (access_pb2.DESCRIPTOR, "Access"),
        (admin_pb2.DESCRIPTOR, "Admin"),
        (simulation_pb2.DESCRIPTOR, "Simulation"),
        (models_pb2.DESCRIPTOR, "Models"),
        (HEALTH_FILE, "Health"),
    )
)

log = structlog.get_logger("aiosd.rpc")


@dataclass(frozen=True, slots=True)
class Servicers:
    jobs: JobsServicer
    node: NodeServicer
    queues: QueuesServicer
    access: AccessServicer
    admin: AdminServicer
    simulation: SimulationServicer
    models: ModelsServicer


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurePort:
    """A "host:port" with TLS, in PEM. With `client_authority` it takes only who shows a certificate of that authority.

    One port cannot do both: gRPC's Python server either demands a certificate or does not look at any.
    """

    address: str
    key: bytes
    certificate: bytes
    client_authority: bytes | None = None

    def credentials(self) -> grpc.ServerCredentials:
        pairs = [(self.key, self.certificate)]
        return grpc.ssl_server_credentials(pairs, self.client_authority, require_client_auth=self.client_authority is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where and how to listen. A request larger than `max_receive_bytes` is refused by gRPC as RESOURCE_EXHAUSTED."""

    socket_path: str
    socket_mode: int = 0o600
    max_receive_bytes: int = 16 * 1024 * 1024
    least_ping_interval_s: float = 10.0  # clients that ping more often are sent away
    secure: Sequence[SecurePort] = ()


class RpcServer:
    """Accepts calls from `start` to `stop`. Whoever starts it holds the lock of the state directory."""

    def __init__(self, servicers: Servicers, listening: Listening, gate: Gate) -> None:
        self._servicers = servicers
        self._gate = gate
        self._listening = listening
        self._open_calls = OpenCalls()
        self._server: grpc.aio.Server | None = None
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs leave the asyncio half out
        self._inode: tuple[int, int] | None = None
        self.ports: tuple[int, ...] = ()  # of `listening.secure`, as they were bound: port 0 is any that is free

    @property
    def target(self) -> str:
        """What a channel is opened to."""
        return target_of(self._listening.socket_path)

    async def start(self) -> None:
        """Bind and serve. Raises ConfigError for a path that cannot be one, AlreadyRunning when somebody answers there."""
        path = self._listening.socket_path
        check_path(path)
        remove_stale(path)
        server = grpc.aio.server(interceptors=(self._guard(),), options=_options(self._listening), maximum_concurrent_rpcs=None)
        self._register(server)
        await self._say(HealthCheckResponse.NOT_SERVING)
        self.ports = tuple(_bind(server, port) for port in self._listening.secure)  # first: where one fails, no socket is left behind
        with _umask(0o777 & ~self._listening.socket_mode):  # the mode is right from the first moment: no chmod to be ahead of
            try:
                server.add_insecure_port(self.target)
            except RuntimeError as error:
                raise ConfigError(f"cannot listen on {path}: {error}", hint="check that its directory exists and can be written", path=path) from error
        self._inode = _inode(path)
        await server.start()
        self._server = server
        log.info("listening", socket=path, secure=[port.address for port in self._listening.secure] or None)

    def _guard(self) -> CallGuard:
        return CallGuard(self._gate, self._open_calls, WAITING_METHODS)

    async def serving(self) -> None:
        """From now on the health service says so."""
        await self._say(HealthCheckResponse.SERVING)

    async def stopping(self) -> None:
        """From now on, and for good, the health service says that this daemon is on its way out; calls are still answered."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, end streams so that clients reconnect and resume, give the rest `grace_s`, remove the socket."""
        if self._server is None:
            return
        server, self._server = self._server, None
        await self.stopping()
        self._open_calls.interrupt()
        await server.stop(grace_s)
        if self._inode is not None and _inode(self._listening.socket_path) == self._inode:
            os.unlink(self._listening.socket_path)
        log.info("stopped listening", socket=self._listening.socket_path)

    async def _say(self, status: HealthCheckResponse.ServingStatus) -> None:
        for name in ("", *SERVICES):
            await self._health.set(name, status)

    def _register(self, server: grpc.aio.Server) -> None:
        jobs_pb2_grpc.add_JobsServicer_to_server(self._servicers.jobs, server)
        node_pb2_grpc.add_NodeServicer_to_server(self._servicers.node, server)
        queues_pb2_grpc.add_QueuesServicer_to_server(self._servicers.queues, server)
        access_pb2_grpc.add_AccessServicer_to_server(self._servicers.access, server)
        admin_pb2_grpc.add_AdminServicer_to_server(self._servicers.admin, server)
        simulation_pb2_grpc.add_SimulationServicer_to_server(self._servicers.simulation, server)
        models_pb2_grpc.add_ModelsServicer_to_server(self._servicers.models, server)
        add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*SERVICES, reflection.SERVICE_NAME), server)


def _bind(server: grpc.aio.Server, port: SecurePort) -> int:
    """Raises ConfigError for an address that cannot be had, and for keys or certificates that TLS does not take."""
    hint = "is the address one of this machine, its port free, and do the files rpc.tls_certificate and rpc.tls_key belong together?"
    try:
        bound = server.add_secure_port(port.address, port.credentials())
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"cannot listen on {port.address}: {error}", hint=hint, address=port.address) from error
    if not bound:
        raise ConfigError(f"cannot listen on {port.address}", hint=hint, address=port.address)
    return bound


def target_of(path: str) -> str:
    """gRPC reads a target as a URI, so "%", "?" and "#" in a path are escaped."""
    return "unix:" + quote(path)


def check_path(path: str) -> None:
    length = len(os.fsencode(path))
    if length > LONGEST_PATH_BYTES:
        raise ConfigError(
            f"socket path {path} is {length} bytes long, more than the {LONGEST_PATH_BYTES} that Linux allows",
            hint="choose a shorter one, such as one under /run/user or /tmp",
            path=path,
            length=length,
            allowed=LONGEST_PATH_BYTES,
        )
    if not os.path.isabs(path) or "\0" in path:
        raise ConfigError(f"socket path {path!r} is not an absolute path", hint='write it from the root on, like "/run/aios/aiosd.sock"', path=path)


def remove_stale(path: str) -> None:
    """Remove the socket that a daemon left which did not end in order; one that answers, or another file, is left alone."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is there already, and is not a socket", hint="move it away, or choose another socket path", path=path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog is an answer too
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            log.info("removing a stale socket", socket=path)
            os.unlink(path)
            return
        except BlockingIOError:
            pass
    raise AlreadyRunning(f"another process answers on {path}", hint="stop it first, or choose another socket path", path=path)


def _options(listening: Listening) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", listening.max_receive_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", round(listening.least_ping_interval_s * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.so_reuseport", 0),
    ]


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino

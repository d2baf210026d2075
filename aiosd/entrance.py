"""The way in, as the configuration has it: who may come, by which sockets and ports, and what each may take."""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from aiosd.access.passes import KEY_BYTES, Bearer, Passes
from aiosd.access.person import Person
from aiosd.access.rates import Rates
from aiosd.config import Config
from aiosd.domain_settings import allowance, role_named
from aiosd.errors import ConfigError
from aiosd.host import itself
from aiosd.host.credentials import CredentialSocket, credential_path
from aiosd.host.people import People
from aiosd.rpc.auth import Gate
from aiosd.rpc.identity import Callers
from aiosd.rpc.needs import AccessCalls
from aiosd.rpc.server import Listening, SecurePort

ROOT = 0


@dataclass(slots=True)
class Entrance:
    """The gate that every call passes, and the socket where the passes for it are had."""

    gate: Gate
    credentials: CredentialSocket

    @classmethod
    def of(cls, config: Config, people: People, access: AccessCalls) -> "Entrance":
        """`access` knows roles and bearer tokens, and keeps the trail."""
        own = _own_person()
        passes = Passes(secrets.token_bytes(KEY_BYTES), config.access.pass_lifetime_s)
        everyone = config.daemon.users == "all"
        callers = Callers(passes, people, access, own, everyone, role_named(config.access.certificate_role))

        def make_pass(bearer: Bearer) -> str:
            if not everyone and bearer.uid not in (own.uid, ROOT):
                raise PermissionError(f"this is the daemon of user {own.name}, and user {bearer.uid} may not use it")
            return passes.make(bearer, time.monotonic())

        socket = CredentialSocket(credential_path(config.socket_path), socket_mode(config), passes.lifetime_s, make_pass)
        return cls(Gate(callers, access, Rates(allowance(config))), socket)

    def use(self, config: Config) -> None:
        """Take over what a reload changes."""
        if self.gate.rates is not None:
            self.gate.rates.use(allowance(config))


def socket_mode(config: Config) -> int:
    """Every user may connect to the machine's daemon: who each is, the kernel says, and what each may do, the permission table."""
    return 0o666 if config.daemon.users == "all" else 0o600


def listening(config: Config) -> Listening:
    """Raises ConfigError when TLS is asked for, and a file for it cannot be read."""
    rpc = config.rpc
    secure = [_secure_port(config, rpc.listen, ask=False)] if rpc.listen else []
    if rpc.listen_certificates:
        secure.append(_secure_port(config, rpc.listen_certificates, ask=True))
    return Listening(socket_path=config.socket_path, socket_mode=socket_mode(config), max_receive_bytes=config.rpc.max_message_bytes, secure=tuple(secure))


def _secure_port(config: Config, address: str, *, ask: bool) -> SecurePort:
    rpc, directory = config.rpc, Path(config.daemon.state_directory) / "tls"
    return SecurePort(
        address=address,
        key=_pem("rpc.tls_key", rpc.tls_key or str(directory / "server.key")),
        certificate=_pem("rpc.tls_certificate", rpc.tls_certificate or str(directory / "server.pem")),
        client_authority=_pem("rpc.tls_client_authority", rpc.tls_client_authority or str(directory / "ca.pem")) if ask else None,
    )


def _pem(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{key}: {path} cannot be read: {error.strerror}", hint="`aiosctl admin tls init` makes keys and certificates, or name files of yours", path=path
        ) from None


def _own_person() -> Person:
    own = itself.own_user()
    return Person(own.uid, own.gid, own.name, frozenset())

"""What says who calls: on this machine a pass of the daemon's credential socket, over the network a token and TLS."""

import json
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aios._target import Target
from aios.errors import Denied, InvalidArgument, Unavailable

if TYPE_CHECKING:
    import grpc

Metadata = tuple[tuple[str, str], ...]

PATIENCE_S = 10.0
_PAUSE_S = 0.02
_FRESH_PART = 0.8  # of its lifetime a pass is used before another is fetched
_LONGEST_ANSWER = 8192


class Credentials:
    """Of one target. Threads may share it; a forked child, and a process that becomes another user, get what is theirs."""

    def __init__(self, target: Target, token: str = "") -> None:
        self._target = target
        self._given = token
        self._kept: tuple[int, float, Metadata] = (-1, 0.0, ())  # whose, until when, what

    def metadata(self, *, fresh: bool = False) -> Metadata:
        """To be sent with a call; () where the daemon has no credential socket, or there is no token. Raises Denied, Unavailable.

        fresh  not one that was used before: for calls that cannot be repeated when it turns out to be worth nothing
        """
        uid, until_s, known = self._kept
        if known and not fresh and uid == os.geteuid() and time.monotonic() < until_s:
            return known
        credential, lifetime_s = _fetch_pass(credential_path(self._target.socket_path)) if self._target.socket_path else (self._given or _token(), 60.0)
        found: Metadata = (("authorization", f"Bearer {credential}"),) if credential else ()
        self._kept = (os.geteuid(), time.monotonic() + lifetime_s * _FRESH_PART, found)
        return found

    def forget(self) -> None:
        """The daemon does not take it any more: it was started anew, or the token was replaced."""
        self._kept = (-1, 0.0, ())


def credential_path(socket_path: str) -> str:
    """Beside the socket of the calls: aiosd.sock has aiosd.cred."""
    return socket_path.removesuffix(".sock") + ".cred"


def _connect(connection: socket.socket, path: str) -> None:
    """A line of callers that is full (anybody can fill it for a moment) is waited for: the kernel says EAGAIN, and not when to come again."""
    give_up_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return connection.connect(path)
        except BlockingIOError:
            if time.monotonic() > give_up_s:
                raise
        time.sleep(_PAUSE_S)


def _fetch_pass(path: str) -> tuple[str, float]:
    """A pass and for how many seconds it is good; "" when nothing listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(PATIENCE_S)
        said = b""
        try:
            _connect(connection, path)
            while part := connection.recv(_LONGEST_ANSWER):
                said += part
        except PermissionError:
            raise Denied(f"user {os.geteuid()} may not use {path}", hint="ask the machine's owner for access, or use another --target") from None
        except (FileNotFoundError, ConnectionError):
            return "", 0.0
        except OSError as error:
            raise Unavailable(f"the daemon gives no pass at {path}: {error}", hint="it may be very busy, or stopping; try again") from None
    return _read(said, path)


def _read(said: bytes, path: str) -> tuple[str, float]:
    try:
        answer = json.loads(said)
        if "error" in answer:
            raise Denied(str(answer["error"]), hint="unset AIOS_TARGET to use your own daemon, or the machine's", facts={"socket": path})
        return str(answer["pass"]), float(answer["lifetime_s"])
    except (ValueError, TypeError, KeyError):
        raise Unavailable(f"what {path} says is no pass: {said[:80]!r}", hint="the daemon may be stopping; try again") from None


def _token() -> str:
    """AIOS_TOKEN, else the content of the file that AIOS_TOKEN_FILE names, else ""."""
    token = os.environ.get("AIOS_TOKEN", "").strip()
    file = os.environ.get("AIOS_TOKEN_FILE", "")
    return token if token or not file else _content("AIOS_TOKEN_FILE", file).decode("ascii", "replace").strip()


def tls_credentials() -> "grpc.ChannelCredentials":
    """TLS with the authority in AIOS_TLS_CA (else the system's), and the certificate in AIOS_TLS_CERT and AIOS_TLS_KEY, if any."""
    import grpc

    authority, certificate, key = (os.environ.get(name, "") for name in ("AIOS_TLS_CA", "AIOS_TLS_CERT", "AIOS_TLS_KEY"))
    if bool(certificate) != bool(key):
        raise InvalidArgument("AIOS_TLS_CERT and AIOS_TLS_KEY go together, and one of them is missing", hint="name both files, or neither")
    return grpc.ssl_channel_credentials(
        _content("AIOS_TLS_CA", authority) if authority else None,
        _content("AIOS_TLS_KEY", key) if key else None,
        _content("AIOS_TLS_CERT", certificate) if certificate else None,
    )


def _content(variable: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{variable} names {file}, which cannot be read: {error.strerror}", hint=f"correct or unset {variable}") from None

"""The keys and certificates of TLS: an authority of this machine's own, the server's, and those of clients."""

import os
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from aiosd.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, StorageUnwritable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, ExtensionType, GeneralName

AUTHORITY_DAYS = 3650
SERVER_DAYS = 825  # the longest that common clients take
CLIENT_DAYS = 365
SKEW = timedelta(minutes=5)  # clocks of two machines differ
USER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,63}")


def make_authority(directory: Path, hosts: Sequence[str], *, force: bool = False) -> list[Path]:
    """An authority and, signed by it, the server's certificate: ca.pem, ca.key, server.pem, server.key. Raises AlreadyExists."""
    _need_library()
    key = _new_key()
    name = f"AIOS authority of {socket.gethostname()}"[:64]
    authority = _certificate(name, key, None, AUTHORITY_DAYS, _of_authority())
    return _write(directory, {"ca.key": _key_pem(key), "ca.pem": _pem(authority), **_server(hosts, authority, key)}, force)


def make_server(directory: Path, hosts: Sequence[str], *, force: bool = False) -> list[Path]:
    """Another certificate of the server, by the authority that is there: when the old one runs out, or its hosts change."""
    _need_library()
    return _write(directory, _server(hosts, *_authority(directory)), force)


def make_client(directory: Path, user: str, days: int = CLIENT_DAYS, *, force: bool = False) -> list[Path]:
    """A certificate made out to a user of this machine: clients/USER.pem and clients/USER.key.

    raises  InvalidArgument for what is no user's name, and for root, whom no certificate can stand for
    """
    _need_library()
    if not USER_NAME.fullmatch(user):
        raise InvalidArgument(f"{user!r} is not a user's name", hint="name a user of this machine, as `id -un` does", given=user)
    if user == "root":
        raise InvalidArgument("a certificate cannot stand for root", hint="make it out to a user who is an operator or admin", given=user)
    if not 0 < days <= AUTHORITY_DAYS:
        raise InvalidArgument(f"{days} days is not a length of time for a certificate", hint=f"give 1 to {AUTHORITY_DAYS} days", given=days)
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority, authority_key = _authority(directory)
    key = _new_key()
    certificate = _certificate(user, key, (authority, authority_key), days, _of_leaf(ExtendedKeyUsageOID.CLIENT_AUTH))
    return _write(directory / "clients", {f"{user}.key": _key_pem(key), f"{user}.pem": _pem(certificate)}, force)


def own_hosts() -> list[str]:
    """The names by which this machine knows itself."""
    return list(dict.fromkeys([socket.gethostname(), socket.getfqdn(), "localhost", "127.0.0.1", "::1"]))


def _server(hosts: Sequence[str], authority: "Certificate", authority_key: "EllipticCurvePrivateKey") -> dict[str, bytes]:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key, names = _new_key(), [_general_name(host) for host in hosts]
    if not names:
        raise InvalidArgument("a server's certificate needs the names by which clients know it", hint="give --host NAME, as often as there are names")
    extensions = [*_of_leaf(ExtendedKeyUsageOID.SERVER_AUTH), (x509.SubjectAlternativeName(names), False)]
    certificate = _certificate(hosts[0][:64], key, (authority, authority_key), SERVER_DAYS, extensions)
    return {"server.key": _key_pem(key), "server.pem": _pem(certificate)}


def _general_name(host: str) -> "GeneralName":
    from cryptography import x509

    with suppress(ValueError):
        return x509.IPAddress(ip_address(host))
    try:
        return x509.DNSName(host.encode("idna").decode("ascii"))
    except UnicodeError:
        raise InvalidArgument(f"{host!r} is not the name of a host", hint="give a name or an IP address", given=host) from None


def _certificate(
    name: str,
    key: "EllipticCurvePrivateKey",
    issuer: "tuple[Certificate, EllipticCurvePrivateKey] | None",
    days: int,
    extensions: "Sequence[tuple[ExtensionType, bool]]",
) -> "Certificate":
    """A certificate for `key`, signed by `issuer`, or by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signing_key = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=signer, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signing_key, hashes.SHA256())


def _of_authority() -> "list[tuple[ExtensionType, bool]]":
    from cryptography import x509

    return [(x509.BasicConstraints(ca=True, path_length=0), True), (_usage(signs_certificates=True), True)]


def _of_leaf(purpose: object) -> "list[tuple[ExtensionType, bool]]":
    from cryptography import x509

    constraints = x509.BasicConstraints(ca=False, path_length=None)
    return [(constraints, True), (_usage(signs_certificates=False), True), (x509.ExtendedKeyUsage([purpose]), False)]  # type: ignore[list-item]


def _usage(*, signs_certificates: bool) -> "ExtensionType":
    from cryptography import x509

    rest = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates, **rest)


def _authority(directory: Path) -> "tuple[Certificate, EllipticCurvePrivateKey]":
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
        key = load_pem_private_key((directory / "ca.key").read_bytes(), None)
    except FileNotFoundError as error:
        raise NotFound(f"there is no authority: {error.filename} is missing", hint="`aiosctl admin tls init` makes one", path=error.filename) from None
    except (OSError, ValueError) as error:
        raise FailedPrecondition(f"the authority in {directory} cannot be used: {error}", hint="restore its files, or make another by --force") from None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise FailedPrecondition(
            f"the key in {directory / 'ca.key'} is of another kind", hint="certificates of an authority of your own are made by its own tools"
        )
    return certificate, key


def _new_key() -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pem(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _need_library() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        hint = "`pip install 'aiosd[tls]'`; or make keys and certificates with tools of your own, and name them by rpc.tls_certificate and rpc.tls_key"
        raise FailedPrecondition("the package cryptography is needed to make keys and certificates, and it is not installed", hint=hint) from None


def _write(directory: Path, files: Mapping[str, bytes], force: bool) -> list[Path]:
    """All of `files`, readable by their owner only; none when one of them is there already, unless by `force`."""
    paths = [directory / name for name in files]
    there = [str(path) for path in paths if os.path.lexists(path)]
    if there and not force:
        raise AlreadyExists(f"already there: {', '.join(there)}", hint="--force replaces them: what the old ones made possible ends with that", paths=there)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, content in zip(paths, files.values(), strict=True):
            _write_one(path, content)
    except OSError as error:
        raise StorageUnwritable(f"{directory} cannot be written: {error.strerror}", hint="run it as the daemon's own user", path=directory) from None
    return paths


def _write_one(path: Path, content: bytes) -> None:
    """By a file of its own that takes the place of the old one: nobody ever reads half of it, nor opens it before it is private."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    new.rename(path)

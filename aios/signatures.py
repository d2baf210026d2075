"""Keys and signatures of models, made and checked on this side: the private key never leaves it.

The statement is that of OpenSSF's model signing, over the BLAKE3 of each file; the id of the version is its subject. `aiosd/models/signing.py` writes
the same bytes on the other side.
"""

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING

from aios.errors import Denied, InvalidArgument, NotFound
from aios.versions import Version

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PAYLOAD = "application/vnd.in-toto+json"
_PREFIX = bytes.fromhex("302a300506032b6570032100")  # of the key in the form that PEM has
_MAKE = "make one with: (umask 077; openssl genpkey -algorithm ed25519 -out key.pem) && openssl pkey -in key.pem -pubout -out key.pub"
_MOST_BYTES = 1 << 16


def sign(version: Version, key_file: "str | os.PathLike[str]") -> tuple[bytes, bytes]:
    """(public key, signature) of a version with its listing. Raises NotFound, Denied, InvalidArgument for what is no private key of Ed25519."""
    _library()
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = _private_key(os.fspath(key_file))
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), key.sign(signed_bytes(version))


def is_right(version: Version, public: bytes, signature: bytes) -> bool:
    """Whether the private key of `public` has signed this version, with its listing."""
    _library()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed_bytes(version))
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key(key_file: "str | os.PathLike[str]") -> bytes:
    """The 32 bytes of the public key in a file of PEM. Raises NotFound, Denied, InvalidArgument."""
    path = os.fspath(key_file)
    text = _read(path)
    begin, _, rest = text.strip().partition(b"\n")
    try:
        data = base64.b64decode(rest.rpartition(b"\n")[0]) if begin == b"-----BEGIN PUBLIC KEY-----" else b""
    except ValueError:
        data = b""
    if len(data) != len(_PREFIX) + 32 or not data.startswith(_PREFIX):
        raise InvalidArgument(f"{path} has no public key of Ed25519 in PEM", hint=_MAKE, facts={"path": path})
    return data[len(_PREFIX) :]


def key_id(public: bytes) -> str:
    """As the format has it: SHA-256 of the key in PEM."""
    text = base64.b64encode(_PREFIX + public).decode()
    return hashlib.sha256(f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n".encode()).hexdigest()


def signed_bytes(version: Version) -> bytes:
    """What the signature is over: the statement, as DSSE wraps it."""
    files = sorted((file.path, file.digest) for file in version.listing)
    root = hashlib.sha256(b"".join(bytes.fromhex(digest) for _, digest in files)).hexdigest()
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": version.id, "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "blake3", "allow_symlinks": False, "ignore_paths": []},
            "resources": [{"name": path, "algorithm": "blake3", "digest": digest} for path, digest in files],
        },
    }
    body = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(body), body)


def _private_key(path: str) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(path), None)
    except TypeError:
        raise InvalidArgument(
            f"the private key {path} is encrypted", hint="openssl pkey -in KEY -out PLAIN takes the password away", facts={"path": path}
        ) from None
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidArgument(f"{path} has no private key of Ed25519 in PEM", hint=_MAKE, facts={"path": path})
    if os.stat(path).st_mode & 0o077:
        raise Denied(f"others can read the private key {path}", hint=f"chmod 600 {path}; and make another, if anybody has", facts={"path": path})
    return key


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise NotFound(f"there is no key {path}", hint=_MAKE, facts={"path": path}) from None
    except OSError as error:
        raise Denied(f"the key {path} cannot be read: {error.strerror}", facts={"path": path}) from None


def _library() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise InvalidArgument("keys need the package `cryptography`", hint="pip install 'aiosd[tls]'") from None

"""What is signed of a version, and whether a signature is right.

The statement is that of OpenSSF's model signing (in-toto, in a DSSE envelope), with the files by their BLAKE3, which the format knows, and the id of
the version as its subject, so that what is said of the version is signed with it. Keys are Ed25519, which the format's own library does not take yet.
`aios/signatures.py` writes the same bytes on the other side.
"""

import base64
import hashlib
import json

from aiosd.errors import ConfigError
from aiosd.models.manifest import Manifest
from aiosd.models.version import Version

FORMAT = "openssf-model-signing-v1.0+ed25519"
KEY_BYTES, SIGNATURE_BYTES = 32, 64
_PAYLOAD = "application/vnd.in-toto+json"
_PREFIX = bytes.fromhex("302a300506032b6570032100")  # of the key in the form that PEM has


def key_id(public: bytes) -> str:
    """As the format has it: SHA-256 of the key in PEM."""
    text = base64.b64encode(_PREFIX + public).decode()
    return hashlib.sha256(f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n".encode()).hexdigest()


def signed_bytes(version: Version, manifest: Manifest) -> bytes:
    """What the signature is over: the statement, as DSSE wraps it."""
    files = sorted((entry.path, entry.digest) for entry in manifest.files)
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


def is_right(public: bytes, signature: bytes, version: Version, manifest: Manifest) -> bool:
    """Whether whoever has the private key of `public` has signed this version."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise ConfigError("signatures need the package `cryptography`", hint="where the daemon is installed: pip install 'aiosd[tls]'") from None
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed_bytes(version, manifest))
    except (InvalidSignature, ValueError):
        return False
    return True

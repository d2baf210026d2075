"""The statement that is signed is OpenSSF's, and the client and the daemon write the same bytes."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat

import aios
from aios import signatures
from aiosd.models import signing
from aiosd.models.manifest import FileEntry, Manifest
from aiosd.models.read_service import VersionView
from aiosd.models.version import Commit, Kind, Version
from aiosd.rpc import convert_models

MANIFEST = Manifest(tuple(FileEntry(name, 1, f"{number:064x}", ()) for number, name in enumerate(["b/весы 😀", "a", 'quote"', "b/a\n"])))
COMMIT = Commit(kind=Kind.MODEL, manifest=MANIFEST.digest)
VERSION = Version(model="digits", number=1, id=COMMIT.id, commit=COMMIT, size=4, files=4, stored_bytes=4)


def over_the_wire() -> aios.models.Version:
    from aios import _convert_models

    return _convert_models.version(convert_models.to_version(VersionView(VERSION, manifest=MANIFEST)))


def written(key: Ed25519PrivateKey | EllipticCurvePrivateKey, path: Path, password: bytes = b"") -> Path:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    path.chmod(0o600)
    return path


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    key, public = Ed25519PrivateKey.generate(), tmp_path / "key.pub"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return written(key, tmp_path / "key.pem"), public


def test_both_sides_write_the_same() -> None:
    assert signatures.signed_bytes(over_the_wire()) == signing.signed_bytes(VERSION, MANIFEST)
    assert signatures.key_id(b"k" * 32) == signing.key_id(b"k" * 32)


def test_it_is_the_statement_of_model_signing() -> None:
    text = signing.signed_bytes(VERSION, MANIFEST)
    kind, length, of, size, body = text.split(b" ", 4)
    assert (kind, int(length), of, int(size)) == (b"DSSEv1", len(of), b"application/vnd.in-toto+json", len(body))
    said = json.loads(body)
    assert (said["_type"], said["predicateType"]) == ("https://in-toto.io/Statement/v1", "https://model_signing/signature/v1.0")
    resources = said["predicate"]["resources"]
    assert [one["name"] for one in resources] == sorted(one.path for one in MANIFEST.files)
    digests = hashlib.sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources)).hexdigest()
    assert said["subject"] == [{"name": VERSION.id, "digest": {"sha256": digests}}]


def test_a_key_of_openssl_signs_and_the_daemon_agrees(keys: tuple[Path, Path]) -> None:
    private, public = keys
    raw, signature = signatures.sign(over_the_wire(), private)
    assert raw == signatures.public_key(public)
    assert signing.key_id(raw) == hashlib.sha256(public.read_bytes()).hexdigest()
    assert signing.is_right(raw, signature, VERSION, MANIFEST)
    assert signatures.is_right(over_the_wire(), raw, signature)
    other = Manifest(MANIFEST.files[1:])
    assert not signing.is_right(raw, signature, VERSION, other)
    assert not signing.is_right(raw, bytes(64), VERSION, MANIFEST)
    assert not signatures.is_right(over_the_wire(), raw, b"")


def test_keys_that_are_none_are_refused_with_a_word(keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    with pytest.raises(aios.errors.NotFound, match="there is no key"):
        signatures.sign(over_the_wire(), tmp_path / "none")
    public.chmod(0o644)
    with pytest.raises(aios.errors.InvalidArgument, match="no private key of Ed25519"):
        signatures.sign(over_the_wire(), public)
    for wrong in (private, tmp_path / "empty", tmp_path / "rubbish"):
        (tmp_path / "empty").write_bytes(b"")
        (tmp_path / "rubbish").write_bytes(b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n")
        with pytest.raises(aios.errors.InvalidArgument, match="no public key of Ed25519"):
            signatures.public_key(wrong)
    with pytest.raises(aios.errors.Denied, match="cannot be read: Is a directory"):
        signatures.public_key(tmp_path)
    private.chmod(0o644)
    with pytest.raises(aios.errors.Denied, match="others can read the private key"):
        signatures.sign(over_the_wire(), private)


def test_an_encrypted_key_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    encrypted = written(Ed25519PrivateKey.generate(), tmp_path / "encrypted.pem", b"secret")
    other = written(generate_private_key(SECP256R1()), tmp_path / "ec.pem")
    for path, why in ((encrypted, "is encrypted"), (other, "has no private key of Ed25519")):
        with pytest.raises(aios.errors.InvalidArgument, match=why):
            signatures.sign(over_the_wire(), path)


def test_without_the_library_it_says_what_to_install(keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    version = over_the_wire()
    calls: list[Callable[[], object]] = [lambda: signatures.sign(version, keys[0]), lambda: signatures.is_right(version, b"k" * 32, b"s" * 64)]
    for call in calls:
        with pytest.raises(aios.errors.InvalidArgument, match="need the package `cryptography`") as raised:
            call()
        assert "aiosd[tls]" in raised.value.hint

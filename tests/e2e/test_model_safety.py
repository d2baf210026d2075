"""From the command line at a daemon: what is flagged is not handed out until somebody allows it, and what must be signed not until it is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.e2e.conftest import Aiosctl
from tests.e2e.daemon import Daemon
from tests.unit.models.scanning.evil import dumped

OK, FAILED, USAGE = 0, 1, 2


Said = Callable[..., str]


@pytest.fixture
def said(daemon: Daemon, aiosctl: Aiosctl) -> Said:
    """What `aiosctl model WORDS` prints, on both, when it ends with that status."""

    def call(status: int, *words: str) -> str:
        done = aiosctl(daemon, "model", *words)
        text = (done.stdout + done.stderr).decode()
        assert done.returncode == status, text
        return text

    return call


def test_a_flagged_model_is_allowed_and_then_signed(daemon: Daemon, said: Said) -> None:
    mark, evil = daemon.root / "done", daemon.root / "model.pkl"
    evil.write_bytes(dumped(str(mark)))
    daemon.start()
    assert "it is flagged: model.pkl: it would call posix.system (danger)" in said(OK, "register", "digits", str(evil))
    refused = said(FAILED, "checkout", "digits")
    assert "is flagged: model.pkl: it would call posix.system (danger)" in refused
    assert "--allow-pickle" in refused
    assert json.loads(said(FAILED, "scan", "digits", "-o", "json"))["findings"] == [
        {"file": "model.pkl", "severity": "danger", "what": "it would call posix.system"}
    ]
    assert Path(said(OK, "checkout", "digits", "--allow-pickle").strip()).read_bytes() == evil.read_bytes()
    said(USAGE, "allow", "digits")
    assert "is allowed" in said(OK, "allow", "digits", "--why", "made by a test")
    shown = said(OK, "show", "digits")
    assert "allowed by" in shown
    assert "made by a test" in shown
    assert Path(daemon.client().models.checkout("digits")).is_file()
    assert "it is allowed: model.pkl" in said(OK, "register", "other", str(evil), "--allow-pickle")
    _sign(daemon, said)
    assert not mark.exists()
    assert daemon.client().check().sound


def _sign(daemon: Daemon, said: Said) -> None:
    key, private, public = Ed25519PrivateKey.generate(), daemon.root / "key.pem", daemon.root / "key.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert "signatures of nobody" in said(FAILED, "set", "digits", "--require-signature")
    said(OK, "set", "digits", "--require-signature", "--trust-key", str(public))
    assert "is not signed by a key that digits trusts" in said(FAILED, "checkout", "digits")
    assert "it is not signed by this key" in said(FAILED, "verify-signature", "digits", "--key", str(public))
    assert "is signed by the key" in said(OK, "sign", "digits", "--key", str(private))
    assert "is signed by the key" in said(OK, "verify-signature", "digits", "--key", str(public))
    shown = said(OK, "show", "digits")
    assert "signed by" in shown
    assert "trusted keys" in shown
    assert Path(daemon.client().models.checkout("digits")).is_file()
    assert private.read_bytes().split(b"\n")[1] not in daemon.log.read_bytes()


def test_a_store_with_a_key_starts_with_no_other(daemon: Daemon, said: Said) -> None:
    credentials, model = daemon.root / "credentials", daemon.root / "model"
    credentials.mkdir()
    (credentials / "store").write_text("0f" * 32)
    (credentials / "store").chmod(0o400)
    model.write_bytes(b"nobody is to read this " * 10_000)
    named = {"AIOSD_MODELS__ENCRYPTION_CREDENTIAL": "store", "CREDENTIALS_DIRECTORY": str(credentials)}
    daemon.start(**named)
    said(OK, "register", "digits", str(model))
    assert daemon.stop() == 0
    stored = [path.read_bytes() for path in (daemon.state / "models").rglob("*") if path.is_file()]
    assert stored
    assert not any(b"nobody is to read" in data for data in stored)
    (credentials / "store").chmod(0o600)
    (credentials / "store").write_text("f0" * 32)
    daemon.start(ready=False, **named)
    assert daemon.died() == 2, daemon.said()
    assert "is not the one that the store of models in" in daemon.said()
    (credentials / "store").write_text("0f" * 32)
    daemon.start(**named)
    assert Path(daemon.client().models.checkout("digits")).read_bytes() == model.read_bytes()

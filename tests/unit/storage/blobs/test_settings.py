"""The key of a store: who may read it, and that no other is ever tried."""

from pathlib import Path

import pytest

from aiosd.config import Config, ModelsConfig
from aiosd.domain_settings import blob_settings
from aiosd.errors import ConfigError
from aiosd.storage.blobs.settings import BlobSettings, coder_of, remember_key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(b"k" * 32)
    path.chmod(0o600)
    return path


def test_a_store_keeps_to_its_key(key: Path, tmp_path: Path) -> None:
    settings = BlobSettings(directory=str(tmp_path), key_file=str(key))
    assert coder_of(settings).key == b"k" * 32
    for _ in range(2):
        remember_key(settings)
        assert coder_of(settings).key
    assert b"k" * 4 not in (tmp_path / "key-proof").read_bytes()
    key.write_bytes(b"x" * 32)
    with pytest.raises(ConfigError, match="is not the one that the store") as caught:
        remember_key(settings)
    assert caught.value.hint == "nothing was changed; name the file with the right key"
    with pytest.raises(ConfigError, match="no key is configured"):
        coder_of(BlobSettings(directory=str(tmp_path)))
    (tmp_path / "key-proof").write_bytes(b"")
    with pytest.raises(ConfigError, match="is not the one"):
        coder_of(settings)


def test_a_store_without_a_key_remembers_none(tmp_path: Path) -> None:
    remember_key(BlobSettings(directory=str(tmp_path)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("mode", "of_systemd", "refused"), [(0o640, False, True), (0o604, False, True), (0o440, True, False), (0o444, True, True)])
def test_a_key_that_others_can_read_is_refused(key: Path, tmp_path: Path, mode: int, of_systemd: bool, refused: bool) -> None:
    key.chmod(mode)
    settings = BlobSettings(directory=str(tmp_path), key_file=str(key), of_systemd=of_systemd)
    if not refused:
        assert coder_of(settings).key
        return
    with pytest.raises(ConfigError, match="others can read") as caught:
        coder_of(settings)
    assert caught.value.hint == f"chmod 600 {key}"


def test_a_credential_of_systemd_is_found_where_it_says(key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(models=ModelsConfig(encryption_credential="key", directory=str(tmp_path)))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match="systemd has handed over none") as caught:
        blob_settings(config)
    assert "LoadCredential=key:FILE" in caught.value.hint
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = blob_settings(config)
    assert (settings.key_file, settings.of_systemd) == (str(key), True)
    assert coder_of(settings).key == b"k" * 32
    key.unlink()
    with pytest.raises(ConfigError, match=r"key cannot be read: No such file.*"):
        coder_of(settings)


@pytest.mark.parametrize(
    ("models", "why"), [({"encryption_credential": "../key"}, "is no name"), ({"encryption_credential": "a", "encryption_key_file": "/b"}, "two keys")]
)
def test_settings_that_cannot_be_are_refused(models: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        blob_settings(Config(models=ModelsConfig(**models)))

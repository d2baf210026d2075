"""How the store is set up, as its children are told, too."""

import os
from pathlib import Path

import msgspec

from aiosd.errors import ConfigError
from aiosd.storage.blobs.coding import Coder, read_key
from aiosd.storage.blobs.cutting import Sizes


class BlobSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`key_file` "": nothing is encrypted. `at_once`: children at work. `staged_s`: how long what nobody goes on sending stays; seconds."""

    directory: str
    cache_bytes: int = 100 << 30
    sizes: Sizes = Sizes()
    compress: bool = True
    key_file: str = ""
    at_once: int = 2
    staged_s: float = 86_400.0


def coder_of(settings: BlobSettings) -> Coder:
    """Raises ConfigError for a key that cannot be read, or that others can."""
    if not settings.key_file:
        return Coder(compress=settings.compress)
    try:
        if os.stat(settings.key_file).st_mode & 0o077:
            raise ConfigError(f"models.encryption_key_file: others can read {settings.key_file}", hint=f"chmod 600 {settings.key_file}", path=settings.key_file)
        text = Path(settings.key_file).read_bytes()
    except OSError as error:
        raise ConfigError(f"models.encryption_key_file: {settings.key_file} cannot be read: {error.strerror}", path=settings.key_file) from None
    return Coder(read_key(text, settings.key_file), os.urandom, settings.compress)

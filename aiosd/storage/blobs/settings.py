"""How the store is set up, as its children are told, too; and that its key is the one it has always had."""

import os
from pathlib import Path

import msgspec

from aiosd.errors import ConfigError
from aiosd.storage.blobs.coding import Coder, read_key
from aiosd.storage.blobs.cutting import Sizes
from aiosd.storage.blobs.layout import Layout, synchronise

_PROVEN = bytes(32)  # what the proof reads as; where a chunk has its digest, this has zeros
_OTHERS, _ALL_OTHERS = 0o007, 0o077


class BlobSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`key_file` "": nothing is encrypted; `of_systemd`: it is a credential, to which systemd adds rights for the service's user as if for a group.

    at_once  children at work
    staged_s  how long what nobody goes on sending stays; seconds
    """

    directory: str
    cache_bytes: int = 100 << 30
    sizes: Sizes = Sizes()
    compress: bool = True
    key_file: str = ""
    of_systemd: bool = False
    at_once: int = 2
    staged_s: float = 86_400.0


def coder_of(settings: BlobSettings) -> Coder:
    """Raises ConfigError for a key that cannot be read, that others can read, or that is not the one of the store.

    With another key all that is stored would look damaged, and be set aside: so it is never tried.
    """
    coder, proof = Coder(compress=settings.compress), Layout(Path(settings.directory)).proof
    if settings.key_file:
        coder = Coder(_key(settings), os.urandom, settings.compress)
    try:
        known = proof.read_bytes()
    except FileNotFoundError:
        return coder
    if not coder.key:
        raise ConfigError(
            f"the store of models in {settings.directory} is encrypted, and no key is configured",
            hint="set models.encryption_key_file or models.encryption_credential as it was", path=settings.directory,
        )  # fmt: skip
    if not coder.opens(known, _PROVEN):
        raise ConfigError(
            f"the key in {settings.key_file} is not the one that the store of models in {settings.directory} is encrypted with",
            hint="nothing was changed; name the file with the right key", path=settings.key_file,
        )  # fmt: skip
    return coder


def remember_key(settings: BlobSettings) -> None:
    """Of a store that has none yet: from now on no other counts. Raises OSError."""
    coder, proof = coder_of(settings), Layout(Path(settings.directory)).proof
    if coder.key and not proof.exists():
        temporary = proof.with_suffix(".new")
        temporary.write_bytes(coder.encode(_PROVEN, _PROVEN.hex(), squeeze=False)[1])
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, proof)
        synchronise(proof.parent)


def _key(settings: BlobSettings) -> bytes:
    path = settings.key_file
    try:
        if os.stat(path).st_mode & (_OTHERS if settings.of_systemd else _ALL_OTHERS):
            raise ConfigError(f"models.encryption_key_file: others can read {path}", hint=f"chmod 600 {path}", path=path)
        return read_key(Path(path).read_bytes(), path)
    except OSError as error:
        raise ConfigError(
            f"models.encryption_key_file: {path} cannot be read: {error.strerror}", hint="without the key nothing of the store can be read", path=path
        ) from None

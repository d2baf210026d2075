"""The bytes of models beside a backup: copied there once, verified and put in place again, compared with the database."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from aiosd.config import Config
from aiosd.domain_settings import blob_settings
from aiosd.errors import AlreadyExists, NotFound, StorageCorrupt
from aiosd.findings import Finding
from aiosd.host.directories import remove_tree
from aiosd.keeper.examining import boundaries
from aiosd.models.vault_ports import Stored
from aiosd.storage import backup as database
from aiosd.storage.blobs.copying import Copied, copy_places
from aiosd.storage.blobs.cutting import Sizes, pieces_at, windows
from aiosd.storage.blobs.layout import PRIVATE, Layout
from aiosd.storage.blobs.reading import Reader
from aiosd.storage.blobs.settings import coder_of
from aiosd.storage.blobs.verifying import damaged_among, to_read
from aiosd.storage.repair import check_store

BEFORE_RESTORE = "before-restore-"
_ENDING = ".models"


def beside(archive: Path) -> Path:
    """Where the bytes are that belong to a backup."""
    return archive.with_name(archive.name + _ENDING)


@contextmanager
def copying(config: Config, archive: Path, copy: Path, go_on: Callable[[], None]) -> Iterator[Copied]:
    """All that the database `copy` names, in a directory beside the archive; it has its name when the block ends well, else nothing is left of it.

    What another backup in the same directory has is the same file in this one, which costs no room; any of them may be removed.
    raises    AlreadyExists, OSError (a full disk)
    """
    target = beside(archive)
    if target.exists():
        raise AlreadyExists(f"{target} exists, and is no part of a backup {archive.name}", hint="remove it, or name another file", path=target)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    earlier = sorted((path for path in archive.parent.glob(f"*{_ENDING}") if _is_ours(path)), key=lambda path: path.lstat().st_mtime, reverse=True)
    try:
        partial.mkdir(mode=PRIVATE)
        yield copy_places(Layout(Path(config.models_directory)), Layout(partial), database.places_in(copy), [Layout(path) for path in earlier], go_on)
        partial.rename(target)
    finally:
        remove_tree(str(partial))


def _is_ours(path: Path) -> bool:
    """What others could write to is not linked to."""
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def check_copy(config: Config, archive: Path, copy: Path) -> None:
    """Read back all that the database `copy` names from beside its archive. Raises NotFound, StorageCorrupt, ConfigError (another key than theirs)."""
    if not beside(archive).is_dir():
        raise NotFound(f"there is no {beside(archive)}, where the models of this backup are", hint="put it there, or leave them out: --without-models")
    known: dict[str, Stored] = {}
    settings = structs.replace(blob_settings(config), directory=str(beside(archive)))
    reader = Reader(Layout(beside(archive)), coder_of(settings), lambda _: known)
    bad: list[tuple[str, str]] = []
    try:
        for rows, known in database.chunks_in(copy):
            bad += damaged_among(reader, to_read(rows), known, 0, lambda *_: None, time)
    finally:
        reader.close()
    if bad:
        raise StorageCorrupt(
            f"{len(bad)} chunks of the models in {beside(archive)} are damaged: {bad[0][1]}",
            hint="nothing was changed; use another backup, or leave the models out: --without-models", path=beside(archive),
        )  # fmt: skip


def unpack(config: Config, archive: Path, copy: Path) -> Path:
    """What belongs to the archive, in a directory beside the store, to be put in its place. Raises OSError (a full disk)."""
    store = Path(config.models_directory)
    made = store.with_name(f".{store.name}.restoring")
    remove_tree(str(made))
    made.mkdir(mode=PRIVATE, parents=True)
    copy_places(Layout(beside(archive)), Layout(made), database.places_in(copy))
    return made


def put_in_place(made: Path, store: Path) -> None:
    """What is there already is moved aside, and stays."""
    if store.exists():
        store.rename(store.with_name(f"{BEFORE_RESTORE}{time.strftime('%Y%m%d-%H%M%S')}-{store.name}"))
    made.rename(store)


def check(config: Config, *, repair: bool) -> tuple[list[Finding], int]:
    """The index of chunks against the files; with `repair` no daemon runs. What is wrong, and how many files were looked at. Blocks."""
    settings = blob_settings(config)
    return check_store(config.database_url, Layout(Path(settings.directory)), coder_of(settings), lambda path, name: _recut(path, name, settings.sizes), repair)


def _recut(path: Path, name: str, sizes: Sizes) -> Iterator[memoryview]:
    """As its registration cut it."""
    with path.open("rb") as file:
        size, marks = os.fstat(file.fileno()).st_size, boundaries(name, file)
        for pieces in windows(file.fileno(), size, None if marks is None else pieces_at(marks, size, sizes), sizes):
            yield from pieces

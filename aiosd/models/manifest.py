"""What a version consists of: its files, each a sequence of chunks that are named by what is in them.

There may be hundreds of thousands, read in one go while the scheduler waits: so files and chunks are what msgspec makes fastest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from blake3 import blake3

DIGEST_LETTERS = 64  # of BLAKE3 with 256 bits, in lower-case hexadecimal


def digest_of(data: bytes) -> str:
    return blake3(data).hexdigest()


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A piece of a file as it reads, however it is stored."""

    digest: str
    size: int


class FileEntry(msgspec.Struct, frozen=True, gc=False):
    """A regular file; `path` is relative, with "/" between its parts, and leads nowhere else. `digest` is of all of it.

    A file that is whole in the store has one chunk, with the file's own digest. An empty one has none.
    """

    path: str
    size: int
    digest: str
    chunks: tuple[Chunk, ...]
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a version by path, and its empty directories; what is registered as one file has just that."""

    files: tuple[FileEntry, ...]
    empty_directories: tuple[str, ...] = ()
    single: bool = False  # it was a file, not a directory: a checkout of it is a file, too

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.files)

    def encode(self) -> bytes:
        """The one way to write it: equal manifests have equal bytes, and so one digest."""
        return msgspec.json.encode(self, order="deterministic")

    @property
    def digest(self) -> str:
        return digest_of(self.encode())

    def chunks(self) -> Iterator[Chunk]:
        for entry in self.files:
            yield from entry.chunks


def decode_manifest(data: bytes) -> Manifest:
    """Raises msgspec.DecodeError and ValidationError for what `encode` did not write."""
    return msgspec.json.decode(data, type=Manifest)

"""What a version consists of: its files, each a sequence of chunks that are named by what is in them.

There may be hundreds of thousands, read in one go while the scheduler waits: so files and chunks are what msgspec makes fastest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from blake3 import blake3

from aiosd.errors import InvalidArgument

MOST_PATH, MOST_NAME = 3072, 255  # bytes; what comes before it takes some of a path, too
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

    def digests(self) -> set[str]:
        """Of its chunks; of 100,000 that takes 30 ms, for which an event loop has no time."""
        return {chunk.digest for chunk in self.chunks()}


def decode_manifest(data: bytes) -> Manifest:
    """Raises msgspec.DecodeError and ValidationError for what `encode` did not write."""
    return msgspec.json.decode(data, type=Manifest)


def contents_of(manifest: Manifest) -> str:
    """What its files are, however they are cut: a client that sends files says by this what must have arrived. The SDK has the same."""
    files = (f"{entry.digest} {entry.size} {int(entry.executable)} {entry.path}\n" for entry in manifest.files)
    return digest_of("".join([*files, *(f"{path}/\n" for path in manifest.empty_directories)]).encode())


def check_path(path: str) -> str:
    """The same. Raises InvalidArgument, see `path_problem`."""
    problem = path_problem(path)
    if problem:
        raise InvalidArgument(f"the file {path[:200]!r} {problem}", hint="name it within what is sent, with '/' between its parts", file=path[:200])
    return path


def path_problem(path: str) -> str:
    """Why it cannot be the path of a file in a manifest; "": it can."""
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        return "leads out of its directory"
    if len(path.encode()) > MOST_PATH or any(len(part.encode()) > MOST_NAME for part in parts):
        return "is longer than a file system takes"
    return ""

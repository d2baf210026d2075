"""A version as a daemon hands it on: its commit, its list of files and its chunks, each compared with its name."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from aios._channel import Channel
from aios.errors import StorageCorrupt

if TYPE_CHECKING:
    from aios.v1 import models_pb2 as pb

_ASKED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Chunk:
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A file: `path` is relative, and leads nowhere else."""

    path: str
    chunks: tuple[Chunk, ...]
    executable: bool


@dataclass(frozen=True, slots=True)
class Files:
    """What a version consists of; `single`: it is one file and not a directory."""

    entries: tuple[Entry, ...]
    empty_directories: tuple[str, ...]
    single: bool

    def chunks(self) -> dict[str, int]:
        """Their sizes, in the order of the files."""
        return {chunk.digest: chunk.size for entry in self.entries for chunk in entry.chunks}


@dataclass(frozen=True, slots=True)
class Held:
    """A version that a daemon has, and may not give away when it is flagged unless that is `allowed`."""

    channel: Channel
    version: "pb.Version"
    allowed: bool = False

    def pieces(self, wanted: Sequence[tuple[str, int]], deadline: float | None) -> "Iterator[pb.Piece]":
        """Of these chunks, each from its offset, in this order. Raises Unavailable after a break."""
        from aios.v1 import models_pb2 as pb

        ref = f"{self.version.model}@{self.version.id}"
        for at in range(0, len(wanted), _ASKED_AT_ONCE):
            chunks = [pb.ChunkAt(digest=digest, offset=offset) for digest, offset in wanted[at : at + _ASKED_AT_ONCE]]
            request = pb.FetchChunksRequest(ref=ref, kind=self.version.kind, chunks=chunks, allow_flagged=self.allowed)
            for answer in self.channel.stream("Models/FetchChunks", request, pb.FetchChunksResponse, deadline):
                yield from answer.pieces

    def read_by(self, job_id: str, deadline: float | None) -> None:
        """Have the daemon know that this job reads it, so that it stays for as long as that has not ended. Raises Denied, FailedPrecondition."""
        from aios.v1 import models_pb2 as pb

        ref = f"{self.version.model}@{self.version.id}"
        request = pb.FetchChunksRequest(ref=ref, kind=self.version.kind, allow_flagged=self.allowed, job_id=job_id)
        for _ in self.channel.stream("Models/FetchChunks", request, pb.FetchChunksResponse, deadline):
            continue

    def files(self, deadline: float | None) -> Files:
        """Raises StorageCorrupt for what is not what its name says."""
        data = b"".join(piece.data for piece in self.pieces([(self.version.manifest, 0)], deadline))
        if blake3(data).hexdigest() != self.version.manifest:
            raise not_as_named(self.version.manifest)
        return files_in(data)


def files_in(manifest: bytes) -> Files:
    """Raises StorageCorrupt for one that no daemon wrote, or that names files elsewhere."""
    try:
        said = json.loads(manifest)
        made = Files(
            tuple(Entry(str(one["path"]), tuple(_chunks(one)), bool(one.get("executable"))) for one in said["files"]),
            tuple(map(str, said.get("empty_directories", ()))), bool(said.get("single")),
        )  # fmt: skip
    except (ValueError, TypeError, KeyError) as error:
        raise StorageCorrupt(f"the list of files cannot be read: {error!r}", hint="is that a daemon of another version?") from None
    paths = [entry.path for entry in made.entries]
    wrong = next((path for path in (*paths, *made.empty_directories) if _leads_out(path)), None)
    if wrong is not None or len(set(paths)) < len(paths) or (made.single and (len(paths) != 1 or "/" in paths[0])):
        raise StorageCorrupt(f"the list of files names {wrong or paths[:1]!r}, which it must not", hint="what sends it is made to do harm; nothing was kept")
    return made


def not_as_named(digest: str) -> StorageCorrupt:
    return StorageCorrupt(
        f"what came is not the chunk {digest}", hint="it was changed on its way, or made to do harm: try again; what came before it is kept",
        facts={"digest": digest},
    )  # fmt: skip


def _chunks(entry: dict[str, Any]) -> Iterable[Chunk]:
    size = 0
    for one in entry["chunks"]:
        chunk = Chunk(str(one["digest"]), int(one["size"]))
        if chunk.size <= 0:
            raise ValueError(f"a chunk of {chunk.size} bytes")
        size += chunk.size
        yield chunk
    if size != int(entry["size"]):
        raise ValueError(f"{entry['path']} has {entry['size']} bytes, and its chunks {size}")


def _leads_out(path: str) -> bool:
    return "\0" in path or any(part in ("", ".", "..") for part in path.split("/"))

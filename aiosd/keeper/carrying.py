"""What a child does with versions that come from another store, or go to one."""

from collections.abc import Iterable, Mapping, Set
from contextlib import closing
from itertools import groupby
from pathlib import Path

from blake3 import blake3

from aiosd.errors import FailedPrecondition, InvalidArgument, StorageCorrupt
from aiosd.host import faults
from aiosd.host.directories import remove_tree
from aiosd.host.sources import Tree
from aiosd.host.targets import writing
from aiosd.keeper import words
from aiosd.keeper.examining import boundaries, examine_copy
from aiosd.keeper.line import Line, identity_of
from aiosd.models.manifest import Chunk, FileEntry, Manifest
from aiosd.models.parcel import chunks_of
from aiosd.models.vault_ports import Examined, Received, Source, Stored
from aiosd.storage.blobs import bundle as files
from aiosd.storage.blobs.coding import ENCRYPTED, FRAMES, RAW, WIDTHS, Coder
from aiosd.storage.blobs.layout import PRIVATE, Layout, place_of_whole
from aiosd.storage.blobs.reading import Reader
from aiosd.storage.blobs.receiving import MOST_AT_ONCE, Origin, Receiver
from aiosd.storage.blobs.settings import coder_of
from aiosd.storage.blobs.worksite import Worksite

_TOGETHER = 500  # chunks that are looked up at once
_MOST_NAMES_BYTES = 256 << 20  # of the tensors of all that comes together


def peek(request: words.Peek) -> bytes:
    """The head of a bundle."""
    tree = _opened(request.source)
    with closing(tree):
        return files.Reader(tree.fd).head()


def bundle(request: words.Bundle, line: Line) -> str:
    """Each chunk is verified before it goes out. A difference stays one where whoever reads it has what it is one to."""
    layout, coder = Layout(Path(request.settings.directory)), coder_of(request.settings)
    chunks = [chunk for digest, chunk in chunks_of(request.manifests).items() if digest not in request.had]
    done, total = 0, sum(chunk.size for chunk in chunks)
    with writing(request.to.path, identity_of(request.to), replace=request.replace) as fd, closing(Reader(layout, coder, line.lookup)) as reader:
        writer = files.Writer(fd)
        writer.head(request.head)
        for at in range(0, len(chunks), _TOGETHER):
            known = reader.find(chunks[at : at + _TOGETHER])
            for chunk in chunks[at : at + _TOGETHER]:
                _write(writer, reader, chunk, known, request.had)
                done += chunk.size
                line.progress(done, total, 0)
        writer.end()
    return request.to.path


def _write(writer: files.Writer, reader: Reader, chunk: Chunk, known: Mapping[str, Stored], had: Set[str]) -> None:
    stored = known[chunk.digest]
    if stored.place == place_of_whole(chunk.digest) or stored.encoding == FRAMES:
        writer.begin(chunk.digest, chunk.size)
        for piece in reader.file(FileEntry("", chunk.size, chunk.digest, (chunk,))):
            writer.write(piece)
        return
    data, encoding = reader.chunk(stored, known), stored.encoding
    base = stored.base if stored.base in had else ""
    payload: bytes | memoryview = data
    if encoding.endswith(ENCRYPTED) or (stored.base and not base):
        base, (encoding, payload) = "", Coder().encode(data, chunk.digest)
    elif encoding != RAW:
        payload = reader.bytes_at(stored.place, stored.offset, stored.stored_size)
    writer.begin(chunk.digest, chunk.size, encoding, len(payload), base)
    writer.write(payload)


def receive(request: words.Receive, line: Line) -> Received:
    """Take the chunks from the bundle, or from the daemon; all is verified and examined before anything has its name."""
    settings, layout = request.settings, Layout(Path(request.settings.directory))
    scratch = layout.incoming / request.name
    scratch.mkdir(mode=PRIVATE)
    site = Worksite(
        layout, scratch, request.name, coder_of(settings), line.lookup, boundaries, settings.sizes, faults.reached,
        lambda done, stored: line.progress(done, receiver.total, stored),
    )  # fmt: skip
    receiver = Receiver(site, request.manifests, request.had)
    with closing(receiver):
        receiver.begin(request.parts)
        if request.source.path:
            _receive_bundle(receiver, request)
        else:
            for digest, pieces in groupby(line.pieces(), key=lambda piece: piece[0]):
                receiver.receive(digest, (data for _, data in pieces))
        receiver.complete()
        unseen = set(request.examined)
        examined = within_reason((digest, _looked_into(receiver, each, request)) for each in request.manifests if (digest := each.digest) in unseen)
        return Received(receiver.finish(), examined)


def _looked_into(receiver: Receiver, manifest: Manifest, request: words.Receive) -> Examined:
    """Of what is laid out for it nothing stays: versions that share almost all take their full size each."""
    path = receiver.lay_out(manifest)
    try:
        return examine_copy(str(path), manifest, identity_of(request.source))
    finally:
        remove_tree(str(receiver.site.scratch / manifest.digest))


def within_reason(examined: Iterable[tuple[str, Examined]], most: int = _MOST_NAMES_BYTES) -> Mapping[str, Examined]:
    """As many names of tensors as go into one commit; the versions behind those are found by all else."""
    kept = dict[str, Examined]()
    for digest, found in examined:
        most -= sum(map(len, found.tensors))
        kept[digest] = found if most >= 0 else found._replace(tensors=())
    return kept


def _receive_bundle(receiver: Receiver, request: words.Receive) -> None:
    tree = _opened(request.source)
    with closing(tree):
        source = files.Reader(tree.fd)
        if blake3(source.head()).hexdigest() != request.head:
            raise FailedPrecondition(f"{request.source.path} changed while it was read; nothing was kept", hint="try again when nobody writes to it")
        for record in source.records():
            size = receiver.expected(record.digest)
            if record.size != size:
                raise InvalidArgument(f"the chunk {record.digest} has {record.size} bytes, and {size} were to come", hint="export it again; nothing was kept")
            pieces = source.pieces(record)
            if record.encoding == RAW:
                receiver.receive(record.digest, pieces)
            else:
                _receive_packed(receiver, record, pieces)


def _receive_packed(receiver: Receiver, record: files.Record, pieces: Iterable[bytes]) -> None:
    """A difference is kept as one, where what it is one to is none."""
    if max(record.size, record.stored_size) > MOST_AT_ONCE:
        raise InvalidArgument(f"the chunk {record.digest} is packed, and larger than any that is", hint="it is made to do harm; nothing was kept of it")
    payload = b"".join(pieces)
    base = receiver.base(record.base, payload[0] if payload and payload[0] in WIDTHS else 1) if record.base else Origin()
    try:
        data = Coder().decode(record.encoding, payload, record.size, record.digest, base.content)
    except StorageCorrupt as error:
        raise InvalidArgument(f"the bundle cannot be read: {error}", hint="have it exported or copied again; nothing was kept of it") from None
    receiver.receive(record.digest, [data], base)


def _opened(source: Source) -> Tree:
    tree = Tree(source.path, identity_of(source))
    tree.open()
    if not tree.single:
        tree.close()
        raise InvalidArgument(f"{source.path} is a directory, and no bundle", hint="--format oci or --format hf reads directories", path=source.path)
    return tree

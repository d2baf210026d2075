"""What a child does with versions that come from another store, or go to one."""

import os
from collections.abc import Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

from blake3 import blake3

from aiosd.errors import FailedPrecondition, InvalidArgument, StorageCorrupt
from aiosd.host import faults
from aiosd.host.sources import Tree
from aiosd.keeper import words
from aiosd.keeper.examining import boundaries, examine
from aiosd.keeper.line import Line, identity_of
from aiosd.models.manifest import Manifest
from aiosd.models.ports import Received, Source
from aiosd.storage.blobs import bundle
from aiosd.storage.blobs.coding import RAW, WIDTHS, Coder
from aiosd.storage.blobs.layout import PRIVATE, Layout
from aiosd.storage.blobs.reading import Reader
from aiosd.storage.blobs.receiving import Base, Receiver
from aiosd.storage.blobs.settings import coder_of
from aiosd.storage.blobs.worksite import Worksite


def peek(request: words.Peek) -> bytes:
    """The head of a bundle."""
    tree = _opened(request.source)
    with closing(tree):
        return bundle.Reader(tree.fd).head()


def receive(request: words.Receive, line: Line) -> Received:
    """Take the chunks from the bundle, or from the daemon; all is verified and examined before anything has its name."""
    settings, layout = request.settings, Layout(Path(request.settings.directory))
    scratch = layout.incoming / request.name
    scratch.mkdir(mode=PRIVATE)
    site = Worksite(
        layout, scratch, request.name, coder_of(settings), line.lookup, boundaries, settings.sizes, faults.reached,
        lambda done, stored: line.progress(done, receiver.total, stored),
    )  # fmt: skip
    receiver = Receiver(site, request.manifests, frozenset(request.had))
    with closing(receiver):
        receiver.begin()
        if request.source.path:
            _receive_bundle(receiver, request)
        else:
            for digest, pieces in groupby(line.pieces(), key=lambda piece: piece[0]):
                receiver.receive(digest, (data for _, data in pieces))
        receiver.complete()
        findings = {manifest.digest: _examined(receiver, manifest, request.source) for manifest in request.manifests if manifest.digest in request.examined}
        return Received(receiver.finish(), findings)


def _receive_bundle(receiver: Receiver, request: words.Receive) -> None:
    tree = _opened(request.source)
    reader = Reader(receiver.site.layout, receiver.site.coder, receiver.site.lookup)
    with closing(tree), closing(reader):
        source = bundle.Reader(tree.fd)
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
                _receive_packed(receiver, record, b"".join(pieces), reader)


def _receive_packed(receiver: Receiver, record: bundle.Record, payload: bytes, reader: Reader) -> None:
    """A difference is kept as one, where what it is one to is none."""
    content, base = b"", None
    if record.base:
        known = receiver.site.lookup([record.base])
        one = known.get(record.base)
        if one is None or not {one.digest, one.place.partition("/")[2]} & receiver.had:
            raise FailedPrecondition(
                f"the chunk {record.digest} is a difference to {record.base}, which is not here in that piece",
                hint="this store has cut the base in another way: export all of it, without --base",
            )
        content = reader.chunk(one, known)
        if not one.base and payload and payload[0] in WIDTHS:
            base = Base(record.base, content, payload[0])
    try:
        data = Coder().decode(record.encoding, payload, record.size, record.digest, content)
    except StorageCorrupt as error:
        raise InvalidArgument(f"the bundle cannot be read: {error}", hint="have it exported or copied again; nothing was kept of it") from None
    receiver.receive(record.digest, [data], base)


def _examined(receiver: Receiver, manifest: Manifest, source: Source) -> Sequence[str]:
    """As when it is registered: why it is to be flagged. Raises InvalidArgument for what is refused."""
    path = receiver.lay_out(manifest)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    identity = identity_of(source)
    tree = Tree(str(path), identity, single=manifest.single, _root=fd)
    with closing(tree):
        return examine(tree, manifest, identity)[1]


def _opened(source: Source) -> Tree:
    tree = Tree(source.path, identity_of(source))
    tree.open()
    if not tree.single:
        tree.close()
        raise InvalidArgument(f"{source.path} is a directory, and no bundle", hint="--format oci or --format hf reads directories", path=source.path)
    return tree

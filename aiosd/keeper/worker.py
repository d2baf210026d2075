"""The child at work (see host/bywork.py): reads one request, does it, asks the daemon where chunks lie, and says how it ended."""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path

from aiosd.errors import AiosError, Exhausted
from aiosd.host import faults
from aiosd.host.acting import acting_as
from aiosd.host.directories import remove_tree
from aiosd.keeper import carrying, laying, words
from aiosd.keeper.examining import boundaries, differences, examine, examine_copy, rescan
from aiosd.keeper.line import Line, identity_of
from aiosd.keeper.unpacking import unpacked
from aiosd.models.manifest import Manifest
from aiosd.models.vault_ports import Taken
from aiosd.storage.blobs.disk import explained
from aiosd.storage.blobs.giving import Asked, Giver
from aiosd.storage.blobs.layout import PRIVATE, Layout
from aiosd.storage.blobs.reading import Reader
from aiosd.storage.blobs.settings import coder_of
from aiosd.storage.blobs.sweeping import rewrite
from aiosd.storage.blobs.taking import Taker
from aiosd.storage.blobs.verifying import damaged_among
from aiosd.storage.blobs.worksite import Worksite


def main() -> None:
    """Serve the one request on descriptor 0."""
    line = Line()
    request = words.decode_request(line.hear())
    try:
        line.say(_done(request, line))
    except AiosError as error:
        line.say(words.failed(error))
    except MemoryError:
        line.say(words.failed(Exhausted("it takes more memory than this work may have", hint="is the file made to do harm?")))
    except OSError as error:
        line.say(words.failed(explained(error, request.settings.directory)))


def _done(request: words.Request, line: Line) -> words.Word:
    if isinstance(request, words.Take | words.Receive):
        *batches, last = words.in_batches(_take(request, line) if isinstance(request, words.Take) else carrying.receive(request, line))
        for batch in batches:
            line.say(batch)
        return last
    if isinstance(request, words.Give):
        return words.Gave(_give(request, line))
    if isinstance(request, words.Bundle):
        return words.Gave(carrying.bundle(request, line))
    if isinstance(request, words.Lay):
        return words.Gave(laying.lay(request, line))
    if isinstance(request, words.Peek):
        return words.Head(carrying.peek(request))
    if isinstance(request, words.Compare):
        return words.Compared(differences(request.before, request.after))
    if isinstance(request, words.Examine):
        return words.Findings(list(rescan(request.path, request.manifest)))
    layout = Layout(Path(request.settings.directory))
    if isinstance(request, words.Rewrite):
        scratch = layout.incoming / request.name
        scratch.mkdir(mode=PRIVATE)
        return words.Rewrote(rewrite(layout, scratch, request.name, request.rows))
    known = {one.digest: one for one in (*request.rows, *request.bases)}
    reader = Reader(layout, coder_of(request.settings), lambda _: known)  # with the bases of differences, whatever is asked for
    return words.Verified(list(damaged_among(reader, request.rows, known, request.bytes_per_s, line.progress, time)))


def _take(request: words.Take, line: Line) -> Taken:
    settings, layout = request.settings, Layout(Path(request.settings.directory))
    scratch = layout.incoming / request.name
    scratch.mkdir(mode=PRIVATE)
    identity = identity_of(request.source)
    with unpacked(request.source, identity, scratch) as (tree, said):
        total = os.fstat(tree.fd).st_size if tree.single else 0
        site = Worksite(
            layout, scratch, request.name, coder_of(settings), line.lookup, boundaries, settings.sizes, faults.reached,
            lambda done, stored: line.progress(done, total, stored),
        )  # fmt: skip
        taker = Taker(site, request.base)
        with closing(taker):
            files = taker.take(tree.files())
            manifest = Manifest(tuple(files), tuple(tree.empty_directories), tree.single)
            examined = examine(tree, manifest, identity) if tree.steady else examine_copy(str(taker.lay_out(manifest)), manifest, identity)
            tree.check()
            return Taken(manifest, taker.finish(), *examined, said)


def _give(request: words.Give, line: Line) -> str:
    settings, to = request.settings, request.to
    identity = identity_of(to)
    acting: Callable[[], AbstractContextManager[None]] = partial(acting_as, identity)
    asked = Asked(to.uid, to.gid, identity is None or to.uid == os.geteuid(), acting)
    layout, total = Layout(Path(settings.directory)), request.manifest.size
    reader = Reader(layout, coder_of(settings), line.lookup)
    giver = Giver(layout, reader, settings.cache_bytes, remove_tree, request.pinned, lambda done, stored: line.progress(done, total, stored), faults.reached)
    try:
        return giver.copy(request.manifest, asked, to.path) if to.path else giver.checkout(request.manifest, asked)
    finally:
        reader.close()

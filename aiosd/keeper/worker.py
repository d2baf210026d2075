"""The child at work (see host/bywork.py): reads one request, does it, asks the daemon where chunks lie, and says how it ended."""

import errno
import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from aiosd.errors import AiosError, DiskFull, Exhausted, StorageUnwritable
from aiosd.host import faults
from aiosd.host.acting import acting_as
from aiosd.host.directories import remove_tree
from aiosd.host.identities import Identity, look_up
from aiosd.host.sources import Tree
from aiosd.jobs.job import Owner
from aiosd.keeper import words
from aiosd.keeper.examining import boundaries, examine
from aiosd.models.manifest import Manifest
from aiosd.models.ports import Source, Stored, Taken
from aiosd.storage.blobs.giving import Asked, Giver
from aiosd.storage.blobs.layout import PRIVATE, Layout
from aiosd.storage.blobs.reading import Reader
from aiosd.storage.blobs.settings import coder_of
from aiosd.storage.blobs.sweeping import rewrite
from aiosd.storage.blobs.taking import Taker
from aiosd.storage.blobs.verifying import damaged_among
from aiosd.storage.blobs.worksite import Worksite

_SAID_S = 0.2  # between two reports of progress
_ASKED_AT_ONCE = 2000


def main() -> None:
    """Serve the one request on descriptor 0."""
    line = _Line()
    request = words.decode_request(line.hear())
    try:
        line.say(_done(request, line))
    except AiosError as error:
        line.say(words.failed(error))
    except MemoryError:
        line.say(words.failed(Exhausted("it takes more memory than this work may have", hint="is the file made to do harm?")))
    except OSError as error:
        line.say(words.failed(_meaning(error, request.settings.directory)))


def _done(request: words.Request, line: "_Line") -> words.Word:
    if isinstance(request, words.Take):
        return words.Took(_take(request, line))
    if isinstance(request, words.Give):
        return words.Gave(_give(request, line))
    layout = Layout(Path(request.settings.directory))
    if isinstance(request, words.Rewrite):
        scratch = layout.incoming / request.name
        scratch.mkdir(mode=PRIVATE)
        return words.Rewrote(rewrite(layout, scratch, request.name, request.rows))
    known = {one.digest: one for one in (*request.rows, *request.bases)}
    reader = Reader(layout, coder_of(request.settings), lambda _: known)  # with the bases of differences, whatever is asked for
    return words.Verified(list(damaged_among(reader, request.rows, known, request.bytes_per_s, line.progress, time)))


def _take(request: words.Take, line: "_Line") -> Taken:
    settings, layout = request.settings, Layout(Path(request.settings.directory))
    scratch = layout.incoming / request.name
    scratch.mkdir(mode=PRIVATE)
    tree = Tree(request.source.path, identity_of(request.source))
    total = tree.open()
    site = Worksite(
        layout, scratch, request.name, coder_of(settings), line.lookup, boundaries, settings.sizes, faults.reached,
        lambda done, stored: line.progress(done, total, stored),
    )  # fmt: skip
    taker = Taker(site, request.base)
    try:
        files = taker.take(tree.files())
        manifest = Manifest(tuple(files), tuple(tree.empty_directories), tree.single)
        schema, findings = examine(tree, manifest)
        tree.check()
        new = taker.finish()
    finally:
        taker.close()
        tree.close()
    return Taken(manifest, new, schema, findings)


def _give(request: words.Give, line: "_Line") -> str:
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


def identity_of(source: Source) -> Identity | None:
    """None: a daemon that is not root is nobody but itself."""
    return look_up(Owner(source.uid, source.gid, source.user)) if os.geteuid() == 0 else None


class _Line:
    """Speaks with the daemon; one question at a time."""

    def __init__(self) -> None:
        self._said_s = 0.0

    def hear(self) -> bytes:
        """Ends the process when the daemon has hung up."""
        return self._exactly(int.from_bytes(self._exactly(4), "little"))

    def say(self, word: words.Word) -> None:
        frame = words.encode(word)
        view = memoryview(len(frame).to_bytes(4, "little") + frame)
        while view:
            view = view[os.write(1, view) :]

    def lookup(self, digests: Collection[str]) -> Mapping[str, Stored]:
        found: dict[str, Stored] = {}
        asked = list(digests)
        for at in range(0, len(asked), _ASKED_AT_ONCE):
            self.say(words.Ask(asked[at : at + _ASKED_AT_ONCE]))
            found.update({one.digest: one for one in words.decode_answer(self.hear()).stored})
        return found

    def progress(self, done: int, total: int, stored: int) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s >= _SAID_S:
            self._said_s = now_s
            self.say(words.Advance(done, total, stored))

    def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            part = os.read(0, length - len(data))
            if not part:
                os._exit(1)
            data += part
        return bytes(data)


def _meaning(error: OSError, directory: str) -> AiosError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"the disk of {directory} is full; nothing was kept", hint="free some space: aiosctl model gc", path=directory)
    return StorageUnwritable(f"the store in {directory} cannot be used: {error.strerror}", hint="look at the disk", path=directory, file=str(error.filename))

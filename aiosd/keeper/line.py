"""A child's side of the conversation with the daemon (see words.py), and as whom it opens what a user named."""

import os
import time
from collections.abc import Collection, Iterator, Mapping

from aiosd.host.identities import Identity, look_up
from aiosd.jobs.job import Owner
from aiosd.keeper import words
from aiosd.models.vault_ports import Source, Stored

_SAID_S = 0.2  # between two reports of progress
_ASKED_AT_ONCE = 2000


def identity_of(source: Source) -> Identity | None:
    """None: a daemon that is not root is nobody but itself."""
    return look_up(Owner(source.uid, source.gid, source.user)) if os.geteuid() == 0 else None


class Line:
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

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """What the daemon hands on, until there is no more."""
        while True:
            self.say(words.More())
            piece = words.decode_piece(self.hear())
            if not piece.digest:
                return
            yield piece.digest, piece.data

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

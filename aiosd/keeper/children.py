"""The daemon's side of the conversation with the processes that do the long work (see words.py): what they ask is answered, what they say is handed on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from aiosd.host.bywork import Work, working
from aiosd.keeper import words
from aiosd.keeper.leases import Lease
from aiosd.models.vault_ports import ChunkIndex, Stored

Answered = TypeVar("Answered", bound=words.Word)
Feed = AsyncIterator[tuple[str, bytes]]
_WORKER = "aiosd.keeper.worker"


@dataclass(frozen=True, slots=True)
class Children:
    """`gate` is held while it is answered where chunks lie: the sweep forgets some under the same."""

    index: ChunkIndex
    gate: asyncio.Lock

    @asynccontextmanager
    async def work(self, request: words.Request, lease: Lease, feed: Feed | None = None) -> AsyncIterator[AsyncIterator[words.Said]]:
        """What a child says that does this; it is gone at the end of the block. `feed`: what it asks for piece by piece."""
        async with working(_WORKER, patient=isinstance(request, words.Verify | words.Rewrite)) as work:
            await work.send(words.encode(request))
            async with aclosing(self._heard(work, lease, feed)) as said:
                yield said

    async def answer(self, request: words.Request, kind: type[Answered], lease: Lease) -> Answered:
        """The one word that a child says when it has done this, whatever it says of its progress."""
        async with self.work(request, lease) as said:
            async for word in said:
                if isinstance(word, kind):
                    return word
        raise RuntimeError(f"a child was to {type(request).__name__.lower()}, and has not said what came of it")

    async def _heard(self, work: Work, lease: Lease, feed: Feed | None) -> AsyncGenerator[words.Said, None]:
        """Without its questions, which are answered. Raises the error that it says."""
        async with aclosing(work.frames()) as frames:
            async for frame in frames:
                word = words.decode_said(frame)
                if isinstance(word, words.Failed):
                    raise words.error_of(word)
                if isinstance(word, words.Ask):
                    await self._answer(work, word, lease)
                elif isinstance(word, words.More):
                    assert feed is not None
                    piece = await anext(feed, None)
                    await work.send(words.encode(words.Piece(*(piece or ("", b"")))))
                else:
                    yield word

    async def _answer(self, work: Work, word: words.Ask, lease: Lease) -> None:
        await work.send(words.encode(words.Answer(list((await self.stored(word.digests, lease)).values()))))

    async def stored(self, digests: Collection[str], lease: Lease) -> Mapping[str, Stored]:
        """Where these lie, and what they are differences to; from now on the lease holds them, also those that are nowhere."""
        async with self.gate:
            lease.add(digests)
            known = await self.index.stored(digests)
            lease.add(known.keys())
        return known

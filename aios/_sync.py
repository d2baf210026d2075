"""A version from one daemon to another, by way of the client, which both know: the chunks that are missing there, and then the version itself."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from aios import _convert_models
from aios._channel import Channel
from aios._chunks import Held
from aios._transfer import Feed, batches, left_s, patiently
from aios.errors import Conflict, NotFound, Unavailable
from aios.versions import OnProgress, Progress, Transfer, Version

if TYPE_CHECKING:
    from aios.v1 import models_pb2 as pb

MAIN = "main"
ABSENT, DAMAGED = "absent", "damaged"
MOST_ANCESTRY = 10_000
_ASKED_AT_ONCE = 5000
_PAGE = 200


@dataclass(slots=True)
class Way:
    """From `held`, as the version of `model` at `target`. It is told there what the version is, and looks for itself whether that is so."""

    held: Held
    target: Channel
    model: str
    branch: str
    tags: tuple[str, ...] = ()
    there: "pb.Version | None" = None  # where the branch is at this version already, and only chunks may be missing
    ancestry: tuple[str, ...] = ()
    sent: set[str] = field(default_factory=set)
    bytes_sent: int = 0

    def go(self, on_progress: OnProgress | None, deadline: float | None) -> Transfer:
        """Raises Conflict, Denied, Exhausted, StorageCorrupt (a chunk that is not what its name says); what came there before stays for another call."""
        sizes = patiently(self.held.channel, deadline, lambda: 0, lambda: self.held.files(deadline)).chunks()
        made = patiently(self.target, deadline, lambda: self.bytes_sent, lambda: self._tried(sizes, on_progress, deadline))
        chunks_sent = len(self.sent & sizes.keys())
        return Transfer(made, chunks_sent, len(sizes) - chunks_sent, self.bytes_sent)

    def _tried(self, sizes: dict[str, int], on_progress: OnProgress | None, deadline: float | None) -> Version:
        from aios.v1 import models_pb2 as pb

        before = set(self.ancestry)
        missing = list(self.missing([self.held.version.id, self.held.version.manifest, *self.ancestry, *sizes]))
        if self.there is not None and not any(digest in sizes or digest in before for digest, _ in missing):
            return _convert_models.version(self.there, existed=True)
        if missing:
            feed = Feed(self._requests(missing, sizes, on_progress, deadline))
            try:
                self.target.upload("Models/SendChunks", iter(feed), pb.SendChunksResponse, left_s(deadline))
            finally:
                feed.check()
        version = self.held.version
        request = pb.ReceiveRequest(
            model=self.model, kind=version.kind, version=version.id, branch=self.branch, tags=self.tags, ancestry=self.ancestry,
            flags=version.reasons, signatures=version.signatures,
        )  # fmt: skip
        for answer in self.target.stream("Models/Receive", request, pb.RegisterResponse, deadline):
            if answer.HasField("version"):
                return _convert_models.version(answer.version, existed=answer.existed)
            if on_progress is not None:
                on_progress(_convert_models.progress(answer.progress))
        raise Unavailable(f"the daemon at {self.target.target} ended the stream", hint="it may be restarting; ask again")

    def missing(self, digests: list[str]) -> Iterator[tuple[str, int]]:
        """Those that are to be sent, and from where on."""
        from aios.v1 import models_pb2 as pb

        for at in range(0, len(digests), _ASKED_AT_ONCE):
            request = pb.MissingRequest(model=self.model, kind=self.held.version.kind, digests=digests[at : at + _ASKED_AT_ONCE])
            answer = self.target.unary("Models/Missing", request, pb.MissingResponse)
            yield from ((one.digest, one.offset) for one in answer.chunks)

    def _requests(
        self, missing: list[tuple[str, int]], sizes: dict[str, int], on_progress: OnProgress | None, deadline: float | None
    ) -> "Iterator[pb.SendChunksRequest]":
        from aios.v1 import models_pb2 as pb

        total = sum(sizes.values())
        done = total - sum(sizes.get(digest, 0) - offset for digest, offset in missing if digest in sizes)
        for pieces in batches(self.held.pieces(missing, deadline)):
            yield pb.SendChunksRequest(pieces=pieces)
            self.sent.update(piece.name for piece in pieces)
            self.bytes_sent += sum(len(piece.data) for piece in pieces)
            done += sum(len(piece.data) for piece in pieces if piece.name in sizes)
            if on_progress is not None:
                on_progress(Progress(done, total, 0, "sending"))


def way(held: Held, target: Channel, ref: str, name: str, branch: str) -> Way:
    """What is to be brought where, with the commits of what comes before it. Raises Conflict when the branch over there has gone another way,
    before anything is sent.
    """
    version = held.version
    named = ref.partition(":")[2] if "~" not in ref and "@" not in ref else ""
    kinds = {one.name: one.kind for one in _references(held.channel, version.model, version.kind)}
    tags = (named,) if kinds.get(named) == "tag" else ()
    made = Way(held, target, name or version.model, branch or (named if kinds.get(named) == "branch" else MAIN), tags)
    tip = next((one.version for one in _references(target, made.model, version.kind) if one.name == made.branch), "")
    made.ancestry, led = _before(made, tip)
    if tip == version.id and not tags:
        made.there = _found(target, made.model, version)
    elif tip and not led:
        newer = _between(held, tip)
        made.ancestry = (*newer, *made.ancestry)[:MOST_ANCESTRY]
        if not newer and _found(target, made.model, version) is None:
            raise Conflict(
                f"{made.model}:{made.branch} is at {tip[:12]} over there, and {version.model}@{version.id[:12]} does not come after that",
                hint="bring that one here and merge, or bring yours to a branch of its own: --branch NAME", facts={"there": tip, "expected": version.id},
            )  # fmt: skip
    return made


def history(done: Way) -> Iterator[Way]:
    """After it: what comes before it, the newest first, of which there is no more over there than what is said of it, and here there is."""
    version, kind = done.held.version, done.held.version.kind
    there = {one.id: one.state for one in _log(done.target, done.model, version.id, kind)}
    for one in islice(_log(done.held.channel, version.model, version.id, kind), 1, None):
        if one.state not in (ABSENT, DAMAGED) and there.get(one.id, ABSENT) == ABSENT:
            found = _found(done.held.channel, version.model, one)
            if found is not None:
                yield Way(replace(done.held, version=found), done.target, done.model, done.branch)


def _before(made: Way, tip: str) -> tuple[tuple[str, ...], bool]:
    """The ids of what comes before it, the newest first, as far as any may be new over there; and whether `tip` is among them, or it is that."""
    version, found, led = made.held.version, list[str](), not tip
    log = _log(made.held.channel, version.model, version.id, version.kind)
    for _ in range(0, MOST_ANCESTRY, _PAGE):
        if not (page := list(islice(log, _PAGE))):
            break
        some = [one.id for one in page if one.state != DAMAGED or one.files]  # else its record is damaged, and there is no commit to send
        found += some
        led = led or any(tip == one.id or tip in one.parents for one in page)
        known = led and not any(made.missing([each for each in some if each != version.id])) and _found(made.target, made.model, page[-1]) is not None
        if known:  # all of these, and the last of them came with what is before it
            break
    return tuple(found[1:]), led


def _between(held: Held, newer: str) -> tuple[str, ...]:
    """The versions here that show that `newer` comes after the one that is held; () where none do."""
    try:
        ids = [one.id for one in islice(_log(held.channel, held.version.model, newer, held.version.kind), MOST_ANCESTRY)]
    except NotFound:
        return ()
    return tuple(ids[: ids.index(held.version.id)]) if held.version.id in ids else ()


def _log(channel: Channel, model: str, id: str, kind: "pb.StoreKind") -> "Iterator[pb.Version]":
    from aios.v1 import models_pb2 as pb

    request = pb.LogRequest(ref=f"{model}@{id}", kind=kind, page_size=_PAGE)
    while True:
        answer = channel.unary("Models/Log", request, pb.LogResponse)
        yield from answer.versions
        request.page_token = answer.next_page_token
        if not request.page_token:
            return


def _references(channel: Channel, model: str, kind: "pb.StoreKind") -> "list[pb.Reference]":
    from aios.v1 import models_pb2 as pb

    try:
        return list(channel.unary("Models/ListReferences", pb.ListReferencesRequest(model=model, kind=kind), pb.ListReferencesResponse).references)
    except NotFound:
        return []


def _found(channel: Channel, model: str, version: "pb.Version") -> "pb.Version | None":
    from aios.v1 import models_pb2 as pb

    try:
        return channel.unary("Models/GetVersion", pb.GetVersionRequest(ref=f"{model}@{version.id}", kind=version.kind), pb.Version)
    except NotFound:
        return None

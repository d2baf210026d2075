"""What uploads, downloads and pushes share: pieces in messages, and work that goes on where it was after a break of the connection."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from aios._channel import Channel, Pauses
from aios.errors import AiosError, Timeout, Unavailable

if TYPE_CHECKING:
    from aios.v1 import models_pb2 as pb

Answer = TypeVar("Answer")
PIECE_BYTES = 1 << 20
_PIECES = 1000  # of one message


def batches(pieces: "Iterable[pb.Piece]") -> "Iterator[list[pb.Piece]]":
    """As many as go well into one message: many of small files, one of a large."""
    batch: list[pb.Piece] = []
    size = 0
    for piece in pieces:
        if batch and (size + len(piece.data) > PIECE_BYTES or len(batch) >= _PIECES):
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += len(piece.data)
    if batch:
        yield batch


def left_s(deadline: float | None) -> float | None:
    """Until the deadline on the monotonic clock; seconds, None: there is none."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def patiently(channel: Channel, deadline: float | None, moved: Callable[[], int], work: Callable[[], Answer]) -> Answer:
    """What `work` answers. After a break it begins again, and asks what is there; given up when nothing has `moved` for the client's patience.

    raises  Timeout when the deadline, on the monotonic clock, is over; Unavailable
    """
    until = float("inf") if deadline is None else deadline
    channel.ensure_daemon(min(until, time.monotonic() + channel.timeout_s))
    pauses, before = None, moved()
    while True:
        try:
            return work()
        except Unavailable as error:
            failure = error
        if time.monotonic() >= until:
            raise Timeout("the time allowed is over, and not all has been sent", hint="the same call goes on where this one has ended") from None
        if pauses is None or moved() != before:
            pauses, before = Pauses(min(until, time.monotonic() + channel.patience_s)), moved()
        if not pauses.pause():
            raise failure


class Feed(Generic[Answer]):
    """Requests for a stream. An error of their making ends the stream, and is raised by `check`: gRPC would swallow it."""

    def __init__(self, requests: Iterable[Answer]) -> None:
        self._requests = requests
        self._error: AiosError | OSError | None = None

    def __iter__(self) -> Iterator[Answer]:
        try:
            yield from self._requests
        except (AiosError, OSError) as error:
            self._error = error

    def check(self) -> None:
        if self._error is not None:
            raise self._error

"""Bytes into a job: its standard input, and a terminal beside it."""

import queue
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

import grpc

from aios._channel import Channel
from aios.errors import InvalidArgument
from aios.v1 import jobs_pb2 as pb

_LARGEST_PIECE = 1 << 20


def input_chunks(ref: str, pieces: Iterable[bytes]) -> Iterator[pb.InputChunk]:
    """The stream that feeds a job: who it is for, the bytes, the end. Read only as fast as the daemon takes it."""
    yield pb.InputChunk(job_id=ref)
    for piece in pieces:
        for start in range(0, len(piece), _LARGEST_PIECE):
            yield pb.InputChunk(data=piece[start : start + _LARGEST_PIECE])
    yield pb.InputChunk(end=True)


class AttachSession:
    """A terminal beside a running job. Iterate it for what comes out; it ends with the command, and `exit_code` says how.

    `send`, `resize` and `close` may be called from another thread, or between two pieces of output.
    """

    def __init__(self, channel: Channel, ref: str, command: Sequence[str], rows: int, columns: int) -> None:
        if isinstance(command, str):
            raise InvalidArgument(f"command {command!r} is one text", hint='give its words: ["bash", "-l"]')
        self.exit_code: int | None = None
        self._channel = channel
        self._requests: queue.SimpleQueue[pb.AttachRequest | None] = queue.SimpleQueue()
        self._requests.put(pb.AttachRequest(job_id=ref, command=command, rows=rows, columns=columns))
        self._answers = channel.duplex("Jobs/Attach", iter(self._requests.get, None), pb.AttachResponse)
        self._closed = False

    def send(self, data: bytes) -> None:
        """Type: bytes to the terminal."""
        self._requests.put(pb.AttachRequest(input=data))

    def resize(self, rows: int, columns: int) -> None:
        self._requests.put(pb.AttachRequest(rows=rows, columns=columns))

    def close_input(self) -> None:
        """No more will be sent; what comes out is still read."""
        self._requests.put(None)

    def close(self) -> None:
        """Leave the terminal; the job goes on."""
        if not self._closed:
            self._closed = True
            self._requests.put(None)
            self._answers.cancel()

    def __iter__(self) -> Iterator[bytes]:
        try:
            for answer in self._answers:
                if answer.HasField("exit_code"):
                    self.exit_code = answer.exit_code
                if answer.output:
                    yield answer.output
        except grpc.RpcError as failure:
            if not self._closed:
                raise self._channel.failed(failure, "Jobs/Attach") from None
        finally:
            self.close()

    def __enter__(self) -> "AttachSession":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

"""A job's output to our own stdout and stderr, byte for byte."""

import sys
from collections.abc import Iterable

from aios.jobs import Job, LogChunk
from aios.records import Output


def write(chunk: LogChunk) -> None:
    """Pass the bytes on at once, to the stream they were written to."""
    if not chunk.data:
        return
    stream = sys.stderr if chunk.output is Output.STDERR else sys.stdout
    stream.buffer.write(chunk.data)
    stream.buffer.flush()


def copy(chunks: Iterable[LogChunk]) -> Job | None:
    """Write all of it; returns the job as it ended, when the log says so."""
    ended = None
    for chunk in chunks:
        write(chunk)
        ended = chunk.ended or ended
    return ended

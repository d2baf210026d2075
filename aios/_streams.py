"""Streams that survive a restart of the daemon: a watch goes on by revision, a log by offset."""

import time
from collections.abc import Callable, Iterator

from aios._channel import Channel
from aios._convert import OUTPUTS
from aios.jobs import EventKind, Job, JobEvent, LogChunk
from aios.v1 import jobs_pb2 as pb

_LONGEST_LINE = 1 << 20  # a longer one comes in pieces: a job may print for ever without a line end

_KINDS = {pb.JobEvent.CHANGED: EventKind.CHANGED, pb.JobEvent.SYNCED: EventKind.SYNCED, pb.JobEvent.RESYNC: EventKind.RESYNC}


def watched(channel: Channel, request: pb.WatchJobsRequest, job_of: Callable[[pb.Job], Job], timeout: float | None) -> Iterator[JobEvent]:
    """Events; after a break the stream is asked for what changed since the last revision that was seen whole.

    Until SYNCED the daemon sends what there is, in no order of revision: a break before it starts over from where it began.
    """
    deadline = _deadline(channel, timeout)
    synced = request.since_revision > 0
    for event in channel.resuming(lambda: channel.stream("Jobs/Watch", request, pb.JobEvent, deadline), deadline, lambda: False):
        kind = _KINDS.get(event.kind, EventKind.UNKNOWN)
        synced = kind is EventKind.SYNCED or (synced and kind is not EventKind.RESYNC)
        if synced and event.revision > request.since_revision:
            request.since_revision = event.revision
        if kind is EventKind.RESYNC:
            request.since_revision = 0
        yield JobEvent(kind, event.revision, job_of(event.job) if event.HasField("job") else None)


def log_chunks(channel: Channel, request: pb.JobLogsRequest, job_of: Callable[[pb.Job], Job], timeout: float | None) -> Iterator[LogChunk]:
    """Pieces of output; after a break the stream is asked for the rest of the same attempt, from the byte after the last."""
    deadline = _deadline(channel, timeout)
    position = _Position(request)
    for wire in channel.resuming(lambda: channel.stream("Jobs/Logs", position.request, pb.LogChunk, deadline), deadline, lambda: position.at_end):
        position.passed(wire)
        ended = job_of(wire.ended) if wire.HasField("ended") else None
        if wire.data or ended is not None:
            yield LogChunk(OUTPUTS.get(wire.output), wire.offset, wire.data, wire.attempt, ended)


def lines_of(chunks: Iterator[LogChunk]) -> Iterator[bytes]:
    """Whole lines without their ends, each output's own; what is left without one comes at the end."""
    rests: dict[object, bytearray] = {}
    attempt = 0
    for chunk in chunks:
        if chunk.attempt != attempt:  # what the last one left unfinished is not the beginning of this one's first line
            yield from (bytes(rest) for rest in rests.values() if rest)
            attempt, rests = chunk.attempt, {}
        rest = rests.setdefault(chunk.output, bytearray())
        rest += chunk.data
        if b"\n" in chunk.data or len(rest) > _LONGEST_LINE:
            *lines, last = rest.split(b"\n")
            while len(last) > _LONGEST_LINE:
                lines.append(last[:_LONGEST_LINE])
                last = last[_LONGEST_LINE:]
            rests[chunk.output] = bytearray(last)
            yield from map(bytes, lines)
    yield from (bytes(rest) for rest in rests.values() if rest)


class _Position:
    """How far a log was read: which attempt, and the next byte of each of its outputs."""

    def __init__(self, request: pb.JobLogsRequest) -> None:
        self.request = request  # for what has not been read
        self.at_end = not request.follow  # a followed log that ends without the job's end was cut off by a daemon that stops

    def passed(self, wire: pb.LogChunk) -> None:
        self.at_end = self.at_end or wire.HasField("ended")
        if not wire.data:
            return
        asked = self.request
        if wire.attempt != asked.attempt:  # offsets begin anew with each
            asked.attempt = wire.attempt
            asked.stdout_offset = asked.stderr_offset = 0
        asked.tail_lines = 0
        if wire.output == pb.STDERR:
            asked.stderr_offset = wire.offset + len(wire.data)
        else:
            asked.stdout_offset = wire.offset + len(wire.data)


def _deadline(channel: Channel, timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + channel.allowed(timeout)

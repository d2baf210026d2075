"""The calls by which the bytes of models come and go: uploads, and versions chunk by chunk, to and from clients on other machines."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from aios.v1 import models_pb2 as pb
from aios.v1.models_pb2_grpc import ModelsServicer as Wire
from aiosd.errors import InvalidArgument
from aiosd.models.transfer_ports import Piece
from aiosd.models.vault_ports import Progress
from aiosd.rpc import convert_models as convert
from aiosd.rpc.auth import current
from aiosd.rpc.context import Context
from aiosd.rpc.fields import amount, few, needed, text
from aiosd.rpc.limits import NAME, TEXT
from aiosd.rpc.streams import closing

if TYPE_CHECKING:
    from aiosd.rpc.models import ModelServices

MOST_PIECES = 10_000  # of one message
_FILES_A_MESSAGE = 1000
_MESSAGE_BYTES = 1 << 20
Sends = TypeVar("Sends", pb.UploadRequest, pb.SendChunksRequest)


class TransferCalls(Wire):
    _services: "ModelServices"

    async def Uploaded(self, request: pb.UploadedRequest, context: Context) -> AsyncIterator[pb.UploadedResponse]:
        there = await self._services.transfers.uploads.uploaded(request.upload_id, self._services.by())
        for at in range(0, len(there), _FILES_A_MESSAGE):
            yield pb.UploadedResponse(have=[pb.Piece(name=name, size=size) for name, size in there[at : at + _FILES_A_MESSAGE]])

    async def Upload(self, request: AsyncIterator[pb.UploadRequest], context: Context) -> pb.UploadResponse:
        first = await _first(request)
        current().about = f"upload {first.upload_id[:32]}"
        received = await self._services.transfers.uploads.upload(first.upload_id, _pieces(first, request), self._services.by())
        return pb.UploadResponse(received=received)

    async def FetchChunks(self, request: pb.FetchChunksRequest, context: Context) -> AsyncIterator[pb.FetchChunksResponse]:
        few(request.chunks, "", "chunks", MOST_PIECES)
        kind, ref = convert.kind_of(request.kind), needed(request.ref, "", "ref", TEXT)
        wanted = [(one.digest, amount(one.offset, "chunks.", "offset")) for one in request.chunks]
        by, job_id = self._services.by(), text(request.job_id, "", "job_id", NAME)
        async with closing(self._services.transfers.fetch(kind, ref, wanted, by, allow_flagged=request.allow_flagged, job_id=job_id)) as pieces:
            async for some in _together(pieces):
                yield pb.FetchChunksResponse(pieces=[pb.Piece(name=one.name, offset=one.offset, data=one.data, size=one.size) for one in some])

    async def Missing(self, request: pb.MissingRequest, context: Context) -> pb.MissingResponse:
        few(request.digests, "", "digests", MOST_PIECES)
        kind, model = convert.kind_of(request.kind), needed(request.model, "", "model", TEXT)
        found = await self._services.transfers.missing(kind, model, request.digests, self._services.by())
        return pb.MissingResponse(chunks=[pb.ChunkAt(digest=digest, offset=offset) for digest, offset in found])

    async def SendChunks(self, request: AsyncIterator[pb.SendChunksRequest], context: Context) -> pb.SendChunksResponse:
        first = await _first(request)
        return pb.SendChunksResponse(received=await self._services.transfers.send(_pieces(first, request), self._services.by()))

    async def Receive(self, request: pb.ReceiveRequest, context: Context) -> AsyncIterator[pb.RegisterResponse]:
        async with closing(self._services.transfers.receive(convert.from_receive(request), self._services.by())) as steps:
            async for step in steps:
                if isinstance(step, Progress):
                    yield pb.RegisterResponse(progress=convert.to_progress(step))
                else:
                    yield pb.RegisterResponse(version=convert.plain_version(step.versions[-1]), existed=not step.new)


async def _first(messages: AsyncIterator[Sends]) -> Sends:
    async for message in messages:
        return message
    raise InvalidArgument("nothing was sent", hint="the first message says what the others belong to")


async def _pieces(first: Sends, rest: AsyncIterator[Sends]) -> AsyncIterator[Sequence[Piece]]:
    yield _from_pieces(first.pieces)
    async for message in rest:
        yield _from_pieces(message.pieces)


def _from_pieces(wire: Iterable[pb.Piece]) -> Sequence[Piece]:
    pieces = [Piece(one.name, amount(one.offset, "", "offset"), one.data, amount(one.size, "", "size"), one.executable) for one in wire]
    few(pieces, "", "pieces", MOST_PIECES)
    return pieces


async def _together(pieces: AsyncIterator[Piece]) -> AsyncIterator[list[Piece]]:
    """Many small ones in one message, a large one in several."""
    some, size = list[Piece](), 0
    async for piece in pieces:
        for begin in range(0, len(piece.data), _MESSAGE_BYTES):
            part = replace(piece, offset=piece.offset + begin, data=piece.data[begin : begin + _MESSAGE_BYTES])
            some.append(part)
            size += len(part.data)
            if size >= _MESSAGE_BYTES or len(some) >= _FILES_A_MESSAGE:
                yield some
                some, size = [], 0
    if some:
        yield some

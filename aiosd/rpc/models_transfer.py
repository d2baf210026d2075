"""The calls by which the bytes of models come and go: uploads, and versions chunk by chunk, to and from clients on other machines."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from aios.v1 import models_pb2 as pb
from aios.v1.models_pb2_grpc import ModelsServicer as Wire
from aiosd.errors import InvalidArgument
from aiosd.models.ports import Piece
from aiosd.rpc.auth import current
from aiosd.rpc.context import Context
from aiosd.rpc.fields import amount, few

if TYPE_CHECKING:
    from aiosd.rpc.models import ModelServices

MOST_PIECES = 10_000  # of one message
_FILES_A_MESSAGE = 1000
Message = TypeVar("Message")


class TransferCalls(Wire):
    _services: "ModelServices"

    async def Uploaded(self, request: pb.UploadedRequest, context: Context) -> AsyncIterator[pb.UploadedResponse]:
        there = await self._services.uploads.uploaded(request.upload_id, self._services.by())
        for at in range(0, len(there), _FILES_A_MESSAGE):
            yield pb.UploadedResponse(have=[pb.Piece(name=name, size=size) for name, size in there[at : at + _FILES_A_MESSAGE]])

    async def Upload(self, request: AsyncIterator[pb.UploadRequest], context: Context) -> pb.UploadResponse:
        first = await _first(request)
        current().about = f"upload {first.upload_id[:32]}"
        received = await self._services.uploads.upload(first.upload_id, _pieces(first, request), self._services.by())
        return pb.UploadResponse(received=received)


async def _first(messages: AsyncIterator[Message]) -> Message:
    async for message in messages:
        return message
    raise InvalidArgument("nothing was sent", hint="the first message says what the others belong to")


async def _pieces(first: pb.UploadRequest, rest: AsyncIterator[pb.UploadRequest]) -> AsyncIterator[Sequence[Piece]]:
    yield _from_pieces(first.pieces)
    async for message in rest:
        yield _from_pieces(message.pieces)


def _from_pieces(wire: Iterable[pb.Piece]) -> Sequence[Piece]:
    pieces = [Piece(one.name, amount(one.offset, "", "offset"), one.data, amount(one.size, "", "size"), one.executable) for one in wire]
    few(pieces, "", "pieces", MOST_PIECES)
    return pieces

"""The calls by which versions leave for a file, and come from one."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aios.v1 import models_pb2 as pb
from aios.v1.models_pb2_grpc import ModelsServicer as Wire
from aiosd.models.layouts import form_named
from aiosd.models.send_service import Export, Import
from aiosd.models.vault_ports import Progress
from aiosd.rpc import convert_models as convert
from aiosd.rpc.context import Context
from aiosd.rpc.fields import needed, text, texts
from aiosd.rpc.limits import CHOICES, PATH, TEXT
from aiosd.rpc.streams import closing

if TYPE_CHECKING:
    from aiosd.rpc.models import ModelServices


class CarryCalls(Wire):
    _services: "ModelServices"

    async def Export(self, request: pb.ExportRequest, context: Context) -> AsyncIterator[pb.TransferResponse]:
        wish = Export(
            kind=convert.kind_of(request.kind), refs=texts(request.refs, "", "refs", CHOICES), path=needed(request.path, "", "path", PATH),
            form=form_named(request.format), base=text(request.base, "", "base", TEXT), history=request.history, replace=request.replace,
            allow_flagged=request.allow_flagged,
        )  # fmt: skip
        async with closing(self._services.sender.export(wish, self._services.by())) as steps:
            async for step in steps:
                if isinstance(step, Progress):
                    yield pb.TransferResponse(progress=convert.to_progress(step))
                else:
                    yield pb.TransferResponse(path=step.path, versions=map(convert.plain_version, step.versions))

    async def Import(self, request: pb.ImportRequest, context: Context) -> AsyncIterator[pb.TransferResponse]:
        wish = Import(
            kind=convert.kind_of(request.kind), path=needed(request.path, "", "path", PATH), form=form_named(request.format),
            model=text(request.model, "", "model", TEXT), branch=text(request.branch, "", "branch", TEXT),
        )  # fmt: skip
        async with closing(self._services.sender.import_(wish, self._services.by())) as steps:
            async for step in steps:
                if isinstance(step, Progress):
                    yield pb.TransferResponse(progress=convert.to_progress(step))
                else:
                    yield pb.TransferResponse(path=wish.path, versions=map(convert.plain_version, step.versions), new_versions=sorted(step.new))

"""The calls about what a model may do: scan, allow, sign, and whether it is signed."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
from typing import TYPE_CHECKING

from aios.v1 import models_pb2 as pb
from aios.v1.models_pb2_grpc import ModelsServicer as Wire
from aiosd.rpc import convert_models as convert
from aiosd.rpc.context import Context
from aiosd.rpc.fields import needed, printable, text
from aiosd.rpc.limits import REASON, TEXT

if TYPE_CHECKING:
    from aiosd.rpc.models import ModelServices


class SafetyCalls(Wire):
    _services: "ModelServices"

    async def Scan(self, request: pb.ScanRequest, context: Context) -> pb.ScanResponse:
        kind, ref = convert.kind_of(request.kind), needed(request.ref, "", "ref", TEXT)
        scanned = await self._services.safety.scan(kind, ref, self._services.by())
        findings = [pb.ScanFinding(file=printable(one.file), severity=one.severity, what=printable(one.what)) for one in scanned.findings]
        return pb.ScanResponse(state=scanned.version.state, findings=findings)

    async def Allow(self, request: pb.AllowRequest, context: Context) -> pb.Version:
        kind, ref, why = convert.kind_of(request.kind), needed(request.ref, "", "ref", TEXT), text(request.why, "", "why", REASON)
        return convert.plain_version(await self._services.safety.allow(kind, ref, why, self._services.by()))

    async def Sign(self, request: pb.SignRequest, context: Context) -> pb.Signature:
        kind, ref = convert.kind_of(request.kind), needed(request.ref, "", "ref", TEXT)
        return convert.to_signature(await self._services.safety.sign(kind, ref, request.public_key, request.signature, self._services.by()))

    async def VerifySignature(self, request: pb.VerifySignatureRequest, context: Context) -> pb.VerifySignatureResponse:
        kind, ref = convert.kind_of(request.kind), needed(request.ref, "", "ref", TEXT)
        found = await self._services.safety.verify_signature(kind, ref, request.public_key, self._services.by())
        return pb.VerifySignatureResponse(valid=not found.reason, key_id=found.key_id, reason=found.reason)

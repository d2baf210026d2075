"""The Admin service: convert, call, convert."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)

from dataclasses import asdict

from aios.v1 import admin_pb2 as pb
from aios.v1.admin_pb2_grpc import AdminServicer as Wire
from aiosd.findings import Finding
from aiosd.rpc.context import Context
from aiosd.rpc.fields import needed, printable
from aiosd.rpc.needs import StateCare


class AdminServicer(Wire):
    def __init__(self, care: StateCare) -> None:
        self._care = care

    async def Backup(self, request: pb.BackupRequest, context: Context) -> pb.BackupResponse:
        done = await self._care.backup(needed(request.path, "", "path"), models=not request.without_models)
        return pb.BackupResponse(**asdict(done))

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        found = await self._care.check(request.repair)
        return pb.CheckResponse(findings=[_finding(one) for one in found.findings], checked=found.checked)


def _finding(one: Finding) -> pb.Finding:
    return pb.Finding(subject=printable(one.subject), problem=printable(one.problem), repaired=one.repaired, action=printable(one.action))

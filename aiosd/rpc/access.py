"""The Access service: convert, call, convert."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
from collections.abc import AsyncIterator, Callable

from aios.v1 import access_pb2 as pb
from aios.v1.access_pb2_grpc import AccessServicer as Wire
from aiosd.access.principal import Principal, Role
from aiosd.errors import Denied
from aiosd.rpc import convert_access
from aiosd.rpc.context import Context
from aiosd.rpc.fields import needed, text
from aiosd.rpc.needs import AccountCalls


class AccessServicer(Wire):
    """`caller` says who makes the call that is being answered."""

    def __init__(self, accounts: AccountCalls, caller: Callable[[], Principal]) -> None:
        self._accounts = accounts
        self._caller = caller

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Context) -> pb.Principal:
        return convert_access.to_principal(self._caller())

    async def ListUsers(self, request: pb.ListUsersRequest, context: Context) -> pb.ListUsersResponse:
        return pb.ListUsersResponse(users=[convert_access.to_user(user) for user in await self._accounts.users()])

    async def GetUser(self, request: pb.GetUserRequest, context: Context) -> pb.User:
        caller = self._caller()
        name = text(request.name, "", "name") or caller.name
        if name != caller.name and caller.role < Role.OPERATOR:
            raise Denied(f"{caller.name} may not see what user {name!r} has: that takes the role operator, and this is a {caller.role}", user=caller.name)
        return convert_access.to_user(await self._accounts.user(name))

    async def SetUser(self, request: pb.SetUserRequest, context: Context) -> pb.User:
        name = needed(request.name, "", "name")
        return convert_access.to_user(await self._accounts.set_user(name, convert_access.from_set_user(request), self._caller()))

    async def CreateToken(self, request: pb.CreateTokenRequest, context: Context) -> pb.CreateTokenResponse:
        user, role = needed(request.user, "", "user"), convert_access.from_role(request.role)
        token, secret = await self._accounts.create_token(user, role, request.lifetime_s, text(request.comment, "", "comment"), self._caller())
        return pb.CreateTokenResponse(token=convert_access.to_token(token), secret=secret)

    async def ListTokens(self, request: pb.ListTokensRequest, context: Context) -> pb.ListTokensResponse:
        return pb.ListTokensResponse(tokens=[convert_access.to_token(token) for token in self._accounts.tokens(ended=request.include_ended)])

    async def RevokeToken(self, request: pb.RevokeTokenRequest, context: Context) -> pb.Token:
        return convert_access.to_token(await self._accounts.revoke_token(needed(request.id, "", "id"), self._caller()))

    async def Audit(self, request: pb.AuditRequest, context: Context) -> AsyncIterator[pb.AuditRecord]:
        for record in await self._accounts.audit(convert_access.from_audit(request)):
            yield convert_access.to_audit(record)

    async def VerifyAudit(self, request: pb.VerifyAuditRequest, context: Context) -> pb.VerifyAuditResponse:
        return convert_access.to_verdict(await self._accounts.verify_audit())

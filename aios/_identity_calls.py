"""The calls of the client that concern whoever calls."""

from typing import TYPE_CHECKING

from aios._calls import Calls

if TYPE_CHECKING:
    from aios.identity import Identity


class IdentityCalls(Calls):
    """The calls of `aios.Client` that concern whoever calls."""

    def whoami(self, *, timeout: float | None = None) -> "Identity":
        """Whom the daemon takes the caller for, and with which role."""
        from aios.identity import Identity
        from aios.v1 import access_pb2 as pb

        found = self._channel.unary("Access/WhoAmI", pb.WhoAmIRequest(), pb.Principal, timeout)
        return Identity(found.user, found.uid, pb.Role.Name(found.role).removeprefix("ROLE_").lower(), found.origin)

    def credential(self) -> str:
        """What another gRPC client sends as `authorization: Bearer …` to be known as this one; "" when the daemon asks for none.

        On this machine it is a pass, which lasts some minutes; over the network it is the token in AIOS_TOKEN.
        """
        for _, value in self._channel.credentials.metadata():
            return value.removeprefix("Bearer ")
        return ""

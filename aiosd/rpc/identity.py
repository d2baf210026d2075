"""Who calls, from what came with the call: a pass of the credential socket, a bearer token, or a client certificate."""

import asyncio
import time
from dataclasses import dataclass

from aiosd.access.passes import PREFIX, Passes
from aiosd.access.person import Person
from aiosd.access.principal import Principal, Role
from aiosd.errors import Denied, Unauthenticated
from aiosd.rpc.context import Context
from aiosd.rpc.fields import printable
from aiosd.rpc.needs import AccessCalls, Directory

SCHEME = "bearer "
LONGEST_CREDENTIAL = 1024
ROOT = 0
SOCKET_HINT = "send `authorization: Bearer PASS` with each call: the SDK does it by itself, others get a pass by `aiosctl whoami --pass`"
NETWORK_HINT = "send `authorization: Bearer TOKEN` with each call (AIOS_TOKEN for the SDK); an admin makes one by `aiosctl admin token create`"
CERTIFICATE_HINT = "an admin makes one for a user of this machine by `aiosctl admin tls client NAME`"


@dataclass(frozen=True, slots=True)
class Callers:
    """`everyone`: every user of the machine may come, each with its own role; else only the daemon's own user and root.

    certificate_role  the most that the holder of a client certificate may be, whatever role its user has
    """

    passes: Passes
    directory: Directory
    access: AccessCalls
    own: Person
    everyone: bool = False
    certificate_role: Role = Role.USER

    async def principal(self, context: Context) -> Principal:
        credential, peer = _credential(context), context.peer()
        if peer.startswith("unix:"):
            return await self._on_the_machine(credential)
        certified = _certified_name(context)
        if certified:
            return await self._by_certificate(certified, peer)
        return self._by_token(credential, peer, NETWORK_HINT)

    async def _on_the_machine(self, credential: str) -> Principal:
        if not credential.startswith(PREFIX):
            return self._by_token(credential, "socket", SOCKET_HINT)
        bearer = self.passes.read(credential, time.monotonic())
        if bearer.uid == self.own.uid:
            return Principal(self.own.uid, self.own.gid, self.own.name, Role.ADMIN, "socket", f"pid {bearer.pid}", bearer.pid)
        person = self.directory.remembered(bearer.uid)
        if person is None:
            person = await asyncio.to_thread(self.directory.person, bearer.uid, bearer.gid)
        role = Role.ADMIN if person.uid == ROOT else self._role_of(person)
        return Principal(person.uid, person.gid, person.name, role, "socket", f"pid {bearer.pid}", bearer.pid)

    def _by_token(self, secret: str, peer: str, hint: str) -> Principal:
        """A token has its own record, made by an admin: what that says is what counts, also of the role."""
        if not secret:
            raise Unauthenticated("no credential came with the call", hint=hint)
        found = None if secret.startswith(PREFIX) else self.access.token(secret)
        if found is None:
            raise Unauthenticated("the token is not known here, has expired or was revoked", hint=hint)
        return Principal(found.uid, found.gid, found.name, found.role, found.origin, peer)

    async def _by_certificate(self, name: str, peer: str) -> Principal:
        """A name in a certificate makes nobody root, nor more than the configuration lets any certificate be."""
        person = await asyncio.to_thread(self.directory.named, name)
        if person is None:
            raise Unauthenticated(f"the certificate is made out to {name!r}, who is not a user of this machine", hint=CERTIFICATE_HINT, user=name)
        if person.uid == ROOT and self.everyone:
            raise Denied("a certificate cannot stand for root", hint="work as root on the machine itself, or use a bearer token", user=name)
        role = Role.ADMIN if person.uid == self.own.uid else self._role_of(person)
        return Principal(person.uid, person.gid, person.name, min(role, self.certificate_role), f"certificate {person.name}", peer)

    def _role_of(self, person: Person) -> Role:
        if not self.everyone:
            raise Denied(
                f"this is the daemon of user {self.own.name}, and {person.name} may not use it",
                hint="use your own, or the machine's: unset AIOS_TARGET",
                user=person.name,
            )
        return self.access.role_of(person.uid, person.gid, person.name)


def _credential(context: Context) -> str:
    """What follows "Bearer" in the call's metadata; "" without it."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            text = value if isinstance(value, str) else value.decode("latin-1")
            if text[: len(SCHEME)].lower() != SCHEME or len(text) > LONGEST_CREDENTIAL:
                raise Unauthenticated("the authorization of the call is not `Bearer` and a pass or token", hint=SOCKET_HINT)
            return text[len(SCHEME) :].strip()
    return ""


def _certified_name(context: Context) -> str:
    """The common name of the certificate that the TLS handshake has verified; "" without one."""
    found = context.auth_context()
    if not found.get("x509_pem_cert") or not found.get("x509_common_name"):
        return ""
    return printable(next(iter(found["x509_common_name"])).decode("utf-8", "replace"))

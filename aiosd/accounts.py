"""The accounts of users as an admin sees and sets them: what AIOS keeps of them, what the machine knows, what their jobs hold."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiosd import logs
from aiosd.access.audit import AuditFilter, AuditRecord, Verdict
from aiosd.access.limits import check_limits
from aiosd.access.person import Person
from aiosd.access.principal import Principal, Role
from aiosd.access.service import AccessService
from aiosd.access.tokens import TokenRecord
from aiosd.access.users import UserChange, UserRecord, UserView
from aiosd.clock import Clock
from aiosd.errors import DiskFull, InvalidArgument, NotFound, StorageUnwritable, Unavailable
from aiosd.jobs.actions import SetLimits
from aiosd.jobs.limiting import limits_of, use_of
from aiosd.jobs.service import JobService

MOST_NAME = 256

log = logs.logger("aiosd.accounts")


@dataclass(slots=True)
class Accounts:
    """Offers AccountCalls to the network door. `named` asks the machine for a user; it may block."""

    access: AccessService
    jobs: JobService
    named: Callable[[str], Person | None]
    clock: Clock

    async def users(self) -> Sequence[UserView]:
        owners = {job.owner.name for job in self.jobs.state.jobs.values()}
        names = owners | self.jobs.state.holdings.held.keys() | {record.name for record in self.access.users()}
        return [await self.user(name) for name in sorted(names)]

    async def user(self, name: str) -> UserView:
        person = await self._find(name)
        state = self.jobs.state
        return UserView(
            name=name,
            uid=person.uid,
            role=self.access.role_in_force(person.uid, person.gid, name),
            limits=limits_of(state, name),
            limits_set=name in state.holdings.limits,
            use=use_of(state, name, self.clock.now()),
        )

    async def set_user(self, name: str, change: UserChange, by: Principal) -> UserView:
        """The role counts from the next call on, limits from the next pass on; what runs goes on."""
        person = await self._find(name)
        if change.limits is not None:
            check_limits(change.limits)
        record = change.applied_to(self.access.user(name) or UserRecord(name, person.uid))
        await self.access.set_user(record, by, str(change))
        log.info("user", user=name, by=by.name, change=str(change))
        if change.limits is not None or change.default_limits:
            with suppress(DiskFull, StorageUnwritable, Unavailable):  # it is stored: the engine that is made next has it
                await self.jobs.ask(SetLimits(name, record.limits))
        return await self.user(name)

    async def create_token(self, user: str, role: Role | None, lifetime_s: float, comment: str, by: Principal) -> tuple[TokenRecord, str]:
        person = await self._find(user)
        if not person.known:
            raise NotFound(f"there is no user {user!r} on this machine", hint="a token is of a user who can have jobs here", user=user)
        token, secret = await self.access.create_token(user, person.uid, person.gid, role, lifetime_s, comment, by)
        log.info("token made", id=token.id, user=user, role=str(token.role), by=by.name)
        return token, secret

    def tokens(self, *, ended: bool = False) -> Sequence[TokenRecord]:
        return self.access.tokens(ended=ended)

    async def revoke_token(self, token_id: str, by: Principal) -> TokenRecord:
        token = await self.access.revoke_token(token_id, by)
        log.info("token revoked", id=token.id, user=token.user, by=by.name)
        return token

    async def audit(self, wanted: AuditFilter) -> Sequence[AuditRecord]:
        return await self.access.audit(wanted)

    async def verify_audit(self) -> Verdict:
        verdict = await self.access.verify()
        if not verdict.intact:
            log.error("the audit trail is broken", problem=verdict.problem, first_broken=verdict.first_broken)
        return verdict

    async def _find(self, name: str) -> Person:
        """By the machine, else by what AIOS has kept of a user who is gone from it. Raises NotFound."""
        if not name or len(name) > MOST_NAME or not name.isprintable():
            raise InvalidArgument(f"{name[:40]!r} is no name of a user", hint="give the login name", user=name[:40])
        person = await asyncio.to_thread(self.named, name)
        if person is not None:
            return person
        uid = self._kept_uid(name)
        if uid is None:
            raise NotFound(f"there is no user {name!r}", hint="`aiosctl admin user ls` lists those AIOS knows, `getent passwd` those of the machine", user=name)
        return Person(uid, uid, name, frozenset(), known=False)

    def _kept_uid(self, name: str) -> int | None:
        record = self.access.user(name)
        if record is not None:
            return record.uid
        return next((job.owner.uid for job in self.jobs.state.jobs.values() if job.owner.name == name), None)

"""The single writer of users, tokens and the audit trail: answers from memory, remembers in batches."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog

from aiosd.access import tokens
from aiosd.access.audit import AuditFilter, AuditRecord, Head, Verdict, chain, plain
from aiosd.access.limits import UserLimits
from aiosd.access.ports import AccessChanges, AccessStore, GroupsOf
from aiosd.access.principal import Principal, Role
from aiosd.access.tokens import TokenRecord
from aiosd.access.users import RoleInForce, RoleRules, UserRecord
from aiosd.errors import AiosError, AlreadyExists, Denied, DiskFull, FailedPrecondition, NotFound, StorageUnwritable, Unavailable

GATHER_S = 0.25  # how long a record of the trail may wait for others before they are committed together
RETRY_S = 1.0  # between tries to write when the disk was full
MOST_A_COMMIT = 500  # records; hashing them takes the loop a few milliseconds
MOST_KEPT = 50_000  # records that wait in memory while nothing can be written
GROUPS_S = 30.0  # how long the groups of a user are believed
MOST_GROUPS = 4096
USED_S = 60.0  # how exact the last use of a token is
HEAD_EVERY = 1000  # records between two mentions of the trail's head in the log
TROUBLE = (DiskFull, StorageUnwritable, Unavailable, AlreadyExists)  # the last: somebody else has written in the trail

log = structlog.get_logger("access")


@dataclass(slots=True)
class _Asked:
    """What somebody waits for: rows, and the record that says who asked for them; all durable, or none."""

    done: "asyncio.Future[None]"
    users: Sequence[UserRecord] = ()
    tokens: Sequence[TokenRecord] = ()
    audit: Sequence[AuditRecord] = ()


@dataclass(slots=True)
class AccessService:
    """Every question is answered from memory and at once; whatever changes something returns when it is durable.

    `groups_of` says in which Unix groups a user is; `wall_s` is the wall clock.
    """

    store: AccessStore
    groups_of: GroupsOf
    wall_s: Callable[[], float]
    rules: RoleRules = RoleRules()
    _users: dict[str, UserRecord] = field(default_factory=dict)
    _tokens: dict[str, TokenRecord] = field(default_factory=dict)
    _head: Head = Head()
    _in_doubt: tuple[Head, int] | None = None  # a commit that failed, and may yet have been made: the head then, and how many records
    _pending: list[AuditRecord] = field(default_factory=list)
    _lost: int = 0
    _changed_tokens: set[str] = field(default_factory=set)  # used, or revoked while nothing could be written
    _asked: list[_Asked] = field(default_factory=list)
    _groups: dict[tuple[str, int], tuple[float, frozenset[str]]] = field(default_factory=dict)
    _awake: asyncio.Event = field(default_factory=asyncio.Event)
    _urgent: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    trouble: AiosError | None = None  # why nothing can be written at present

    # The life of the service

    async def start(self) -> None:
        """Load everything but the trail."""
        found = await self.store.load()
        self._users = {user.name: user for user in found.users}
        self._tokens = {token.id: token for token in found.tokens}
        self._head = found.head
        log.info("audit trail", records=found.head.number, digest=found.head.digest)

    async def run(self) -> None:
        """Write what is to be written, until `stop`; then what is left, once."""
        while not self._stopping:
            await self._awake.wait()
            self._awake.clear()
            await self._gather()
            await self._write()
        if self._unwritten:
            await self._write()
        while self._unwritten and self.trouble is None:
            await self._write()
        if self._pending:
            log.error("audit records are lost: the daemon stops, and they cannot be written", records=len(self._pending))
        log.info("audit trail", records=self._head.number, digest=self._head.digest)

    async def _gather(self) -> None:
        """Let more come that is committed with it, unless somebody waits, or enough is there; after a failure, let time pass."""
        if self.trouble is not None or len(self._pending) < MOST_A_COMMIT:
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S if self.trouble is None else RETRY_S):
                    await self._urgent.wait()
        self._urgent.clear()

    def stop(self) -> None:
        """Let `run` return when all is written."""
        self._stopping = True
        self._awake.set()
        self._urgent.set()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should know; for the node's status."""
        if self.trouble is None:
            return ()
        lost = f", and {self._lost} could not be kept" if self._lost else ""
        return (f"the audit trail cannot be written: {self.trouble}; {len(self._pending)} records wait in memory{lost}",)

    # What every call asks: from memory, at once

    def role_of(self, uid: int, gid: int, name: str) -> Role:
        """The role in force: set for the user, else by Unix groups, else the default."""
        return self.role_in_force(uid, gid, name).role

    def role_in_force(self, uid: int, gid: int, name: str) -> RoleInForce:
        return self.rules.decide(uid, self._users.get(name), lambda: self._groups_of(name, gid))

    def token(self, secret: str) -> Principal | None:
        """Whoever shows this secret; None when it opens nothing. A token never has more than its user has itself."""
        record = self._tokens.get(tokens.id_in(secret))
        now_s = self.wall_s()
        if record is None or not tokens.opens(record, secret, now_s):
            return None
        if abs(now_s - record.last_used_at_s) >= USED_S:
            self._tokens[record.id] = replace(record, last_used_at_s=now_s)
            self._changed_tokens.add(record.id)
            self._awake.set()
        role = min(record.role, self.role_of(record.uid, record.gid, record.user))
        return Principal(record.uid, record.gid, record.user, role, f"token {record.id}")

    def record(self, principal: Principal | None, method: str, object_: str, allowed: bool, detail: str = "") -> None:
        """Write it in the audit trail, soon. `principal` None: nobody could tell who it was."""
        if len(self._pending) >= MOST_KEPT:
            if not self._lost:
                log.error("the audit trail cannot be written, and no more of it can be kept in memory", kept=len(self._pending))
            self._lost += 1
            return
        self._pending.append(self._made(principal, method, object_, allowed, detail))
        self._awake.set()

    def _made(self, by: Principal | None, method: str, object_: str, allowed: bool, detail: str) -> AuditRecord:
        who = (by.name, by.uid, by.origin, by.peer) if by is not None else ("", -1, "", "")
        return AuditRecord(
            at_s=self.wall_s(),
            user=plain(who[0]),
            uid=who[1],
            origin=plain(who[2]),
            peer=plain(who[3]),
            method=plain(method),
            object=plain(object_),
            allowed=allowed,
            detail=plain(detail),
        )

    def _groups_of(self, name: str, gid: int) -> frozenset[str]:
        known, now_s = self._groups.get((name, gid)), self.wall_s()
        if known is not None and abs(now_s - known[0]) < GROUPS_S:
            return known[1]
        if len(self._groups) >= MOST_GROUPS:
            self._groups.clear()
        groups = self.groups_of(name, gid)
        self._groups[name, gid] = now_s, groups
        return groups

    # Users

    def users(self) -> Sequence[UserRecord]:
        """Those for whom something is set, by name."""
        return [self._users[name] for name in sorted(self._users)]

    def user(self, name: str) -> UserRecord | None:
        return self._users.get(name)

    def limits_set(self) -> Mapping[str, UserLimits]:
        """The limits of those who have some of their own, by name."""
        return {user.name: user.limits for user in self._users.values() if user.limits is not None}

    async def set_user(self, record: UserRecord, by: Principal, detail: str = "") -> None:
        """Remember what is set for a user; an empty record forgets it."""
        if record.uid in self.rules.admins and record.role not in (None, Role.ADMIN):
            raise FailedPrecondition(
                f"{record.name} is an admin always, and cannot become {record.role}", hint="so that nobody locks everybody out", user=record.name
            )
        await self._ask(users=[record], audit=[self._made(by, "Access.SetUser", f"user {record.name}", True, detail)])

    # Tokens

    def tokens(self, *, ended: bool = False) -> Sequence[TokenRecord]:
        """Newest first; `ended`: with those that expired or were revoked."""
        now_s = self.wall_s()
        found = [token for token in self._tokens.values() if ended or token.active(now_s)]
        return sorted(found, key=lambda token: (-token.created_at_s, token.id))

    async def create_token(self, user: str, uid: int, gid: int, role: Role | None, lifetime_s: float, comment: str, by: Principal) -> tuple[TokenRecord, str]:
        """A token, and its secret, which nobody can be told again. `role` None: the user's own. Raises Denied for more than may be given."""
        own = self.role_of(uid, gid, user)
        role = min(own, by.role) if role is None else role
        if role > by.role:
            raise Denied(f"a token with the role {role} cannot be made by one with the role {by.role}", hint=f"ask for at most --role {by.role}", asked=role)
        if role > own:
            hint = f"ask for at most --role {own}, or first `aiosctl admin user set {user} --role {role}`"
            raise FailedPrecondition(f"a token of {user} cannot have the role {role}: {user} has the role {own}", hint=hint, user=user, asked=role, allowed=own)
        now_s = self.wall_s()
        token_id = secrets.token_hex(tokens.ID_BYTES)
        text = tokens.secret_text(token_id, secrets.token_urlsafe(tokens.SECRET_BYTES))
        token = TokenRecord(
            id=token_id,
            secret_hash=tokens.hash_of(text),
            user=user,
            uid=uid,
            gid=gid,
            role=role,
            created_at_s=now_s,
            created_by=by.name,
            expires_at_s=tokens.expiry(lifetime_s, now_s),
            comment=tokens.check_comment(comment),
        )
        await self._ask(tokens=[token], audit=[self._made(by, "Access.CreateToken", f"token {token.id}", True, f"of {user}, role {role}")])
        return token, text

    async def revoke_token(self, token_id: str, by: Principal) -> TokenRecord:
        """It opens nothing from this moment on; raises DiskFull and the like when only memory knows yet. Again: nothing happens."""
        token = self._tokens.get(token_id)
        if token is None:
            raise NotFound(f"there is no token {token_id[:40]!r}", hint="`aiosctl admin token ls --all` lists them", token=token_id[:40])
        if token.revoked_at_s:
            return token
        token = self._tokens[token_id] = replace(token, revoked_at_s=self.wall_s())
        self._changed_tokens.add(token_id)
        await self._ask(audit=[self._made(by, "Access.RevokeToken", f"token {token.id}", True, f"of {token.user}")])
        return token

    # The trail

    async def audit(self, wanted: AuditFilter) -> Sequence[AuditRecord]:
        """What matches, all that was recorded before this question included, where it can be written."""
        with suppress(*TROUBLE):
            await self._ask()
        return await self.store.audit(wanted)

    async def verify(self) -> Verdict:
        """Read the whole trail: is it as it was written, and does it go as far as this daemon knows?"""
        with suppress(*TROUBLE):
            await self._ask()
        return await self.store.verify(self._head)

    # Writing

    @property
    def _unwritten(self) -> bool:
        return bool(self._pending or self._asked or self._changed_tokens)

    async def _ask(self, *, users: Sequence[UserRecord] = (), tokens: Sequence[TokenRecord] = (), audit: Sequence[AuditRecord] = ()) -> None:
        """Returns when these, and all that was recorded before, are durable."""
        if self._stopping:
            raise Unavailable("the daemon is stopping", hint="try again in a moment")
        asked = _Asked(asyncio.get_running_loop().create_future(), users, tokens, audit)
        self._asked.append(asked)
        self._awake.set()
        self._urgent.set()
        await asyncio.shield(asked.done)

    async def _write(self) -> None:
        """One commit: what is asked for, and the records that wait."""
        asked, self._asked = self._asked, []
        try:
            await self._settle_doubt()
            await self._commit(asked)
        except TROUBLE as error:
            self._on_trouble(error, asked)
            return
        if self.trouble is not None:
            log.info("the audit trail is written again", records=self._head.number)
            self.trouble = None
        for each in asked:
            self._apply(each)
            if not each.done.done():
                each.done.set_result(None)
        if self._unwritten:
            self._awake.set()

    def _apply(self, asked: _Asked) -> None:
        """What is durable counts from here on, also when whoever asked for it has gone."""
        for user in asked.users:
            self._users[user.name] = user
            if user.empty:
                del self._users[user.name]
        self._tokens.update((token.id, token) for token in asked.tokens)

    async def _commit(self, asked: Sequence[_Asked]) -> None:
        waiting = len(self._pending) if asked else min(len(self._pending), MOST_A_COMMIT)
        lost, used = self._lost, list(self._changed_tokens)
        records = [*self._pending[:waiting], *(record for each in asked for record in each.audit)]
        if lost and waiting == len(self._pending):
            records.append(self._made(None, "Audit", "", False, f"{lost} records could not be kept while nothing could be written"))
        chained, head = chain(records, self._head)
        saved = {token.id: token for token in (*(self._tokens[i] for i in used), *(t for each in asked for t in each.tokens))}
        self._changed_tokens.clear()
        self._in_doubt = head, waiting
        try:
            await self.store.commit(AccessChanges([u for each in asked for u in each.users], list(saved.values()), chained, head if chained else None))
        except BaseException:
            self._changed_tokens.update(used)
            raise
        self._written(head, waiting)
        if len(records) > waiting + sum(len(each.audit) for each in asked):
            self._lost -= lost

    def _written(self, head: Head, waiting: int) -> None:
        if head.number // HEAD_EVERY > self._head.number // HEAD_EVERY:
            log.info("audit trail", records=head.number, digest=head.digest)
        self._head, self._in_doubt = head, None
        del self._pending[:waiting]

    async def _settle_doubt(self) -> None:
        """A commit that failed may have been made all the same, when a database server went away while it answered."""
        if self._in_doubt is None:
            return
        head, waiting = self._in_doubt
        if await self.store.head() == head and head != self._head:
            self._written(head, waiting)
        self._in_doubt = None

    def _on_trouble(self, error: AiosError, asked: Sequence[_Asked]) -> None:
        if self.trouble is None:
            log.error("the audit trail cannot be written; its records are kept in memory", error=str(error), hint=error.hint)
        self.trouble = error
        for each in asked:
            if not each.done.done():
                each.done.set_exception(error.with_traceback(None))
        self._awake.set()  # try again after a pause

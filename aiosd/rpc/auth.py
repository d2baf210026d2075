"""Who calls, and whether they may: every call goes through one gate, and servicers ask here who it is and whose things it may touch."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, TypeVar

from aiosd.access import permissions
from aiosd.access.principal import Principal
from aiosd.access.rates import Bucket, Rates
from aiosd.errors import AiosError, Denied, Exhausted, Unauthenticated
from aiosd.jobs.job import Job, Owner
from aiosd.rpc.context import Context
from aiosd.rpc.metering import metered
from aiosd.rpc.needs import Trail

T = TypeVar("T")
BYTES_A_CALL = 64 << 10  # a larger request counts as so many calls more
STRANGERS_PER_S, STRANGERS_BURST = 5.0, 50.0  # refusals of strangers that are answered at once, and written into the audit trail
LINGER_S = 1.0  # others are answered so late, so that whoever is refused in a loop turns slowly
MOST_LINGERING = 1000  # calls; beyond that, memory is dearer than time
LONGEST_REST_S = 5.0


class Authenticator(Protocol):
    async def principal(self, context: Context) -> Principal:
        """Whoever makes this call. Raises Unauthenticated when that cannot be told, Denied when they may not call at all."""


class NoTrail:
    """Forgets what happened."""

    def record(self, principal: Principal | None, method: str, object_: str, allowed: bool, detail: str = "") -> None:
        return None


@dataclass(slots=True)
class Call:
    """One call that was let in. `about` is what it concerns, for the audit trail: "job 42"."""

    principal: Principal
    method: str
    trail: Trail
    rates: Rates | None = None  # of one whose calls are counted
    about: str = ""
    detail: str = ""
    denied: bool = False  # all of it, part by part, and recorded so

    def run(self, work: Coroutine[object, object, T]) -> Awaitable[T]:
        return work if self.rates is None else metered(work, self.spend)

    def spend(self, loop_s: float) -> None:
        """It took so much of the loop's time, or will take it where this cannot be measured."""
        if self.rates is not None:
            self.rates.spend(self.principal.uid, loop_s, time.monotonic())

    async def pace(self) -> None:
        """Between two messages of a stream: it rests when its user has taken more of the loop's time than is theirs."""
        owed_s = self.rates.owed_s(self.principal.uid, time.monotonic()) if self.rates is not None else 0.0
        if owed_s:
            await asyncio.sleep(min(owed_s, LONGEST_REST_S))

    def most_jobs(self, of_anybody: int) -> int:
        """How many jobs this call may be about, where anybody's may be about `of_anybody`."""
        return of_anybody if self.rates is None else min(of_anybody, self.rates.allowance.jobs_per_call)

    def refused(self, about: str, error: AiosError) -> None:
        """What was asked, or a part of it, was denied. One whose calls are counted does not fill the trail with it."""
        untold = self.rates.denied(self.principal.uid, time.monotonic()) if self.rates is not None else 0
        if untold >= 0:
            self.trail.record(self.principal, self.method, about, False, f"{error} ({untold} more before it are not recorded)" if untold else str(error))

    def __enter__(self) -> "Call":
        _current.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.rates is not None:
            self.rates.leave(self.principal.uid)
        if isinstance(error, Denied):
            self.refused(self.about, error)
        elif permissions.rule_of(self.method).changes and not self.denied and not (kind is None and self.method in permissions.RECORDED_THERE):
            failed = error.reason if isinstance(error, AiosError) else kind.__name__ if kind is not None else ""
            self.trail.record(self.principal, self.method, self.about, True, f"failed: {failed}" if failed else self.detail)


_current: ContextVar[Call] = ContextVar("call")


@dataclass(slots=True)
class Gate:
    """Lets calls in: identity, then the permission table, then what the caller has left of its allowance."""

    authenticator: Authenticator
    trail: Trail = field(default_factory=NoTrail)
    rates: Rates | None = None
    _strangers: Bucket = field(default_factory=lambda: Bucket(STRANGERS_PER_S, STRANGERS_BURST, time.monotonic()))
    _lingering: int = 0

    async def admit(self, path: str, context: Context, request_bytes: int = 0, about: Callable[[], str] = str) -> Call | None:
        """The call, to be entered by `with`; None for what anybody may ask. Raises Unauthenticated, Denied or Exhausted.

        about  is asked for what a refused call concerned
        """
        method = permissions.name_of(path)
        if method in permissions.FOR_ANYBODY:
            return None
        principal = await self._identified(method, context)
        call = Call(principal, method, self.trail)
        if self.rates is not None and principal.role < permissions.UNLIMITED:
            await self._wait_turn(call, self.rates, request_bytes)
        try:
            permissions.check(principal, method)
        except Denied as error:
            call.refused(about(), error)
            if call.rates is not None:
                call.rates.leave(principal.uid)
            raise
        return call

    async def _identified(self, method: str, context: Context) -> Principal:
        try:
            return await self.authenticator.principal(context)
        except (Unauthenticated, Denied) as error:
            if self._strangers.take(1.0, time.monotonic()):  # what anybody can make happen must not fill the disk, nor keep the loop busy
                self._strangers.give_back(1.0)
                await self._linger()
            else:
                self.trail.record(None, method, "", False, f"{error} (from {context.peer()})")
            raise

    async def _wait_turn(self, call: Call, rates: Rates, request_bytes: int) -> None:
        uid = call.principal.uid
        calls = min(1 + request_bytes / BYTES_A_CALL, rates.allowance.burst)  # whoever has called nothing for a while may send the largest
        entry = rates.enter(uid, calls, time.monotonic())
        if entry.refused:
            await self._linger()
            raise Exhausted(
                f"user {call.principal.name} calls too much: {entry.refused}", hint="call less often, with more in one call", user=call.principal.name
            )
        if entry.wait_s:
            try:
                await asyncio.sleep(entry.wait_s)
            except BaseException:
                rates.leave(uid)
                raise
        call.rates = rates

    async def _linger(self) -> None:
        if self._lingering < MOST_LINGERING:
            self._lingering += 1
            try:
                await asyncio.sleep(LINGER_S)
            finally:
                self._lingering -= 1


async def pace() -> None:
    """Let the stream that is being served rest, when it should."""
    call = _current.get(None)
    if call is not None:
        await call.pace()


def current() -> Call:
    """The call that is being answered."""
    return _current.get()


def caller() -> Principal:
    """Who makes the call that is being answered."""
    return _current.get().principal


def as_owner(principal: Principal) -> Owner:
    return Owner(principal.uid, principal.gid, principal.name)


def check_owner(owner_uid: int, thing: str) -> None:
    """Raises Denied unless the current call may be made on a thing of that user; `thing` names it: "job 42"."""
    call = _current.get()
    call.about = call.about or thing
    permissions.check(call.principal, call.method, owner_uid, thing)


def check_urgency(priority: int, nice: int, most_priority: int, least_nice: int = 0) -> None:
    """Raises Denied when the caller may not put a job before others so far. Everybody may put its own behind."""
    principal = caller()
    if principal.role >= permissions.URGENT or (priority <= most_priority and nice >= least_nice):
        return
    asked, allowed = (f"the priority {priority}", f"at most {most_priority}") if priority > most_priority else (f"nice {nice}", f"at least {least_nice}")
    raise Denied(
        f"{principal.name} may not ask for {asked}: users may for {allowed}",
        hint=f"leave it out, or ask an operator; jobs.max_user_priority is {most_priority}" if priority > most_priority else "leave it out, or ask an operator",
        user=principal.name,
        role=principal.role,
        needed=permissions.URGENT,
    )


def acts_on_all() -> bool:
    """Whether the current call may be made on everybody's things."""
    call = _current.get()
    return call.principal.role >= permissions.needed(call.method, own=False)


def hides() -> Callable[[Job], bool] | None:
    """Whether a job is shown to the caller without what is private; None: all is shown."""
    principal = caller()
    if principal.role >= permissions.SEES_ALL:
        return None
    return lambda job: not permissions.sees(principal, job.owner.uid)

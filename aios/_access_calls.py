"""The calls of the client that concern users, tokens and the audit trail."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from aios._calls import Calls
from aios.errors import InvalidArgument
from aios.units import parse_bytes, parse_count, parse_millis, parse_seconds

if TYPE_CHECKING:
    from aios.access import AuditRecord, AuditVerdict, NewToken, Token, User, UserLimits

BY_GROUPS = "default"
_MOST = 1 << 62


class AccessCalls(Calls):
    """The calls of `aios.Client` that concern users, tokens and the audit trail."""

    def users(self, *, timeout: float | None = None) -> "list[User]":
        """Who has jobs, or something set; takes an operator."""
        from aios import _convert_access
        from aios.v1 import access_pb2 as pb

        answer = self._channel.unary("Access/ListUsers", pb.ListUsersRequest(), pb.ListUsersResponse, timeout)
        return [_convert_access.user(one) for one in answer.users]

    def user(self, name: str = "", *, timeout: float | None = None) -> "User":
        """A user's role, limits and use; "": of whoever calls."""
        from aios import _convert_access
        from aios.v1 import access_pb2 as pb

        return _convert_access.user(self._channel.unary("Access/GetUser", pb.GetUserRequest(name=name), pb.User, timeout))

    def set_user(
        self,
        name: str,
        *,
        role: str | None = None,
        max_queued: int | None = None,
        max_running: int | None = None,
        max_cpus: str | float | None = None,
        max_memory: str | int | None = None,
        max_gpus: str | float | None = None,
        gpu_hours_per_day: float | None = None,
        max_model_bytes: str | int | None = None,
        default_limits: bool = False,
        timeout: float | None = None,
    ) -> "User":
        """Set a user's role and limits; takes an admin. What is not named stays as it is in force; a limit of 0 lifts it.

        role            "viewer", "user", "operator", "admin", or "default": what its Unix groups and the configuration say
        default_limits  the defaults of the configuration again
        """
        from aios import _convert_access
        from aios.v1 import access_pb2 as pb

        changes: dict[str, int | float] = {}
        for field, count, what in (("queued_jobs", max_queued, "max_queued"), ("running_jobs", max_running, "max_running")):
            if count is not None:
                changes[field] = parse_count(count, what=what, most=_MOST)
        for field, amount, what in (("cpu_millis", max_cpus, "max_cpus"), ("gpu_millis", max_gpus, "max_gpus")):
            if amount is not None:
                changes[field] = parse_millis(amount, what=what, zero=True)
        for field, size, what in (("memory_bytes", max_memory, "max_memory"), ("model_bytes", max_model_bytes, "max_model_bytes")):
            if size is not None:
                changes[field] = parse_bytes(size, what=what, zero=True)
        if gpu_hours_per_day is not None:
            changes["gpu_hours_per_day"] = _hours(gpu_hours_per_day)
        if changes and default_limits:
            raise InvalidArgument("limits cannot be set and be the defaults at once", hint="name limits, or default_limits")
        wire_role = "ROLE_UNSPECIFIED" if role == BY_GROUPS else _convert_access.role_number(role) if role is not None else None
        request = pb.SetUserRequest(name=name, role=wire_role, default_limits=default_limits)
        if changes:
            request.limits.CopyFrom(_convert_access.limits(self._changed(name, changes, timeout)))
        return _convert_access.user(self._channel.unary("Access/SetUser", request, pb.User, timeout))

    def _changed(self, name: str, changes: "dict[str, int | float]", timeout: float | None) -> "UserLimits":
        """The wire takes all limits at once: those in force, with the changes."""
        return replace(self.user(name, timeout=timeout).limits, **changes)  # type: ignore[arg-type]  # each was read as its field's type

    def create_token(
        self, user: str, *, role: str | None = None, expires: str | float | None = None, comment: str = "", timeout: float | None = None
    ) -> "NewToken":
        """A bearer token of a user, for callers over the network; takes an admin. Its secret is in the answer, and nowhere else.

        role     at most the user's own and the caller's own; None: as much as that allows
        expires  how long it is good, "30d" or seconds; None: until it is revoked
        """
        from aios import _convert_access
        from aios.access import NewToken
        from aios.v1 import access_pb2 as pb

        lifetime_s = 0.0 if expires is None else parse_seconds(expires, what="expires")
        request = pb.CreateTokenRequest(
            user=user, role="ROLE_UNSPECIFIED" if role is None else _convert_access.role_number(role), lifetime_s=lifetime_s, comment=comment
        )
        answer = self._channel.unary("Access/CreateToken", request, pb.CreateTokenResponse, timeout, repeatable=False)
        return NewToken(_convert_access.token(answer.token), answer.secret)

    def tokens(self, *, include_ended: bool = False, timeout: float | None = None) -> "list[Token]":
        """Newest first; `include_ended`: with those that have expired or were revoked."""
        from aios import _convert_access
        from aios.v1 import access_pb2 as pb

        answer = self._channel.unary("Access/ListTokens", pb.ListTokensRequest(include_ended=include_ended), pb.ListTokensResponse, timeout)
        return [_convert_access.token(one) for one in answer.tokens]

    def revoke_token(self, id: str, *, timeout: float | None = None) -> "Token":
        """It opens nothing from now on."""
        from aios import _convert_access
        from aios.v1 import access_pb2 as pb

        return _convert_access.token(self._channel.unary("Access/RevokeToken", pb.RevokeTokenRequest(id=id), pb.Token, timeout))

    def audit(
        self,
        *,
        after_number: int = 0,
        since_s: float = 0.0,
        until_s: float = 0.0,
        user: str = "",
        method: str = "",
        denied_only: bool = False,
        limit: int = 1000,
        timeout: float | None = None,
    ) -> "Iterator[AuditRecord]":
        """The newest `limit` records that match, oldest of them first; takes an admin. `until_s` 0: now."""
        from aios import _convert_access
        from aios.v1 import access_pb2 as pb

        request = pb.AuditRequest(
            after_number=after_number, since_s=since_s, until_s=until_s, user=user, method=method, denied_only=denied_only, limit=limit
        )  # fmt: skip
        deadline = time.monotonic() + self._channel.allowed(timeout)
        return (_convert_access.audit(one) for one in self._channel.stream("Access/Audit", request, pb.AuditRecord, deadline))

    def verify_audit(self, *, timeout: float | None = None) -> "AuditVerdict":
        """Have the daemon read the whole trail: is it as it was written?"""
        from aios import _convert_access
        from aios.v1 import access_pb2 as pb

        return _convert_access.verdict(self._channel.unary("Access/VerifyAudit", pb.VerifyAuditRequest(), pb.VerifyAuditResponse, timeout))


def _hours(hours: float) -> float:
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not math.isfinite(hours) or hours < 0:
        raise InvalidArgument(f"gpu_hours_per_day {hours!r} is not a number of hours", hint="for example 24; 0 lifts the limit")
    return float(hours)

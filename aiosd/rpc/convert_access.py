"""Access between wire and records: principals, users and their limits, tokens, the audit trail."""

from aios.v1 import access_pb2 as pb
from aiosd.access.audit import AuditFilter, AuditRecord, Verdict
from aiosd.access.limits import NAMES, UserLimits, check_limits
from aiosd.access.principal import Principal, Role
from aiosd.access.tokens import TokenRecord
from aiosd.access.users import UserChange, UserView
from aiosd.errors import InvalidArgument
from aiosd.rpc.fields import amount, printable, seconds, text

NOBODY = 0xFFFFFFFF  # a user number that could not be told


def to_principal(principal: Principal) -> pb.Principal:
    return pb.Principal(user=printable(principal.name), uid=principal.uid, role=_to_role(principal.role), origin=printable(principal.origin))


def to_user(view: UserView) -> pb.User:
    use = view.use
    return pb.User(
        name=printable(view.name),
        uid=view.uid,
        role=_to_role(view.role.role),
        role_from=printable(view.role.source),
        limits=pb.UserLimits(**{name: getattr(view.limits, name) for name in NAMES}),
        limits_set=view.limits_set,
        queued_jobs=use.queued_jobs,
        running_jobs=use.running_jobs,
        cpu_millis=use.cpu_millis,
        memory_bytes=use.memory_bytes,
        gpu_millis=use.gpu_millis,
        gpu_hours_today=use.gpu_hours,
    )


def from_set_user(wire: pb.SetUserRequest) -> UserChange:
    """Raises InvalidArgument for a request that changes nothing, or two ways at once."""
    role = from_role(wire.role) if wire.HasField("role") else None
    by_groups, limits = wire.HasField("role") and role is None, None
    if wire.HasField("limits"):
        limits = check_limits(UserLimits(**{name: getattr(wire.limits, name) for name in NAMES}))
    if limits is not None and wire.default_limits:
        raise InvalidArgument("limits and default_limits exclude each other", hint="give one of them", field="default_limits")
    change = UserChange(role, by_groups, limits, wire.default_limits)
    if change == UserChange():
        raise InvalidArgument("there is nothing to set", hint="give a role, or limits", field="role")
    return change


def from_role(wire: int) -> Role | None:
    """None: it was left open."""
    if wire == pb.ROLE_UNSPECIFIED:
        return None
    try:
        return Role(wire)
    except ValueError:
        allowed = ", ".join(map(str, Role))
        raise InvalidArgument(f"role is {wire}, which this daemon does not know", hint=f"choose one of {allowed}", field="role", allowed=allowed) from None


def _to_role(role: Role) -> str:
    return f"ROLE_{role.name}"


def to_token(token: TokenRecord) -> pb.Token:
    return pb.Token(
        id=token.id,
        user=printable(token.user),
        role=_to_role(token.role),
        created_at_s=token.created_at_s,
        expires_at_s=token.expires_at_s,
        last_used_at_s=token.last_used_at_s,
        revoked_at_s=token.revoked_at_s,
        created_by=printable(token.created_by),
        comment=token.comment,
    )


def from_audit(wire: pb.AuditRequest) -> AuditFilter:
    return AuditFilter(
        after_number=amount(wire.after_number, "", "after_number"),
        since_s=seconds(wire.since_s, "", "since_s"),
        until_s=seconds(wire.until_s, "", "until_s"),
        user=text(wire.user, "", "user"),
        method=text(wire.method, "", "method"),
        denied_only=wire.denied_only,
        limit=amount(wire.limit, "", "limit"),
    )


def to_audit(record: AuditRecord) -> pb.AuditRecord:
    return pb.AuditRecord(
        number=record.number,
        at_s=record.at_s,
        user=record.user,
        uid=record.uid if record.uid >= 0 else NOBODY,
        origin=record.origin,
        peer=record.peer,
        method=record.method,
        object=record.object,
        allowed=record.allowed,
        detail=record.detail,
        digest=record.digest,
    )


def to_verdict(verdict: Verdict) -> pb.VerifyAuditResponse:
    return pb.VerifyAuditResponse(
        records=verdict.records, intact=verdict.intact, first_broken=verdict.first_broken, problem=verdict.problem, last_digest=verdict.last_digest
    )

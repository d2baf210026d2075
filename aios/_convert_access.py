"""From the wire to the records of users, tokens and the audit trail."""

from dataclasses import fields

from aios.access import ROLES, AuditRecord, AuditVerdict, Token, User, UserLimits
from aios.errors import InvalidArgument
from aios.v1 import access_pb2 as pb

_LIMITS = tuple(one.name for one in fields(UserLimits))
_AUDIT = tuple(one.name for one in fields(AuditRecord))


def user(wire: pb.User) -> User:
    return User(
        name=wire.name,
        uid=wire.uid,
        role=role_name(wire.role),
        role_from=wire.role_from,
        limits=UserLimits(**{name: getattr(wire.limits, name) for name in _LIMITS}),
        limits_set=wire.limits_set,
        queued_jobs=wire.queued_jobs,
        running_jobs=wire.running_jobs,
        cpu_millis=wire.cpu_millis,
        memory_bytes=wire.memory_bytes,
        gpu_millis=wire.gpu_millis,
        gpu_hours_today=wire.gpu_hours_today,
    )


def limits(record: UserLimits) -> pb.UserLimits:
    return pb.UserLimits(**{name: getattr(record, name) for name in _LIMITS})


def token(wire: pb.Token) -> Token:
    return Token(
        wire.id, wire.user, role_name(wire.role), wire.created_at_s, wire.expires_at_s, wire.last_used_at_s, wire.revoked_at_s, wire.created_by, wire.comment
    )


def audit(wire: pb.AuditRecord) -> AuditRecord:
    return AuditRecord(**{name: getattr(wire, name) for name in _AUDIT})


def verdict(wire: pb.VerifyAuditResponse) -> AuditVerdict:
    return AuditVerdict(wire.records, wire.intact, wire.first_broken, wire.problem, wire.last_digest)


def role_name(wire: int) -> str:
    """What a newer daemon may know and this SDK does not is "unknown"."""
    return ROLES[wire - 1] if 0 < wire <= len(ROLES) else "unknown"


def role_number(name: str) -> str:
    """The wire's name of a role. Raises InvalidArgument."""
    if name not in ROLES:
        raise InvalidArgument(f"{name!r} is not a role", hint=f"allowed: {', '.join(ROLES)}")
    return f"ROLE_{name.upper()}"

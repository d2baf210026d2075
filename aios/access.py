"""Who may do what, as records: users and their limits, tokens, the audit trail."""

from dataclasses import dataclass, field

ROLES = ("viewer", "user", "operator", "admin")  # each may do what those before it may


@dataclass(frozen=True, slots=True)
class UserLimits:
    """0: no limit."""

    queued_jobs: int = 0
    running_jobs: int = 0
    cpu_millis: int = 0
    memory_bytes: int = 0
    gpu_millis: int = 0
    gpu_hours_per_day: float = 0.0
    model_bytes: int = 0


@dataclass(frozen=True, slots=True)
class User:
    """A user as the daemon knows it: what is in force, and what its jobs hold now."""

    name: str
    uid: int
    role: str
    role_from: str  # "set", "group wheel", "default", "superuser"
    limits: UserLimits
    limits_set: bool  # for this user; else the defaults of the configuration
    queued_jobs: int
    running_jobs: int
    cpu_millis: int
    memory_bytes: int
    gpu_millis: int
    gpu_hours_today: float  # of the last 24 hours


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token without its secret. Times are Unix seconds; 0: never."""

    id: str
    user: str
    role: str
    created_at_s: float
    expires_at_s: float
    last_used_at_s: float  # exact to a minute
    revoked_at_s: float
    created_by: str
    comment: str


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token with its secret, which nobody can be told again."""

    token: Token
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    number: int
    at_s: float
    user: str  # "": nobody could tell
    uid: int
    origin: str
    peer: str
    method: str
    object: str
    allowed: bool
    detail: str
    digest: str  # SHA-256 over this record and the digest before, hex


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """Whether the trail is as it was written; `first_broken` is 0 where no record is named."""

    records: int
    intact: bool
    first_broken: int
    problem: str
    last_digest: str

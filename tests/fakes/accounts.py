"""Accounts that answer what a test puts there, and note what they are asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from aiosd.access.audit import AuditFilter, AuditRecord, Head, Verdict, chain
from aiosd.access.limits import UserLimits, UserUse
from aiosd.access.principal import Principal, Role
from aiosd.access.tokens import TokenRecord
from aiosd.access.users import RoleInForce, UserChange, UserRecord, UserView
from aiosd.errors import NotFound

ADA = UserView(
    "ada",
    1000,
    RoleInForce(Role.OPERATOR, "group wheel"),
    UserLimits(running_jobs=4, gpu_hours_per_day=2.5),
    True,
    UserUse(queued_jobs=3, running_jobs=2, cpu_millis=1500, memory_bytes=1 << 30, gpu_millis=500, gpu_hours=1.25),
)
TOKEN = TokenRecord(
    id="00aa11bb22", secret_hash="f" * 64, user="ada", uid=1000, gid=1000, role=Role.USER, created_at_s=10.0, created_by="root", expires_at_s=20.5, comment="ci"
)
TRAIL, HEAD = chain(
    [
        AuditRecord(at_s=5.0, user="ada", uid=1000, origin="socket", peer="pid 9", method="Jobs.Cancel", object="job 4", allowed=True),
        AuditRecord(at_s=6.0, user="", uid=-1, method="Jobs.Submit", allowed=False, detail="no pass"),
    ],
    Head(),
)


@dataclass
class FakeAccounts:
    """Offers AccountCalls; `asked` is everything that was, with who asked."""

    asked: list[object] = field(default_factory=list)

    async def users(self) -> Sequence[UserView]:
        return [ADA]

    async def user(self, name: str) -> UserView:
        if name == "nobody-here":
            raise NotFound(f"there is no user {name!r}", hint="`aiosctl admin user ls` lists them", user=name)
        return replace(ADA, name=name)

    async def set_user(self, name: str, change: UserChange, by: Principal) -> UserView:
        self.asked.append((name, change, by.name))
        record = change.applied_to(UserRecord(name, 1000))
        role = RoleInForce(record.role, "set") if record.role is not None else ADA.role
        return replace(ADA, name=name, role=role, limits=record.limits or UserLimits(), limits_set=record.limits is not None)

    async def create_token(self, user: str, role: Role | None, lifetime_s: float, comment: str, by: Principal) -> tuple[TokenRecord, str]:
        self.asked.append((user, role, lifetime_s, comment, by.name))
        return replace(TOKEN, user=user, role=role or Role.USER, comment=comment), "aios_00aa11bb22_secret"

    def tokens(self, *, ended: bool = False) -> Sequence[TokenRecord]:
        return [TOKEN, replace(TOKEN, id="ffffffffff", revoked_at_s=12.0)] if ended else [TOKEN]

    async def revoke_token(self, token_id: str, by: Principal) -> TokenRecord:
        self.asked.append((token_id, by.name))
        return replace(TOKEN, id=token_id, revoked_at_s=12.0)

    async def audit(self, wanted: AuditFilter) -> Sequence[AuditRecord]:
        self.asked.append(wanted)
        return [record for record in TRAIL if not (wanted.denied_only and record.allowed) and record.number > wanted.after_number]

    async def verify_audit(self) -> Verdict:
        return Verdict(2, True, last_digest=HEAD.digest)

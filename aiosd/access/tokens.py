"""Bearer tokens: a record that is kept, and a secret that is shown once and known only by its hash."""

import hashlib
import hmac
import re
from dataclasses import dataclass

from aiosd.access.principal import Role
from aiosd.errors import InvalidArgument

PREFIX = "aios_"
ID_BYTES = 5
SECRET_BYTES = 32  # 256 bits: nobody guesses one, so a plain hash keeps it as well as a slow one
MOST_COMMENT = 200
LONGEST_S = 10 * 365 * 86400.0
_FORM = re.compile(r"aios_([0-9a-f]{10})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """Whoever shows the secret is `user`, with at most `role`. Times are wall clock seconds; 0: never."""

    id: str  # public: names it in lists and in the audit trail
    secret_hash: str  # SHA-256 of the whole text, hex
    user: str
    uid: int
    gid: int
    role: Role
    created_at_s: float
    created_by: str
    expires_at_s: float = 0.0
    revoked_at_s: float = 0.0
    last_used_at_s: float = 0.0
    comment: str = ""

    def active(self, now_s: float) -> bool:
        """Whether it still opens the door."""
        return not self.revoked_at_s and (not self.expires_at_s or now_s < self.expires_at_s)


def secret_text(token_id: str, secret: str) -> str:
    """The whole text that a caller shows: recognisable, so that scanners of repositories find one that leaked."""
    return f"{PREFIX}{token_id}_{secret}"


def id_in(text: str) -> str:
    """The public id within a secret's text; "" where the text is none. Costs little, whatever is sent."""
    found = _FORM.fullmatch(text) if len(text) < 100 else None
    return found.group(1) if found else ""


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def opens(token: TokenRecord, text: str, now_s: float) -> bool:
    """Whether `text` is the secret of this token, and the token still counts; compared in constant time."""
    return hmac.compare_digest(token.secret_hash, hash_of(text)) and token.active(now_s)


def expiry(lifetime_s: float, now_s: float) -> float:
    """When a token of that lifetime ends; 0 for one that never does. Raises InvalidArgument for what is no lifetime."""
    if lifetime_s == 0:
        return 0.0
    if not 0 < lifetime_s <= LONGEST_S:  # false for NaN too
        given = "is in the past" if lifetime_s < 0 else f"is not a time from now of at most {LONGEST_S / 86400:.0f} days"
        raise InvalidArgument(f"a lifetime of {lifetime_s:g} seconds {given}", hint="for example --expires 30d; 0 means never", field="lifetime_s")
    return now_s + lifetime_s


def check_comment(comment: str) -> str:
    if len(comment) > MOST_COMMENT or (comment and not comment.isprintable()):
        raise InvalidArgument(
            f"the comment {comment[:40]!r} is not printable, or longer than {MOST_COMMENT} characters", hint="say in a few words what the token is for"
        )
    return comment

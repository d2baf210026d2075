"""Passes, which the credential socket hands out: who somebody is, signed by this daemon and good for a few minutes."""

import hmac
from dataclasses import dataclass

from aiosd.errors import Unauthenticated

PREFIX = "aiosp1."
KEY_BYTES = 32
MOST_KNOWN = 4096
HINT = "a pass is had from the credential socket and lasts minutes: the SDK fetches one by itself, others by `aiosctl whoami --pass`"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom the kernel saw at the credential socket."""

    uid: int
    gid: int
    pid: int


class Passes:
    """Made and read by one daemon with one key: after its restart the old ones are worth nothing. `now_s` never jumps."""

    def __init__(self, key: bytes, lifetime_s: float) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes is too short to sign with: {KEY_BYTES} are needed")
        self._key = key
        self._known: dict[str, tuple[Bearer, int]] = {}  # those that were read lately, and are good: a signature costs 20 times as much
        self.lifetime_s = lifetime_s

    def make(self, bearer: Bearer, now_s: float) -> str:
        claims = f"{PREFIX}{bearer.uid}.{bearer.gid}.{bearer.pid}.{round((now_s + self.lifetime_s) * 1000)}"
        return f"{claims}.{self._signature(claims)}"

    def read(self, text: str, now_s: float) -> Bearer:
        """Whom the pass names. Raises Unauthenticated for one that is forged, another daemon's, or too old."""
        bearer, until_ms = self._known.get(text) or self._verified(text)
        if now_s * 1000 >= until_ms:
            self._known.pop(text, None)
            raise Unauthenticated("the pass has expired", hint=HINT)
        return bearer

    def _verified(self, text: str) -> tuple[Bearer, int]:
        claims, _, signature = text.rpartition(".")
        if not hmac.compare_digest(self._signature(claims).encode(), signature.encode("utf-8", "surrogateescape")):
            raise Unauthenticated("the pass was not made by this daemon as it runs now", hint=HINT)
        uid, gid, pid, until_ms = map(int, claims.removeprefix(PREFIX).split("."))  # ours, so it has this form
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[text] = known = (Bearer(uid, gid, pid), until_ms)
        return known

    def _signature(self, claims: str) -> str:
        return hmac.digest(self._key, claims.encode("utf-8", "surrogateescape"), "sha256").hex()

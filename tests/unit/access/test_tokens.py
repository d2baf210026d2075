"""Tokens: what a secret looks like, what it opens and for how long."""

import math

import pytest

from aiosd.access.principal import Role
from aiosd.access.tokens import LONGEST_S, TokenRecord, check_comment, expiry, hash_of, id_in, opens, secret_text
from aiosd.errors import InvalidArgument

TEXT = secret_text("00aa11bb22", "A" * 43)
TOKEN = TokenRecord(id="00aa11bb22", secret_hash=hash_of(TEXT), user="alice", uid=1, gid=1, role=Role.USER, created_at_s=10.0, created_by="root")


def test_the_id_is_found_in_a_secret_and_nowhere_else() -> None:
    assert TEXT.startswith("aios_00aa11bb22_")
    assert id_in(TEXT) == "00aa11bb22"
    for wrong in ("", "aios_", "aios_00aa11bb22", TEXT + "A", TEXT[:-1], TEXT.upper(), " " + TEXT, TEXT + "\n", "x" * 100_000, "aios_00aa11bb22_" + "é" * 43):
        assert id_in(wrong) == ""


def test_only_the_secret_opens_and_only_while_the_token_counts() -> None:
    assert opens(TOKEN, TEXT, 20.0)
    assert not opens(TOKEN, TEXT[:-1] + "B", 20.0)
    assert not opens(TOKEN, "\udc80", 20.0)


@pytest.mark.parametrize(("expires", "revoked", "now", "active"), [(0, 0, 1e12, True), (30, 0, 29.9, True), (30, 0, 30, False), (0, 5, 20, False)])
def test_it_ends_by_expiry_and_by_revocation(expires: float, revoked: float, now: float, active: bool) -> None:
    token = TokenRecord(
        id="a", secret_hash=hash_of(TEXT), user="a", uid=1, gid=1, role=Role.USER, created_at_s=1, created_by="", expires_at_s=expires, revoked_at_s=revoked
    )
    assert token.active(now) is active
    assert opens(token, TEXT, now) is active


def test_a_lifetime_becomes_an_expiry() -> None:
    assert expiry(0, 100.0) == 0.0
    assert expiry(60, 100.0) == 160.0


@pytest.mark.parametrize(("lifetime_s", "said"), [(-5, "in the past"), (math.inf, "not a time"), (math.nan, "not a time"), (LONGEST_S + 1, "not a time")])
def test_what_is_no_lifetime_is_refused(lifetime_s: float, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said) as caught:
        expiry(lifetime_s, 100.0)
    assert "30d" in caught.value.hint


def test_a_comment_is_one_short_line() -> None:
    assert check_comment("für die Nacht") == "für die Nacht"
    for wrong in ("x" * 201, "a\nb", "\x1b[31m"):
        with pytest.raises(InvalidArgument):
            check_comment(wrong)

"""`admin user`, `admin token`, `admin audit`: what they print and what they ask."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from aios import errors
from aios.access import AuditVerdict
from aiosctl import audit as module
from aiosctl import tokens
from tests.unit.aiosctl.fake_client import NOW_S, TRAIL, USER


def test_users_are_listed_with_what_they_use_of_what_they_may(cli) -> None:  # type: ignore[no-untyped-def]
    lines = cli("admin", "user", "ls").out.splitlines()
    assert lines[0].split() == ["NAME", "ROLE", "QUEUED", "RUNNING", "CPUS", "MEMORY", "GPUS", "GPU", "HOURS"]
    assert re.split(r"\s{2,}", lines[1].strip()) == ["ada", "operator", "3", "2/4", "1.5", "1 GiB", "0.5", "1.2/24"]
    assert "group wheel" in cli("admin", "user", "ls", "-o", "wide").out
    assert cli("admin", "user", "ls", "-q").out == "ada\n"
    assert json.loads(cli("admin", "user", "ls", "-o", "json").out)[0]["limits"]["running_jobs"] == 4


def test_a_user_is_shown_with_the_reason_for_its_role(cli, fake) -> None:  # type: ignore[no-untyped-def]
    out = cli("admin", "user", "show").out
    assert "operator (group wheel)" in out and "2/4" in out
    assert fake.called("user") == [(("",), {})]
    assert cli("admin", "user", "show", "ada", "-o", "yaml").out.startswith("name: ada\n")


def test_set_asks_for_what_was_named_and_nothing_else(cli, fake) -> None:  # type: ignore[no-untyped-def]
    words = "--max-running 4 --max-cpus 16 --max-memory 64G --max-gpus 0.5 --gpu-hours-per-day 24 --max-queued 0 --max-model-bytes 1G --role admin"
    assert cli("admin", "user", "set", "ada", *words.split()).status == 0
    assert fake.called("set_user") == [
        (("ada",), {"role": "admin", "default_limits": False, "max_running": 4, "max_cpus": "16", "max_memory": 64 << 30, "max_gpus": "0.5",
                    "gpu_hours_per_day": 24.0, "max_queued": 0, "max_model_bytes": 1 << 30})
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to set was named"),
        (["--default-limits", "--max-running", "4"], "exclude each other"),
        (["--role", "king"], "'king'"),
        (["--gpu-hours-per-day", "nan"], "nan hours"),
        (["--max-memory", "lots"], "lots"),
        (["--max-running", "-1"], "not between"),
    ],
)
def test_what_cannot_be_set_is_wrong_usage(cli, fake, words: list[str], said: str) -> None:  # type: ignore[no-untyped-def]
    result = cli("admin", "user", "set", "ada", *words)
    assert result.status == 2 and said in result.err
    assert not fake.called("set_user")


def test_an_unknown_user_is_not_found(cli, fake) -> None:  # type: ignore[no-untyped-def]
    fake.errors["user"] = errors.NotFound("there is no user 'x'", hint="`aiosctl admin user ls` lists them")
    result = cli("admin", "user", "show", "x")
    assert (result.status, result.err) == (3, "error: there is no user 'x'\nhint: `aiosctl admin user ls` lists them\n")


def test_a_secret_is_shown_once_and_alone_with_q(cli, fake) -> None:  # type: ignore[no-untyped-def]
    out = cli("admin", "token", "create", "--user", "ada", "--role", "user", "--expires", "30d", "--comment", "ci").out
    assert "aios_00aa11bb22_secret" in out and "not shown again" in out
    assert fake.called("create_token") == [(("ada",), {"role": "user", "expires": 30 * 86400.0, "comment": "ci"})]
    assert cli("admin", "token", "create", "--user", "ada", "-q").out == "aios_00aa11bb22_secret\n"
    assert json.loads(cli("admin", "token", "create", "--user", "ada", "-o", "json").out)["secret"] == "aios_00aa11bb22_secret"


@pytest.mark.parametrize(("text", "status"), [("never", 0), ("90s", 0), ("2020-01-01T00:00", 2), ("-5", 2), ("soon", 2), ("0", 2)])
def test_an_expiry_is_a_time_from_now_or_to_come(cli, fake, text: str, status: int) -> None:  # type: ignore[no-untyped-def]
    result = cli("admin", "token", "create", "--user", "ada", f"--expires={text}")
    assert result.status == status, result.err
    assert bool(fake.called("create_token")) == (status == 0)
    if text == "never":
        assert fake.called("create_token")[0][1]["expires"] is None
    if text.startswith("2020"):
        assert "in the past" in result.err


def test_tokens_are_listed_and_revoked(cli, fake, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    out = cli("admin", "token", "ls", "--all").out
    assert "00aa11bb22" in out and "active" in out and "never" in out
    assert fake.called("tokens") == [((), {"include_ended": True})]
    assert cli("admin", "token", "revoke", "00aa11bb22", "x", "-q").out == "00aa11bb22\n00aa11bb22\n"
    assert [args for args, _ in fake.called("revoke_token")] == [("00aa11bb22",), ("x",)]


def test_a_token_says_whether_it_still_counts() -> None:
    from tests.unit.aiosctl.fake_client import TOKEN

    assert tokens._state(TOKEN) == "active"
    assert tokens._state(replace(TOKEN, revoked_at_s=1.0)) == "revoked"
    assert tokens._state(replace(TOKEN, expires_at_s=NOW_S - 1)) == "expired"


def test_the_trail_is_printed_newest_last_and_escaped(cli, fake) -> None:  # type: ignore[no-untyped-def]
    out = cli("admin", "audit", "--user", "ada", "--denied", "--method", "Jobs.Submit", "-n", "5").out
    assert fake.called("audit")[0][1] == {"since_s": 0.0, "user": "ada", "method": "Jobs.Submit", "denied_only": True, "limit": 5}
    first, second = out.splitlines()[1:]
    assert first.split()[0] == "7" and "allowed" in first
    assert second.split()[0] == "8" and "denied" in second and "\\x1b" in second and "\x1b" not in second


def test_since_is_so_long_ago_or_a_moment(cli, fake, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module.time, "time", lambda: NOW_S)
    cli("admin", "audit", "--since", "2h", "-q")
    assert fake.called("audit")[0][1]["since_s"] == NOW_S - 7200
    fake.asked.clear()
    cli("admin", "audit", "--since", "2023-11-14T00:00+00:00", "-q")
    assert fake.called("audit")[0][1]["since_s"] == 1_699_920_000.0


def test_follow_goes_on_where_it_was(cli, fake, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "FOLLOW_S", 0.0)
    more: Any = replace(TRAIL[0], number=9)
    fake.trails = (TRAIL, (), (more,))
    result = cli("admin", "audit", "-f", "-q")
    assert (result.status, result.out) == (130, "7\n8\n9\n")
    assert [asked.get("after_number") for _, asked in fake.called("audit")] == [None, 8, 8, 9]


def test_follow_of_nothing_begins_at_the_end(cli, fake, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "FOLLOW_S", 0.0)
    fake.trails = ((), TRAIL[1:], ())
    assert cli("admin", "audit", "-f", "--user", "nobody").status == 130
    assert [asked.get("after_number") for _, asked in fake.called("audit")] == [None, None, 8, 8]


def test_verify_says_so_by_its_status(cli, fake) -> None:  # type: ignore[no-untyped-def]
    result = cli("admin", "audit", "--verify")
    assert result.status == 0 and "intact" in result.out and "cd" * 32 in result.out
    fake.verdict = AuditVerdict(1, False, 2, "record 2 is not what was written", "ab" * 32)
    result = cli("admin", "audit", "--verify")
    assert result.status == 1 and "BROKEN" in result.out and "record 2 is not what was written" in result.out
    assert json.loads(cli("admin", "audit", "--verify", "-o", "json").out)["first_broken"] == 2
    assert cli("admin", "audit", "--verify", "--user", "ada").status == 2


def test_a_user_without_limits_shows_none(cli, fake, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from aios.access import UserLimits

    plain = replace(USER, limits=UserLimits(), limits_set=False)
    monkeypatch.setattr(fake, "user", lambda name="": plain)
    assert "/" not in cli("admin", "user", "show").out

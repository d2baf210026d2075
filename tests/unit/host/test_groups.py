"""Whom the names of users and groups mean."""

import grp
import pwd
from types import SimpleNamespace

import pytest

from aiosd.errors import NotFound
from aiosd.host.groups import members_of


@pytest.fixture(autouse=True)
def a_machine_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    users = [SimpleNamespace(pw_name=name, pw_gid=gid) for name, gid in (("alice", 50), ("bob", 60), ("carol", 60))]
    groups = {"vision": SimpleNamespace(gr_mem=["alice", "dora"], gr_gid=60)}
    monkeypatch.setattr(pwd, "getpwall", lambda: users)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {user.pw_name: user for user in users}[name])
    monkeypatch.setattr(grp, "getgrnam", lambda name: groups[name])


def test_a_group_is_who_is_listed_in_it_and_whose_own_group_it_is() -> None:
    assert members_of(["@vision"]) == {"alice", "dora", "bob", "carol"}
    assert members_of(["alice"]) == {"alice"} and members_of(["alice", "@vision"]) == members_of(["@vision"])


@pytest.mark.parametrize(("name", "message"), [("alcie", "no user 'alcie'"), ("@visoin", "no group 'visoin'"), ("", "no user ''"), ("@", "no group ''")])
def test_an_unknown_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(NotFound, match=message):
        members_of(["alice", name])

"""The machine's users: found with their groups, remembered for a minute, and nobody invented."""

import grp
import os
import pwd

import pytest

from aiosd.host import people
from aiosd.host.people import REMEMBERED_S, People


def test_whoever_runs_this_is_found_by_number_and_by_name() -> None:
    uid = os.getuid()
    found = People().person(uid, os.getgid())
    assert found.uid == uid
    if found.known:
        entry = pwd.getpwuid(uid)
        assert (found.name, found.gid) == (entry.pw_name, entry.pw_gid)
        assert People().named(entry.pw_name) == found
        assert found.groups >= {_name_of_group(entry.pw_gid)}
        assert People().groups_of(entry.pw_name, entry.pw_gid) == found.groups


def test_a_number_without_an_entry_is_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", missing)
    monkeypatch.setattr(pwd, "getpwnam", missing)
    monkeypatch.setattr(grp, "getgrgid", missing)
    found = People().person(54321, 54322)
    assert (found.name, found.gid, found.groups, found.known) == ("54321", 54322, frozenset({"54322"}), False)
    assert People().named("nobody-at-all") is None
    assert People().groups_of("nobody-at-all", 54322) == {"54322"}


def test_the_database_is_asked_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(people.pwd, "getpwuid", lambda uid: asked.append(uid) or pwd.struct_passwd(("ada", "x", 1000, 1000, "", "/", "/bin/sh")))
    monkeypatch.setattr(people.os, "getgrouplist", lambda name, gid: [gid])
    now_s = [0.0]
    found = People(lambda: now_s[0])
    assert found.remembered(1000) is None
    assert found.person(1000, 1) == found.person(1000, 1)
    assert found.groups_of("ada", 1) == found.person(1000, 1).groups
    assert asked == [1000]
    assert found.remembered(1000) is not None
    now_s[0] = REMEMBERED_S
    assert found.remembered(1000) is None
    found.person(1000, 1)
    assert asked == [1000, 1000]


def test_who_is_not_there_is_told_with_those_spelt_alike() -> None:
    root, group = pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name
    found = People()
    assert (found.strange(root), found.strange(f"@{group}")) == (None, None)
    assert root in (found.strange(f"{root}x") or ())
    assert f"@{group}" in (found.strange(f"@{group}x") or ())
    for nobody in ("no such user here", "@no such group here", "", "@", "a\0b", "0", "9" * 40):
        assert found.strange(nobody) == []


def test_a_number_that_has_no_name_is_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise KeyError

    for look in ("pwd.getpwuid", "grp.getgrgid"):
        monkeypatch.setattr(f"aiosd.host.people.{look}", missing)
    assert (People().strange("54321"), People().strange("@54321")) == (None, None)


def _name_of_group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)

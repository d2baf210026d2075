"""Whose groups a job has, looked up once a minute; users without an entry have what they came with."""

import os
import pwd

from aiosd.host.identities import KEPT_S, PATH, Identities, Identity, look_up
from aiosd.jobs.job import Owner


def test_a_uid_without_an_entry_has_the_group_it_came_with_and_no_other() -> None:
    found = look_up(Owner(61001, 61007, "ada"))
    assert found == Identity(61001, 61007, (61007,), "ada", "/", "/bin/sh")
    assert found.variables == {"HOME": "/", "USER": "ada", "LOGNAME": "ada", "SHELL": "/bin/sh", "PATH": PATH}


def test_a_user_has_all_of_its_groups_and_no_group_that_it_is_not_in() -> None:
    entry = pwd.getpwuid(0)
    found = look_up(Owner(0, 61007, "somebody"))
    assert found.gid == entry.pw_gid
    assert set(found.groups) == set(os.getgrouplist(entry.pw_name, entry.pw_gid))
    assert (found.name, found.home, found.shell) == (entry.pw_name, entry.pw_dir, entry.pw_shell)
    assert "/sbin" in found.variables["PATH"].split(":")


def test_one_look_serves_for_a_minute() -> None:
    looks, now_s = [], [100.0]

    def look(owner: Owner) -> Identity:
        looks.append(owner.uid)
        return Identity(owner.uid, owner.gid, (owner.gid,), owner.name)

    ada, found = Owner(61001, 61001, "ada"), None
    identities = Identities(look, lambda: now_s[0])
    assert (identities.known(ada), identities.last(ada)) == (None, None)
    for later_s in (100.0, 101.0, 99.0 + KEPT_S):
        now_s[0] = later_s
        found = identities.of(ada)
        assert identities.known(ada) == found
    assert looks == [61001]
    now_s[0] = 100.0 + KEPT_S
    assert (identities.known(ada), identities.last(ada)) == (None, found)
    identities.of(ada)
    assert looks == [61001, 61001]

"""Where the daemon lives, and which directories it trusts."""

import os
from pathlib import Path

import pytest

from aiosd.errors import StorageUnwritable
from aiosd.host.paths import Places, prepare_directory, share_directory, user_places


def test_the_variables_of_xdg_decide() -> None:
    environment = {"XDG_RUNTIME_DIR": "/run/user/7/", "XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"}
    assert user_places(environment, 7, "/home/ann") == Places("/s/aios", "/run/user/7/aios", Path("/c/aios/aiosd.toml"))


@pytest.mark.parametrize("environment", [{}, {"XDG_RUNTIME_DIR": "", "XDG_STATE_HOME": "here"}])
def test_without_them_or_when_they_are_not_absolute_there_are_customs(environment: dict[str, str]) -> None:
    expected = Places("/home/ann/.local/state/aios", "/tmp/aios-7", Path("/home/ann/.config/aios/aiosd.toml"))
    assert user_places(environment, 7, "/home/ann") == expected


def test_a_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    prepare_directory(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    prepare_directory(str(tmp_path / "a" / "b"))


def test_one_that_others_pass_through_is_so_whatever_the_umask_and_stays_as_its_owner_made_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        prepare_directory(str(tmp_path / "run"), 0o755)
    finally:
        os.umask(before)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755
    (tmp_path / "run").chmod(0o750)
    prepare_directory(str(tmp_path / "run"), 0o755)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o750


def test_others_lose_the_right_to_write(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    prepare_directory(str(tmp_path / "open"))
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o700


def test_users_pass_through_the_parents_that_are_made_for_them(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        prepare_directory(str(tmp_path / "a" / "b" / "state"), passable=True)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/state")] == [0o711, 0o711, 0o700]


def test_a_file_or_a_link_in_a_public_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnwritable, match="cannot be made"):
        prepare_directory(str(tmp_path / "file"))
    tmp_path.chmod(0o1777)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StorageUnwritable, match="is not a directory"):
        prepare_directory(str(tmp_path / "link"))


@pytest.mark.root
def test_somebody_else_s_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    with pytest.raises(StorageUnwritable, match="belongs to user 12345"):
        prepare_directory(str(tmp_path / "theirs"))


def test_a_shared_directory_can_be_passed_and_not_listed_and_its_files_are_ours(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    place.mkdir(mode=0o755)
    for file in (place / "aiosd.db", elsewhere):
        file.touch()
        file.chmod(0o644)
    (place / "link").symlink_to(elsewhere)
    share_directory(str(place))
    assert [path.stat().st_mode & 0o777 for path in (place, place / "aiosd.db", elsewhere)] == [0o711, 0o600, 0o644]


def test_a_directory_that_cannot_be_shared_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageUnwritable, match="nowhere"):
        share_directory(str(tmp_path / "nowhere"))

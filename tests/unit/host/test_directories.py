"""A directory is kept for the next run only as it was made; trees are removed without following links."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from aiosd.host import directories


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    directories.drop_spares()
    os.umask(old)


def test_an_empty_directory_becomes_the_next_one(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    directories.make(str(first), "scratch")
    inode = first.stat().st_ino
    assert directories.keep(str(first), "scratch", str(tmp_path / "kept"))
    assert os.listdir(tmp_path) == ["kept"]
    directories.make(str(second), "scratch")
    assert (os.listdir(tmp_path), second.stat().st_ino) == (["2"], inode)


def test_one_purpose_does_not_get_the_spare_of_another(tmp_path: Path) -> None:
    directories.make(str(tmp_path / "1"))
    assert directories.keep(str(tmp_path / "1"), "scratch", str(tmp_path / "kept"))
    directories.make(str(tmp_path / "2"), "checkpoint")
    assert sorted(os.listdir(tmp_path)) == ["2", "kept"]


def _chmod(path: Path) -> None:
    path.chmod(0o777)


def _fill(path: Path) -> None:
    (path / ".hidden").touch()


def _link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.rmdir()
    path.symlink_to("elsewhere")


def _file(path: Path) -> None:
    path.rmdir()
    path.touch()


@pytest.mark.parametrize("change", [_chmod, _fill, _link, _file, Path.rmdir])
def test_what_a_job_has_changed_is_not_kept(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "1"
    directories.make(str(path))
    change(path)
    before = sorted(os.listdir(tmp_path))
    assert not directories.keep(str(path), "scratch", str(tmp_path / "kept"))
    assert sorted(os.listdir(tmp_path)) == before


def test_a_path_that_holds_something_keeps_it_and_the_spare_is_gone(tmp_path: Path) -> None:
    directories.make(str(tmp_path / "1"))
    assert directories.keep(str(tmp_path / "1"), "checkpoint", str(tmp_path / "kept"))
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "model").touch()
    directories.make(str(tmp_path / "2"), "checkpoint")
    assert (os.listdir(tmp_path), os.listdir(tmp_path / "2")) == (["2"], ["model"])


def test_a_spare_that_somebody_has_removed_is_made_anew(tmp_path: Path) -> None:
    directories.make(str(tmp_path / "1"))
    assert directories.keep(str(tmp_path / "1"), "scratch", str(tmp_path / "1"))
    (tmp_path / "1").rmdir()
    directories.make(str(tmp_path / "deep" / "2"), "scratch")
    assert (tmp_path / "deep" / "2").is_dir()


def test_spares_are_dropped_but_never_what_is_in_them(tmp_path: Path) -> None:
    for name in ("1", "2"):
        directories.make(str(tmp_path / name))
        assert directories.keep(str(tmp_path / name), name, str(tmp_path / name))
    (tmp_path / "2" / "late").touch()
    directories.drop_spares()
    assert os.listdir(tmp_path) == ["2"]


@pytest.mark.parametrize("target", ["kept", "kept/file"])
def test_a_link_in_place_of_a_directory_is_removed_and_not_what_it_points_to(tmp_path: Path, target: str) -> None:
    (tmp_path / "kept").mkdir(mode=0o755)
    (tmp_path / "kept" / "file").touch(mode=0o644)
    (tmp_path / "1").symlink_to(target)
    directories.remove_tree(str(tmp_path / "1"))
    assert (os.listdir(tmp_path), os.listdir(tmp_path / "kept")) == (["kept"], ["file"])
    assert ((tmp_path / "kept").stat().st_mode & 0o777, (tmp_path / "kept" / "file").stat().st_mode & 0o777) == (0o755, 0o644)


def test_a_tree_is_removed_whatever_its_modes_and_links(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    closed = tmp_path / "1" / "a" / "b"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    (tmp_path / "1" / "link").symlink_to(kept)
    closed.chmod(0)
    directories.remove_tree(str(tmp_path / "1"))
    directories.remove_tree(str(tmp_path / "never there"))
    assert (os.listdir(tmp_path), os.listdir(kept)) == (["kept"], ["file"])


def test_a_tree_that_is_swapped_for_links_while_it_is_removed_takes_nothing_else_with_it(tmp_path: Path) -> None:
    """A hostile user who is as quick as we are: directories become links to what must stay, and links become directories.

    Their patience ends, so that the machine on which they are the quicker one ends the test too.
    """
    kept, top = tmp_path / "kept", tmp_path / "top"
    kept.mkdir(mode=0o755)
    (kept / "file").touch()
    over = threading.Event()

    def swap() -> None:
        for number in range(10_000):
            if over.is_set():
                break
            with suppress(OSError):
                (top / f"d{number % 20}").mkdir(parents=True)
                (top / f"d{number % 20}" / "inner").mkdir()
                os.rename(top / f"d{number % 20}", top / f"moved{number % 7}")
            with suppress(OSError):
                os.rename(top / f"moved{number % 7}" / "inner", top / f"elsewhere{number}")
                (top / f"moved{number % 7}" / "inner").symlink_to(kept)

    hostile = threading.Thread(target=swap)
    hostile.start()
    for _ in range(30):
        directories.remove_tree(str(top))
    over.set()
    hostile.join()
    directories.remove_tree(str(top))
    assert (top.exists(), os.listdir(kept), kept.stat().st_mode & 0o777) == (False, ["file"], 0o755)


def test_what_is_made_for_a_user_lies_in_what_all_can_pass_and_none_can_list(tmp_path: Path) -> None:
    directories.make_owned(str(tmp_path / "logs" / "0" / "7"), os.geteuid(), os.getegid())
    directories.make_owned(str(tmp_path / "logs" / "0" / "7"), os.geteuid(), os.getegid())
    assert [(tmp_path / part).stat().st_mode & 0o777 for part in ("logs", "logs/0", "logs/0/7")] == [0o711, 0o711, 0o700]


@pytest.mark.root
def test_what_another_user_has_left_under_a_name_is_given_to_nobody(tmp_path: Path) -> None:
    """As a checkpoint of a job whose number is given out again, after an older backup was restored."""
    left = tmp_path / "checkpoints" / "7"
    directories.make_owned(str(left), 61001, 61001)
    (left / "model").write_text("precious")
    for uid in (61002, os.geteuid()):
        with pytest.raises(PermissionError, match="belongs to user 61001"):
            directories.make_owned(str(left), uid, uid)
    left.chmod(0o700)
    os.chown(left, os.geteuid(), os.getegid())
    with pytest.raises(PermissionError, match="belongs to user"):
        directories.make_owned(str(left), 61002, 61002)
    (left / "model").unlink()
    directories.make_owned(str(left), 61002, 61002)  # a shim that died between making and giving
    assert left.stat().st_uid == 61002


def test_a_spare_goes_to_its_owner_again_and_to_nobody_else(tmp_path: Path) -> None:
    own, other = (os.geteuid(), os.getegid()), (os.geteuid() + 1, os.getegid())
    directories.make_owned(str(tmp_path / "1"), *own, "scratch")
    first = (tmp_path / "1").stat().st_ino
    assert directories.keep(str(tmp_path / "1"), "scratch", str(tmp_path / "kept"), own)
    directories.make_owned(str(tmp_path / "2"), *own, "scratch")
    assert ((tmp_path / "2").stat().st_ino, (tmp_path / "2").stat().st_mode & 0o7777) == (first, 0o700)
    assert not directories.keep(str(tmp_path / "2"), "scratch", str(tmp_path / "kept"), other)
    assert not directories.keep(str(tmp_path / "2"), "scratch", str(tmp_path / "kept"))
    assert directories.keep(str(tmp_path / "2"), "scratch", str(tmp_path / "kept"), own)
    directories.make(str(tmp_path / "3"), "scratch")
    assert [path.name for path in tmp_path.iterdir()] == ["3"]
    assert (tmp_path / "3").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("change", [lambda path: path.chmod(0o755), lambda path: (path / "left").touch()])
def test_what_its_user_has_changed_is_no_spare(tmp_path: Path, change: Callable[[Path], None]) -> None:
    own = (os.geteuid(), os.getegid())
    directories.make_owned(str(tmp_path / "1"), *own)
    change(tmp_path / "1")
    assert not directories.keep(str(tmp_path / "1"), "scratch", str(tmp_path / "kept"), own)
    assert (tmp_path / "1").exists()

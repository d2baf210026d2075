"""The cache of downloads: what was used longest ago goes when there is no room, and never what a running process was handed."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aios import _download, downloads
from aios.errors import InvalidArgument
from tests.arch.source import ROOT

HOLDER = "import sys; from aios import downloads; print(downloads.hand_out(sys.argv[1]), flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("AIOS_CACHE_BYTES", "250")
    return tmp_path / "aios" / "versions"


def lay(cache: Path, name: str, used_at_s: float, single: bool = False) -> Path:
    """A version of 100 bytes."""
    made = cache / (f"{name}.file" if single else name)
    made.mkdir(parents=True)
    (made / "weights").write_bytes(bytes(100))
    (made / "weights").chmod(0o444)
    os.utime(made, (used_at_s, used_at_s))
    return made


@contextmanager
def held_by_another(name: str) -> Iterator[str]:
    """The path that a process was handed, which runs meanwhile."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", HOLDER, name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


def names() -> set[str]:
    return {one.path.name for one in downloads.cached()}


def test_what_was_used_longest_ago_goes_first(cache: Path) -> None:
    for number, name in enumerate("abc"):
        lay(cache, name, 1000.0 + number, single=name == "b")
    downloads.make_room(0)
    assert names() == {"b.file", "c"}
    downloads.make_room(100)
    assert names() == {"c"}
    downloads.make_room(10_000)  # one that is larger than all that may be there comes nevertheless
    assert names() == set()


def test_what_a_running_process_was_handed_stays_until_that_has_ended(cache: Path) -> None:
    old, single, last = lay(cache, "old", 1000.0), lay(cache, "single", 1001.0, single=True), lay(cache, "last", 1002.0)
    with held_by_another("old") as first, held_by_another("single") as second:
        assert (first, second) == (str(old), str(single / "weights"))
        for path in (old, single):
            os.utime(path, (1000.0, 1000.0))
        downloads.make_room(1)
        assert {(one.path, one.in_use) for one in downloads.cached()} == {(old, True), (single, True)}
        assert not last.exists()
        assert downloads.clear() == 0
    assert [one.in_use for one in downloads.cached()] == [False, False]
    downloads.make_room(250)
    assert names() == set()


def test_what_this_process_was_handed_stays_also_when_its_note_was_removed(cache: Path) -> None:
    path = lay(cache, "mine", 1000.0)
    assert downloads.hand_out("other") == ""
    assert downloads.hand_out("mine") == str(path)
    shutil.rmtree(cache)
    lay(cache, "mine", 1000.0)
    assert downloads.hand_out("mine") == str(path)
    assert downloads.clear() == 0
    assert path.exists()


def test_a_note_that_was_closed_is_made_anew_and_what_has_its_number_now_is_left_alone(cache: Path, tmp_path: Path) -> None:
    """As when a program becomes a daemon: it closes all that is open, and opens files of its own."""
    lay(cache, "mine", 1000.0)
    for _ in range(3):
        assert downloads.hand_out("mine")
    number, path = downloads._mine[cache]
    assert Path(path).read_text() == "mine\n"  # however often it was handed out
    with (tmp_path / "own").open("w") as own:
        os.dup2(own.fileno(), number)
        assert downloads.hand_out("mine")
    os.close(number)
    assert not (tmp_path / "own").read_text()
    assert downloads.clear() == 0


def test_what_was_used_a_moment_ago_and_what_is_on_its_way_stay_and_clear_says_what_went(cache: Path) -> None:
    for number, name in enumerate(("young", ".one.0123.part", ".two.0123.part")):
        lay(cache, name, 1000.0 + number)
    os.utime(cache / "young")
    with downloads._taken(cache / ".two.0123.part") as ours:
        assert ours
        downloads.make_room(10_000)
        assert names() == {"young", ".two.0123.part"}
        assert downloads.clear() == 100
    assert downloads.clear() == 100
    assert names() == set()


def test_what_nobody_downloaded_is_left_alone_and_hides_nothing(cache: Path, tmp_path: Path) -> None:
    lay(cache, "old", 1000.0)
    (cache / "notes").write_text("mine")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    for name in ("elsewhere", ".elsewhere.part"):
        (cache / name).symlink_to(tmp_path / "precious")
    assert names() == {"old"}
    downloads.make_room(10_000)
    assert downloads.clear() == 0
    assert {path.name for path in cache.iterdir()} == {".lock", "notes", "elsewhere", ".elsewhere.part"}
    assert (tmp_path / "precious" / "file").exists()


def test_a_part_that_is_finished_before_it_can_go_stays(cache: Path) -> None:
    path = lay(cache, ".one.0123.part", 1000.0)
    (found,) = downloads.cached()
    path.rename(cache / "one")
    assert downloads._remove(found) == 0
    assert names() == {"one"}


def test_processes_that_have_ended_leave_nothing_that_grows(cache: Path) -> None:
    path = lay(cache, "same", 1000.0)
    for _ in range(2):
        with held_by_another("same") as handed:
            assert handed == str(path)
    assert len(list(cache.glob(".using.*"))) == 1


def test_a_link_in_the_place_of_a_part_is_refused(cache: Path) -> None:
    cache.mkdir(parents=True)
    making = cache / ".one.0123.part"
    making.symlink_to(cache / "nowhere")
    with pytest.raises(OSError, match=r"one\.0123"), _download._alone(making):
        raise AssertionError


def test_those_who_download_the_same_at_once_come_one_after_another(cache: Path) -> None:
    """Whoever waited for one that was put in its place meanwhile begins anew, also where that happened just before it was opened."""
    cache.mkdir(parents=True)
    making, made = cache / ".same.0123.part", list[int]()

    def download() -> None:
        for at in range(200):
            with _download._alone(making):
                making.rename(cache / f"{threading.get_ident()}-{at}")
                made.append(at)

    threads = [threading.Thread(target=download) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(made) == sorted([*range(200)] * 4)


def test_the_bound_is_said_by_the_environment(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(cache, "a", 1000.0)
    monkeypatch.setenv("AIOS_CACHE_BYTES", "0")
    downloads.make_room(1 << 40)
    assert names() == {"a"}
    monkeypatch.delenv("AIOS_CACHE_BYTES")
    assert downloads.limit() == 50 << 30
    monkeypatch.setenv("AIOS_CACHE_BYTES", "much")
    with pytest.raises(InvalidArgument, match="AIOS_CACHE_BYTES"):
        downloads.make_room(1)


def test_nothing_is_there_before_anything_was_downloaded(cache: Path) -> None:
    assert downloads.cached() == []
    assert downloads.clear() == 0
    assert not cache.exists()

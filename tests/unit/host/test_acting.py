"""Files that a user named are opened as that user, on one thread alone, and lead to nothing of root's."""

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiosd.host.acting import acting_as, open_regular
from aiosd.host.identities import Identity

ADA = Identity(61001, 61001, (61001, 61050), "ada")  # without an entry: any machine has these numbers free


@pytest.fixture
def place() -> Iterator[Path]:
    """Not below pytest's own directory, which is closed to other users."""
    with tempfile.TemporaryDirectory(prefix="aa-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def read(path: Path) -> bytes | None:
    opened = open_regular(str(path))
    if opened is None:
        return None
    with open(opened, "rb") as file:
        return file.read()


def of(path: Path, uid: int, gid: int, mode: int) -> Path:
    path.write_text("content")
    path.chmod(mode)
    os.chown(path, uid, gid)
    return path


@pytest.mark.root
def test_what_the_user_may_read_is_read_and_nothing_else(place: Path) -> None:
    own, groups, roots = of(place / "own", 61001, 0, 0o600), of(place / "groups", 0, 61050, 0o640), of(place / "roots", 0, 0, 0o600)
    (place / "link").symlink_to(roots)
    with acting_as(ADA):
        assert (read(own), read(groups)) == (b"content", b"content")
        for closed in (roots, place / "link", Path("/etc/shadow")):
            with pytest.raises(PermissionError):
                read(closed)
    assert read(roots) == b"content"


@pytest.mark.root
def test_other_threads_stay_who_they_are(place: Path) -> None:
    roots, seen, acting = of(place / "roots", 0, 0, 0o600), [], threading.Event()

    def look() -> None:
        acting.wait(20)
        seen.append((read(roots), os.getgroups()))

    other, groups = threading.Thread(target=look), os.getgroups()
    other.start()
    with acting_as(ADA):
        acting.set()
        other.join()
    assert seen == [(b"content", groups)]


@pytest.mark.root
def test_who_acted_is_root_again_also_after_an_error(place: Path) -> None:
    groups = os.getgroups()
    with pytest.raises(ZeroDivisionError), acting_as(ADA):
        raise ZeroDivisionError
    assert read(of(place / "roots", 0, 0, 0o600)) == b"content"
    assert os.getgroups() == groups


@pytest.mark.parametrize("path", ["/proc/self/maps", "/proc/self/fd/0", "/dev/null", "/", "/nowhere"])
def test_what_is_no_file_of_a_file_system_has_nothing_to_read(path: str) -> None:
    assert read(Path(path)) is None


def test_a_link_into_proc_does_not_lead_to_what_the_daemon_has_open(tmp_path: Path) -> None:
    with open(of(tmp_path / "open", os.getuid(), os.getgid(), 0o600)) as held:
        (tmp_path / "link").symlink_to(f"/proc/{os.getpid()}/fd/{held.fileno()}")
        assert read(tmp_path / "link") is None


def test_a_pipe_does_not_hang_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "pipe") is None

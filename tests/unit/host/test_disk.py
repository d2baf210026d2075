"""What a run has stored is measured without following links, and held by a project quota where the file system has them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiosd.host import disk, quota
from aiosd.host.directories import remove_tree


def test_what_is_stored_counts_once_and_links_lead_nowhere(tmp_path: Path) -> None:
    elsewhere, stored = tmp_path / "elsewhere", tmp_path / "stored"
    for place in (elsewhere, stored / "a" / "b"):
        place.mkdir(parents=True)
    (elsewhere / "large").write_bytes(os.urandom(1 << 20))
    before = disk.stored_bytes(str(stored))
    (stored / "a" / "b" / "file").write_bytes(os.urandom(256 << 10))
    os.link(stored / "a" / "b" / "file", stored / "again")
    (stored / "link").symlink_to(elsewhere)
    (stored / "to file").symlink_to(elsewhere / "large")
    (stored / "sparse").touch()
    os.truncate(stored / "sparse", 1 << 30)
    os.sync()  # a file system may count blocks only when it has written them
    assert 256 << 10 <= disk.stored_bytes(str(stored)) - before < 400 << 10
    assert disk.stored_bytes(str(tmp_path / "nothing")) == 0


def test_a_tree_of_any_depth_is_measured_and_removed(tmp_path: Path) -> None:
    """Deeper than a path may be long, and than this process may recurse."""
    top = tmp_path / "top"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(850):
        os.mkdir("down", dir_fd=fd)
        above, fd = fd, os.open("down", os.O_RDONLY, dir_fd=fd)
        os.close(above)
    os.close(fd)
    assert disk.stored_bytes(str(top)) >= 0
    remove_tree(str(top))
    assert not top.exists()


@pytest.fixture
def with_quotas(tmp_path: Path) -> Iterator[Path]:
    """A file system in a file that holds project quotas."""
    image, place = tmp_path / "image", tmp_path / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-O", "quota,project", str(image)], check=True, capture_output=True, timeout=60)
        subprocess.run(["mount", "-o", "loop,prjquota", str(image), str(place)], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this kernel mounts no file system with project quotas: {error}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=60)


@pytest.mark.root
def test_a_user_cannot_store_more_than_the_quota_and_it_goes_with_its_directory(with_quotas: Path) -> None:
    scratch = with_quotas / "scratch"
    scratch.mkdir()
    assert quota.enforced(str(with_quotas))
    quota.hold(str(scratch), 1 << 20)
    os.chown(scratch, 61001, 61001)
    fill = "import os, sys; os.fchdir(int(sys.argv[1])); os.setgroups([]); os.setgid(61001); os.setuid(61001)\nwith open('file', 'wb', 0) as f:\n while f.write(bytes(65536)): pass"
    fd = os.open(scratch, os.O_RDONLY)  # the directories above are pytest's own, closed to other users
    subprocess.run(["python3", "-c", fill, str(fd)], pass_fds=[fd], capture_output=True, timeout=60)
    os.close(fd)
    assert 0 < (scratch / "file").stat().st_size <= 1 << 20
    (scratch / "deep" / "down").mkdir(parents=True)
    quota.release(str(scratch))
    remove_tree(str(scratch))
    assert not scratch.exists()


def test_a_file_system_without_project_quotas_says_so(tmp_path: Path) -> None:
    assert not quota.enforced("/dev/shm")
    assert not quota.enforced(str(tmp_path / "nothing"))
    quota.release(str(tmp_path / "nothing"))
    quota.release(str(tmp_path))
    assert tmp_path.is_dir()

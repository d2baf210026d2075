"""What a user named is read as it was when it was named, or refused: whatever changes, is swapped or is no file is told."""

import mmap
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aiosd.errors import AiosError, FailedPrecondition, InvalidArgument
from aiosd.host.sources import Found, Tree

CONTENT = b"content" * 100


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    (path / "b").mkdir(parents=True)
    for name in ("a", "b/file", "c"):
        (path / name).write_bytes(CONTENT)
    return path


def read(path: Path, at: str, change: Callable[[], object]) -> list[Found]:
    """All of it; `change` happens while the file `at` is read."""
    with closing(Tree(str(path), None)) as tree:
        tree.open()
        found = []
        for file in tree.files():
            assert os.pread(file.fd, file.size, 0) == CONTENT[: file.size]
            found.append(file)
            if file.path == at:
                change()
        tree.check()
    return found


def truncate(path: Path) -> None:
    os.truncate(path, 10)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    """As long as before, and with the time that it had."""
    before = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    before = path.stat()
    path.with_name("new").write_bytes(CONTENT[::-1])
    os.utime(path.with_name("new"), ns=(before.st_atime_ns, before.st_mtime_ns))
    os.rename(path.with_name("new"), path)


def change_mode(path: Path) -> None:
    path.chmod(0o755)


def unlink(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [truncate, append, rewrite, replace, change_mode, unlink])
@pytest.mark.parametrize("name", ["a", "b/file"])
def test_what_changes_while_it_or_what_comes_after_it_is_read_is_told(model: Path, name: str, change: Callable[[Path], None]) -> None:
    for at in (name, "c"):
        with pytest.raises(FailedPrecondition, match="changed while it was read"):
            read(model, at, lambda: change(model / name))
        (model / name).unlink(missing_ok=True)
        (model / name).write_bytes(CONTENT)


def test_a_file_that_comes_or_goes_beside_what_is_read_is_told(model: Path) -> None:
    with pytest.raises(FailedPrecondition, match="changed while it was read"):
        read(model, "a", (model / "late").touch)
    (model / "late").unlink()
    with pytest.raises(FailedPrecondition, match="changed while it was read"):
        read(model, "a", (model / "c").unlink)


def test_what_does_not_change_is_read(model: Path) -> None:
    assert [file.path for file in read(model, "a", lambda: None)] == ["a", "b/file", "c"]


def swap_directory(model: Path, outside: Path) -> None:
    os.rename(model / "b", model.parent / "was")
    os.symlink(outside, model / "b")


def swap_file(model: Path, outside: Path) -> None:
    (model / "c").unlink()
    os.symlink(outside / "file", model / "c")


@pytest.mark.parametrize("swap", [swap_directory, swap_file])
def test_what_is_swapped_for_a_link_out_of_it_is_not_followed(model: Path, tmp_path: Path, swap: Callable[[Path, Path], None]) -> None:
    """`read` compares: not a byte of what lies outside is ever seen."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret" * 100)
    with pytest.raises(AiosError, match=r"changed while|leads out|link"):
        read(model, "a", lambda: swap(model, outside))


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "model" / "device"
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("making a device takes root")
    yield path
    path.unlink()


@pytest.mark.root
def test_a_device_is_refused(model: Path, device: Path) -> None:
    with pytest.raises(InvalidArgument, match="'device' is no regular file"):
        read(model, "", lambda: None)
    with pytest.raises(InvalidArgument, match="neither a file nor a directory"):
        read(device, "", lambda: None)


def test_a_socket_and_a_pipe_are_refused(model: Path) -> None:
    os.mkfifo(model / "pipe")
    with pytest.raises(InvalidArgument, match="'pipe' is no regular file"):
        read(model, "", lambda: None)


@pytest.mark.parametrize("to", ["/etc/shadow", "../outside", "nowhere", "link", "/proc/self/environ"])
def test_a_link_that_leads_out_is_refused(model: Path, to: str) -> None:
    (model.parent / "outside").write_bytes(b"secret")
    os.symlink(to, model / "link")
    with pytest.raises(InvalidArgument, match="'link' is a link that leads out of it, or nowhere"):
        read(model, "", lambda: None)


def test_a_link_to_a_directory_is_refused_and_one_within_is_followed(model: Path) -> None:
    os.symlink("b/file", model / "link")
    assert [file.path for file in read(model, "", lambda: None)] == ["a", "b/file", "c", "link"]
    os.symlink("b", model / "directory")
    with pytest.raises(InvalidArgument, match="'directory' is a link to a directory"):
        read(model, "", lambda: None)


def test_a_file_that_is_nothing_but_a_hole_is_refused_at_once(model: Path) -> None:
    os.truncate(model / "c", 1 << 40)
    with pytest.raises(InvalidArgument, match="'c' claims 1099511627776 bytes") as raised:
        read(model, "", lambda: None)
    assert "write what is to be in it" in raised.value.hint
    os.truncate(model / "c", len(CONTENT))
    with (model / "d").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidArgument, match="claims 1099511627776 bytes"):
        read(model / "d", "", lambda: None)
    os.truncate(model / "d", 600 << 20)  # not so large that it matters
    with closing(Tree(str(model / "d"), None)) as tree:
        tree.open()
        assert [file.size for file in tree.files()] == [600 << 20]


def test_names_that_are_no_text_are_refused(model: Path) -> None:
    Path(os.fsdecode(os.fsencode(model) + b"/\xff")).touch()
    with pytest.raises(InvalidArgument, match="not UTF-8"):
        read(model, "", lambda: None)


def test_what_may_be_another_when_it_is_looked_at_is_told(model: Path) -> None:
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(model)], capture_output=True, text=True, check=True).stdout.strip()

    def steady() -> bool:
        with closing(Tree(str(model), None)) as tree:
            tree.open()
            assert len(list(tree.files())) >= 3
            tree.check()
            return tree.steady

    assert steady() == (kind in ("ext2/ext3", "xfs", "btrfs"))
    os.symlink("a", model / "d")
    assert not steady()  # who looks at it follows no links
    (model / "d").unlink()
    with (model / "c").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        file.close()
        mapped[0:1] = b"x"
        assert not steady()

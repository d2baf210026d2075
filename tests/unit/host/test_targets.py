"""What a user wants at a path appears whole, or nothing of it does, whatever it is called and whatever a crash has left beside it."""

import os
from pathlib import Path

import pytest

from aiosd.errors import AlreadyExists, NotFound
from aiosd.host.targets import filling, writing

LONGEST = "🦙" * 63  # 252 bytes of the 255 that a name may have


@pytest.mark.parametrize("name", ["model.onnx", "a b.tar", LONGEST])
def test_a_file_appears_at_the_end(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    with writing(str(target), None, replace=False) as fd:
        os.write(fd, b"all")
        assert not target.exists()
    assert target.read_bytes() == b"all"
    assert os.listdir(tmp_path) == [name]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def half_a_file() -> None:
        with writing(str(tmp_path / "file"), None, replace=False) as fd:
            os.write(fd, b"half")
            raise RuntimeError

    def half_a_directory() -> None:
        with filling(str(tmp_path / LONGEST), None) as made:
            (made / "half").write_bytes(b"")
            raise RuntimeError

    for half in (half_a_file, half_a_directory):
        with pytest.raises(RuntimeError):
            half()
    assert os.listdir(tmp_path) == []


def test_what_is_there_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.write_bytes(b"old")
    with pytest.raises(AlreadyExists, match="something at"), writing(str(target), None, replace=False):
        raise AssertionError
    with writing(str(target), None, replace=True) as fd:
        os.write(fd, b"new")
    assert target.read_bytes() == b"new"
    with pytest.raises(AlreadyExists), filling(str(target), None):
        raise AssertionError


def test_there_must_be_a_directory(tmp_path: Path) -> None:
    with pytest.raises(NotFound), writing(str(tmp_path / "none" / "model"), None, replace=False):
        raise AssertionError

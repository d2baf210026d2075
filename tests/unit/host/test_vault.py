"""Secrets are kept in files of root alone, whole or not at all, and dropped when nothing needs them."""

import asyncio
import stat
from pathlib import Path

import pytest

from aiosd.errors import StorageUnwritable
from aiosd.host.vault import FileVault


def kept(directory: Path) -> dict[str, dict[str, bytes]]:
    return {place.name: {file.name: file.read_bytes() for file in place.iterdir()} for place in directory.iterdir()}


def test_what_is_kept_is_there_for_its_owner_alone(tmp_path: Path) -> None:
    vault = FileVault(tmp_path / "secrets")
    place = asyncio.run(vault.keep({"TOKEN": b"hush\0", "EMPTY": b""}))
    vault.close()
    assert kept(tmp_path / "secrets") == {place: {"TOKEN": b"hush\0", "EMPTY": b""}}
    directory = tmp_path / "secrets" / place
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "secrets", directory, directory / "TOKEN")]
    assert modes == [0o700, 0o700, 0o600]


def test_what_is_dropped_is_gone_and_the_rest_stays(tmp_path: Path) -> None:
    vault = FileVault(tmp_path / "secrets")
    first, second = asyncio.run(vault.keep({"A": b"1"})), asyncio.run(vault.keep({"A": b"2"}))
    vault.drop(first)
    vault.drop("never there")
    vault.close()
    assert kept(tmp_path / "secrets") == {second: {"A": b"2"}}


def test_a_sweep_leaves_what_is_still_named(tmp_path: Path) -> None:
    vault = FileVault(tmp_path / "secrets")
    vault.sweep({"nothing is there yet"})
    first, second = asyncio.run(vault.keep({"A": b"1"})), asyncio.run(vault.keep({"A": b"2"}))
    vault.sweep({"", second})
    vault.close()
    assert (list(kept(tmp_path / "secrets")), first != second) == ([second], True)


def test_a_directory_that_cannot_be_made_is_told_without_a_value(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("a file")
    vault = FileVault(tmp_path / "secrets")
    with pytest.raises(StorageUnwritable, match="secrets") as caught:
        asyncio.run(vault.keep({"TOKEN": b"hush"}))
    vault.close()
    assert "hush" not in str(caught.value)

"""What is on its way here from one user takes no more than it may, however many calls bring it, and whatever it consists of."""

from pathlib import Path

import pytest

from aiosd.errors import DataLoss, Exhausted, InvalidArgument
from aiosd.models.manifest import digest_of
from aiosd.models.transfer_ports import Piece
from aiosd.storage.blobs.staging import FILE_COST, Staging

UPLOAD = "a" * 32


def chunk(data: bytes) -> Piece:
    return Piece(digest_of(data), 0, data, len(data))


def test_several_calls_share_what_one_user_may_have(tmp_path: Path) -> None:
    staging = Staging(tmp_path, 1000.0)
    limit = 2 * (FILE_COST + 1000)
    calls = [staging.of(7, limit) for _ in range(3)]
    calls[0].chunks([chunk(b"a" * 1000)])
    calls[1].chunks([chunk(b"b" * 1000)])
    with pytest.raises(Exhausted, match=r"models\.upload_bytes"):
        calls[2].chunks([chunk(b"c")])
    staging.of(8, limit).chunks([chunk(b"c")])  # another user's
    staging.drop_chunks(7, [digest_of(b"a" * 1000)])
    staging.of(7, limit).chunks([chunk(b"c")])


def test_a_chunk_that_a_kill_has_left_without_its_name_is_gone_on_with(tmp_path: Path) -> None:
    """Its last byte was written, and then nothing: whoever asks how much is there must send something, or it stays as it is for ever."""
    staging, data = Staging(tmp_path, 1000.0), b"a" * 1000
    whole, torn = digest_of(data), digest_of(b"b" * 1000)
    staging.of(7, 1 << 20).chunks([Piece(whole, 0, data[:500], 1000), Piece(torn, 0, b"b" * 500, 1000)])
    for digest, rest in ((whole, data[500:]), (torn, bytes(500))):  # and of one, a power cut kept the length alone
        with staging.chunk(7, f"{digest}.part").open("ab") as file:
            file.write(rest)
    assert staging.lengths(7, [whole, torn, "c" * 64]) == {whole: 999, torn: 999}
    arrivals = staging.of(7, 1 << 20)
    arrivals.chunks([Piece(whole, 999, b"a", 1000)])
    assert staging.chunk(7, whole).read_bytes() == data
    with pytest.raises(DataLoss, match="not what its name says"):
        arrivals.chunks([Piece(torn, 999, b"b", 1000)])
    assert staging.lengths(7, [whole, torn]) == {whole: -1}  # the other from its beginning


def test_directories_count_too(tmp_path: Path) -> None:
    staging = Staging(tmp_path, 1000.0)
    arrivals = staging.of(7, 10 * FILE_COST)
    arrivals.files(UPLOAD, [Piece("m/a/b/", 0, b"", 0), Piece("m/a/b/", 0, b"", 0), Piece("m/a/file", 0, b"", 0)])
    assert arrivals.room.left == 5 * FILE_COST
    assert staging.tidy(7) == 5 * FILE_COST
    with pytest.raises(Exhausted):
        arrivals.files(UPLOAD, [Piece("m/" + "/".join("abcdefgh") + "/", 0, b"", 0)])
    with pytest.raises(Exhausted):
        arrivals.files("b" * 32, [Piece("m/file", 0, b"", 0)])
    assert staging.tidy(7) == 10 * FILE_COST  # and what was refused has left nothing


def test_a_name_is_a_file_or_a_directory(tmp_path: Path) -> None:
    arrivals = Staging(tmp_path, 1000.0).of(7, 1 << 20)
    arrivals.files(UPLOAD, [Piece("m/a", 0, b"1", 1)])
    for piece in (Piece("m/a/b", 0, b"1", 1), Piece("m/a/b/c/", 0, b"", 0), Piece("m/a/", 0, b"", 0), Piece("m", 0, b"1", 1)):
        with pytest.raises(InvalidArgument, match="was a file in this upload, and a directory"):
            arrivals.files(UPLOAD, [piece])

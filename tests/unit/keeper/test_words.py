"""What a child says of a registration comes in batches that are small, and is the same when it is put together."""

import pytest

from aiosd.keeper import words
from aiosd.keeper.carrying import within_reason
from aiosd.models.manifest import Chunk, FileEntry, Manifest
from aiosd.models.vault_ports import Examined, Received, Stored, Taken
from aiosd.models.version import Schema

MOST_BYTES = 1 << 20


def taken(files: int, chunks: int) -> Taken:
    entries = tuple(FileEntry(f"{at:06}", 1, f"{at:064x}", (Chunk(f"{at:064x}", 1),)) for at in range(files))
    return Taken(
        Manifest(entries, ("empty",), False),
        [Stored(f"{at:064x}", 1, "pack/abc", at, 1, "raw") for at in range(chunks)],
        Schema("onnx"),
        ["why"],
        ["encoder.weight"],
    )


@pytest.mark.parametrize(("files", "chunks"), [(0, 0), (1, 0), (0, 1), (1, 5000), (2500, 10)])
def test_what_was_taken_comes_through_in_batches(files: int, chunks: int) -> None:
    said = taken(files, chunks)
    frames = [words.encode(word) for word in words.in_batches(said)]
    assert max(map(len, frames)) < MOST_BYTES
    *batches, took = [words.decode_said(frame) for frame in frames]
    assert isinstance(took, words.Took)
    assert words.together([batch for batch in batches if isinstance(batch, words.Batch)], took) == said


def test_what_was_received_does_so_too() -> None:
    said = Received(taken(0, 5000).chunks, {"a" * 64: Examined(Schema("onnx"), ["why"], ["encoder.weight"])})
    frames = [words.encode(word) for word in words.in_batches(said)]
    assert max(map(len, frames)) < MOST_BYTES
    *batches, got = [words.decode_said(frame) for frame in frames]
    assert isinstance(got, words.Got)
    assert words.together([batch for batch in batches if isinstance(batch, words.Batch)], got) == said


def test_of_too_many_names_of_tensors_the_first_are_kept() -> None:
    examined = ((name, Examined(Schema(), (), [name * 100])) for name in "abc")
    assert [found.tensors for found in within_reason(examined, 250).values()] == [["a" * 100], ["b" * 100], ()]

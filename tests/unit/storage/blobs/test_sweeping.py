"""What is alive and what is not: marks never forget, and a place is judged by what lies in it."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from aiosd.errors import DataLoss
from aiosd.models.vault_ports import Stored
from aiosd.storage.blobs.layout import Layout
from aiosd.storage.blobs.pack import OVERHEAD, PackWriter
from aiosd.storage.blobs.sweeping import Marks, judge, rewrite


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def row(number: int, place: str, size: int = 100) -> Stored:
    return Stored(digest(number), size, place, 0, size, "raw")


def test_marks_know_all_that_was_marked_and_next_to_nothing_else() -> None:
    marks = Marks(12345)
    marks.add(digest(number) for number in range(2000))
    assert all(digest(number) in marks for number in range(2000))
    assert sum(digest(number) in marks for number in range(2000, 4000)) == 0


def test_a_pack_with_few_living_is_written_anew() -> None:
    rows = [row(number, "pack/abc") for number in range(10)]
    assert judge("pack/abc", 1000, rows, {digest(1)}).rewrite
    assert judge("pack/abc", 1000, rows, {digest(1)}).freed == 900 - OVERHEAD
    most = judge("pack/abc", 1000, rows, {digest(number) for number in range(6)})
    assert (most.rewrite, most.freed, len(most.dead)) == (False, 0, 4)
    none = judge("pack/abc", 1000, rows, set())
    assert (none.empty, none.freed) == (True, 1000)
    assert judge("pack/abc", 1000, rows[:1], {digest(0)}).rewrite  # the others were forgotten by a sweep that was cut off


def test_the_parts_of_a_whole_file_live_as_long_as_it_does() -> None:
    place = f"whole/{digest(0)}"
    rows = [row(0, place, 1000), row(1, place), row(2, place)]
    alive = judge(place, 1000, rows, {digest(0)})
    assert (alive.dead, alive.rewrite) == ([], False)
    parts = judge(place, 1000, rows, {digest(2)})
    assert ([one.digest for one in parts.alive], parts.rewrite) == ([digest(2)], True)


@pytest.mark.parametrize("untrue", [{"offset": 5}, {"stored_size": 4}, {"size": 6}, {"encoding": "zstd"}, {"digest": "dd" * 32}, {"offset": 10_000}])
def test_a_pack_is_written_anew_only_with_what_its_records_say(tmp_path: Path, untrue: dict[str, Any]) -> None:
    layout = Layout(tmp_path)
    layout.path("pack/abc").parent.mkdir(parents=True)
    pack = PackWriter(layout.path("pack/abc"), "pack/abc")
    one, two = pack.add("aa" * 32, 5, "raw", b"12345"), pack.add("bb" * 32, 5, "raw", b"67890")
    pack.close()
    for name, rows in (("first", [one, two]), ("second", [one, structs.replace(two, **untrue)])):
        scratch = tmp_path / name
        scratch.mkdir()
        if rows[1] is two:
            assert [each.digest for each in rewrite(layout, scratch, name, rows)] == [one.digest, two.digest]
        else:
            with pytest.raises(DataLoss):
                rewrite(layout, scratch, name, rows)
    assert not layout.path("pack/second").exists()

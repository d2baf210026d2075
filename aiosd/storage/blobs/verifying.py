"""Chunks read back and compared with their names, as fast as it goes or no faster than somebody minds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from aiosd.errors import DataLoss
from aiosd.models.manifest import Chunk, FileEntry
from aiosd.models.vault_ports import Stored
from aiosd.storage.blobs.coding import Coder
from aiosd.storage.blobs.layout import Layout, is_whole
from aiosd.storage.blobs.reading import Reader


class Clock(Protocol):
    """As the module `time`."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


def damaged_among(
    reader: Reader, rows: Sequence[Stored], known: Mapping[str, Stored], bytes_per_s: int, report: Callable[[int, int, int], None], clock: Clock
) -> Iterator[tuple[str, str]]:
    """(digest, why) of each that does not read back."""
    done, total, began_s = 0, sum(one.size for one in rows), clock.monotonic()
    for one in rows:
        try:
            _read(reader, one)
        except DataLoss as error:
            yield one.digest, str(error)
        done += one.size
        report(done, total, 0)
        if bytes_per_s and (ahead_s := done / bytes_per_s - (clock.monotonic() - began_s)) > 0:
            clock.sleep(ahead_s)


def to_read(rows: Sequence[Stored]) -> Sequence[Stored]:
    """Of all that lies in one place: a whole file says of its parts what there is to say."""
    return [one for one in rows if is_whole(one)] or rows


def reads_back(layout: Layout, coder: Coder, one: Stored, bases: Mapping[str, Stored]) -> bool:
    """Whether it lies where it is said to, as it is said to. `bases` has its own, where it is a difference."""
    known = {**bases, one.digest: one}
    reader = Reader(layout, coder, lambda _: known)
    try:
        return _read(reader, one) == one.size
    except DataLoss:
        return False
    finally:
        reader.close()


def _read(reader: Reader, one: Stored) -> int:
    """Its bytes, counted. Raises DataLoss."""
    return sum(map(len, reader.file(FileEntry("", one.size, one.digest, (Chunk(one.digest, one.size),)))))

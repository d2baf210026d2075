"""Chunks read back and compared with their names, as fast as it goes or no faster than somebody minds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from aiosd.errors import DataLoss
from aiosd.models.manifest import Chunk, FileEntry
from aiosd.models.ports import Stored
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
            entry = FileEntry("", one.size, one.digest, (Chunk(one.digest, one.size),))
            for _ in reader.file(entry):
                continue
        except DataLoss as error:
            yield one.digest, str(error)
        done += one.size
        report(done, total, 0)
        if bytes_per_s and (ahead_s := done / bytes_per_s - (clock.monotonic() - began_s)) > 0:
            clock.sleep(ahead_s)

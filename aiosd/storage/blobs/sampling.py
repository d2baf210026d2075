"""A few looks into a file before it is taken: whether parts of it are there, what a difference would save, whether it can be compressed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from blake3 import blake3

from aiosd.storage.blobs.coding import WIDTHS, difference
from aiosd.storage.blobs.cutting import read_exactly
from aiosd.storage.blobs.parents import ParentFile
from aiosd.storage.blobs.worksite import Readable, Worksite

_LOOKS = 8
_SAMPLE_BYTES = 64 << 10
_PAYS = 0.75  # at most so much must be left of a sample


@dataclass(frozen=True, slots=True)
class Plan:
    """`base` and `width`: differences pay; `squeeze`: compression does; `keeps_whole`: nothing would be saved."""

    keeps_whole: bool = False
    squeeze: bool = False
    base: ParentFile | None = None
    width: int = 0


def plan_for(file: Readable, lengths: Sequence[int] | None, base: ParentFile | None, site: Worksite) -> Plan:
    """How to take it; a wrong guess costs room or time, never more."""
    pieces = dict(enumerate(_by_content(file, site))) if lengths is None else dict(_by_number(file, lengths))
    digests = {at: blake3(piece).hexdigest() for at, piece in pieces.items()}
    known = site.lookup(set(digests.values()))
    unknown = {at: piece for at, piece in pieces.items() if digests[at] not in known}
    squeeze = site.coder.compress and _left(site, unknown.values()) <= _PAYS
    width = 0
    if base is not None and lengths is not None:
        base.count = len(lengths)
        width = _width(site, unknown, base)
    return Plan(not (known or squeeze or width), squeeze, base if width else None, width)


def _by_number(file: Readable, lengths: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Some pieces that are spread over the file, by their number; the largest of each stretch, for it says most."""
    offsets = [0, *accumulate(lengths)]
    step = max(1, len(lengths) // _LOOKS)
    for begin in range(0, len(lengths), step):
        at = max(range(begin, min(begin + step, len(lengths))), key=lengths.__getitem__)
        yield at, read_exactly(file.fd, lengths[at], offsets[at])


def _by_content(file: Readable, site: Worksite) -> Iterator[bytes]:
    """Wherever one begins to cut, after a piece or two the cuts are those of the whole file."""
    span = 3 * site.sizes.most
    for look in range(_LOOKS):
        begin = max(0, file.size - span) * look // _LOOKS
        cut = _Part(file, begin, min(span, file.size - begin), site)
        yield from cut.inner()


@dataclass(frozen=True, slots=True)
class _Part:
    file: Readable
    begin: int
    length: int
    site: Worksite

    def inner(self) -> list[bytes]:
        from pyfastcdc import FastCDC

        sizes = self.site.sizes
        cutter = FastCDC(min_size=sizes.least, avg_size=sizes.average, max_size=sizes.most)
        data = read_exactly(self.file.fd, self.length, self.begin)
        chunks = [data[chunk.offset : chunk.offset + chunk.length] for chunk in cutter.cut_buf(data)]
        return chunks[2:-1] or chunks[:1]


def _left(site: Worksite, pieces: Iterable[bytes]) -> float:
    """The mean of what compression leaves; 1 where there is nothing to look at."""
    ratios = [site.coder.ratio(piece[:_SAMPLE_BYTES]) for piece in pieces]
    return sum(ratios) / len(ratios) if ratios else 1.0


def _width(site: Worksite, pieces: dict[int, bytes], base: ParentFile) -> int:
    """The width of numbers for which the differences are smallest; 0 where none pays."""
    counterparts = base.pieces({at: len(piece) for at, piece in pieces.items()})
    if not counterparts:
        return 0
    pairs = [(pieces[at][:_SAMPLE_BYTES], content[:_SAMPLE_BYTES]) for at, (_, content) in counterparts.items()]
    ratios = {width: sum(site.coder.ratio(difference(new, old, width)) for new, old in pairs) / len(pairs) for width in WIDTHS}
    best = min(ratios, key=ratios.__getitem__)
    share = len(counterparts) / len(pieces)
    return best if ratios[best] * share + (1 - share) <= _PAYS else 0

"""The audit trail: records chained by their digests, so that whoever changes, drops or inserts one breaks the chain."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from operator import attrgetter

GENESIS = "0" * 64  # the digest before the first record
MOST_TEXT = 512  # characters of one field: callers choose some of them, and the trail is kept for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """Who did what to what, and whether it was allowed. `number` counts from 1 without gaps; `digest` is hex."""

    number: int = 0
    at_s: float
    user: str
    uid: int
    origin: str = ""
    peer: str = ""
    method: str
    object: str = ""
    allowed: bool
    detail: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """How far the trail goes. Kept apart from it too, so that a trail cut off at its end is seen."""

    number: int = 0
    digest: str = GENESIS


@dataclass(frozen=True, slots=True)
class Verdict:
    """`first_broken` is the number of the first record that is not as it was written; 0: none is, or one is missing at the end."""

    records: int
    intact: bool
    first_broken: int = 0
    problem: str = ""
    last_digest: str = GENESIS


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Empty fields match everything; the newest `limit` of what matches, oldest of them first."""

    after_number: int = 0
    since_s: float = 0.0
    until_s: float = 0.0  # 0: now
    user: str = ""
    method: str = ""
    denied_only: bool = False
    limit: int = 1000


_signed = attrgetter(*(f.name for f in fields(AuditRecord) if f.name not in ("number", "digest")))
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def digest_of(record: AuditRecord, before: str) -> str:
    """SHA-256 over the digest before and every field of the record, in a form that no two records share."""
    return _digest(record, record.number, before)


def _digest(record: AuditRecord, number: int, before: str) -> str:
    body = _encode([before, number, *_signed(record)])
    return hashlib.sha256(body.encode("ascii")).hexdigest()


def chain(records: Iterable[AuditRecord], head: Head) -> tuple[list[AuditRecord], Head]:
    """The records with their numbers and digests, as they follow `head`, and the head then."""
    chained = []
    for record in records:
        number = head.number + 1
        head = Head(number, _digest(record, number, head.digest))
        chained.append(replace(record, number=number, digest=head.digest))
    return chained, head


def verify(records: Iterable[AuditRecord], expected: Head | None = None, known: Head | None = None) -> Verdict:
    """Walk the whole trail, first record first.

    expected   the head that was kept apart from the trail: it must end just there
    known      a head that somebody remembers: the trail must have come past it
    """
    head = Head()
    for record in records:
        if record.number != head.number + 1:
            return Verdict(head.number, False, head.number + 1, f"after record {head.number} comes record {record.number}", head.digest)
        if record.digest != digest_of(record, head.digest):
            problem = f"record {record.number} is not what was written: its digest is that of something else"
            return Verdict(head.number, False, record.number, problem, head.digest)
        head = Head(record.number, record.digest)
        if known is not None and known.number == head.number and known != head:
            return Verdict(head.number, False, head.number, _ending(head, known), head.digest)
    if known is not None and known.number > head.number:
        expected = known
    if expected is not None and expected != head:
        return Verdict(head.number, False, 0, _ending(head, expected), head.digest)
    return Verdict(head.number, True, last_digest=head.digest)


def _ending(head: Head, expected: Head) -> str:
    if head.number < expected.number:
        return f"the trail ends with record {head.number}, and {expected.number} were written: the last ones are missing"
    if head.number > expected.number:
        return f"the trail has {head.number} records, and {expected.number} were written by the daemon"
    return f"record {head.number} has the digest {head.digest[:16]}…, and {expected.digest[:16]}… was written: the trail was made anew"


def plain(text: str) -> str:
    """`text` as every database takes it: printable, and of a bounded length. Nobody writes the trail's lines but the daemon."""
    text = text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"
    return text if text.isascii() and text.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

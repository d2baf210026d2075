"""The chain of the audit trail: every change, gap, insertion and cut is found, and named."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.access.audit import MOST_TEXT, AuditRecord, Head, chain, digest_of, plain, verify

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
records = st.builds(
    AuditRecord,
    at_s=st.floats(0, 2e9),
    user=texts,
    uid=st.integers(-1, 2**32),
    origin=texts,
    peer=texts,
    method=texts,
    object=texts,
    allowed=st.booleans(),
    detail=texts,
)


def record(user: str = "alice", **more: Any) -> AuditRecord:
    return AuditRecord(at_s=1.5, user=user, uid=1000, method="Jobs.Cancel", allowed=True, **more)


def trail(count: int) -> tuple[list[AuditRecord], Head]:
    return chain([record(detail=str(n)) for n in range(count)], Head())


@settings(deadline=None)
@given(st.lists(records, max_size=6))
def test_what_was_chained_is_intact_in_one_go_or_in_two(made: list[AuditRecord]) -> None:
    whole, head = chain(made, Head())
    first, middle = chain(made[:2], Head())
    second, end = chain(made[2:], middle)
    assert (first + second, end) == (whole, head)
    verdict = verify(whole, head, middle)
    assert (verdict.intact, verdict.records, verdict.last_digest) == (True, len(made), head.digest)


@settings(deadline=None)
@given(st.data(), st.lists(records, min_size=2, max_size=6), records)
def test_a_change_of_any_field_of_any_record_is_found_where_it_is(data: st.DataObject, made: list[AuditRecord], other: AuditRecord) -> None:
    whole, head = chain(made, Head())
    at = data.draw(st.integers(0, len(whole) - 1))
    name = data.draw(st.sampled_from([f.name for f in fields(AuditRecord) if f.name not in ("number", "digest")]))
    if repr(getattr(whole[at], name)) == repr(getattr(other, name)):
        return
    changed = replace(whole[at], **{name: getattr(other, name)})
    verdict = verify([*whole[:at], changed, *whole[at + 1 :]], head)
    assert (verdict.intact, verdict.first_broken, verdict.records) == (False, at + 1, at)


def test_fields_do_not_run_into_each_other() -> None:
    assert digest_of(record(object="ab", detail="c"), "") != digest_of(record(object="a", detail="bc"), "")


@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_record_that_is_missing_is_named(at: int) -> None:
    whole, head = trail(5)
    verdict = verify(whole[:at] + whole[at + 1 :], head)
    assert not verdict.intact
    if at < 4:
        assert verdict.first_broken == at + 1
    else:
        assert "ends with record 4, and 5 were written" in verdict.problem


def test_a_trail_made_anew_is_found_by_either_head() -> None:
    whole, head = trail(5)
    forged, forged_head = chain([replace(one, user="bob") for one in whole], Head())
    assert verify(forged, forged_head).intact  # who changes both cannot be found by them
    assert "made anew" in verify(forged, head).problem
    assert verify(forged, forged_head, Head(3, whole[2].digest)).first_broken == 3


def test_an_empty_trail_of_which_much_was_written_is_not_intact() -> None:
    _, head = trail(5)
    assert not verify([], head).intact
    assert not verify([], None, head).intact
    assert not verify(trail(6)[0], head).intact
    assert verify([], Head()).intact


@settings(deadline=None)
@given(st.text())
def test_plain_text_is_one_printable_line_that_any_database_takes(text: str) -> None:
    shown = plain(text)
    assert not shown or shown.isprintable()
    assert len(shown) <= 10 * MOST_TEXT
    shown.encode()

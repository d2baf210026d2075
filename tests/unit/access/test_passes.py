"""Passes: what was made is read back, and nothing else is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.access import passes as passes_module
from aiosd.access.passes import PREFIX, Bearer, Passes
from aiosd.errors import Unauthenticated

KEY, OTHER = b"k" * 32, b"o" * 32
ADA = Bearer(1000, 1001, 77)
ids = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(st.builds(Bearer, ids, ids, ids), st.floats(0, 1e9), st.floats(1, 1e5))
def test_a_pass_names_whom_it_was_made_for_until_it_expires(bearer: Bearer, now_s: float, lifetime_s: float) -> None:
    passes = Passes(KEY, lifetime_s)
    text = passes.make(bearer, now_s)
    assert text.startswith(PREFIX)
    assert passes.read(text, now_s) == passes.read(text, now_s + lifetime_s * 0.99) == bearer
    with pytest.raises(Unauthenticated, match="expired") as caught:
        passes.read(text, now_s + lifetime_s + 0.01)
    assert "whoami --pass" in caught.value.hint


@settings(deadline=None)
@given(st.data())
def test_a_pass_that_was_changed_anywhere_is_worth_nothing(data: st.DataObject) -> None:
    passes = Passes(KEY, 60.0)
    text = passes.make(ADA, 5.0)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(exclude_characters=text[at]))
    with pytest.raises(Unauthenticated):
        passes.read(text[:at] + other + text[at + 1 :], 5.0)


def test_nobody_becomes_root_by_writing_it() -> None:
    passes = Passes(KEY, 60.0)
    text = passes.make(ADA, 5.0)
    forged = text.replace(f"{PREFIX}1000.", f"{PREFIX}0.")
    assert forged != text
    for wrong in (forged, Passes(OTHER, 60.0).make(Bearer(0, 0, 1), 5.0), "", PREFIX, f"{PREFIX}0.0.1.9999999999999.", "." * 9, "ü" * 40, "\udc80.x"):
        with pytest.raises(Unauthenticated, match="was not made by this daemon"):
            passes.read(wrong, 5.0)


def test_a_short_key_signs_nothing() -> None:
    with pytest.raises(ValueError, match="too short"):
        Passes(b"short", 60.0)


def test_what_is_remembered_stays_bounded_and_no_pass_outlives_its_time_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes_module, "MOST_KNOWN", 10)
    passes = Passes(KEY, 60.0)
    made = [passes.make(Bearer(1, 1, pid), 0.0) for pid in range(35)]
    for _ in range(2):
        assert [passes.read(text, 1.0).pid for text in made] == list(range(35))
    assert len(passes._known) <= 10
    with pytest.raises(Unauthenticated, match="expired"):
        passes.read(made[-1], 61.0)

"""How versions are named, and what a name leads to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.errors import AiosError, InvalidArgument, NotFound
from aiosd.models.model import Reference, RefKind
from aiosd.models.references import Ref, led_to, parse_inside, parse_ref

REFERENCES = [
    Reference("main", RefKind.BRANCH, "m" * 64, 1.0, "ada"),
    Reference("prod", RefKind.ALIAS, "p" * 64, 1.0, "ada"),
    Reference("v1.2.0", RefKind.TAG, "1" * 64, 1.0, "ada"),
    Reference("v1.10.0", RefKind.TAG, "2" * 64, 1.0, "ada"),
    Reference("1.11", RefKind.BRANCH, "3" * 64, 1.0, "ada"),
]


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("digits", Ref("digits")), ("vision/digits", Ref("vision/digits")), ("digits:prod", Ref("digits", "prod")), ("digits:team/try-3", Ref("digits", "team/try-3")),
        ("digits@ABC123", Ref("digits", id="abc123")), ("digits:main~2", Ref("digits", "main", back=2)), ("digits~", Ref("digits", back=1)),
        ("digits:main~~3", Ref("digits", "main", back=4)), ("digits@abcd~0", Ref("digits", id="abcd")),
    ],
)  # fmt: skip
def test_forms(text: str, ref: Ref) -> None:
    assert parse_ref(text) == ref
    assert parse_ref(str(ref)) == ref


def test_a_range_is_one_of_the_forms() -> None:
    ref = parse_ref("digits:^1.2~1")
    assert ref.range is not None
    assert (ref.range.text, ref.back, str(ref)) == ("^1.2", 1, "digits:^1.2~1")


@pytest.mark.parametrize(
    "text", ["", ":prod", "digits:", "digits@", "digits@abc", "digits@xyz1", "digits@" + "a" * 65, "digits:main~x", "digits:~1.2", "a b:main", "digits:a b",
             "digits:main~99999999", "digits:a:b", "digits:main@abcd", "digits:main~1000001"],
)  # fmt: skip
def test_what_cannot_be_read_says_why(text: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        parse_ref(text)
    assert raised.value.hint


@given(st.text(max_size=40) | st.from_regex(r"[a-z]{1,3}[:@~^.0-9a-f>=,/ -]{0,12}", fullmatch=True))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        ref = parse_ref(text)
    except AiosError as error:
        assert error.hint
        return
    assert parse_ref(str(ref)) == ref


def test_inside_a_model_its_name_may_be_left_out() -> None:
    for text in ("prod", ":prod", "digits:prod"):
        assert parse_inside(text, "digits") == Ref("digits", "prod")
    assert parse_inside("@abcd", "digits") == Ref("digits", id="abcd")
    assert parse_inside("digits~2", "digits") == Ref("digits", back=2)
    with pytest.raises(InvalidArgument, match="another model"):
        parse_inside("other:prod", "digits")


@pytest.mark.parametrize(
    ("text", "letter"), [("digits", "m"), ("digits:prod", "p"), ("digits:^1.2", "2"), ("digits:>=1,<1.5", "1"), ("digits:=1.10", "2"), ("digits:1.11", "3")]
)  # fmt: skip
def test_what_a_name_leads_to(text: str, letter: str) -> None:
    assert led_to(parse_ref(text), REFERENCES, "n" * 64) == letter * 64


def test_without_main_a_bare_name_is_the_newest() -> None:
    assert led_to(parse_ref("digits"), REFERENCES[1:], "n" * 64) == "n" * 64
    with pytest.raises(NotFound, match="has no version yet"):
        led_to(parse_ref("digits"), [], "")


def test_errors_name_what_is_there() -> None:
    with pytest.raises(NotFound) as near:
        led_to(parse_ref("digits:prd"), REFERENCES, "")
    assert "did you mean digits:prod" in near.value.hint
    with pytest.raises(NotFound) as far:
        led_to(parse_ref("digits:zzz"), REFERENCES, "")
    assert "1.11, main, prod, v1.10.0, v1.2.0" in far.value.hint
    with pytest.raises(NotFound) as tags:
        led_to(parse_ref("digits:^7"), REFERENCES, "")
    assert "v1.2.0, v1.10.0" in tags.value.hint
    with pytest.raises(NotFound) as ident:
        led_to(parse_ref("digits:abc123"), REFERENCES, "")
    assert "digits@abc123" in ident.value.hint

"""Names of models and references: what is allowed, and that a refusal says why."""

import pytest

from aiosd.errors import InvalidArgument
from aiosd.models.names import check_model_name, check_reference_name


@pytest.mark.parametrize("name", ["digits", "vision/digits", "a/b/c/d/e", "ResNet-50_v1.5", "7", "_x", "x" * 100])
def test_names_that_are_good(name: str) -> None:
    assert check_model_name(name) == name
    assert check_reference_name(name) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "it is empty"),
        ("a b", "it has a space"),
        ("🙂", "it has the character '🙂'"),
        ("ä", "it has the character 'ä'"),
        ("a\nb", "it has the character '\\n'"),
        ("a\0b", "it has the character '\\x00'"),
        ("a:b", "it has the character ':'"),
        ("a@b", "it has the character '@'"),
        ("a~b", "it has the character '~'"),
        ("..", "begins with '.'"),
        ("a/../b", "begins with '.'"),
        (".hidden", "begins with '.'"),
        ("-x", "begins with '-'"),
        ("a//b", "nothing before, after or between"),
        ("/a", "nothing before, after or between"),
        ("a/", "nothing before, after or between"),
        ("x" * 1000, "it has 1000 characters, and 200 are allowed"),
        ("x" * 150, "a part of it has 150 characters, and 100 are allowed"),
        ("a/b/c/d/e/f", "it has 6 parts"),
    ],
)
def test_names_that_are_refused(name: str, problem: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        check_model_name(name)
    assert problem in str(raised.value)
    assert str(raised.value).isprintable()
    assert "allowed are" in raised.value.hint

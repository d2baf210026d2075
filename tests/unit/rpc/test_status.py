"""Every error class has a status code, and its detail always fits into a trailer."""

from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote

import grpc
import pytest

from aiosd import errors
from aiosd.errors import AiosError
from aiosd.rpc.status import CODES, code_of, detail_of, short_message


def family(cls: type[AiosError]) -> Iterator[type[AiosError]]:
    for child in cls.__subclasses__():
        yield child
        yield from family(child)


@pytest.mark.parametrize("cls", sorted(set(family(AiosError)), key=lambda c: c.__name__))
def test_every_error_class_has_a_row_or_a_parent_with_one(cls: type[AiosError]) -> None:
    error = cls("what", hint="do", asked=8)
    assert any(each in CODES for each in cls.__mro__), f"{cls.__name__} needs a row in CODES"
    assert code_of(error) not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
    detail = detail_of(error)
    assert (detail.reason, dict(detail.facts), detail.hint) == (error.reason, {"asked": "8"}, "do")


def test_reasons_tell_classes_apart() -> None:
    reasons = [cls("").reason for cls in set(family(AiosError))]
    assert len(set(reasons)) == len(reasons)


def test_the_nearest_row_counts() -> None:
    assert code_of(errors.NeverFits("")) is grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(errors.DiskFull("")) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert code_of(AiosError("")) is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize("letter", ["a", "%", "ü", "漢", "\n", "\udcff", "\0"])
@pytest.mark.parametrize("length", [0, 1, 500, 2500, 2501, 100_000])
def test_no_error_is_too_long_for_its_trailer(letter: str, length: int) -> None:
    words = letter * length
    message = short_message(words)
    detail = detail_of(AiosError("", hint=words, **{f"f{i}": words for i in range(30)}))
    assert len(quote(message)) + len(b64encode(detail.SerializeToString())) < 8192 - 512
    if length <= 1 and letter != "\udcff":
        assert message == words
    if length == 100_000:
        assert message.endswith(" …")

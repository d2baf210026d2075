"""The SDK's errors mirror the daemon's, reason by reason."""

import pickle
import traceback
from typing import TypeVar

import pytest

import aiosd.errors
from aios import errors

Root = TypeVar("Root", bound=Exception)


def every(cls: type[Root]) -> list[type[Root]]:
    return [cls, *(found for child in cls.__subclasses__() for found in every(child))]


def test_every_error_of_the_daemon_has_its_class() -> None:
    for theirs in every(aiosd.errors.AiosError):
        if theirs is aiosd.errors.AiosError or theirs.__module__ != "aiosd.errors":
            continue
        reason = theirs("x").reason
        ours = errors.BY_REASON[reason]
        assert ours.__name__ == theirs.__name__
        assert ours("x").reason == reason
        parents = {parent.__name__ for parent in theirs.__mro__ if parent.__module__ == "aiosd.errors"}
        assert parents <= {parent.__name__ for parent in ours.__mro__}


@pytest.mark.parametrize("cls", every(errors.AiosError))
def test_errors_are_built_and_travel(cls: type[errors.AiosError]) -> None:
    error = cls("what is wrong", hint="what to do", facts={"a": "1"}, reason="NEW_ONE")
    assert traceback.format_exception(error)[-1] == "hint: what to do\n"
    again = pickle.loads(pickle.dumps(error))
    assert again.__notes__ == ["hint: what to do"]
    assert (type(again), str(again), again.hint, again.facts, again.reason) == (cls, "what is wrong", "what to do", {"a": "1"}, "NEW_ONE")


def test_builtin_kin() -> None:
    assert issubclass(errors.Timeout, TimeoutError)
    assert issubclass(errors.DaemonUnreachable, ConnectionError)

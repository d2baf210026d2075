"""How long a call holds the loop: the sum of its steps, without the time it waits."""

import time
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


@coroutine
def metered(work: Coroutine[Any, Any, T], spend: Callable[[float], None]) -> Generator[Any, Any, T]:
    """The answer of `work`; after each of its steps `spend` is told the step's seconds."""
    give, error = None, None
    while True:
        began_s = time.perf_counter()
        try:
            wanted = work.send(give) if error is None else work.throw(error)
        except StopIteration as end:
            answer: T = end.value
            return answer
        finally:
            spend(time.perf_counter() - began_s)
        give, error = None, None
        try:
            give = yield wanted
        except BaseException as thrown:  # noqa: BLE001  (also a cancellation: it is for the work to act on)
            error = thrown

"""Several steps of one pass over a file at the same time, each in a thread of its own and in the order of the file."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

Window = TypeVar("Window")
AHEAD = 3  # windows that are under way together: one must be good until so many more have come


def side_by_side(windows: Iterable[Window], *steps: Callable[[Window], Any]) -> "closing[Generator[tuple[Window, list[Any]], None, None]]":
    """Each window with what the steps make of it, while the next ones are read and worked on. Nothing is under way behind the `with`.

    raises    what `windows` and the steps raise
    """
    return closing(_passed(windows, steps))


def _passed(windows: Iterable[Window], steps: tuple[Callable[[Window], Any], ...]) -> Generator[tuple[Window, list[Any]], None, None]:
    lanes = [ThreadPoolExecutor(1, thread_name_prefix="lane") for _ in steps]
    under_way: deque[tuple[Window, list[Future[Any]]]] = deque()
    try:
        for window in windows:
            under_way.append((window, [lane.submit(step, window) for lane, step in zip(lanes, steps, strict=True)]))
            if len(under_way) == AHEAD:
                yield _made(under_way.popleft())
        while under_way:
            yield _made(under_way.popleft())
    finally:
        for lane in lanes:
            lane.shutdown(cancel_futures=True)


def _made(one: tuple[Window, list[Future[Any]]]) -> tuple[Window, list[Any]]:
    window, steps = one
    return window, [step.result() for step in steps]

"""Long lists converted in slices, so that one caller's ten thousand do not keep everybody else waiting."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

SLICE = 100


async def each(items: Iterable[In], convert: Callable[[int, In], Out]) -> list[Out]:
    """`convert(place, item)` of every item; after each slice the loop does what else there is."""
    made: list[Out] = []
    for place, item in enumerate(items):
        made.append(convert(place, item))
        if place % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    return made

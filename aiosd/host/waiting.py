"""Waiting for descriptors of any number, where select() knows none above 1023 and a daemon has one for each running job; imports next to nothing."""

import select


def readable(descriptors: list[int] | tuple[int, ...], timeout_s: float | None) -> list[int]:
    """Those that can be read, or are at their end; none when that takes longer. None: as long as it takes."""
    poll = select.poll()
    for each in descriptors:
        poll.register(each, select.POLLIN)
    return [ready for ready, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)]

"""Lines of staged jobs behind short runs: the records; `staging.py` moves them."""

from collections import deque
from dataclasses import dataclass, field

from aiosd.ids import JobId
from aiosd.scheduling.policy import ClassKey


@dataclass(slots=True, eq=False)
class Line:
    """Who follows `head`. The first `handed` of `waiting` are launched already; the engine has yet to hear of their predecessor's end."""

    head: JobId
    key: ClassKey
    since_s: float  # steady; when `head` became it
    waiting: deque[JobId] = field(default_factory=deque)
    handed: int = 0
    closed: bool = False  # nobody may join it: what its head holds is not what one would be granted now


@dataclass(slots=True)
class Staging:
    of: dict[JobId, Line] = field(default_factory=dict)  # by head, and by each that was handed over
    behind: dict[JobId, Line] = field(default_factory=dict)  # by each that is staged
    paces: dict[ClassKey, float] = field(default_factory=dict)  # mean run time of late; seconds
    check_at_s: float | None = None  # steady

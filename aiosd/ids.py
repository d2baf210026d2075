"""How a job is named: a short integer, and an index for an element of an array."""

import re
from typing import NamedTuple

WHOLE = -1  # the index of a job that is no element: a plain job, or an array's own record

_JOB_ID = re.compile(r"(\d{1,18})(?:\.(\d{1,18}))?")


class JobId(NamedTuple):
    """`JobId(42)` is a job or an array, `JobId(42, 7)` the element 7 of an array; ordered by age."""

    number: int
    index: int = WHOLE  # type: ignore[assignment]  # of an array element; a tuple's own index() is never wanted here

    def __str__(self) -> str:
        return str(self.number) if self.index == WHOLE else f"{self.number}.{self.index}"

    @property
    def is_element(self) -> bool:
        return self.index != WHOLE

    @property
    def whole(self) -> "JobId":
        """The array that an element belongs to; a job that is no element itself."""
        return JobId(self.number) if self.index != WHOLE else self


def parse_job_id(text: str) -> JobId | None:
    """`"42"` or `"42.7"` as a JobId; None when the text has no such form (it may be a name)."""
    match = _JOB_ID.fullmatch(text)
    if match is None:
        return None
    number, index = match.groups()
    return JobId(int(number), WHOLE if index is None else int(index))

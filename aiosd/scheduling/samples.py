"""A bounded sample of the latest run times, where some are only known to be longer than they were seen, and its quantiles."""

from array import array
from collections.abc import Sequence

MOST = 32  # of the latest; older ones are forgotten
HALF_LIFE = 6.0  # so many runs ago, one counts half: people's jobs come in batches that are alike
_WEIGHTS = [0.5 ** (ago / HALF_LIFE) for ago in range(MOST)]


class Sample:
    """The latest `MOST` values; a sliding window in which newer ones weigh more."""

    __slots__ = ("_ordered", "_values", "ended", "touched")

    def __init__(self) -> None:
        self._values = array("d")  # oldest first; one that is only a lower bound has its sign changed
        self._ordered: list[tuple[float, float]] | None = None
        self.ended = 0  # how many of them are no lower bounds
        self.touched = 0  # by its owner, to know which is old

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float, *, censored: bool = False) -> None:
        """The newest. `censored`: it would have been longer, had it not been ended from outside."""
        value = max(value, 1e-3)  # a sign is needed
        self._values.append(-value if censored else value)
        self.ended += not censored
        if len(self._values) > MOST:
            self.ended -= self._values.pop(0) > 0
        self._ordered = None

    def newest(self, count: int) -> Sequence[float]:
        """The latest values, newest first."""
        return [abs(value) for value in self._values[-count:][::-1]]

    def quantiles(self, parts: Sequence[float], over: float = 0.0) -> Sequence[float] | None:
        """The weighted quantiles at `parts` (each in [0, 1], ascending) of what is longer than `over`; None where nothing was."""
        longer = [(value, weight) for value, weight in self._in_order() if value > over]
        total = sum(weight for _, weight in longer)
        if total <= 0:
            return None
        found, passed, at = [], 0.0, 0
        for part in parts:
            while at < len(longer) - 1 and passed + longer[at][1] < part * total:
                passed += longer[at][1]
                at += 1
            found.append(longer[at][0])
        return found

    def _in_order(self) -> list[tuple[float, float]]:
        """(value, weight), ascending.

        The weight of a lower bound goes in equal parts to all that is longer; with nothing longer it counts as it is.
        Source: Efron, "The two sample problem with censored data", 1967: redistribution to the right, which is Kaplan-Meier's estimate.
        """
        if self._ordered is not None:
            return self._ordered
        newest = len(self._values) - 1
        rows = sorted((abs(value), value < 0, _WEIGHTS[newest - at]) for at, value in enumerate(self._values))
        total = sum(weight for *_, weight in rows)
        left, factor, ordered = total, 1.0, list[tuple[float, float]]()
        for value, censored, weight in rows:  # at equal values what has ended comes first
            left -= weight
            if not censored or left <= 1e-9 * total:
                ordered.append((value, weight * factor))
            else:
                factor *= (left + weight) / left
        self._ordered = ordered
        return ordered

"""What the scheduler would have known of run times by then: learned from the simulated runs that have ended, by the daemon's own code."""

from heapq import heappop, heappush

from aiosd.jobs.history import History, Recalled
from aiosd.resources.request import Request
from aiosd.scheduling.policy import ClassKey, Estimate
from aiosd.scheduling.predict import Traits, extended
from aiosd.simulation.records import TraceJob


class Learning:
    """A run that reached its limit was ended there, and would have gone on: so much is learned from it, and no more."""

    def __init__(self) -> None:
        self._history = History()
        self._looks: list[tuple[float, int]] = []  # at runs: when, of which job

    def estimate(self, key: ClassKey) -> Estimate | None:
        return self._history.estimate(key)

    def begun(self, number: int, now_s: float) -> None:
        """What is expected of the run is asked in the next pass, as in the daemon."""
        heappush(self._looks, (now_s, number))

    def ended(self, job: TraceJob, request: Request) -> None:
        traits = Traits(job.user, job.work, request, job.limit_s)
        self._history.learn(Recalled(traits, job.run_s, 0 < job.limit_s <= job.run_s, None))

    def due(self, now_s: float) -> list[int]:
        """The jobs whose runs have just begun, or have outlived what was expected of them; who has ended may be among them."""
        found = []
        while self._looks and self._looks[0][0] <= now_s:
            found.append(heappop(self._looks)[1])
        return found

    def expected_end_s(self, number: int, key: ClassKey, begun_s: float, latest_end_s: float, now_s: float) -> float:
        """Of a run that goes on; it is due again when it has outlived that."""
        found = self._history.estimate(key)
        if found is None:
            return latest_end_s
        end_s = min(latest_end_s, begun_s + extended(found, now_s - begun_s).expected_s)
        if end_s > now_s:
            heappush(self._looks, (end_s, number))
        return end_s

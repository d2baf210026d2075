"""How long the jobs of each queue have waited that started lately, and whether they started when it was said they would."""

from collections import deque
from dataclasses import dataclass, field

from aiosd.ids import JobId
from aiosd.jobs.job import Job

NEWEST_WEIGHT = 0.1  # of a start in the mean of its queue
MOST_QUEUES = 1000  # names come from users: what is remembered about them must not grow for ever
MOST_GIVEN, MOST_CHECKED = 1000, 200
SLACK_S = 1.0  # of a start, for the interval to have held


@dataclass(slots=True)
class Calibration:
    """The first interval that was given for a job, until it starts; and of the latest, whether they held."""

    given: dict[JobId, tuple[float, float]] = field(default_factory=dict)
    held: deque[bool] = field(default_factory=lambda: deque(maxlen=MOST_CHECKED))

    def give(self, job_id: JobId, low_s: float, high_s: float) -> None:
        if job_id not in self.given:
            self.given[job_id] = low_s, high_s
            if len(self.given) > MOST_GIVEN:
                del self.given[next(iter(self.given))]

    def started(self, job_id: JobId, at_s: float) -> None:
        interval = self.given.pop(job_id, None)
        if interval is not None:
            low_s, high_s = interval
            self.held.append(low_s - SLACK_S <= at_s <= high_s + SLACK_S)

    def forget(self, job_id: JobId) -> None:
        """It was changed, or will never start."""
        self.given.pop(job_id, None)

    @property
    def share(self) -> float:
        """Of the intervals given lately, how many held; 0 with no experience."""
        return sum(self.held) / len(self.held) if self.held else 0.0


@dataclass(slots=True)
class Waited:
    """Lives as long as the daemon. `mean_s`: by queue, an exponentially weighted mean."""

    mean_s: dict[str, float] = field(default_factory=dict)
    calibration: Calibration = field(default_factory=Calibration)

    def started(self, job: Job) -> None:
        """A run has begun. Only the first of a job counts: a later one waited for other reasons, too."""
        assert job.run is not None
        self.calibration.started(job.id, job.run.dispatched_at_s)
        if job.attempt != 1 or not job.eligible_at_s:
            return
        waited_s = max(0.0, job.run.dispatched_at_s - job.eligible_at_s)
        queue = job.spec.queue
        if queue not in self.mean_s and len(self.mean_s) >= MOST_QUEUES:
            self.mean_s.clear()
        known_s = self.mean_s.get(queue, waited_s)
        self.mean_s[queue] = known_s + NEWEST_WEIGHT * (waited_s - known_s)

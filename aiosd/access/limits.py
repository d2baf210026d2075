"""What one user may have at once, and what it has: limits, use, and which of the one the other passes."""

from dataclasses import dataclass, fields

from aiosd.errors import InvalidArgument

MOST = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLimits:
    """Limits of one user; 0: none. `gpu_hours_per_day` is of the last 24 hours, as of any moment."""

    queued_jobs: int = 0  # that have not begun; elements of arrays one by one
    running_jobs: int = 0
    cpu_millis: int = 0
    memory_bytes: int = 0
    gpu_millis: int = 0
    gpu_hours_per_day: float = 0.0
    model_bytes: int = 0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(getattr(self, name) for name in NAMES)

    @property
    def bounds_runs(self) -> bool:
        """Whether any of them can keep a job from starting."""
        return bool(self.running_jobs or self.cpu_millis or self.memory_bytes or self.gpu_millis or self.gpu_hours_per_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUse:
    """What a user's jobs hold now, and what its GPUs did in the last 24 hours, runs that go on included."""

    queued_jobs: int = 0
    running_jobs: int = 0
    cpu_millis: int = 0
    memory_bytes: int = 0
    gpu_millis: int = 0
    gpu_hours: float = 0.0


NAMES = tuple(f.name for f in fields(UserLimits))


def check_limits(limits: UserLimits) -> UserLimits:
    """The same. Raises InvalidArgument for one that is negative, or no number."""
    for name in NAMES:
        value = getattr(limits, name)
        if not 0 <= value <= MOST:  # false for NaN too
            raise InvalidArgument(f"the limit {name} is {value}, and must be 0 or more", hint="0 means no limit", field=name, given=value)
    return limits

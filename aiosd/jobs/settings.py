"""What the jobs domain lets an operator choose; `app.py` fills it from the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiosd.access.limits import UserLimits
from aiosd.scheduling.rules import QueueSettings, SchedulingRules


class Rightsize(StrEnum):
    """What is done with what such jobs used before, where a job does not say what it needs."""

    OFF = "off"
    SUGGEST = "suggest"
    APPLY = "apply"


@dataclass(frozen=True, slots=True)
class JobsSettings:
    policy: str = "fair"
    usage_half_life_s: float = 7 * 86400.0
    shares: Mapping[str, float] = field(default_factory=dict)
    max_starts_per_pass: int = 1000
    scheduling: SchedulingRules = SchedulingRules()
    default_cpu_millis: int = 1000
    default_queue: str = "default"
    grace_s: float = 30.0
    retry_backoff_s: float = 1.0
    retry_backoff_max_s: float = 600.0
    oom_memory_factor: float = 1.5
    max_array_elements: int = 10_000_000
    max_command_bytes: int = 1 << 20
    max_environment_bytes: int = 1 << 20
    max_jobs_per_submit: int = 10_000
    max_user_priority: int = 0  # of users; operators may ask for any
    max_queued: int = 2_000_000
    queue_share: float = 1.0  # of it, for one user
    limits: UserLimits = UserLimits()  # of each user who has none of its own
    allow_root_jobs: bool = True
    umask: int = 0o022
    learn: bool = True  # from runs as they end
    rightsize: Rightsize = Rightsize.OFF
    rightsize_margin_permille: int = 200
    private_tmp: bool = False
    queues: Mapping[str, QueueSettings] = field(default_factory=lambda: {"default": QueueSettings("default")})

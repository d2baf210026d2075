"""A job as a caller wrote it down: nothing checked, nothing filled in; 0 and "" mean 'the default'."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiosd.resources.request import DeviceRequest


@dataclass(frozen=True, slots=True)
class RequestDraft:
    cpu_millis: int = 0
    memory_bytes: int = 0
    devices: tuple[DeviceRequest, ...] = ()
    disk_bytes: int = 0
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class RetryDraft:
    retries: int = 0
    conditions: tuple[str, ...] = ()  # values of RetryCondition
    backoff_s: float = 0.0
    backoff_max_s: float = 0.0
    oom_memory_factor: float = 0.0
    oom_memory_max_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDraft:
    command: tuple[str, ...]
    name: str = ""
    cwd: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    request: RequestDraft = RequestDraft()
    array: str = ""
    dependencies: tuple[tuple[str, str], ...] = ()  # (value of DependencyKind, "42" | "42.7" | "#1": position in the same call)
    time_limit_s: float = 0.0
    grace_s: float = 0.0
    retry: RetryDraft = RetryDraft()
    begin_at_s: float = 0.0
    deadline_at_s: float = 0.0
    priority: int = 0
    nice: int = 0
    queue: str = ""
    qos: str = ""
    account: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    held: bool = False
    stdout_path: str = ""
    stderr_path: str = ""
    stdin_open: bool = False
    preemptible: bool = False
    checkpoint_signal: str = ""
    notify_command: str = ""
    script: str = ""
    io_read_bytes_per_s: int = 0
    io_write_bytes_per_s: int = 0
    io_weight: int = 0
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # until they are kept, at `secrets_at`
    secrets_at: str = ""
    private_tmp: bool = False
    login_environment: bool = False
    umask: int | None = None  # None: the daemon's default
    process_limits: tuple[tuple[str, int, int], ...] = ()  # (name, soft, hard), -1: none
    model_outputs: tuple[tuple[str, str, str], ...] = ()  # (model, branch, path)


@dataclass(frozen=True, slots=True)
class JobChange:
    """What `update` changes; None leaves it. A label with an empty value is removed."""

    priority: int | None = None
    time_limit_s: float | None = None
    begin_at_s: float | None = None
    deadline_at_s: float | None = None
    queue: str | None = None
    qos: str | None = None
    name: str | None = None
    cpu_millis: int | None = None
    memory_bytes: int | None = None
    array_limit: int | None = None
    nice: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

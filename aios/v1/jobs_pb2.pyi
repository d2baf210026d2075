from aios.v1 import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_PHASE_UNSPECIFIED: _ClassVar[JobPhase]
    JOB_PHASE_HELD: _ClassVar[JobPhase]
    JOB_PHASE_WAITING: _ClassVar[JobPhase]
    JOB_PHASE_QUEUED: _ClassVar[JobPhase]
    JOB_PHASE_STARTING: _ClassVar[JobPhase]
    JOB_PHASE_RUNNING: _ClassVar[JobPhase]
    JOB_PHASE_SUSPENDED: _ClassVar[JobPhase]
    JOB_PHASE_STOPPING: _ClassVar[JobPhase]
    JOB_PHASE_SUCCEEDED: _ClassVar[JobPhase]
    JOB_PHASE_FAILED: _ClassVar[JobPhase]
    JOB_PHASE_CANCELLED: _ClassVar[JobPhase]
    JOB_PHASE_TIMED_OUT: _ClassVar[JobPhase]
    JOB_PHASE_OUT_OF_MEMORY: _ClassVar[JobPhase]
    JOB_PHASE_LOST: _ClassVar[JobPhase]
    JOB_PHASE_SKIPPED: _ClassVar[JobPhase]

class Output(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTPUT_UNSPECIFIED: _ClassVar[Output]
    STDOUT: _ClassVar[Output]
    STDERR: _ClassVar[Output]
JOB_PHASE_UNSPECIFIED: JobPhase
JOB_PHASE_HELD: JobPhase
JOB_PHASE_WAITING: JobPhase
JOB_PHASE_QUEUED: JobPhase
JOB_PHASE_STARTING: JobPhase
JOB_PHASE_RUNNING: JobPhase
JOB_PHASE_SUSPENDED: JobPhase
JOB_PHASE_STOPPING: JobPhase
JOB_PHASE_SUCCEEDED: JobPhase
JOB_PHASE_FAILED: JobPhase
JOB_PHASE_CANCELLED: JobPhase
JOB_PHASE_TIMED_OUT: JobPhase
JOB_PHASE_OUT_OF_MEMORY: JobPhase
JOB_PHASE_LOST: JobPhase
JOB_PHASE_SKIPPED: JobPhase
OUTPUT_UNSPECIFIED: Output
STDOUT: Output
STDERR: Output

class EnvironmentVariable(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Dependency(_message.Message):
    __slots__ = ("kind", "job_id")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Dependency.Kind]
        AFTER: _ClassVar[Dependency.Kind]
        AFTER_OK: _ClassVar[Dependency.Kind]
        AFTER_ANY: _ClassVar[Dependency.Kind]
        AFTER_FAILED: _ClassVar[Dependency.Kind]
    KIND_UNSPECIFIED: Dependency.Kind
    AFTER: Dependency.Kind
    AFTER_OK: Dependency.Kind
    AFTER_ANY: Dependency.Kind
    AFTER_FAILED: Dependency.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    kind: Dependency.Kind
    job_id: str
    def __init__(self, kind: _Optional[_Union[Dependency.Kind, str]] = ..., job_id: _Optional[str] = ...) -> None: ...

class RetryPolicy(_message.Message):
    __slots__ = ("retries", "conditions", "backoff_s", "backoff_max_s", "oom_memory_factor", "oom_memory_max_bytes")
    class Condition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CONDITION_UNSPECIFIED: _ClassVar[RetryPolicy.Condition]
        EXIT: _ClassVar[RetryPolicy.Condition]
        OOM: _ClassVar[RetryPolicy.Condition]
        PREEMPT: _ClassVar[RetryPolicy.Condition]
        TIMEOUT: _ClassVar[RetryPolicy.Condition]
        LOST: _ClassVar[RetryPolicy.Condition]
    CONDITION_UNSPECIFIED: RetryPolicy.Condition
    EXIT: RetryPolicy.Condition
    OOM: RetryPolicy.Condition
    PREEMPT: RetryPolicy.Condition
    TIMEOUT: RetryPolicy.Condition
    LOST: RetryPolicy.Condition
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_S_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_MAX_S_FIELD_NUMBER: _ClassVar[int]
    OOM_MEMORY_FACTOR_FIELD_NUMBER: _ClassVar[int]
    OOM_MEMORY_MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    retries: int
    conditions: _containers.RepeatedScalarFieldContainer[RetryPolicy.Condition]
    backoff_s: float
    backoff_max_s: float
    oom_memory_factor: float
    oom_memory_max_bytes: int
    def __init__(self, retries: _Optional[int] = ..., conditions: _Optional[_Iterable[_Union[RetryPolicy.Condition, str]]] = ..., backoff_s: _Optional[float] = ..., backoff_max_s: _Optional[float] = ..., oom_memory_factor: _Optional[float] = ..., oom_memory_max_bytes: _Optional[int] = ...) -> None: ...

class Secret(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: bytes
    def __init__(self, name: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class ProcessLimit(_message.Message):
    __slots__ = ("name", "soft", "hard")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOFT_FIELD_NUMBER: _ClassVar[int]
    HARD_FIELD_NUMBER: _ClassVar[int]
    name: str
    soft: int
    hard: int
    def __init__(self, name: _Optional[str] = ..., soft: _Optional[int] = ..., hard: _Optional[int] = ...) -> None: ...

class ModelOutput(_message.Message):
    __slots__ = ("model", "branch", "path")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    model: str
    branch: str
    path: str
    def __init__(self, model: _Optional[str] = ..., branch: _Optional[str] = ..., path: _Optional[str] = ...) -> None: ...

class JobSpec(_message.Message):
    __slots__ = ("name", "command", "cwd", "environment", "request", "array", "dependencies", "time_limit_s", "grace_s", "retry", "begin_at_s", "deadline_at_s", "priority", "nice", "queue", "account", "labels", "held", "stdout_path", "stderr_path", "stdin_open", "preemptible", "checkpoint_signal", "notify_command", "script", "io_read_bytes_per_s", "io_write_bytes_per_s", "io_weight", "secrets", "private_tmp", "login_environment", "umask", "process_limits", "qos", "model_outputs")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    ARRAY_FIELD_NUMBER: _ClassVar[int]
    DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    GRACE_S_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    BEGIN_AT_S_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_AT_S_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    NICE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    STDOUT_PATH_FIELD_NUMBER: _ClassVar[int]
    STDERR_PATH_FIELD_NUMBER: _ClassVar[int]
    STDIN_OPEN_FIELD_NUMBER: _ClassVar[int]
    PREEMPTIBLE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    NOTIFY_COMMAND_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    IO_READ_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    IO_WRITE_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    IO_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_TMP_FIELD_NUMBER: _ClassVar[int]
    LOGIN_ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    UMASK_FIELD_NUMBER: _ClassVar[int]
    PROCESS_LIMITS_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    MODEL_OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    command: _containers.RepeatedScalarFieldContainer[str]
    cwd: str
    environment: _containers.RepeatedCompositeFieldContainer[EnvironmentVariable]
    request: _resources_pb2.Request
    array: str
    dependencies: _containers.RepeatedCompositeFieldContainer[Dependency]
    time_limit_s: float
    grace_s: float
    retry: RetryPolicy
    begin_at_s: float
    deadline_at_s: float
    priority: int
    nice: int
    queue: str
    account: str
    labels: _containers.ScalarMap[str, str]
    held: bool
    stdout_path: str
    stderr_path: str
    stdin_open: bool
    preemptible: bool
    checkpoint_signal: str
    notify_command: str
    script: str
    io_read_bytes_per_s: int
    io_write_bytes_per_s: int
    io_weight: int
    secrets: _containers.RepeatedCompositeFieldContainer[Secret]
    private_tmp: bool
    login_environment: bool
    umask: int
    process_limits: _containers.RepeatedCompositeFieldContainer[ProcessLimit]
    qos: str
    model_outputs: _containers.RepeatedCompositeFieldContainer[ModelOutput]
    def __init__(self, name: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., cwd: _Optional[str] = ..., environment: _Optional[_Iterable[_Union[EnvironmentVariable, _Mapping]]] = ..., request: _Optional[_Union[_resources_pb2.Request, _Mapping]] = ..., array: _Optional[str] = ..., dependencies: _Optional[_Iterable[_Union[Dependency, _Mapping]]] = ..., time_limit_s: _Optional[float] = ..., grace_s: _Optional[float] = ..., retry: _Optional[_Union[RetryPolicy, _Mapping]] = ..., begin_at_s: _Optional[float] = ..., deadline_at_s: _Optional[float] = ..., priority: _Optional[int] = ..., nice: _Optional[int] = ..., queue: _Optional[str] = ..., account: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., held: _Optional[bool] = ..., stdout_path: _Optional[str] = ..., stderr_path: _Optional[str] = ..., stdin_open: _Optional[bool] = ..., preemptible: _Optional[bool] = ..., checkpoint_signal: _Optional[str] = ..., notify_command: _Optional[str] = ..., script: _Optional[str] = ..., io_read_bytes_per_s: _Optional[int] = ..., io_write_bytes_per_s: _Optional[int] = ..., io_weight: _Optional[int] = ..., secrets: _Optional[_Iterable[_Union[Secret, _Mapping]]] = ..., private_tmp: _Optional[bool] = ..., login_environment: _Optional[bool] = ..., umask: _Optional[int] = ..., process_limits: _Optional[_Iterable[_Union[ProcessLimit, _Mapping]]] = ..., qos: _Optional[str] = ..., model_outputs: _Optional[_Iterable[_Union[ModelOutput, _Mapping]]] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("started_at_s", "pid", "grant", "stdout_path", "stderr_path", "progress")
    STARTED_AT_S_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    STDOUT_PATH_FIELD_NUMBER: _ClassVar[int]
    STDERR_PATH_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    started_at_s: float
    pid: int
    grant: _resources_pb2.Grant
    stdout_path: str
    stderr_path: str
    progress: Progress
    def __init__(self, started_at_s: _Optional[float] = ..., pid: _Optional[int] = ..., grant: _Optional[_Union[_resources_pb2.Grant, _Mapping]] = ..., stdout_path: _Optional[str] = ..., stderr_path: _Optional[str] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done", "total", "metrics", "step", "at_s")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    AT_S_FIELD_NUMBER: _ClassVar[int]
    done: float
    total: float
    metrics: _containers.ScalarMap[str, float]
    step: int
    at_s: float
    def __init__(self, done: _Optional[float] = ..., total: _Optional[float] = ..., metrics: _Optional[_Mapping[str, float]] = ..., step: _Optional[int] = ..., at_s: _Optional[float] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("ended_at_s", "exit_code", "signal", "core_dumped", "oom_killed", "reason", "usage", "wait_s", "run_s")
    ENDED_AT_S_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    CORE_DUMPED_FIELD_NUMBER: _ClassVar[int]
    OOM_KILLED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    RUN_S_FIELD_NUMBER: _ClassVar[int]
    ended_at_s: float
    exit_code: int
    signal: int
    core_dumped: bool
    oom_killed: bool
    reason: str
    usage: Usage
    wait_s: float
    run_s: float
    def __init__(self, ended_at_s: _Optional[float] = ..., exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., core_dumped: _Optional[bool] = ..., oom_killed: _Optional[bool] = ..., reason: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., wait_s: _Optional[float] = ..., run_s: _Optional[float] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("cpu_user_s", "cpu_system_s", "memory_peak_bytes", "read_bytes", "write_bytes", "voluntary_switches", "involuntary_switches", "major_faults", "cpu_pressure_s", "memory_pressure_s", "io_pressure_s", "oom_kills")
    CPU_USER_S_FIELD_NUMBER: _ClassVar[int]
    CPU_SYSTEM_S_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VOLUNTARY_SWITCHES_FIELD_NUMBER: _ClassVar[int]
    INVOLUNTARY_SWITCHES_FIELD_NUMBER: _ClassVar[int]
    MAJOR_FAULTS_FIELD_NUMBER: _ClassVar[int]
    CPU_PRESSURE_S_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PRESSURE_S_FIELD_NUMBER: _ClassVar[int]
    IO_PRESSURE_S_FIELD_NUMBER: _ClassVar[int]
    OOM_KILLS_FIELD_NUMBER: _ClassVar[int]
    cpu_user_s: float
    cpu_system_s: float
    memory_peak_bytes: int
    read_bytes: int
    write_bytes: int
    voluntary_switches: int
    involuntary_switches: int
    major_faults: int
    cpu_pressure_s: float
    memory_pressure_s: float
    io_pressure_s: float
    oom_kills: int
    def __init__(self, cpu_user_s: _Optional[float] = ..., cpu_system_s: _Optional[float] = ..., memory_peak_bytes: _Optional[int] = ..., read_bytes: _Optional[int] = ..., write_bytes: _Optional[int] = ..., voluntary_switches: _Optional[int] = ..., involuntary_switches: _Optional[int] = ..., major_faults: _Optional[int] = ..., cpu_pressure_s: _Optional[float] = ..., memory_pressure_s: _Optional[float] = ..., io_pressure_s: _Optional[float] = ..., oom_kills: _Optional[int] = ...) -> None: ...

class ArrayProgress(_message.Message):
    __slots__ = ("total", "pending", "active", "succeeded", "failed", "limit", "pending_ranges")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PENDING_RANGES_FIELD_NUMBER: _ClassVar[int]
    total: int
    pending: int
    active: int
    succeeded: int
    failed: int
    limit: int
    pending_ranges: str
    def __init__(self, total: _Optional[int] = ..., pending: _Optional[int] = ..., active: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., limit: _Optional[int] = ..., pending_ranges: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "spec", "user", "uid", "phase", "reason", "submitted_at_s", "eligible_at_s", "attempt", "run", "outcome", "array", "revision", "redacted", "preemptions", "rightsizing", "models_read", "datasets_read", "models_made", "datasets_made", "registering")
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_AT_S_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_AT_S_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ARRAY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REDACTED_FIELD_NUMBER: _ClassVar[int]
    PREEMPTIONS_FIELD_NUMBER: _ClassVar[int]
    RIGHTSIZING_FIELD_NUMBER: _ClassVar[int]
    MODELS_READ_FIELD_NUMBER: _ClassVar[int]
    DATASETS_READ_FIELD_NUMBER: _ClassVar[int]
    MODELS_MADE_FIELD_NUMBER: _ClassVar[int]
    DATASETS_MADE_FIELD_NUMBER: _ClassVar[int]
    REGISTERING_FIELD_NUMBER: _ClassVar[int]
    id: str
    spec: JobSpec
    user: str
    uid: int
    phase: JobPhase
    reason: str
    submitted_at_s: float
    eligible_at_s: float
    attempt: int
    run: Run
    outcome: Outcome
    array: ArrayProgress
    revision: int
    redacted: bool
    preemptions: int
    rightsizing: str
    models_read: _containers.RepeatedScalarFieldContainer[str]
    datasets_read: _containers.RepeatedScalarFieldContainer[str]
    models_made: _containers.RepeatedScalarFieldContainer[str]
    datasets_made: _containers.RepeatedScalarFieldContainer[str]
    registering: bool
    def __init__(self, id: _Optional[str] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ..., user: _Optional[str] = ..., uid: _Optional[int] = ..., phase: _Optional[_Union[JobPhase, str]] = ..., reason: _Optional[str] = ..., submitted_at_s: _Optional[float] = ..., eligible_at_s: _Optional[float] = ..., attempt: _Optional[int] = ..., run: _Optional[_Union[Run, _Mapping]] = ..., outcome: _Optional[_Union[Outcome, _Mapping]] = ..., array: _Optional[_Union[ArrayProgress, _Mapping]] = ..., revision: _Optional[int] = ..., redacted: _Optional[bool] = ..., preemptions: _Optional[int] = ..., rightsizing: _Optional[str] = ..., models_read: _Optional[_Iterable[str]] = ..., datasets_read: _Optional[_Iterable[str]] = ..., models_made: _Optional[_Iterable[str]] = ..., datasets_made: _Optional[_Iterable[str]] = ..., registering: _Optional[bool] = ...) -> None: ...

class SubmitJobsRequest(_message.Message):
    __slots__ = ("specs", "idempotency_key", "environment")
    SPECS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    specs: _containers.RepeatedCompositeFieldContainer[JobSpec]
    idempotency_key: str
    environment: _containers.RepeatedCompositeFieldContainer[EnvironmentVariable]
    def __init__(self, specs: _Optional[_Iterable[_Union[JobSpec, _Mapping]]] = ..., idempotency_key: _Optional[str] = ..., environment: _Optional[_Iterable[_Union[EnvironmentVariable, _Mapping]]] = ...) -> None: ...

class SubmitJobsResponse(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("id", "with_environment")
    ID_FIELD_NUMBER: _ClassVar[int]
    WITH_ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    with_environment: bool
    def __init__(self, id: _Optional[str] = ..., with_environment: _Optional[bool] = ...) -> None: ...

class JobFilter(_message.Message):
    __slots__ = ("ids", "phases", "users", "queues", "labels", "name", "include_ended", "include_elements")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    IDS_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ENDED_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    phases: _containers.RepeatedScalarFieldContainer[JobPhase]
    users: _containers.RepeatedScalarFieldContainer[str]
    queues: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    name: str
    include_ended: bool
    include_elements: bool
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., phases: _Optional[_Iterable[_Union[JobPhase, str]]] = ..., users: _Optional[_Iterable[str]] = ..., queues: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., name: _Optional[str] = ..., include_ended: _Optional[bool] = ..., include_elements: _Optional[bool] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: JobFilter
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[JobFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token", "revision")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    revision: int
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class WatchJobsRequest(_message.Message):
    __slots__ = ("filter", "since_revision")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SINCE_REVISION_FIELD_NUMBER: _ClassVar[int]
    filter: JobFilter
    since_revision: int
    def __init__(self, filter: _Optional[_Union[JobFilter, _Mapping]] = ..., since_revision: _Optional[int] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("kind", "job", "revision")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[JobEvent.Kind]
        CHANGED: _ClassVar[JobEvent.Kind]
        SYNCED: _ClassVar[JobEvent.Kind]
        RESYNC: _ClassVar[JobEvent.Kind]
    KIND_UNSPECIFIED: JobEvent.Kind
    CHANGED: JobEvent.Kind
    SYNCED: JobEvent.Kind
    RESYNC: JobEvent.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    kind: JobEvent.Kind
    job: Job
    revision: int
    def __init__(self, kind: _Optional[_Union[JobEvent.Kind, str]] = ..., job: _Optional[_Union[Job, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class JobLogsRequest(_message.Message):
    __slots__ = ("id", "output", "stdout_offset", "stderr_offset", "follow", "tail_lines", "attempt")
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    STDOUT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    STDERR_OFFSET_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    TAIL_LINES_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    id: str
    output: Output
    stdout_offset: int
    stderr_offset: int
    follow: bool
    tail_lines: int
    attempt: int
    def __init__(self, id: _Optional[str] = ..., output: _Optional[_Union[Output, str]] = ..., stdout_offset: _Optional[int] = ..., stderr_offset: _Optional[int] = ..., follow: _Optional[bool] = ..., tail_lines: _Optional[int] = ..., attempt: _Optional[int] = ...) -> None: ...

class LogChunk(_message.Message):
    __slots__ = ("output", "offset", "data", "ended", "attempt")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    output: Output
    offset: int
    data: bytes
    ended: Job
    attempt: int
    def __init__(self, output: _Optional[_Union[Output, str]] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., ended: _Optional[_Union[Job, _Mapping]] = ..., attempt: _Optional[int] = ...) -> None: ...

class WaitJobRequest(_message.Message):
    __slots__ = ("id", "timeout_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    id: str
    timeout_s: float
    def __init__(self, id: _Optional[str] = ..., timeout_s: _Optional[float] = ...) -> None: ...

class JobSelection(_message.Message):
    __slots__ = ("ids", "reason", "force")
    IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    force: bool
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...

class SteerJobsResponse(_message.Message):
    __slots__ = ("results",)
    class Result(_message.Message):
        __slots__ = ("id", "job", "error", "error_reason", "hint")
        ID_FIELD_NUMBER: _ClassVar[int]
        JOB_FIELD_NUMBER: _ClassVar[int]
        ERROR_FIELD_NUMBER: _ClassVar[int]
        ERROR_REASON_FIELD_NUMBER: _ClassVar[int]
        HINT_FIELD_NUMBER: _ClassVar[int]
        id: str
        job: Job
        error: str
        error_reason: str
        hint: str
        def __init__(self, id: _Optional[str] = ..., job: _Optional[_Union[Job, _Mapping]] = ..., error: _Optional[str] = ..., error_reason: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SteerJobsResponse.Result]
    def __init__(self, results: _Optional[_Iterable[_Union[SteerJobsResponse.Result, _Mapping]]] = ...) -> None: ...

class UpdateJobRequest(_message.Message):
    __slots__ = ("id", "priority", "time_limit_s", "begin_at_s", "deadline_at_s", "queue", "name", "cpu_millis", "memory_bytes", "array_limit", "labels", "nice", "qos")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    BEGIN_AT_S_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_AT_S_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    ARRAY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    NICE_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    id: str
    priority: int
    time_limit_s: float
    begin_at_s: float
    deadline_at_s: float
    queue: str
    name: str
    cpu_millis: int
    memory_bytes: int
    array_limit: int
    labels: _containers.ScalarMap[str, str]
    nice: int
    qos: str
    def __init__(self, id: _Optional[str] = ..., priority: _Optional[int] = ..., time_limit_s: _Optional[float] = ..., begin_at_s: _Optional[float] = ..., deadline_at_s: _Optional[float] = ..., queue: _Optional[str] = ..., name: _Optional[str] = ..., cpu_millis: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., array_limit: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., nice: _Optional[int] = ..., qos: _Optional[str] = ...) -> None: ...

class WhyResponse(_message.Message):
    __slots__ = ("id", "summary", "kind", "resource", "asked", "free", "machine_has", "ahead", "ahead_count", "suggestions", "policy", "estimated_start_at_s", "estimated_start_low_s", "estimated_start_high_s", "estimate_basis", "estimate_held_share", "factors", "ahead_jobs", "planned_grant")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    FREE_FIELD_NUMBER: _ClassVar[int]
    MACHINE_HAS_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    AHEAD_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUGGESTIONS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_START_AT_S_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_START_LOW_S_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_START_HIGH_S_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_BASIS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_HELD_SHARE_FIELD_NUMBER: _ClassVar[int]
    FACTORS_FIELD_NUMBER: _ClassVar[int]
    AHEAD_JOBS_FIELD_NUMBER: _ClassVar[int]
    PLANNED_GRANT_FIELD_NUMBER: _ClassVar[int]
    id: str
    summary: str
    kind: str
    resource: str
    asked: str
    free: str
    machine_has: str
    ahead: _containers.RepeatedScalarFieldContainer[str]
    ahead_count: int
    suggestions: _containers.RepeatedScalarFieldContainer[str]
    policy: str
    estimated_start_at_s: float
    estimated_start_low_s: float
    estimated_start_high_s: float
    estimate_basis: str
    estimate_held_share: float
    factors: _containers.RepeatedCompositeFieldContainer[PriorityFactor]
    ahead_jobs: _containers.RepeatedCompositeFieldContainer[AheadJob]
    planned_grant: str
    def __init__(self, id: _Optional[str] = ..., summary: _Optional[str] = ..., kind: _Optional[str] = ..., resource: _Optional[str] = ..., asked: _Optional[str] = ..., free: _Optional[str] = ..., machine_has: _Optional[str] = ..., ahead: _Optional[_Iterable[str]] = ..., ahead_count: _Optional[int] = ..., suggestions: _Optional[_Iterable[str]] = ..., policy: _Optional[str] = ..., estimated_start_at_s: _Optional[float] = ..., estimated_start_low_s: _Optional[float] = ..., estimated_start_high_s: _Optional[float] = ..., estimate_basis: _Optional[str] = ..., estimate_held_share: _Optional[float] = ..., factors: _Optional[_Iterable[_Union[PriorityFactor, _Mapping]]] = ..., ahead_jobs: _Optional[_Iterable[_Union[AheadJob, _Mapping]]] = ..., planned_grant: _Optional[str] = ...) -> None: ...

class PriorityFactor(_message.Message):
    __slots__ = ("name", "factor", "weight", "points")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    factor: float
    weight: float
    points: float
    def __init__(self, name: _Optional[str] = ..., factor: _Optional[float] = ..., weight: _Optional[float] = ..., points: _Optional[float] = ...) -> None: ...

class AheadJob(_message.Message):
    __slots__ = ("id", "user", "account", "share", "usage", "priority")
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    id: str
    user: str
    account: str
    share: float
    usage: float
    priority: float
    def __init__(self, id: _Optional[str] = ..., user: _Optional[str] = ..., account: _Optional[str] = ..., share: _Optional[float] = ..., usage: _Optional[float] = ..., priority: _Optional[float] = ...) -> None: ...

class JobStats(_message.Message):
    __slots__ = ("id", "requested", "granted", "samples", "usage", "run_s", "reported")
    class Sample(_message.Message):
        __slots__ = ("at_s", "cpu_millis", "memory_bytes", "read_bytes_per_s", "write_bytes_per_s", "gpu_permille", "gpu_memory_bytes", "processes")
        AT_S_FIELD_NUMBER: _ClassVar[int]
        CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
        MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
        READ_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
        WRITE_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
        GPU_PERMILLE_FIELD_NUMBER: _ClassVar[int]
        GPU_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
        PROCESSES_FIELD_NUMBER: _ClassVar[int]
        at_s: float
        cpu_millis: float
        memory_bytes: int
        read_bytes_per_s: int
        write_bytes_per_s: int
        gpu_permille: int
        gpu_memory_bytes: int
        processes: int
        def __init__(self, at_s: _Optional[float] = ..., cpu_millis: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., read_bytes_per_s: _Optional[int] = ..., write_bytes_per_s: _Optional[int] = ..., gpu_permille: _Optional[int] = ..., gpu_memory_bytes: _Optional[int] = ..., processes: _Optional[int] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    RUN_S_FIELD_NUMBER: _ClassVar[int]
    REPORTED_FIELD_NUMBER: _ClassVar[int]
    id: str
    requested: _resources_pb2.Request
    granted: _resources_pb2.Grant
    samples: _containers.RepeatedCompositeFieldContainer[JobStats.Sample]
    usage: Usage
    run_s: float
    reported: _containers.RepeatedCompositeFieldContainer[ReportedSeries]
    def __init__(self, id: _Optional[str] = ..., requested: _Optional[_Union[_resources_pb2.Request, _Mapping]] = ..., granted: _Optional[_Union[_resources_pb2.Grant, _Mapping]] = ..., samples: _Optional[_Iterable[_Union[JobStats.Sample, _Mapping]]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., run_s: _Optional[float] = ..., reported: _Optional[_Iterable[_Union[ReportedSeries, _Mapping]]] = ...) -> None: ...

class ReportedSeries(_message.Message):
    __slots__ = ("name", "steps", "values")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    steps: _containers.RepeatedScalarFieldContainer[float]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, name: _Optional[str] = ..., steps: _Optional[_Iterable[float]] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...

class InputChunk(_message.Message):
    __slots__ = ("job_id", "data", "end")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    data: bytes
    end: bool
    def __init__(self, job_id: _Optional[str] = ..., data: _Optional[bytes] = ..., end: _Optional[bool] = ...) -> None: ...

class WriteInputResponse(_message.Message):
    __slots__ = ("bytes_written",)
    BYTES_WRITTEN_FIELD_NUMBER: _ClassVar[int]
    bytes_written: int
    def __init__(self, bytes_written: _Optional[int] = ...) -> None: ...

class AttachRequest(_message.Message):
    __slots__ = ("job_id", "command", "input", "rows", "columns")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    command: _containers.RepeatedScalarFieldContainer[str]
    input: bytes
    rows: int
    columns: int
    def __init__(self, job_id: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., input: _Optional[bytes] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ...) -> None: ...

class AttachResponse(_message.Message):
    __slots__ = ("output", "exit_code")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    output: bytes
    exit_code: int
    def __init__(self, output: _Optional[bytes] = ..., exit_code: _Optional[int] = ...) -> None: ...

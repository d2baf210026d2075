from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Queue(_message.Message):
    __slots__ = ("name", "priority", "max_running", "open", "started", "default_time_limit_s", "max_time_limit_s", "queued", "running", "oldest_wait_s", "max_queued", "cpu_millis", "memory_bytes", "gpu_millis", "user_running", "user_cpu_millis", "user_gpu_millis", "share_permille", "borrow", "allowed_users", "weights", "preempts", "preempt_mode", "preempt_after_s", "idle_gpus", "idle_gpus_after_s", "mean_wait_s")
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    MAX_TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    OLDEST_WAIT_S_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    USER_RUNNING_FIELD_NUMBER: _ClassVar[int]
    USER_CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    USER_GPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    SHARE_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    BORROW_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_USERS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    PREEMPTS_FIELD_NUMBER: _ClassVar[int]
    PREEMPT_MODE_FIELD_NUMBER: _ClassVar[int]
    PREEMPT_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    IDLE_GPUS_FIELD_NUMBER: _ClassVar[int]
    IDLE_GPUS_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    MEAN_WAIT_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    priority: int
    max_running: int
    open: bool
    started: bool
    default_time_limit_s: float
    max_time_limit_s: float
    queued: int
    running: int
    oldest_wait_s: float
    max_queued: int
    cpu_millis: int
    memory_bytes: int
    gpu_millis: int
    user_running: int
    user_cpu_millis: int
    user_gpu_millis: int
    share_permille: int
    borrow: bool
    allowed_users: _containers.RepeatedScalarFieldContainer[str]
    weights: _containers.ScalarMap[str, float]
    preempts: _containers.RepeatedScalarFieldContainer[str]
    preempt_mode: str
    preempt_after_s: float
    idle_gpus: str
    idle_gpus_after_s: float
    mean_wait_s: float
    def __init__(self, name: _Optional[str] = ..., priority: _Optional[int] = ..., max_running: _Optional[int] = ..., open: _Optional[bool] = ..., started: _Optional[bool] = ..., default_time_limit_s: _Optional[float] = ..., max_time_limit_s: _Optional[float] = ..., queued: _Optional[int] = ..., running: _Optional[int] = ..., oldest_wait_s: _Optional[float] = ..., max_queued: _Optional[int] = ..., cpu_millis: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., gpu_millis: _Optional[int] = ..., user_running: _Optional[int] = ..., user_cpu_millis: _Optional[int] = ..., user_gpu_millis: _Optional[int] = ..., share_permille: _Optional[int] = ..., borrow: _Optional[bool] = ..., allowed_users: _Optional[_Iterable[str]] = ..., weights: _Optional[_Mapping[str, float]] = ..., preempts: _Optional[_Iterable[str]] = ..., preempt_mode: _Optional[str] = ..., preempt_after_s: _Optional[float] = ..., idle_gpus: _Optional[str] = ..., idle_gpus_after_s: _Optional[float] = ..., mean_wait_s: _Optional[float] = ...) -> None: ...

class ListQueuesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListQueuesResponse(_message.Message):
    __slots__ = ("queues",)
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedCompositeFieldContainer[Queue]
    def __init__(self, queues: _Optional[_Iterable[_Union[Queue, _Mapping]]] = ...) -> None: ...

class GetQueueRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class SetQueueRequest(_message.Message):
    __slots__ = ("name", "priority", "max_running", "open", "started", "default_time_limit_s", "max_time_limit_s", "max_queued", "cpu_millis", "memory_bytes", "gpu_millis", "user_running", "user_cpu_millis", "user_gpu_millis", "share_permille", "borrow", "allowed_users", "weights", "preempts", "preempt_mode", "preempt_after_s", "idle_gpus", "idle_gpus_after_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    MAX_TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    USER_RUNNING_FIELD_NUMBER: _ClassVar[int]
    USER_CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    USER_GPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    SHARE_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    BORROW_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_USERS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    PREEMPTS_FIELD_NUMBER: _ClassVar[int]
    PREEMPT_MODE_FIELD_NUMBER: _ClassVar[int]
    PREEMPT_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    IDLE_GPUS_FIELD_NUMBER: _ClassVar[int]
    IDLE_GPUS_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    priority: int
    max_running: int
    open: bool
    started: bool
    default_time_limit_s: float
    max_time_limit_s: float
    max_queued: int
    cpu_millis: int
    memory_bytes: int
    gpu_millis: int
    user_running: int
    user_cpu_millis: int
    user_gpu_millis: int
    share_permille: int
    borrow: bool
    allowed_users: Names
    weights: Weights
    preempts: Names
    preempt_mode: str
    preempt_after_s: float
    idle_gpus: str
    idle_gpus_after_s: float
    def __init__(self, name: _Optional[str] = ..., priority: _Optional[int] = ..., max_running: _Optional[int] = ..., open: _Optional[bool] = ..., started: _Optional[bool] = ..., default_time_limit_s: _Optional[float] = ..., max_time_limit_s: _Optional[float] = ..., max_queued: _Optional[int] = ..., cpu_millis: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., gpu_millis: _Optional[int] = ..., user_running: _Optional[int] = ..., user_cpu_millis: _Optional[int] = ..., user_gpu_millis: _Optional[int] = ..., share_permille: _Optional[int] = ..., borrow: _Optional[bool] = ..., allowed_users: _Optional[_Union[Names, _Mapping]] = ..., weights: _Optional[_Union[Weights, _Mapping]] = ..., preempts: _Optional[_Union[Names, _Mapping]] = ..., preempt_mode: _Optional[str] = ..., preempt_after_s: _Optional[float] = ..., idle_gpus: _Optional[str] = ..., idle_gpus_after_s: _Optional[float] = ...) -> None: ...

class Names(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class Weights(_message.Message):
    __slots__ = ("weights",)
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    weights: _containers.ScalarMap[str, float]
    def __init__(self, weights: _Optional[_Mapping[str, float]] = ...) -> None: ...

class Qos(_message.Message):
    __slots__ = ("name", "priority", "max_running", "cpu_millis", "memory_bytes", "gpu_millis", "user_running", "user_cpu_millis", "user_gpu_millis", "max_time_limit_s", "usage_factor", "allowed_users", "preempts", "preempt_mode", "preempt_after_s", "queued", "running")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    USER_RUNNING_FIELD_NUMBER: _ClassVar[int]
    USER_CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    USER_GPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MAX_TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    USAGE_FACTOR_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_USERS_FIELD_NUMBER: _ClassVar[int]
    PREEMPTS_FIELD_NUMBER: _ClassVar[int]
    PREEMPT_MODE_FIELD_NUMBER: _ClassVar[int]
    PREEMPT_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    name: str
    priority: int
    max_running: int
    cpu_millis: int
    memory_bytes: int
    gpu_millis: int
    user_running: int
    user_cpu_millis: int
    user_gpu_millis: int
    max_time_limit_s: float
    usage_factor: float
    allowed_users: _containers.RepeatedScalarFieldContainer[str]
    preempts: _containers.RepeatedScalarFieldContainer[str]
    preempt_mode: str
    preempt_after_s: float
    queued: int
    running: int
    def __init__(self, name: _Optional[str] = ..., priority: _Optional[int] = ..., max_running: _Optional[int] = ..., cpu_millis: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., gpu_millis: _Optional[int] = ..., user_running: _Optional[int] = ..., user_cpu_millis: _Optional[int] = ..., user_gpu_millis: _Optional[int] = ..., max_time_limit_s: _Optional[float] = ..., usage_factor: _Optional[float] = ..., allowed_users: _Optional[_Iterable[str]] = ..., preempts: _Optional[_Iterable[str]] = ..., preempt_mode: _Optional[str] = ..., preempt_after_s: _Optional[float] = ..., queued: _Optional[int] = ..., running: _Optional[int] = ...) -> None: ...

class ListQosRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListQosResponse(_message.Message):
    __slots__ = ("qos",)
    QOS_FIELD_NUMBER: _ClassVar[int]
    qos: _containers.RepeatedCompositeFieldContainer[Qos]
    def __init__(self, qos: _Optional[_Iterable[_Union[Qos, _Mapping]]] = ...) -> None: ...

class SharesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SharesResponse(_message.Message):
    __slots__ = ("nodes", "half_life_s")
    class Node(_message.Message):
        __slots__ = ("name", "parent", "is_user", "shares", "share", "usage", "usage_share", "level_fair_share", "rank", "depth", "queued", "running")
        NAME_FIELD_NUMBER: _ClassVar[int]
        PARENT_FIELD_NUMBER: _ClassVar[int]
        IS_USER_FIELD_NUMBER: _ClassVar[int]
        SHARES_FIELD_NUMBER: _ClassVar[int]
        SHARE_FIELD_NUMBER: _ClassVar[int]
        USAGE_FIELD_NUMBER: _ClassVar[int]
        USAGE_SHARE_FIELD_NUMBER: _ClassVar[int]
        LEVEL_FAIR_SHARE_FIELD_NUMBER: _ClassVar[int]
        RANK_FIELD_NUMBER: _ClassVar[int]
        DEPTH_FIELD_NUMBER: _ClassVar[int]
        QUEUED_FIELD_NUMBER: _ClassVar[int]
        RUNNING_FIELD_NUMBER: _ClassVar[int]
        name: str
        parent: str
        is_user: bool
        shares: float
        share: float
        usage: float
        usage_share: float
        level_fair_share: float
        rank: int
        depth: int
        queued: int
        running: int
        def __init__(self, name: _Optional[str] = ..., parent: _Optional[str] = ..., is_user: _Optional[bool] = ..., shares: _Optional[float] = ..., share: _Optional[float] = ..., usage: _Optional[float] = ..., usage_share: _Optional[float] = ..., level_fair_share: _Optional[float] = ..., rank: _Optional[int] = ..., depth: _Optional[int] = ..., queued: _Optional[int] = ..., running: _Optional[int] = ...) -> None: ...
    NODES_FIELD_NUMBER: _ClassVar[int]
    HALF_LIFE_S_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[SharesResponse.Node]
    half_life_s: float
    def __init__(self, nodes: _Optional[_Iterable[_Union[SharesResponse.Node, _Mapping]]] = ..., half_life_s: _Optional[float] = ...) -> None: ...

class ScheduleRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ScheduleResponse(_message.Message):
    __slots__ = ("demand", "availability", "policy", "backfill", "backfill_order", "predict", "rightsize", "passes", "pass_p50_s", "pass_p99_s", "starts", "reservations", "adjustments", "held_back", "policy_fault", "predictions", "predictions_held", "calibration", "runs_learned")
    class Demand(_message.Message):
        __slots__ = ("resource", "asked", "learned", "total", "jobs")
        RESOURCE_FIELD_NUMBER: _ClassVar[int]
        ASKED_FIELD_NUMBER: _ClassVar[int]
        LEARNED_FIELD_NUMBER: _ClassVar[int]
        TOTAL_FIELD_NUMBER: _ClassVar[int]
        JOBS_FIELD_NUMBER: _ClassVar[int]
        resource: str
        asked: int
        learned: int
        total: int
        jobs: int
        def __init__(self, resource: _Optional[str] = ..., asked: _Optional[int] = ..., learned: _Optional[int] = ..., total: _Optional[int] = ..., jobs: _Optional[int] = ...) -> None: ...
    class Availability(_message.Message):
        __slots__ = ("resource", "total", "granted", "used", "pressure", "idle")
        RESOURCE_FIELD_NUMBER: _ClassVar[int]
        TOTAL_FIELD_NUMBER: _ClassVar[int]
        GRANTED_FIELD_NUMBER: _ClassVar[int]
        USED_FIELD_NUMBER: _ClassVar[int]
        PRESSURE_FIELD_NUMBER: _ClassVar[int]
        IDLE_FIELD_NUMBER: _ClassVar[int]
        resource: str
        total: int
        granted: int
        used: int
        pressure: float
        idle: int
        def __init__(self, resource: _Optional[str] = ..., total: _Optional[int] = ..., granted: _Optional[int] = ..., used: _Optional[int] = ..., pressure: _Optional[float] = ..., idle: _Optional[int] = ...) -> None: ...
    class Reservation(_message.Message):
        __slots__ = ("job_id", "at_s", "grant")
        JOB_ID_FIELD_NUMBER: _ClassVar[int]
        AT_S_FIELD_NUMBER: _ClassVar[int]
        GRANT_FIELD_NUMBER: _ClassVar[int]
        job_id: str
        at_s: float
        grant: str
        def __init__(self, job_id: _Optional[str] = ..., at_s: _Optional[float] = ..., grant: _Optional[str] = ...) -> None: ...
    class Calibration(_message.Message):
        __slots__ = ("level", "predictions", "held")
        LEVEL_FIELD_NUMBER: _ClassVar[int]
        PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
        HELD_FIELD_NUMBER: _ClassVar[int]
        level: str
        predictions: int
        held: float
        def __init__(self, level: _Optional[str] = ..., predictions: _Optional[int] = ..., held: _Optional[float] = ...) -> None: ...
    class Adjustment(_message.Message):
        __slots__ = ("at_s", "what", "job_id")
        AT_S_FIELD_NUMBER: _ClassVar[int]
        WHAT_FIELD_NUMBER: _ClassVar[int]
        JOB_ID_FIELD_NUMBER: _ClassVar[int]
        at_s: float
        what: str
        job_id: str
        def __init__(self, at_s: _Optional[float] = ..., what: _Optional[str] = ..., job_id: _Optional[str] = ...) -> None: ...
    DEMAND_FIELD_NUMBER: _ClassVar[int]
    AVAILABILITY_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_ORDER_FIELD_NUMBER: _ClassVar[int]
    PREDICT_FIELD_NUMBER: _ClassVar[int]
    RIGHTSIZE_FIELD_NUMBER: _ClassVar[int]
    PASSES_FIELD_NUMBER: _ClassVar[int]
    PASS_P50_S_FIELD_NUMBER: _ClassVar[int]
    PASS_P99_S_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    HELD_BACK_FIELD_NUMBER: _ClassVar[int]
    POLICY_FAULT_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_HELD_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    RUNS_LEARNED_FIELD_NUMBER: _ClassVar[int]
    demand: _containers.RepeatedCompositeFieldContainer[ScheduleResponse.Demand]
    availability: _containers.RepeatedCompositeFieldContainer[ScheduleResponse.Availability]
    policy: str
    backfill: str
    backfill_order: str
    predict: bool
    rightsize: str
    passes: int
    pass_p50_s: float
    pass_p99_s: float
    starts: int
    reservations: _containers.RepeatedCompositeFieldContainer[ScheduleResponse.Reservation]
    adjustments: _containers.RepeatedCompositeFieldContainer[ScheduleResponse.Adjustment]
    held_back: str
    policy_fault: str
    predictions: int
    predictions_held: float
    calibration: _containers.RepeatedCompositeFieldContainer[ScheduleResponse.Calibration]
    runs_learned: int
    def __init__(self, demand: _Optional[_Iterable[_Union[ScheduleResponse.Demand, _Mapping]]] = ..., availability: _Optional[_Iterable[_Union[ScheduleResponse.Availability, _Mapping]]] = ..., policy: _Optional[str] = ..., backfill: _Optional[str] = ..., backfill_order: _Optional[str] = ..., predict: _Optional[bool] = ..., rightsize: _Optional[str] = ..., passes: _Optional[int] = ..., pass_p50_s: _Optional[float] = ..., pass_p99_s: _Optional[float] = ..., starts: _Optional[int] = ..., reservations: _Optional[_Iterable[_Union[ScheduleResponse.Reservation, _Mapping]]] = ..., adjustments: _Optional[_Iterable[_Union[ScheduleResponse.Adjustment, _Mapping]]] = ..., held_back: _Optional[str] = ..., policy_fault: _Optional[str] = ..., predictions: _Optional[int] = ..., predictions_held: _Optional[float] = ..., calibration: _Optional[_Iterable[_Union[ScheduleResponse.Calibration, _Mapping]]] = ..., runs_learned: _Optional[int] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetPolicyRequest(_message.Message):
    __slots__ = ("name", "backfill", "backfill_order", "predict", "weights")
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_ORDER_FIELD_NUMBER: _ClassVar[int]
    PREDICT_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    backfill: str
    backfill_order: str
    predict: bool
    weights: _containers.ScalarMap[str, float]
    def __init__(self, name: _Optional[str] = ..., backfill: _Optional[str] = ..., backfill_order: _Optional[str] = ..., predict: _Optional[bool] = ..., weights: _Optional[_Mapping[str, float]] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("name", "summary", "choices", "backfill", "backfill_order", "predict", "weights")
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_ORDER_FIELD_NUMBER: _ClassVar[int]
    PREDICT_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    summary: str
    choices: _containers.RepeatedCompositeFieldContainer[PolicyChoice]
    backfill: str
    backfill_order: str
    predict: bool
    weights: _containers.ScalarMap[str, float]
    def __init__(self, name: _Optional[str] = ..., summary: _Optional[str] = ..., choices: _Optional[_Iterable[_Union[PolicyChoice, _Mapping]]] = ..., backfill: _Optional[str] = ..., backfill_order: _Optional[str] = ..., predict: _Optional[bool] = ..., weights: _Optional[_Mapping[str, float]] = ...) -> None: ...

class PolicyChoice(_message.Message):
    __slots__ = ("name", "summary")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    name: str
    summary: str
    def __init__(self, name: _Optional[str] = ..., summary: _Optional[str] = ...) -> None: ...

from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SimulateRequest(_message.Message):
    __slots__ = ("experiment", "trace")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    trace: bytes
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ..., trace: _Optional[bytes] = ...) -> None: ...

class Experiment(_message.Message):
    __slots__ = ("source", "trace_name", "policies", "backfills", "cpus", "gpus", "cpus_delta", "gpus_delta", "scale", "since_s", "until_s", "shortest_first", "estimate", "events", "seed", "jobs", "load", "strict", "points", "memory_bytes")
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[Experiment.Source]
        TRACE: _ClassVar[Experiment.Source]
        HISTORY: _ClassVar[Experiment.Source]
        POISSON: _ClassVar[Experiment.Source]
        LUBLIN: _ClassVar[Experiment.Source]
    SOURCE_UNSPECIFIED: Experiment.Source
    TRACE: Experiment.Source
    HISTORY: Experiment.Source
    POISSON: Experiment.Source
    LUBLIN: Experiment.Source
    class Estimate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ESTIMATE_UNSPECIFIED: _ClassVar[Experiment.Estimate]
        ASKED: _ClassVar[Experiment.Estimate]
        ACTUAL: _ClassVar[Experiment.Estimate]
        PREDICTED: _ClassVar[Experiment.Estimate]
    ESTIMATE_UNSPECIFIED: Experiment.Estimate
    ASKED: Experiment.Estimate
    ACTUAL: Experiment.Estimate
    PREDICTED: Experiment.Estimate
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TRACE_NAME_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    BACKFILLS_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    CPUS_DELTA_FIELD_NUMBER: _ClassVar[int]
    GPUS_DELTA_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_S_FIELD_NUMBER: _ClassVar[int]
    SHORTEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    source: Experiment.Source
    trace_name: str
    policies: _containers.RepeatedScalarFieldContainer[str]
    backfills: _containers.RepeatedScalarFieldContainer[str]
    cpus: float
    gpus: float
    cpus_delta: float
    gpus_delta: float
    scale: float
    since_s: float
    until_s: float
    shortest_first: bool
    estimate: Experiment.Estimate
    events: bool
    seed: int
    jobs: int
    load: float
    strict: bool
    points: int
    memory_bytes: int
    def __init__(self, source: _Optional[_Union[Experiment.Source, str]] = ..., trace_name: _Optional[str] = ..., policies: _Optional[_Iterable[str]] = ..., backfills: _Optional[_Iterable[str]] = ..., cpus: _Optional[float] = ..., gpus: _Optional[float] = ..., cpus_delta: _Optional[float] = ..., gpus_delta: _Optional[float] = ..., scale: _Optional[float] = ..., since_s: _Optional[float] = ..., until_s: _Optional[float] = ..., shortest_first: _Optional[bool] = ..., estimate: _Optional[_Union[Experiment.Estimate, str]] = ..., events: _Optional[bool] = ..., seed: _Optional[int] = ..., jobs: _Optional[int] = ..., load: _Optional[float] = ..., strict: _Optional[bool] = ..., points: _Optional[int] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class SimulateResponse(_message.Message):
    __slots__ = ("progress", "outcome", "notes")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    progress: SimulationProgress
    outcome: SimulationOutcome
    notes: SimulationNotes
    def __init__(self, progress: _Optional[_Union[SimulationProgress, _Mapping]] = ..., outcome: _Optional[_Union[SimulationOutcome, _Mapping]] = ..., notes: _Optional[_Union[SimulationNotes, _Mapping]] = ...) -> None: ...

class SimulationProgress(_message.Message):
    __slots__ = ("policy", "backfill", "done", "total")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    policy: str
    backfill: str
    done: int
    total: int
    def __init__(self, policy: _Optional[str] = ..., backfill: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class SimulationNotes(_message.Message):
    __slots__ = ("notes",)
    NOTES_FIELD_NUMBER: _ClassVar[int]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, notes: _Optional[_Iterable[str]] = ...) -> None: ...

class SimulationOutcome(_message.Message):
    __slots__ = ("policy", "backfill", "jobs", "wait_mean_s", "flow_mean_s", "bounded_slowdown_mean", "bounded_slowdown_max", "makespan_s", "utilisation", "wait_p50_s", "wait_p95_s", "wait_max_s", "fairness", "user_spread", "users", "took_s", "series")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    WAIT_MEAN_S_FIELD_NUMBER: _ClassVar[int]
    FLOW_MEAN_S_FIELD_NUMBER: _ClassVar[int]
    BOUNDED_SLOWDOWN_MEAN_FIELD_NUMBER: _ClassVar[int]
    BOUNDED_SLOWDOWN_MAX_FIELD_NUMBER: _ClassVar[int]
    MAKESPAN_S_FIELD_NUMBER: _ClassVar[int]
    UTILISATION_FIELD_NUMBER: _ClassVar[int]
    WAIT_P50_S_FIELD_NUMBER: _ClassVar[int]
    WAIT_P95_S_FIELD_NUMBER: _ClassVar[int]
    WAIT_MAX_S_FIELD_NUMBER: _ClassVar[int]
    FAIRNESS_FIELD_NUMBER: _ClassVar[int]
    USER_SPREAD_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    TOOK_S_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    policy: str
    backfill: str
    jobs: int
    wait_mean_s: float
    flow_mean_s: float
    bounded_slowdown_mean: float
    bounded_slowdown_max: float
    makespan_s: float
    utilisation: float
    wait_p50_s: float
    wait_p95_s: float
    wait_max_s: float
    fairness: float
    user_spread: float
    users: int
    took_s: float
    series: _containers.RepeatedCompositeFieldContainer[SeriesPoint]
    def __init__(self, policy: _Optional[str] = ..., backfill: _Optional[str] = ..., jobs: _Optional[int] = ..., wait_mean_s: _Optional[float] = ..., flow_mean_s: _Optional[float] = ..., bounded_slowdown_mean: _Optional[float] = ..., bounded_slowdown_max: _Optional[float] = ..., makespan_s: _Optional[float] = ..., utilisation: _Optional[float] = ..., wait_p50_s: _Optional[float] = ..., wait_p95_s: _Optional[float] = ..., wait_max_s: _Optional[float] = ..., fairness: _Optional[float] = ..., user_spread: _Optional[float] = ..., users: _Optional[int] = ..., took_s: _Optional[float] = ..., series: _Optional[_Iterable[_Union[SeriesPoint, _Mapping]]] = ...) -> None: ...

class SeriesPoint(_message.Message):
    __slots__ = ("at_s", "wait_mean_s", "utilisation", "queued")
    AT_S_FIELD_NUMBER: _ClassVar[int]
    WAIT_MEAN_S_FIELD_NUMBER: _ClassVar[int]
    UTILISATION_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    at_s: float
    wait_mean_s: float
    utilisation: float
    queued: float
    def __init__(self, at_s: _Optional[float] = ..., wait_mean_s: _Optional[float] = ..., utilisation: _Optional[float] = ..., queued: _Optional[float] = ...) -> None: ...

class ForecastRequest(_message.Message):
    __slots__ = ("since_s", "queue", "user", "resource", "servers_delta", "arrivals_factor", "target_wait_s", "seed")
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    SERVERS_DELTA_FIELD_NUMBER: _ClassVar[int]
    ARRIVALS_FACTOR_FIELD_NUMBER: _ClassVar[int]
    TARGET_WAIT_S_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    since_s: float
    queue: str
    user: str
    resource: str
    servers_delta: int
    arrivals_factor: float
    target_wait_s: float
    seed: int
    def __init__(self, since_s: _Optional[float] = ..., queue: _Optional[str] = ..., user: _Optional[str] = ..., resource: _Optional[str] = ..., servers_delta: _Optional[int] = ..., arrivals_factor: _Optional[float] = ..., target_wait_s: _Optional[float] = ..., seed: _Optional[int] = ...) -> None: ...

class ForecastResponse(_message.Message):
    __slots__ = ("report_json",)
    REPORT_JSON_FIELD_NUMBER: _ClassVar[int]
    report_json: str
    def __init__(self, report_json: _Optional[str] = ...) -> None: ...

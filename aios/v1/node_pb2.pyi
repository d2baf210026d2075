from aios.v1 import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReserveRequest(_message.Message):
    __slots__ = ("reservation",)
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    reservation: _resources_pb2.Reservation
    def __init__(self, reservation: _Optional[_Union[_resources_pb2.Reservation, _Mapping]] = ...) -> None: ...

class UnreserveRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class SetDeviceRequest(_message.Message):
    __slots__ = ("device_id", "quarantined", "reason")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    quarantined: bool
    reason: str
    def __init__(self, device_id: _Optional[str] = ..., quarantined: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class GetNodeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReloadRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReloadResponse(_message.Message):
    __slots__ = ("applied", "needs_restart")
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    NEEDS_RESTART_FIELD_NUMBER: _ClassVar[int]
    applied: _containers.RepeatedScalarFieldContainer[str]
    needs_restart: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, applied: _Optional[_Iterable[str]] = ..., needs_restart: _Optional[_Iterable[str]] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StopResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Isolation(_message.Message):
    __slots__ = ("resource", "state", "detail")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    resource: str
    state: str
    detail: str
    def __init__(self, resource: _Optional[str] = ..., state: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class NodeStatus(_message.Message):
    __slots__ = ("inventory", "used", "isolation", "drained", "drain_reason", "policy", "daemon", "jobs_by_phase", "load_average_1m", "memory_available_bytes", "warnings", "cpu_busy_permille", "reservations", "foreign_use", "idle_devices")
    class JobsByPhaseEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    DRAIN_REASON_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    DAEMON_FIELD_NUMBER: _ClassVar[int]
    JOBS_BY_PHASE_FIELD_NUMBER: _ClassVar[int]
    LOAD_AVERAGE_1M_FIELD_NUMBER: _ClassVar[int]
    MEMORY_AVAILABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    CPU_BUSY_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    FOREIGN_USE_FIELD_NUMBER: _ClassVar[int]
    IDLE_DEVICES_FIELD_NUMBER: _ClassVar[int]
    inventory: _resources_pb2.Inventory
    used: _resources_pb2.Grant
    isolation: _containers.RepeatedCompositeFieldContainer[Isolation]
    drained: bool
    drain_reason: str
    policy: str
    daemon: DaemonStatus
    jobs_by_phase: _containers.ScalarMap[str, int]
    load_average_1m: float
    memory_available_bytes: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    cpu_busy_permille: float
    reservations: _containers.RepeatedCompositeFieldContainer[_resources_pb2.Reservation]
    foreign_use: _containers.RepeatedCompositeFieldContainer[_resources_pb2.ForeignUse]
    idle_devices: _containers.RepeatedCompositeFieldContainer[_resources_pb2.IdleDevice]
    def __init__(self, inventory: _Optional[_Union[_resources_pb2.Inventory, _Mapping]] = ..., used: _Optional[_Union[_resources_pb2.Grant, _Mapping]] = ..., isolation: _Optional[_Iterable[_Union[Isolation, _Mapping]]] = ..., drained: _Optional[bool] = ..., drain_reason: _Optional[str] = ..., policy: _Optional[str] = ..., daemon: _Optional[_Union[DaemonStatus, _Mapping]] = ..., jobs_by_phase: _Optional[_Mapping[str, int]] = ..., load_average_1m: _Optional[float] = ..., memory_available_bytes: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., cpu_busy_permille: _Optional[float] = ..., reservations: _Optional[_Iterable[_Union[_resources_pb2.Reservation, _Mapping]]] = ..., foreign_use: _Optional[_Iterable[_Union[_resources_pb2.ForeignUse, _Mapping]]] = ..., idle_devices: _Optional[_Iterable[_Union[_resources_pb2.IdleDevice, _Mapping]]] = ...) -> None: ...

class DaemonStatus(_message.Message):
    __slots__ = ("version", "pid", "started_at_s", "state_directory", "config_file", "database", "memory_bytes", "log_file")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_S_FIELD_NUMBER: _ClassVar[int]
    STATE_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FILE_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOG_FILE_FIELD_NUMBER: _ClassVar[int]
    version: str
    pid: int
    started_at_s: float
    state_directory: str
    config_file: str
    database: str
    memory_bytes: int
    log_file: str
    def __init__(self, version: _Optional[str] = ..., pid: _Optional[int] = ..., started_at_s: _Optional[float] = ..., state_directory: _Optional[str] = ..., config_file: _Optional[str] = ..., database: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., log_file: _Optional[str] = ...) -> None: ...

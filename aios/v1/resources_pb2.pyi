from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeviceRequest(_message.Message):
    __slots__ = ("kind", "millis", "model", "memory_bytes")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MILLIS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    millis: int
    model: str
    memory_bytes: int
    def __init__(self, kind: _Optional[str] = ..., millis: _Optional[int] = ..., model: _Optional[str] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("cpu_millis", "memory_bytes", "devices", "disk_bytes", "exclusive")
    CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    cpu_millis: int
    memory_bytes: int
    devices: _containers.RepeatedCompositeFieldContainer[DeviceRequest]
    disk_bytes: int
    exclusive: bool
    def __init__(self, cpu_millis: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., devices: _Optional[_Iterable[_Union[DeviceRequest, _Mapping]]] = ..., disk_bytes: _Optional[int] = ..., exclusive: _Optional[bool] = ...) -> None: ...

class CpuGrant(_message.Message):
    __slots__ = ("cpu", "millis")
    CPU_FIELD_NUMBER: _ClassVar[int]
    MILLIS_FIELD_NUMBER: _ClassVar[int]
    cpu: int
    millis: int
    def __init__(self, cpu: _Optional[int] = ..., millis: _Optional[int] = ...) -> None: ...

class DeviceGrant(_message.Message):
    __slots__ = ("device_id", "kind", "index", "millis", "memory_bytes")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    MILLIS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    kind: str
    index: int
    millis: int
    memory_bytes: int
    def __init__(self, device_id: _Optional[str] = ..., kind: _Optional[str] = ..., index: _Optional[int] = ..., millis: _Optional[int] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("cpus", "memory_bytes", "devices", "disk_bytes")
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    cpus: _containers.RepeatedCompositeFieldContainer[CpuGrant]
    memory_bytes: int
    devices: _containers.RepeatedCompositeFieldContainer[DeviceGrant]
    disk_bytes: int
    def __init__(self, cpus: _Optional[_Iterable[_Union[CpuGrant, _Mapping]]] = ..., memory_bytes: _Optional[int] = ..., devices: _Optional[_Iterable[_Union[DeviceGrant, _Mapping]]] = ..., disk_bytes: _Optional[int] = ...) -> None: ...

class Cpu(_message.Message):
    __slots__ = ("id", "core", "socket", "numa_node")
    ID_FIELD_NUMBER: _ClassVar[int]
    CORE_FIELD_NUMBER: _ClassVar[int]
    SOCKET_FIELD_NUMBER: _ClassVar[int]
    NUMA_NODE_FIELD_NUMBER: _ClassVar[int]
    id: int
    core: int
    socket: int
    numa_node: int
    def __init__(self, id: _Optional[int] = ..., core: _Optional[int] = ..., socket: _Optional[int] = ..., numa_node: _Optional[int] = ...) -> None: ...

class NumaNode(_message.Message):
    __slots__ = ("id", "cpus", "memory_bytes", "distances")
    ID_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISTANCES_FIELD_NUMBER: _ClassVar[int]
    id: int
    cpus: _containers.RepeatedScalarFieldContainer[int]
    memory_bytes: int
    distances: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, id: _Optional[int] = ..., cpus: _Optional[_Iterable[int]] = ..., memory_bytes: _Optional[int] = ..., distances: _Optional[_Iterable[int]] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("id", "kind", "index", "model", "memory_bytes", "numa_node", "paths", "parent_id", "health", "quarantined")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    NUMA_NODE_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    index: int
    model: str
    memory_bytes: int
    numa_node: int
    paths: _containers.RepeatedScalarFieldContainer[str]
    parent_id: str
    health: str
    quarantined: bool
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., index: _Optional[int] = ..., model: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., numa_node: _Optional[int] = ..., paths: _Optional[_Iterable[str]] = ..., parent_id: _Optional[str] = ..., health: _Optional[str] = ..., quarantined: _Optional[bool] = ...) -> None: ...

class ForeignUse(_message.Message):
    __slots__ = ("device_id", "pid", "user", "program", "memory_bytes")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    pid: int
    user: str
    program: str
    memory_bytes: int
    def __init__(self, device_id: _Optional[str] = ..., pid: _Optional[int] = ..., user: _Optional[str] = ..., program: _Optional[str] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class IdleDevice(_message.Message):
    __slots__ = ("device_id", "job_id", "idle_s")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    IDLE_S_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    job_id: str
    idle_s: float
    def __init__(self, device_id: _Optional[str] = ..., job_id: _Optional[str] = ..., idle_s: _Optional[float] = ...) -> None: ...

class Reservation(_message.Message):
    __slots__ = ("id", "from_s", "until_s", "users", "request", "reason", "created_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    FROM_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_S_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    id: int
    from_s: float
    until_s: float
    users: _containers.RepeatedScalarFieldContainer[str]
    request: Request
    reason: str
    created_by: str
    def __init__(self, id: _Optional[int] = ..., from_s: _Optional[float] = ..., until_s: _Optional[float] = ..., users: _Optional[_Iterable[str]] = ..., request: _Optional[_Union[Request, _Mapping]] = ..., reason: _Optional[str] = ..., created_by: _Optional[str] = ...) -> None: ...

class DeviceLink(_message.Message):
    __slots__ = ("a", "b", "kind", "nvlinks", "bytes_per_s")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NVLINKS_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    a: str
    b: str
    kind: str
    nvlinks: int
    bytes_per_s: int
    def __init__(self, a: _Optional[str] = ..., b: _Optional[str] = ..., kind: _Optional[str] = ..., nvlinks: _Optional[int] = ..., bytes_per_s: _Optional[int] = ...) -> None: ...

class Inventory(_message.Message):
    __slots__ = ("hostname", "cpus", "memory_bytes", "memory_total_bytes", "numa_nodes", "devices", "links", "disk_bytes", "cpu_model", "kernel")
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    NUMA_NODES_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_MODEL_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    hostname: str
    cpus: _containers.RepeatedCompositeFieldContainer[Cpu]
    memory_bytes: int
    memory_total_bytes: int
    numa_nodes: _containers.RepeatedCompositeFieldContainer[NumaNode]
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    links: _containers.RepeatedCompositeFieldContainer[DeviceLink]
    disk_bytes: int
    cpu_model: str
    kernel: str
    def __init__(self, hostname: _Optional[str] = ..., cpus: _Optional[_Iterable[_Union[Cpu, _Mapping]]] = ..., memory_bytes: _Optional[int] = ..., memory_total_bytes: _Optional[int] = ..., numa_nodes: _Optional[_Iterable[_Union[NumaNode, _Mapping]]] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., links: _Optional[_Iterable[_Union[DeviceLink, _Mapping]]] = ..., disk_bytes: _Optional[int] = ..., cpu_model: _Optional[str] = ..., kernel: _Optional[str] = ...) -> None: ...

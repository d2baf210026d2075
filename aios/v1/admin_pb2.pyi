from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BackupRequest(_message.Message):
    __slots__ = ("path", "without_models")
    PATH_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_MODELS_FIELD_NUMBER: _ClassVar[int]
    path: str
    without_models: bool
    def __init__(self, path: _Optional[str] = ..., without_models: _Optional[bool] = ...) -> None: ...

class BackupResponse(_message.Message):
    __slots__ = ("path", "bytes", "jobs", "took_s", "sha256", "models_bytes", "models_new_bytes", "models_lost")
    PATH_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    TOOK_S_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    MODELS_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODELS_NEW_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODELS_LOST_FIELD_NUMBER: _ClassVar[int]
    path: str
    bytes: int
    jobs: int
    took_s: float
    sha256: str
    models_bytes: int
    models_new_bytes: int
    models_lost: int
    def __init__(self, path: _Optional[str] = ..., bytes: _Optional[int] = ..., jobs: _Optional[int] = ..., took_s: _Optional[float] = ..., sha256: _Optional[str] = ..., models_bytes: _Optional[int] = ..., models_new_bytes: _Optional[int] = ..., models_lost: _Optional[int] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ("repair",)
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    repair: bool
    def __init__(self, repair: _Optional[bool] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("subject", "problem", "repaired", "action")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    subject: str
    problem: str
    repaired: bool
    action: str
    def __init__(self, subject: _Optional[str] = ..., problem: _Optional[str] = ..., repaired: _Optional[bool] = ..., action: _Optional[str] = ...) -> None: ...

class CheckResponse(_message.Message):
    __slots__ = ("findings", "checked")
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    checked: int
    def __init__(self, findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., checked: _Optional[int] = ...) -> None: ...

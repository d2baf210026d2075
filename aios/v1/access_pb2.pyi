from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_VIEWER: _ClassVar[Role]
    ROLE_USER: _ClassVar[Role]
    ROLE_OPERATOR: _ClassVar[Role]
    ROLE_ADMIN: _ClassVar[Role]
ROLE_UNSPECIFIED: Role
ROLE_VIEWER: Role
ROLE_USER: Role
ROLE_OPERATOR: Role
ROLE_ADMIN: Role

class Principal(_message.Message):
    __slots__ = ("user", "uid", "role", "origin")
    USER_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    user: str
    uid: int
    role: Role
    origin: str
    def __init__(self, user: _Optional[str] = ..., uid: _Optional[int] = ..., role: _Optional[_Union[Role, str]] = ..., origin: _Optional[str] = ...) -> None: ...

class UserLimits(_message.Message):
    __slots__ = ("queued_jobs", "running_jobs", "cpu_millis", "memory_bytes", "gpu_millis", "gpu_hours_per_day", "model_bytes")
    QUEUED_JOBS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_JOBS_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    GPU_HOURS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    MODEL_BYTES_FIELD_NUMBER: _ClassVar[int]
    queued_jobs: int
    running_jobs: int
    cpu_millis: int
    memory_bytes: int
    gpu_millis: int
    gpu_hours_per_day: float
    model_bytes: int
    def __init__(self, queued_jobs: _Optional[int] = ..., running_jobs: _Optional[int] = ..., cpu_millis: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., gpu_millis: _Optional[int] = ..., gpu_hours_per_day: _Optional[float] = ..., model_bytes: _Optional[int] = ...) -> None: ...

class User(_message.Message):
    __slots__ = ("name", "uid", "role", "role_from", "limits", "limits_set", "queued_jobs", "running_jobs", "cpu_millis", "memory_bytes", "gpu_millis", "gpu_hours_today")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FROM_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_SET_FIELD_NUMBER: _ClassVar[int]
    QUEUED_JOBS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_JOBS_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    GPU_HOURS_TODAY_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: int
    role: Role
    role_from: str
    limits: UserLimits
    limits_set: bool
    queued_jobs: int
    running_jobs: int
    cpu_millis: int
    memory_bytes: int
    gpu_millis: int
    gpu_hours_today: float
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[int] = ..., role: _Optional[_Union[Role, str]] = ..., role_from: _Optional[str] = ..., limits: _Optional[_Union[UserLimits, _Mapping]] = ..., limits_set: _Optional[bool] = ..., queued_jobs: _Optional[int] = ..., running_jobs: _Optional[int] = ..., cpu_millis: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., gpu_millis: _Optional[int] = ..., gpu_hours_today: _Optional[float] = ...) -> None: ...

class WhoAmIRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListUsersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListUsersResponse(_message.Message):
    __slots__ = ("users",)
    USERS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[User]
    def __init__(self, users: _Optional[_Iterable[_Union[User, _Mapping]]] = ...) -> None: ...

class GetUserRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class SetUserRequest(_message.Message):
    __slots__ = ("name", "role", "limits", "default_limits")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_LIMITS_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: Role
    limits: UserLimits
    default_limits: bool
    def __init__(self, name: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., limits: _Optional[_Union[UserLimits, _Mapping]] = ..., default_limits: _Optional[bool] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("id", "user", "role", "created_at_s", "expires_at_s", "last_used_at_s", "revoked_at_s", "created_by", "comment")
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_S_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_S_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AT_S_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_S_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    user: str
    role: Role
    created_at_s: float
    expires_at_s: float
    last_used_at_s: float
    revoked_at_s: float
    created_by: str
    comment: str
    def __init__(self, id: _Optional[str] = ..., user: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., created_at_s: _Optional[float] = ..., expires_at_s: _Optional[float] = ..., last_used_at_s: _Optional[float] = ..., revoked_at_s: _Optional[float] = ..., created_by: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class CreateTokenRequest(_message.Message):
    __slots__ = ("user", "role", "lifetime_s", "comment")
    USER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_S_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    user: str
    role: Role
    lifetime_s: float
    comment: str
    def __init__(self, user: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., lifetime_s: _Optional[float] = ..., comment: _Optional[str] = ...) -> None: ...

class CreateTokenResponse(_message.Message):
    __slots__ = ("token", "secret")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    token: Token
    secret: str
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class ListTokensRequest(_message.Message):
    __slots__ = ("include_ended",)
    INCLUDE_ENDED_FIELD_NUMBER: _ClassVar[int]
    include_ended: bool
    def __init__(self, include_ended: _Optional[bool] = ...) -> None: ...

class ListTokensResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[Token]
    def __init__(self, tokens: _Optional[_Iterable[_Union[Token, _Mapping]]] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("number", "at_s", "user", "uid", "origin", "peer", "method", "object", "allowed", "detail", "digest")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_S_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    number: int
    at_s: float
    user: str
    uid: int
    origin: str
    peer: str
    method: str
    object: str
    allowed: bool
    detail: str
    digest: str
    def __init__(self, number: _Optional[int] = ..., at_s: _Optional[float] = ..., user: _Optional[str] = ..., uid: _Optional[int] = ..., origin: _Optional[str] = ..., peer: _Optional[str] = ..., method: _Optional[str] = ..., object: _Optional[str] = ..., allowed: _Optional[bool] = ..., detail: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class AuditRequest(_message.Message):
    __slots__ = ("after_number", "since_s", "until_s", "user", "method", "denied_only", "limit")
    AFTER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_S_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    DENIED_ONLY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    after_number: int
    since_s: float
    until_s: float
    user: str
    method: str
    denied_only: bool
    limit: int
    def __init__(self, after_number: _Optional[int] = ..., since_s: _Optional[float] = ..., until_s: _Optional[float] = ..., user: _Optional[str] = ..., method: _Optional[str] = ..., denied_only: _Optional[bool] = ..., limit: _Optional[int] = ...) -> None: ...

class VerifyAuditRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyAuditResponse(_message.Message):
    __slots__ = ("records", "intact", "first_broken", "problem", "last_digest")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    INTACT_FIELD_NUMBER: _ClassVar[int]
    FIRST_BROKEN_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    LAST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    records: int
    intact: bool
    first_broken: int
    problem: str
    last_digest: str
    def __init__(self, records: _Optional[int] = ..., intact: _Optional[bool] = ..., first_broken: _Optional[int] = ..., problem: _Optional[str] = ..., last_digest: _Optional[str] = ...) -> None: ...

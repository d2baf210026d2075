from aios.v1 import jobs_pb2 as _jobs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StoreKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STORE_KIND_UNSPECIFIED: _ClassVar[StoreKind]
    MODEL: _ClassVar[StoreKind]
    DATASET: _ClassVar[StoreKind]
STORE_KIND_UNSPECIFIED: StoreKind
MODEL: StoreKind
DATASET: StoreKind

class Tensor(_message.Message):
    __slots__ = ("name", "dtype", "shape")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    dtype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., dtype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ...) -> None: ...

class Schema(_message.Message):
    __slots__ = ("format", "framework", "opset", "inputs", "outputs", "parameters", "metadata", "tensors", "notes")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    OPSET_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    format: str
    framework: str
    opset: int
    inputs: _containers.RepeatedCompositeFieldContainer[Tensor]
    outputs: _containers.RepeatedCompositeFieldContainer[Tensor]
    parameters: int
    metadata: _containers.ScalarMap[str, str]
    tensors: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, format: _Optional[str] = ..., framework: _Optional[str] = ..., opset: _Optional[int] = ..., inputs: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., parameters: _Optional[int] = ..., metadata: _Optional[_Mapping[str, str]] = ..., tensors: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class File(_message.Message):
    __slots__ = ("path", "size", "digest", "executable")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    path: str
    size: int
    digest: str
    executable: bool
    def __init__(self, path: _Optional[str] = ..., size: _Optional[int] = ..., digest: _Optional[str] = ..., executable: _Optional[bool] = ...) -> None: ...

class Lineage(_message.Message):
    __slots__ = ("job_id", "command", "cwd", "git_commit", "git_branch", "git_remote", "git_dirty", "python", "packages", "models", "datasets", "gpu_hours", "host")
    class PackagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    GIT_COMMIT_FIELD_NUMBER: _ClassVar[int]
    GIT_BRANCH_FIELD_NUMBER: _ClassVar[int]
    GIT_REMOTE_FIELD_NUMBER: _ClassVar[int]
    GIT_DIRTY_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    GPU_HOURS_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    command: _containers.RepeatedScalarFieldContainer[str]
    cwd: str
    git_commit: str
    git_branch: str
    git_remote: str
    git_dirty: bool
    python: str
    packages: _containers.ScalarMap[str, str]
    models: _containers.RepeatedScalarFieldContainer[str]
    datasets: _containers.RepeatedScalarFieldContainer[str]
    gpu_hours: float
    host: str
    def __init__(self, job_id: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., cwd: _Optional[str] = ..., git_commit: _Optional[str] = ..., git_branch: _Optional[str] = ..., git_remote: _Optional[str] = ..., git_dirty: _Optional[bool] = ..., python: _Optional[str] = ..., packages: _Optional[_Mapping[str, str]] = ..., models: _Optional[_Iterable[str]] = ..., datasets: _Optional[_Iterable[str]] = ..., gpu_hours: _Optional[float] = ..., host: _Optional[str] = ...) -> None: ...

class Version(_message.Message):
    __slots__ = ("model", "kind", "id", "parents", "author", "created_at_s", "message", "metrics", "labels", "licence", "card", "schema", "lineage", "manifest", "size", "files", "stored_bytes", "references", "state", "reasons", "signatures", "listing", "number", "used_by")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    PARENTS_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_S_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    STORED_BYTES_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    LISTING_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    USED_BY_FIELD_NUMBER: _ClassVar[int]
    model: str
    kind: StoreKind
    id: str
    parents: _containers.RepeatedScalarFieldContainer[str]
    author: str
    created_at_s: float
    message: str
    metrics: _containers.ScalarMap[str, float]
    labels: _containers.ScalarMap[str, str]
    licence: str
    card: str
    schema: Schema
    lineage: Lineage
    manifest: str
    size: int
    files: int
    stored_bytes: int
    references: _containers.RepeatedScalarFieldContainer[str]
    state: str
    reasons: _containers.RepeatedScalarFieldContainer[str]
    signatures: _containers.RepeatedCompositeFieldContainer[Signature]
    listing: _containers.RepeatedCompositeFieldContainer[File]
    number: int
    used_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., id: _Optional[str] = ..., parents: _Optional[_Iterable[str]] = ..., author: _Optional[str] = ..., created_at_s: _Optional[float] = ..., message: _Optional[str] = ..., metrics: _Optional[_Mapping[str, float]] = ..., labels: _Optional[_Mapping[str, str]] = ..., licence: _Optional[str] = ..., card: _Optional[str] = ..., schema: _Optional[_Union[Schema, _Mapping]] = ..., lineage: _Optional[_Union[Lineage, _Mapping]] = ..., manifest: _Optional[str] = ..., size: _Optional[int] = ..., files: _Optional[int] = ..., stored_bytes: _Optional[int] = ..., references: _Optional[_Iterable[str]] = ..., state: _Optional[str] = ..., reasons: _Optional[_Iterable[str]] = ..., signatures: _Optional[_Iterable[_Union[Signature, _Mapping]]] = ..., listing: _Optional[_Iterable[_Union[File, _Mapping]]] = ..., number: _Optional[int] = ..., used_by: _Optional[_Iterable[str]] = ...) -> None: ...

class Reference(_message.Message):
    __slots__ = ("model", "name", "kind", "version", "moved_at_s", "moved_by")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MOVED_AT_S_FIELD_NUMBER: _ClassVar[int]
    MOVED_BY_FIELD_NUMBER: _ClassVar[int]
    model: str
    name: str
    kind: str
    version: str
    moved_at_s: float
    moved_by: str
    def __init__(self, model: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[str] = ..., version: _Optional[str] = ..., moved_at_s: _Optional[float] = ..., moved_by: _Optional[str] = ...) -> None: ...

class Move(_message.Message):
    __slots__ = ("reference", "kind", "to", "who", "at_s", "why")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    AT_S_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    reference: str
    kind: str
    to: str
    who: str
    at_s: float
    why: str
    def __init__(self, reference: _Optional[str] = ..., kind: _Optional[str] = ..., to: _Optional[str] = ..., who: _Optional[str] = ..., at_s: _Optional[float] = ..., why: _Optional[str] = ..., **kwargs) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "kind", "owner", "description", "visibility", "group", "roles", "require_signature", "keep_last", "keep_for_s", "versions", "references", "latest", "size", "stored_bytes", "created_at_s", "trusted_keys", "damaged", "found")
    class RolesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    KEEP_LAST_FIELD_NUMBER: _ClassVar[int]
    KEEP_FOR_S_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    STORED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_S_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_KEYS_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: StoreKind
    owner: str
    description: str
    visibility: str
    group: str
    roles: _containers.ScalarMap[str, str]
    require_signature: bool
    keep_last: int
    keep_for_s: float
    versions: int
    references: _containers.RepeatedCompositeFieldContainer[Reference]
    latest: Version
    size: int
    stored_bytes: int
    created_at_s: float
    trusted_keys: _containers.RepeatedScalarFieldContainer[str]
    damaged: str
    found: Version
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., owner: _Optional[str] = ..., description: _Optional[str] = ..., visibility: _Optional[str] = ..., group: _Optional[str] = ..., roles: _Optional[_Mapping[str, str]] = ..., require_signature: _Optional[bool] = ..., keep_last: _Optional[int] = ..., keep_for_s: _Optional[float] = ..., versions: _Optional[int] = ..., references: _Optional[_Iterable[_Union[Reference, _Mapping]]] = ..., latest: _Optional[_Union[Version, _Mapping]] = ..., size: _Optional[int] = ..., stored_bytes: _Optional[int] = ..., created_at_s: _Optional[float] = ..., trusted_keys: _Optional[_Iterable[str]] = ..., damaged: _Optional[str] = ..., found: _Optional[_Union[Version, _Mapping]] = ...) -> None: ...

class RegisterRequest(_message.Message):
    __slots__ = ("model", "kind", "path", "upload_id", "branch", "message", "metrics", "labels", "licence", "card", "description", "tags", "expected", "job_id", "environment", "visibility", "idempotency_key", "parents", "allow_flagged", "contents", "descriptor", "group")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    PARENTS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FLAGGED_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTOR_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    model: str
    kind: StoreKind
    path: str
    upload_id: str
    branch: str
    message: str
    metrics: _containers.ScalarMap[str, float]
    labels: _containers.ScalarMap[str, str]
    licence: str
    card: str
    description: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    expected: str
    job_id: str
    environment: Lineage
    visibility: str
    idempotency_key: str
    parents: _containers.RepeatedScalarFieldContainer[str]
    allow_flagged: bool
    contents: str
    descriptor: int
    group: str
    def __init__(self, model: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., path: _Optional[str] = ..., upload_id: _Optional[str] = ..., branch: _Optional[str] = ..., message: _Optional[str] = ..., metrics: _Optional[_Mapping[str, float]] = ..., labels: _Optional[_Mapping[str, str]] = ..., licence: _Optional[str] = ..., card: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., expected: _Optional[str] = ..., job_id: _Optional[str] = ..., environment: _Optional[_Union[Lineage, _Mapping]] = ..., visibility: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., parents: _Optional[_Iterable[str]] = ..., allow_flagged: _Optional[bool] = ..., contents: _Optional[str] = ..., descriptor: _Optional[int] = ..., group: _Optional[str] = ...) -> None: ...

class RegisterOutputsRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class RegisterOutputsResponse(_message.Message):
    __slots__ = ("problems",)
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, problems: _Optional[_Iterable[str]] = ...) -> None: ...

class TransferProgress(_message.Message):
    __slots__ = ("bytes_done", "bytes_total", "bytes_stored", "doing")
    BYTES_DONE_FIELD_NUMBER: _ClassVar[int]
    BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    BYTES_STORED_FIELD_NUMBER: _ClassVar[int]
    DOING_FIELD_NUMBER: _ClassVar[int]
    bytes_done: int
    bytes_total: int
    bytes_stored: int
    doing: str
    def __init__(self, bytes_done: _Optional[int] = ..., bytes_total: _Optional[int] = ..., bytes_stored: _Optional[int] = ..., doing: _Optional[str] = ...) -> None: ...

class RegisterResponse(_message.Message):
    __slots__ = ("progress", "version", "existed")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    progress: TransferProgress
    version: Version
    existed: bool
    def __init__(self, progress: _Optional[_Union[TransferProgress, _Mapping]] = ..., version: _Optional[_Union[Version, _Mapping]] = ..., existed: _Optional[bool] = ...) -> None: ...

class Piece(_message.Message):
    __slots__ = ("name", "offset", "data", "size", "executable")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    offset: int
    data: bytes
    size: int
    executable: bool
    def __init__(self, name: _Optional[str] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., size: _Optional[int] = ..., executable: _Optional[bool] = ...) -> None: ...

class UploadedRequest(_message.Message):
    __slots__ = ("upload_id",)
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    upload_id: str
    def __init__(self, upload_id: _Optional[str] = ...) -> None: ...

class UploadedResponse(_message.Message):
    __slots__ = ("have",)
    HAVE_FIELD_NUMBER: _ClassVar[int]
    have: _containers.RepeatedCompositeFieldContainer[Piece]
    def __init__(self, have: _Optional[_Iterable[_Union[Piece, _Mapping]]] = ...) -> None: ...

class UploadRequest(_message.Message):
    __slots__ = ("upload_id", "pieces")
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    PIECES_FIELD_NUMBER: _ClassVar[int]
    upload_id: str
    pieces: _containers.RepeatedCompositeFieldContainer[Piece]
    def __init__(self, upload_id: _Optional[str] = ..., pieces: _Optional[_Iterable[_Union[Piece, _Mapping]]] = ...) -> None: ...

class UploadResponse(_message.Message):
    __slots__ = ("received",)
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    received: int
    def __init__(self, received: _Optional[int] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("kind", "text", "format", "metrics", "labels", "author", "job_id", "tensor", "page_size", "page_token")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    kind: StoreKind
    text: str
    format: str
    metrics: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    author: str
    job_id: str
    tensor: str
    page_size: int
    page_token: str
    def __init__(self, kind: _Optional[_Union[StoreKind, str]] = ..., text: _Optional[str] = ..., format: _Optional[str] = ..., metrics: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., author: _Optional[str] = ..., job_id: _Optional[str] = ..., tensor: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    next_page_token: str
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name", "kind")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: StoreKind
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ...) -> None: ...

class SetModelRequest(_message.Message):
    __slots__ = ("name", "kind", "description", "visibility", "group", "roles", "require_signature", "keep_last", "keep_for_s", "trust_keys", "distrust_keys")
    class RolesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    KEEP_LAST_FIELD_NUMBER: _ClassVar[int]
    KEEP_FOR_S_FIELD_NUMBER: _ClassVar[int]
    TRUST_KEYS_FIELD_NUMBER: _ClassVar[int]
    DISTRUST_KEYS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: StoreKind
    description: str
    visibility: str
    group: str
    roles: _containers.ScalarMap[str, str]
    require_signature: bool
    keep_last: int
    keep_for_s: float
    trust_keys: _containers.RepeatedScalarFieldContainer[bytes]
    distrust_keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., description: _Optional[str] = ..., visibility: _Optional[str] = ..., group: _Optional[str] = ..., roles: _Optional[_Mapping[str, str]] = ..., require_signature: _Optional[bool] = ..., keep_last: _Optional[int] = ..., keep_for_s: _Optional[float] = ..., trust_keys: _Optional[_Iterable[bytes]] = ..., distrust_keys: _Optional[_Iterable[str]] = ...) -> None: ...

class GetVersionRequest(_message.Message):
    __slots__ = ("ref", "kind", "listing")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LISTING_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    listing: bool
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., listing: _Optional[bool] = ...) -> None: ...

class LogRequest(_message.Message):
    __slots__ = ("ref", "kind", "page_size", "page_token", "all")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    page_size: int
    page_token: str
    all: bool
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., all: _Optional[bool] = ...) -> None: ...

class LogResponse(_message.Message):
    __slots__ = ("versions", "next_page_token")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[Version]
    next_page_token: str
    def __init__(self, versions: _Optional[_Iterable[_Union[Version, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class LogReferencesRequest(_message.Message):
    __slots__ = ("model", "kind", "reference", "page_size", "page_token")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    model: str
    kind: StoreKind
    reference: str
    page_size: int
    page_token: str
    def __init__(self, model: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., reference: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class LogReferencesResponse(_message.Message):
    __slots__ = ("moves", "next_page_token")
    MOVES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    moves: _containers.RepeatedCompositeFieldContainer[Move]
    next_page_token: str
    def __init__(self, moves: _Optional[_Iterable[_Union[Move, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListReferencesRequest(_message.Message):
    __slots__ = ("model", "kind", "of")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    model: str
    kind: StoreKind
    of: str
    def __init__(self, model: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., of: _Optional[str] = ...) -> None: ...

class ListReferencesResponse(_message.Message):
    __slots__ = ("references",)
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    references: _containers.RepeatedCompositeFieldContainer[Reference]
    def __init__(self, references: _Optional[_Iterable[_Union[Reference, _Mapping]]] = ...) -> None: ...

class MoveReferenceRequest(_message.Message):
    __slots__ = ("model", "kind", "name", "of", "to", "expected", "why", "force", "job_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    kind: StoreKind
    name: str
    of: str
    to: str
    expected: str
    why: str
    force: bool
    job_id: str
    def __init__(self, model: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., name: _Optional[str] = ..., of: _Optional[str] = ..., to: _Optional[str] = ..., expected: _Optional[str] = ..., why: _Optional[str] = ..., force: _Optional[bool] = ..., job_id: _Optional[str] = ...) -> None: ...

class MergeRequest(_message.Message):
    __slots__ = ("model", "kind", "into", "strategy", "message", "expected", "job_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INTO_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    kind: StoreKind
    into: str
    strategy: str
    message: str
    expected: str
    job_id: str
    def __init__(self, model: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., into: _Optional[str] = ..., strategy: _Optional[str] = ..., message: _Optional[str] = ..., expected: _Optional[str] = ..., job_id: _Optional[str] = ..., **kwargs) -> None: ...

class MergeResponse(_message.Message):
    __slots__ = ("version", "how")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HOW_FIELD_NUMBER: _ClassVar[int]
    version: Version
    how: str
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ..., how: _Optional[str] = ...) -> None: ...

class RevertRequest(_message.Message):
    __slots__ = ("ref", "kind", "branch", "message", "expected", "job_id")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    branch: str
    message: str
    expected: str
    job_id: str
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., branch: _Optional[str] = ..., message: _Optional[str] = ..., expected: _Optional[str] = ..., job_id: _Optional[str] = ...) -> None: ...

class DiffRequest(_message.Message):
    __slots__ = ("a", "b", "kind", "tensors")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    a: str
    b: str
    kind: StoreKind
    tensors: bool
    def __init__(self, a: _Optional[str] = ..., b: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., tensors: _Optional[bool] = ...) -> None: ...

class DiffResponse(_message.Message):
    __slots__ = ("a", "b", "changes", "files", "tensors", "tensors_unchanged", "tensors_left_out", "tensor_notes")
    class Change(_message.Message):
        __slots__ = ("what", "a", "b")
        WHAT_FIELD_NUMBER: _ClassVar[int]
        A_FIELD_NUMBER: _ClassVar[int]
        B_FIELD_NUMBER: _ClassVar[int]
        what: str
        a: str
        b: str
        def __init__(self, what: _Optional[str] = ..., a: _Optional[str] = ..., b: _Optional[str] = ...) -> None: ...
    class FileChange(_message.Message):
        __slots__ = ("path", "change", "size_a", "size_b")
        PATH_FIELD_NUMBER: _ClassVar[int]
        CHANGE_FIELD_NUMBER: _ClassVar[int]
        SIZE_A_FIELD_NUMBER: _ClassVar[int]
        SIZE_B_FIELD_NUMBER: _ClassVar[int]
        path: str
        change: str
        size_a: int
        size_b: int
        def __init__(self, path: _Optional[str] = ..., change: _Optional[str] = ..., size_a: _Optional[int] = ..., size_b: _Optional[int] = ...) -> None: ...
    class TensorChange(_message.Message):
        __slots__ = ("name", "change", "a", "b", "relative_norm", "file", "note")
        NAME_FIELD_NUMBER: _ClassVar[int]
        CHANGE_FIELD_NUMBER: _ClassVar[int]
        A_FIELD_NUMBER: _ClassVar[int]
        B_FIELD_NUMBER: _ClassVar[int]
        RELATIVE_NORM_FIELD_NUMBER: _ClassVar[int]
        FILE_FIELD_NUMBER: _ClassVar[int]
        NOTE_FIELD_NUMBER: _ClassVar[int]
        name: str
        change: str
        a: str
        b: str
        relative_norm: float
        file: str
        note: str
        def __init__(self, name: _Optional[str] = ..., change: _Optional[str] = ..., a: _Optional[str] = ..., b: _Optional[str] = ..., relative_norm: _Optional[float] = ..., file: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    TENSORS_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    TENSORS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    TENSOR_NOTES_FIELD_NUMBER: _ClassVar[int]
    a: Version
    b: Version
    changes: _containers.RepeatedCompositeFieldContainer[DiffResponse.Change]
    files: _containers.RepeatedCompositeFieldContainer[DiffResponse.FileChange]
    tensors: _containers.RepeatedCompositeFieldContainer[DiffResponse.TensorChange]
    tensors_unchanged: int
    tensors_left_out: int
    tensor_notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, a: _Optional[_Union[Version, _Mapping]] = ..., b: _Optional[_Union[Version, _Mapping]] = ..., changes: _Optional[_Iterable[_Union[DiffResponse.Change, _Mapping]]] = ..., files: _Optional[_Iterable[_Union[DiffResponse.FileChange, _Mapping]]] = ..., tensors: _Optional[_Iterable[_Union[DiffResponse.TensorChange, _Mapping]]] = ..., tensors_unchanged: _Optional[int] = ..., tensors_left_out: _Optional[int] = ..., tensor_notes: _Optional[_Iterable[str]] = ...) -> None: ...

class CheckoutRequest(_message.Message):
    __slots__ = ("ref", "kind", "job_id", "to", "allow_flagged")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FLAGGED_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    job_id: str
    to: str
    allow_flagged: bool
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., job_id: _Optional[str] = ..., to: _Optional[str] = ..., allow_flagged: _Optional[bool] = ...) -> None: ...

class CheckoutResponse(_message.Message):
    __slots__ = ("progress", "path", "version")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    progress: TransferProgress
    path: str
    version: Version
    def __init__(self, progress: _Optional[_Union[TransferProgress, _Mapping]] = ..., path: _Optional[str] = ..., version: _Optional[_Union[Version, _Mapping]] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("ref", "kind", "sample_permille", "all")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    sample_permille: int
    all: bool
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., sample_permille: _Optional[int] = ..., all: _Optional[bool] = ...) -> None: ...

class VerifyResponse(_message.Message):
    __slots__ = ("progress", "chunks", "damaged", "done")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    progress: TransferProgress
    chunks: int
    damaged: _containers.RepeatedCompositeFieldContainer[Damage]
    done: bool
    def __init__(self, progress: _Optional[_Union[TransferProgress, _Mapping]] = ..., chunks: _Optional[int] = ..., damaged: _Optional[_Iterable[_Union[Damage, _Mapping]]] = ..., done: _Optional[bool] = ...) -> None: ...

class Damage(_message.Message):
    __slots__ = ("digest", "problem", "versions", "healed")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    HEALED_FIELD_NUMBER: _ClassVar[int]
    digest: str
    problem: str
    versions: _containers.RepeatedScalarFieldContainer[str]
    healed: bool
    def __init__(self, digest: _Optional[str] = ..., problem: _Optional[str] = ..., versions: _Optional[_Iterable[str]] = ..., healed: _Optional[bool] = ...) -> None: ...

class ScanRequest(_message.Message):
    __slots__ = ("ref", "kind")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ...) -> None: ...

class ScanResponse(_message.Message):
    __slots__ = ("state", "findings")
    STATE_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    state: str
    findings: _containers.RepeatedCompositeFieldContainer[ScanFinding]
    def __init__(self, state: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[ScanFinding, _Mapping]]] = ...) -> None: ...

class ScanFinding(_message.Message):
    __slots__ = ("file", "severity", "what")
    FILE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    file: str
    severity: str
    what: str
    def __init__(self, file: _Optional[str] = ..., severity: _Optional[str] = ..., what: _Optional[str] = ...) -> None: ...

class AllowRequest(_message.Message):
    __slots__ = ("ref", "kind", "why")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    why: str
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., why: _Optional[str] = ...) -> None: ...

class SignRequest(_message.Message):
    __slots__ = ("ref", "kind", "signature", "public_key")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    signature: bytes
    public_key: bytes
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., signature: _Optional[bytes] = ..., public_key: _Optional[bytes] = ...) -> None: ...

class Signature(_message.Message):
    __slots__ = ("key_id", "format", "signature", "signed_at_s", "signed_by")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    SIGNED_AT_S_FIELD_NUMBER: _ClassVar[int]
    SIGNED_BY_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    format: str
    signature: bytes
    signed_at_s: float
    signed_by: str
    def __init__(self, key_id: _Optional[str] = ..., format: _Optional[str] = ..., signature: _Optional[bytes] = ..., signed_at_s: _Optional[float] = ..., signed_by: _Optional[str] = ...) -> None: ...

class VerifySignatureRequest(_message.Message):
    __slots__ = ("ref", "kind", "public_key")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    public_key: bytes
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., public_key: _Optional[bytes] = ...) -> None: ...

class VerifySignatureResponse(_message.Message):
    __slots__ = ("valid", "key_id", "reason")
    VALID_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    key_id: str
    reason: str
    def __init__(self, valid: _Optional[bool] = ..., key_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("refs", "kind", "path", "base", "format", "history", "replace", "allow_flagged")
    REFS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FLAGGED_FIELD_NUMBER: _ClassVar[int]
    refs: _containers.RepeatedScalarFieldContainer[str]
    kind: StoreKind
    path: str
    base: str
    format: str
    history: bool
    replace: bool
    allow_flagged: bool
    def __init__(self, refs: _Optional[_Iterable[str]] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., path: _Optional[str] = ..., base: _Optional[str] = ..., format: _Optional[str] = ..., history: _Optional[bool] = ..., replace: _Optional[bool] = ..., allow_flagged: _Optional[bool] = ...) -> None: ...

class ImportRequest(_message.Message):
    __slots__ = ("path", "kind", "model", "format", "branch")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    path: str
    kind: StoreKind
    model: str
    format: str
    branch: str
    def __init__(self, path: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., model: _Optional[str] = ..., format: _Optional[str] = ..., branch: _Optional[str] = ...) -> None: ...

class TransferResponse(_message.Message):
    __slots__ = ("progress", "versions", "path", "new_versions")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    NEW_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    progress: TransferProgress
    versions: _containers.RepeatedCompositeFieldContainer[Version]
    path: str
    new_versions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, progress: _Optional[_Union[TransferProgress, _Mapping]] = ..., versions: _Optional[_Iterable[_Union[Version, _Mapping]]] = ..., path: _Optional[str] = ..., new_versions: _Optional[_Iterable[str]] = ...) -> None: ...

class FetchChunksRequest(_message.Message):
    __slots__ = ("ref", "kind", "chunks", "allow_flagged", "job_id")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FLAGGED_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    chunks: _containers.RepeatedCompositeFieldContainer[ChunkAt]
    allow_flagged: bool
    job_id: str
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., chunks: _Optional[_Iterable[_Union[ChunkAt, _Mapping]]] = ..., allow_flagged: _Optional[bool] = ..., job_id: _Optional[str] = ...) -> None: ...

class FetchChunksResponse(_message.Message):
    __slots__ = ("pieces",)
    PIECES_FIELD_NUMBER: _ClassVar[int]
    pieces: _containers.RepeatedCompositeFieldContainer[Piece]
    def __init__(self, pieces: _Optional[_Iterable[_Union[Piece, _Mapping]]] = ...) -> None: ...

class ChunkAt(_message.Message):
    __slots__ = ("digest", "offset")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    digest: str
    offset: int
    def __init__(self, digest: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class MissingRequest(_message.Message):
    __slots__ = ("model", "kind", "digests")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    kind: StoreKind
    digests: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., digests: _Optional[_Iterable[str]] = ...) -> None: ...

class MissingResponse(_message.Message):
    __slots__ = ("chunks",)
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[ChunkAt]
    def __init__(self, chunks: _Optional[_Iterable[_Union[ChunkAt, _Mapping]]] = ...) -> None: ...

class SendChunksRequest(_message.Message):
    __slots__ = ("pieces",)
    PIECES_FIELD_NUMBER: _ClassVar[int]
    pieces: _containers.RepeatedCompositeFieldContainer[Piece]
    def __init__(self, pieces: _Optional[_Iterable[_Union[Piece, _Mapping]]] = ...) -> None: ...

class SendChunksResponse(_message.Message):
    __slots__ = ("received",)
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    received: int
    def __init__(self, received: _Optional[int] = ...) -> None: ...

class ReceiveRequest(_message.Message):
    __slots__ = ("model", "kind", "version", "branch", "tags", "ancestry", "flags", "signatures")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ANCESTRY_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    model: str
    kind: StoreKind
    version: str
    branch: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    ancestry: _containers.RepeatedScalarFieldContainer[str]
    flags: _containers.RepeatedScalarFieldContainer[str]
    signatures: _containers.RepeatedCompositeFieldContainer[Signature]
    def __init__(self, model: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., version: _Optional[str] = ..., branch: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., ancestry: _Optional[_Iterable[str]] = ..., flags: _Optional[_Iterable[str]] = ..., signatures: _Optional[_Iterable[_Union[Signature, _Mapping]]] = ...) -> None: ...

class CollectGarbageRequest(_message.Message):
    __slots__ = ("dry_run", "grace_s")
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    GRACE_S_FIELD_NUMBER: _ClassVar[int]
    dry_run: bool
    grace_s: float
    def __init__(self, dry_run: _Optional[bool] = ..., grace_s: _Optional[float] = ...) -> None: ...

class CollectGarbageResponse(_message.Message):
    __slots__ = ("versions", "chunks", "bytes", "kept_because", "removed")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    KEPT_BECAUSE_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    versions: int
    chunks: int
    bytes: int
    kept_because: _containers.RepeatedScalarFieldContainer[str]
    removed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, versions: _Optional[int] = ..., chunks: _Optional[int] = ..., bytes: _Optional[int] = ..., kept_because: _Optional[_Iterable[str]] = ..., removed: _Optional[_Iterable[str]] = ...) -> None: ...

class RemoveModelRequest(_message.Message):
    __slots__ = ("ref", "kind", "force")
    REF_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    ref: str
    kind: StoreKind
    force: bool
    def __init__(self, ref: _Optional[str] = ..., kind: _Optional[_Union[StoreKind, str]] = ..., force: _Optional[bool] = ...) -> None: ...

class RemoveModelResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, removed: _Optional[_Iterable[str]] = ...) -> None: ...

class ModelUsageRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ModelUsageResponse(_message.Message):
    __slots__ = ("users", "store_bytes", "free_bytes")
    class User(_message.Message):
        __slots__ = ("user", "bytes", "stored_bytes", "limit_bytes", "models", "versions")
        USER_FIELD_NUMBER: _ClassVar[int]
        BYTES_FIELD_NUMBER: _ClassVar[int]
        STORED_BYTES_FIELD_NUMBER: _ClassVar[int]
        LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
        MODELS_FIELD_NUMBER: _ClassVar[int]
        VERSIONS_FIELD_NUMBER: _ClassVar[int]
        user: str
        bytes: int
        stored_bytes: int
        limit_bytes: int
        models: int
        versions: int
        def __init__(self, user: _Optional[str] = ..., bytes: _Optional[int] = ..., stored_bytes: _Optional[int] = ..., limit_bytes: _Optional[int] = ..., models: _Optional[int] = ..., versions: _Optional[int] = ...) -> None: ...
    USERS_FIELD_NUMBER: _ClassVar[int]
    STORE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[ModelUsageResponse.User]
    store_bytes: int
    free_bytes: int
    def __init__(self, users: _Optional[_Iterable[_Union[ModelUsageResponse.User, _Mapping]]] = ..., store_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ...) -> None: ...

class OptimizeRequest(_message.Message):
    __slots__ = ("ref", "quantize", "prune", "calibrate", "gates", "branch", "job", "idempotency_key", "message")
    REF_FIELD_NUMBER: _ClassVar[int]
    QUANTIZE_FIELD_NUMBER: _ClassVar[int]
    PRUNE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATE_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ref: str
    quantize: str
    prune: float
    calibrate: str
    gates: _containers.RepeatedScalarFieldContainer[str]
    branch: str
    job: _jobs_pb2.JobSpec
    idempotency_key: str
    message: str
    def __init__(self, ref: _Optional[str] = ..., quantize: _Optional[str] = ..., prune: _Optional[float] = ..., calibrate: _Optional[str] = ..., gates: _Optional[_Iterable[str]] = ..., branch: _Optional[str] = ..., job: _Optional[_Union[_jobs_pb2.JobSpec, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

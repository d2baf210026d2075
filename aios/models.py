"""Models as the daemon keeps them: registered, versioned like code, verified; `aios.models.register(...)` and the like.

The functions here are the calls of a default client, which `StoreCalls` and `ModelCalls` say all about: those of `aios.Client().models`. Three have other
names here: `models` is its `search`, `model` its `get`, `versions` its `log`. `aios.datasets` has the same for datasets, but for what jobs do to models.
"""

from aios._default import calling, default_client
from aios._model_calls import ModelCalls
from aios.versions import (
    Change,
    Damage,
    Diff,
    FileChange,
    Garbage,
    Lineage,
    Merge,
    Model,
    Move,
    OnProgress,
    Progress,
    Reference,
    Scan,
    ScanFinding,
    Schema,
    Settings,
    Signature,
    SignatureCheck,
    StoredFile,
    Tensor,
    TensorChange,
    Transfer,
    Usage,
    UserUsage,
    Verified,
    Version,
)

__all__ = [
    "Change",
    "Damage",
    "Diff",
    "FileChange",
    "Garbage",
    "Lineage",
    "Merge",
    "Model",
    "Move",
    "OnProgress",
    "Progress",
    "Reference",
    "Scan",
    "ScanFinding",
    "Schema",
    "Settings",
    "Signature",
    "SignatureCheck",
    "StoredFile",
    "Tensor",
    "TensorChange",
    "Transfer",
    "Usage",
    "UserUsage",
    "Verified",
    "Version",
]


def _calls() -> ModelCalls:
    return default_client().models


register = calling(ModelCalls.register, _calls)
checkout = calling(ModelCalls.checkout, _calls)
push = calling(ModelCalls.push, _calls)
pull = calling(ModelCalls.pull, _calls)
export = calling(ModelCalls.export, _calls)
import_ = calling(ModelCalls.import_, _calls)
models = calling(ModelCalls.search, _calls)
model = calling(ModelCalls.get, _calls)
version = calling(ModelCalls.version, _calls)
versions = calling(ModelCalls.log, _calls)
diff = calling(ModelCalls.diff, _calls)
references = calling(ModelCalls.references, _calls)
moves = calling(ModelCalls.moves, _calls)
branch = calling(ModelCalls.branch, _calls)
tag = calling(ModelCalls.tag, _calls)
alias = calling(ModelCalls.alias, _calls)
remove_reference = calling(ModelCalls.remove_reference, _calls)
rollback = calling(ModelCalls.rollback, _calls)
merge = calling(ModelCalls.merge, _calls)
revert = calling(ModelCalls.revert, _calls)
update = calling(ModelCalls.update, _calls)
remove = calling(ModelCalls.remove, _calls)
verify = calling(ModelCalls.verify, _calls)
collect_garbage = calling(ModelCalls.collect_garbage, _calls)
usage = calling(ModelCalls.usage, _calls)
scan = calling(ModelCalls.scan, _calls)
allow = calling(ModelCalls.allow, _calls)
sign = calling(ModelCalls.sign, _calls)
verify_signature = calling(ModelCalls.verify_signature, _calls)
optimize = calling(ModelCalls.optimize, _calls)
register_outputs = calling(ModelCalls.register_outputs, _calls)

"""Models as the daemon keeps them: registered, versioned like code, verified; `aios.models.register(...)` and the like.

The functions here are those of a default client; `aios.Client` has the same and more as `client.models` and `client.datasets`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

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

if TYPE_CHECKING:
    import os

    from aios._model_calls import StoreCalls
    from aios._source import HasFileno
    from aios.client import Client
    from aios.jobs import Job
    from aios.spec import SubmitOptions

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


def _calls() -> "StoreCalls":
    from aios._default import default_client

    return default_client().models


def register(
    name: str, path: "str | os.PathLike[str] | int | HasFileno", *, branch: str = "main", message: str = "",
    metrics: Mapping[str, float] | None = None, labels: Mapping[str, str] | None = None,
    licence: str = "", card: str = "", description: str = "", tags: Sequence[str] = (), expected: str = "", parents: Sequence[str] = (),
    visibility: str = "", allow_flagged: bool = False, upload: bool | None = None, on_progress: OnProgress | None = None, timeout: float | None = None,
) -> Version:  # fmt: skip
    """Register the file or directory at `path`, or an open file, as the next version on `branch`; see `StoreCalls.register`."""
    return _calls().register(
        name, path, branch=branch, message=message, metrics=metrics, labels=labels, licence=licence, card=card, description=description, tags=tags,
        expected=expected, parents=parents, visibility=visibility, allow_flagged=allow_flagged, upload=upload, on_progress=on_progress, timeout=timeout,
    )  # fmt: skip


def optimize(
    ref: str, *, quantize: str = "", prune: float = 0.0, calibrate: str = "", gates: Iterable[str] = (), branch: str = "main", message: str = "",
    timeout: float | None = None, **options: "Unpack[SubmitOptions]",
) -> "Job":  # fmt: skip
    """Make a smaller or faster version of a model as a job; see `OptimizeCalls.optimize`."""
    return _calls().optimize(
        ref, quantize=quantize, prune=prune, calibrate=calibrate, gates=gates, branch=branch, message=message, timeout=timeout, **options
    )  # fmt: skip


def checkout(ref: str, to: str = "", *, allow_flagged: bool = False, download: bool | None = None, timeout: float | None = None) -> str:
    """A verified, read-only path of what `ref` names ("digits:prod"); with `to` a copy of one's own there; see `StoreCalls.checkout`."""
    return _calls().checkout(ref, to, allow_flagged=allow_flagged, download=download, timeout=timeout)


def push(ref: str, to: "Client | str", *, branch: str = "", timeout: float | None = None) -> Transfer:
    """Bring a version to another daemon: `to` is a client of it, or "host:port"; only missing chunks travel; see `StoreCalls.push`."""
    return _calls().push(ref, to, branch=branch, timeout=timeout)


def pull(ref: str, source: "Client | str", *, branch: str = "", timeout: float | None = None) -> Transfer:
    """Bring a version from another daemon here."""
    return _calls().pull(ref, source, branch=branch, timeout=timeout)


def export(
    refs: str | Sequence[str], path: str, *, format: str = "bundle", base: str = "", history: bool = False, replace: bool = False,
    allow_flagged: bool = False, timeout: float | None = None,
) -> tuple[Version, ...]:  # fmt: skip
    """Write versions to a bundle (or "oci", "hf") at `path`; see `StoreCalls.export`."""
    return _calls().export(refs, path, format=format, base=base, history=history, replace=replace, allow_flagged=allow_flagged, timeout=timeout)


def import_(path: str, name: str = "", *, format: str = "bundle", branch: str = "", timeout: float | None = None) -> tuple[Version, ...]:
    """Take a bundle (or "oci", "hf") that lies at `path`; see `StoreCalls.import_`."""
    return _calls().import_(path, name, format=format, branch=branch, timeout=timeout)


def models(**query: str) -> list[Model]:
    """Those that may be read, by name; `text`, `format`, `author`, `job_id`, `tensor` narrow it down."""
    return _calls().search(**query)  # type: ignore[arg-type]  # all of these are texts


def model(name: str) -> Model:
    return _calls().get(name)


def version(ref: str, *, listing: bool = False) -> Version:
    """The version that `ref` names: "digits", "digits:prod", "digits@abc123", "digits:main~2", "digits:^1.2"."""
    return _calls().version(ref, listing=listing)


def versions(ref: str, *, all: bool = False) -> Iterator[Version]:
    """A version and those before it, newest first, without their cards and packages; `all`: every one of the model."""
    return _calls().log(ref, all=all)


def references(name: str, of: str = "") -> list[Reference]:
    """Branches, tags and aliases; `of` "branch", "tag" or "alias": only those."""
    return _calls().references(name, of)


def diff(a: str, b: str, *, tensors: bool = False) -> Diff:
    return _calls().diff(a, b, tensors=tensors)


def tag(ref: str, name: str, *, force: bool = False, why: str = "") -> Reference:
    return _calls().tag(ref, name, force=force, why=why)


def alias(ref: str, name: str, *, why: str = "") -> Reference:
    return _calls().alias(ref, name, why=why)


def rollback(ref: str, *, to: str = "", why: str = "") -> Reference:
    """Move a reference back to where it was before, or `to`; what it leaves stays in the history."""
    return _calls().rollback(ref, to=to, why=why)


def scan(ref: str) -> Scan:
    """Look through a stored version again for what it would do when it is loaded."""
    return _calls().scan(ref)


def allow(ref: str, why: str) -> Version:
    """What is flagged may be used from now on, by whoever may use the model; takes an operator."""
    return _calls().allow(ref, why)


def sign(ref: str, key: str) -> Signature:
    """Sign a version with the private key (Ed25519, PEM) in the file `key`, which is sent nowhere."""
    return _calls().sign(ref, key)


def verify_signature(ref: str, key: str) -> SignatureCheck:
    """Whether a version is signed by the key whose public part (PEM) is in the file `key`."""
    return _calls().verify_signature(ref, key)

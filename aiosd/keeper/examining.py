"""What the child asks of the readers of formats: where tensors begin, what a version is, whether it may be taken at all, what differs."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import BinaryIO

from aiosd.errors import InvalidArgument
from aiosd.host import inspecting
from aiosd.host.identities import Identity
from aiosd.host.sources import Tree
from aiosd.models.diff import TensorDiff
from aiosd.models.findings import ScanFinding, Severity
from aiosd.models.formats import registry
from aiosd.models.formats.directory import tensor_names
from aiosd.models.manifest import Manifest
from aiosd.models.reading import Unreadable
from aiosd.models.searching import kept_names
from aiosd.models.vault_ports import Examined

_NOBODY = 65534
MOST_CHANGES = 5000  # of tensors, in one answer


def boundaries(path: str, file: BinaryIO) -> Sequence[int] | None:
    """In this process, for it only decides where to cut: what cannot be read has none, and is refused by `examine`."""
    try:
        return registry.boundaries(path.rpartition("/")[2], file) or None
    except Unreadable:
        return None


def examine(tree: Tree, manifest: Manifest, identity: Identity | None) -> Examined:
    """What was taken, in a process with limits, as the user: the schema, why the version is to be flagged, and the names of its tensors.

    It looks at the user's files, after they were read and before they are checked for changes: what it sees is what was taken, if these changes show.
    raises    InvalidArgument for a file that is not what it says it is
    """
    as_user = (identity.uid, identity.gid) if identity is not None and identity.uid else None
    found = inspecting.inspect(inspecting.Model(tree.fd, tree.name), as_user, _allowance(manifest))
    for path, why in found.refused.items():
        also = "".join(f"; {one.what}" for one in found.findings if one.file == path and one.severity is Severity.DANGER)
        raise InvalidArgument(f"'{path}' cannot be registered: {why}{also}", hint="it is damaged, or made to do harm", path=tree.path, file=path)
    names = tensor_names(found.files.values())
    kept = kept_names(names)
    left = (f"of its {len(names)} tensors the first {len(kept)} can be searched for by name",) if len(kept) < len(names) else ()
    return Examined(replace(found.schema, notes=(*found.schema.notes, *left)), list(map(str, found.findings)), kept)


def examine_copy(path: str, manifest: Manifest, identity: Identity | None) -> Examined:
    """The same of what lies in a place of our own, as it is kept."""
    tree = Tree(path, None)
    with closing(tree):
        tree.open()
        return examine(tree, manifest, identity)


def rescan(path: str, manifest: Manifest) -> Sequence[ScanFinding]:
    """Of what the store has handed out to itself, as nobody where that can be. Blocks."""
    with _opened(path) as model:
        found = inspecting.inspect(model, _nobody(), _allowance(manifest))
    return [*found.findings, *(ScanFinding(file, Severity.DANGER, why) for file, why in found.refused.items())]


def differences(before: str, after: str) -> TensorDiff:
    """Two checkouts, tensor by tensor, in a process with limits that may do no more than everybody, and read no more than these two.

    raises    Exhausted
    """
    with _opened(before) as old, _opened(after) as new:
        return inspecting.compare(old, new, _nobody()).foremost(MOST_CHANGES)


def _nobody() -> tuple[int, int] | None:
    return (_NOBODY, _NOBODY) if os.geteuid() == 0 else None


@contextmanager
def _opened(path: str) -> Iterator[inspecting.Model]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield inspecting.Model(fd, os.path.basename(path))
    finally:
        os.close(fd)


def _allowance(manifest: Manifest) -> inspecting.Allowance:
    """More for many files, each of which is opened, and for large ones, of which some formats are read as a whole."""
    plain, thousands, gib = inspecting.Allowance(), len(manifest.files) // 1000, manifest.size >> 30
    return replace(plain, cpu_s=plain.cpu_s + thousands + 4 * gib, wall_s=plain.wall_s + 10 * thousands + 20 * gib)

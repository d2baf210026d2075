"""What the child asks of the readers of formats: where tensors begin, what a version is, whether it may be taken at all."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

from aiosd.errors import InvalidArgument
from aiosd.host import inspecting
from aiosd.host.sources import Tree
from aiosd.models.findings import ScanFinding, Severity
from aiosd.models.formats import registry
from aiosd.models.manifest import Manifest
from aiosd.models.reading import Unreadable
from aiosd.models.version import Schema

_NOBODY = (65534, 65534)


def boundaries(path: str, file: BinaryIO) -> Sequence[int] | None:
    """In this process, for it only decides where to cut: what cannot be read has none, and is refused by `examine`."""
    try:
        return registry.boundaries(path.rpartition("/")[2], file) or None
    except Unreadable:
        return None


def examine(tree: Tree, manifest: Manifest) -> tuple[Schema, Sequence[str]]:
    """What was taken, in a process with limits, as the user: the schema, and why the version is to be flagged.

    It looks at the user's files, after they were read and before they are checked for changes: what it sees is what was taken.
    raises    InvalidArgument for a file that is not what it says it is
    """
    as_user = (tree.identity.uid, tree.identity.gid) if tree.identity is not None and tree.identity.uid else None
    found = inspecting.inspect(inspecting.Model(tree.fd, tree.name), as_user, _allowance(manifest))
    for path, why in found.refused.items():
        also = "".join(f"; {one.what}" for one in found.findings if one.file == path and one.severity is Severity.DANGER)
        raise InvalidArgument(f"'{path}' cannot be registered: {why}{also}", hint="it is damaged, or made to do harm", path=tree.path, file=path)
    return found.schema, list(map(str, found.findings))


def rescan(path: str, manifest: Manifest) -> Sequence[ScanFinding]:
    """Of what the store has handed out to itself, as nobody where that can be. Blocks."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = inspecting.inspect(inspecting.Model(fd, os.path.basename(path)), _NOBODY if os.geteuid() == 0 else None, _allowance(manifest))
    finally:
        os.close(fd)
    return [*found.findings, *(ScanFinding(file, Severity.DANGER, why) for file, why in found.refused.items())]


def _allowance(manifest: Manifest) -> inspecting.Allowance:
    """More for many files, each of which is opened, and for large ones, of which some formats are read as a whole."""
    plain, thousands, gib = inspecting.Allowance(), len(manifest.files) // 1000, manifest.size >> 30
    return replace(plain, cpu_s=plain.cpu_s + thousands + 4 * gib, wall_s=plain.wall_s + 10 * thousands + 20 * gib)

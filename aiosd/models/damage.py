"""Damage to stored chunks as versions tell it: one reason for each chunk, which goes when the chunk is whole again."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from aiosd.models.manifest import Manifest
from aiosd.models.version import Version, VersionState

_REASON = re.compile(r"chunk ([0-9a-f]{64}) of .* does not read back", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Damage:
    """A chunk that does not read back; `versions` as "digits@0123456789ab". `healed`: it was damaged, and is whole again."""

    digest: str
    problem: str
    versions: tuple[str, ...]
    healed: bool = False


def reason_of(digest: str, path: str) -> str:
    return f"chunk {digest} of {path} does not read back"


def chunks_in(reasons: Iterable[str]) -> set[str]:
    """The chunks that these reasons are about."""
    return {match.group(1) for reason in reasons if (match := _REASON.fullmatch(reason))}


def damaged(version: Version, manifest: Manifest, digests: Collection[str]) -> Version:
    """`version` with a reason for each of these chunks that it has; the same where it has none."""
    known, found = chunks_in(version.reasons), dict[str, str]()
    for entry in manifest.files:
        for chunk in entry.chunks:
            if chunk.digest in digests and chunk.digest not in known:
                found.setdefault(chunk.digest, reason_of(chunk.digest, entry.path))
    if not found:
        return version
    return replace(version, state=VersionState.DAMAGED, reasons=(*version.reasons, *found.values()))


def healed(version: Version, digests: Collection[str]) -> Version:
    """`version` without the reasons of these chunks. One that was flagged before is flagged again: whoever allowed it looks once more."""
    left = tuple(reason for reason in version.reasons if not chunks_in([reason]) & set(digests))
    if left == version.reasons:
        return version
    state = VersionState.DAMAGED if chunks_in(left) else VersionState.FLAGGED if left else VersionState.REGISTERED
    return replace(version, state=state, reasons=left)


def damages(digests: Iterable[str], touched: Mapping[str, Collection[str]], *, healed: bool = False) -> list[Damage]:
    """`touched`: names of versions by chunk."""
    problem = "it reads back again" if healed else "it does not read back as it was stored"
    return [Damage(digest, problem, tuple(sorted(touched.get(digest, ()))), healed) for digest in sorted(digests)]

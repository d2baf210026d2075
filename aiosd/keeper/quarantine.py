"""What is known of damaged chunks, each in a file of its own; what lies there is kept for whoever wants to look, and never read again."""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence

from aiosd.models.vault_ports import Stored
from aiosd.storage.blobs.layout import Layout


def set_aside(layout: Layout, rows: Sequence[Stored], reasons: Mapping[str, str]) -> None:
    """Blocks. Raises OSError."""
    for one in rows:
        said = {"place": one.place, "offset": one.offset, "stored_size": one.stored_size, "encoding": one.encoding, "base": one.base}
        path = layout.quarantine / one.digest
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(said | {"why": reasons[one.digest], "at_s": time.time()}), encoding="utf-8")
        os.replace(temporary, path)


def noted(layout: Layout) -> set[str]:
    """The chunks that are set aside. Blocks."""
    return set(os.listdir(layout.quarantine))


def forget(layout: Layout, digests: Iterable[str]) -> None:
    """They have come again. Blocks."""
    for digest in digests:
        (layout.quarantine / digest).unlink(missing_ok=True)

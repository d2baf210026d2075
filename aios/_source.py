"""What a registration is made from: a path or an open file that the daemon of this machine reads itself, or what is uploaded to one elsewhere."""

import os
from typing import TYPE_CHECKING, Protocol

from aios.errors import InvalidArgument
from aios.versions import OnProgress

if TYPE_CHECKING:
    from aios._channel import Channel
    from aios.v1 import models_pb2 as pb

UNNAMED = "data"  # what an open file without a name is called


class HasFileno(Protocol):
    """An open file, as of `open`, `tempfile` or `os.memfd_create`."""

    def fileno(self) -> int: ...


def name_in(
    request: "pb.RegisterRequest", what: "str | os.PathLike[str] | int | HasFileno", channel: "Channel", on_progress: OnProgress | None,
    deadline: float | None, *, upload: bool,
) -> None:  # fmt: skip
    """Say in `request` what is to be registered; with `upload` after it was sent. All of an open file counts, wherever it was read to."""
    if isinstance(what, str | os.PathLike):
        path, fd = os.path.abspath(os.fspath(what)), -1
    else:
        path, fd = _opened(what)
    if upload:
        from aios import _upload

        sending = _upload.of_path(path) if fd < 0 else _upload.of_descriptor(fd, path)
        sending.send(channel, on_progress, deadline)
        request.path, request.upload_id, request.contents = sending.name, sending.id, sending.contents
        return
    request.path = path
    if fd >= 0:
        request.descriptor = fd
        channel.credentials.forget()  # a pass says which process calls, and a parent's may have been fetched before the fork


def _opened(what: int | HasFileno) -> tuple[str, int]:
    """Its name and descriptor; what Python has not written yet is."""
    if isinstance(what, int):
        return UNNAMED, what
    if not hasattr(what, "fileno"):
        raise InvalidArgument(f"{what!r} is neither a path nor an open file", hint="give a path, a file, or a descriptor")
    if hasattr(what, "flush"):
        what.flush()
    name = getattr(what, "name", "")
    return (os.path.basename(name) if isinstance(name, str) else "") or UNNAMED, what.fileno()

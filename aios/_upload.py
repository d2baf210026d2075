"""Files of this machine to a daemon on another: what is there already is asked first, and the rest is sent."""

import hashlib
import json
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aios._channel import Channel
from aios._transfer import PIECE_BYTES, Feed, batches, left_s, patiently
from aios.errors import Denied, FailedPrecondition, InvalidArgument, NotFound
from aios.versions import OnProgress, Progress

if TYPE_CHECKING:
    from aios.v1 import models_pb2 as pb

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_COPY = "copy what is meant to be kept into a directory of its own: cp -rL FROM TO"


@dataclass(frozen=True, slots=True)
class Local:
    """A regular file. `name` begins with that of what is uploaded; `within` is its path in it; `mark` tells when it is another."""

    name: str
    within: str
    path: str
    size: int
    executable: bool
    mark: tuple[int, ...]
    fd: int = -1  # of the caller's, where that is what it gave

    def open(self) -> int:
        return os.dup(self.fd) if self.fd >= 0 else os.open(self.path, _FLAGS)


@dataclass(slots=True)
class Upload:
    """What is to be sent: `files` by path, and empty directories. `contents` is known when all has been read."""

    name: str
    files: list[Local] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)  # paths within it
    sent: int = 0
    _digests: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def id(self) -> str:
        """The same for the same files of this machine as they are now, so that another call goes on with what one has begun."""
        said = [socket.gethostname(), self.name, [(file.path, file.within, file.mark) for file in self.files], self.empty]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    @property
    def contents(self) -> str:
        """As the daemon computes it of what has arrived."""
        from blake3 import blake3

        files = (f"{self._digests[file.name]} {file.size} {int(file.executable)} {file.within}\n" for file in self.files)
        return str(blake3("".join([*files, *(f"{path}/\n" for path in self.empty if path)]).encode()).hexdigest())

    def send(self, channel: Channel, on_progress: OnProgress | None, deadline: float | None) -> None:
        """Raises FailedPrecondition for a file that changes meanwhile, Exhausted, Denied; what was sent stays there for another call."""
        from aios.v1 import models_pb2 as pb

        upload = self.id

        def work() -> None:
            asked = pb.UploadedRequest(upload_id=upload)
            answers = channel.stream("Models/Uploaded", asked, pb.UploadedResponse, deadline)
            have = {piece.name: piece.size for answer in answers for piece in answer.have}
            feed = Feed(self._requests(upload, have, on_progress))
            try:
                channel.upload("Models/Upload", iter(feed), pb.UploadResponse, left_s(deadline))
            finally:
                feed.check()

        patiently(channel, deadline, lambda: self.sent, work)

    def _requests(self, upload: str, have: dict[str, int], on_progress: OnProgress | None) -> "Iterator[pb.UploadRequest]":
        from aios.v1 import models_pb2 as pb

        done, total = sum(min(have.get(file.name, 0), file.size) for file in self.files), self.size
        for pieces in batches(self._pieces(have)):
            yield pb.UploadRequest(upload_id=upload, pieces=pieces)
            moved = sum(len(piece.data) for piece in pieces)
            self.sent += moved
            done += moved
            if on_progress is not None:
                on_progress(Progress(done, total, 0, "uploading"))

    def _pieces(self, have: dict[str, int]) -> "Iterator[pb.Piece]":
        from aios.v1 import models_pb2 as pb

        for path in self.empty:
            yield pb.Piece(name=f"{self.name}/{path}/" if path else f"{self.name}/")
        for file in self.files:
            there = have.get(file.name, -1)
            if there < file.size or file.name not in self._digests:
                yield from self._of_file(file, there)

    def _of_file(self, file: Local, have: int) -> "Iterator[pb.Piece]":
        """Read whole, for its digest; sent from where it is not there yet."""
        from blake3 import blake3

        from aios.v1 import models_pb2 as pb

        hasher, at, fd = blake3(), 0, file.open()
        try:
            while at < file.size or have < 0:
                data = os.pread(fd, min(PIECE_BYTES, file.size - at), at)
                hasher.update(data)
                if at + len(data) > have:
                    skip = max(0, have - at)
                    yield pb.Piece(name=file.name, offset=at + skip, data=data[skip:], size=file.size, executable=file.executable)
                at, have = at + len(data), max(have, 0)
                if not data:
                    break
            if at != file.size or _mark(os.fstat(fd)) != file.mark:
                raise FailedPrecondition(f"'{file.path}' changed while it was read; nothing was registered", hint="try again when nobody writes to it")
        finally:
            os.close(fd)
        self._digests[file.name] = hasher.hexdigest()


def of_path(path: str) -> Upload:
    """What a daemon of this machine would take from this absolute path: links within a directory lead to files within it, and all is regular files.

    raises  NotFound, Denied, InvalidArgument
    """
    name = os.path.basename(path)
    found = _looked_at(path, path)
    if stat.S_ISREG(found.st_mode):
        return Upload(name, [_local(name, name, path, found)])
    if not stat.S_ISDIR(found.st_mode):
        raise InvalidArgument(f"{path} is neither a file nor a directory of a file system", hint="what is kept is regular files")
    made = Upload(name)
    _walk(made, path, "")
    made.files.sort(key=lambda file: file.within)
    return made


def of_descriptor(fd: int, name: str) -> Upload:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise InvalidArgument(f"descriptor {fd} is no regular file", hint="write what comes from a pipe into a file")
    return Upload(name, [_local(name, name, f"descriptor {fd}", found, fd)])


def _walk(made: Upload, root: str, inside: str) -> None:
    directory = os.path.join(root, inside)
    try:
        names = sorted(os.listdir(directory))
    except PermissionError:
        raise Denied(f"you may not read '{directory}'") from None
    if not names:
        made.empty.append(inside)
    for name in names:
        within = f"{inside}/{name}" if inside else name
        path = os.path.join(root, within)
        if not _is_text(within):
            raise InvalidArgument(f"{root} has a file whose name is not UTF-8: {os.fsencode(within)!r}", hint="rename it")
        if os.path.islink(path) and not _leads_within(root, path):
            raise InvalidArgument(f"{root} cannot be kept: '{within}' is a link that leads out of it, or nowhere, or to a directory", hint=_COPY)
        found = _looked_at(path, within)
        if stat.S_ISDIR(found.st_mode):
            _walk(made, root, within)
        elif stat.S_ISREG(found.st_mode):
            made.files.append(_local(f"{made.name}/{within}", within, path, found))
        else:
            raise InvalidArgument(f"{root} cannot be kept: '{within}' is no regular file", hint=_COPY)


def _leads_within(root: str, path: str) -> bool:
    target = os.path.realpath(path)
    return os.path.isfile(target) and os.path.commonpath([os.path.realpath(root), target]) == os.path.realpath(root)


def _looked_at(path: str, said: str) -> os.stat_result:
    try:
        return os.stat(path)
    except FileNotFoundError:
        raise NotFound(f"there is no '{said}'") from None
    except PermissionError:
        raise Denied(f"you may not read '{said}'") from None


def _local(name: str, within: str, path: str, found: os.stat_result, fd: int = -1) -> Local:
    return Local(name, within, path, found.st_size, bool(found.st_mode & 0o111 and found.st_nlink), _mark(found), fd)


def _mark(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

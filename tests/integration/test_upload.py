"""Uploads and open files: the same version comes of them as of a path, only their sender can go on with them, and nothing that is hostile gets in."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import grpc
import pytest

import aios
from aios import errors
from aios._model_calls import StoreCalls
from aios.v1 import models_pb2 as pb
from aios.versions import Progress
from aiosd.errors import Denied
from aiosd.host.identities import Identity
from aiosd.host.sources import Tree
from tests.e2e.daemon import Daemon, a_daemon

MIB = 1 << 20


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with a_daemon({"AIOSD_MODELS__UPLOAD_BYTES": str(32 * MIB), "AIOSD_RPC__MAX_MESSAGE_BYTES": str(4 * MIB)}) as started:
        yield started.start()


@pytest.fixture
def models(daemon: Daemon) -> Iterator[StoreCalls]:
    yield daemon.client().models
    shutil.rmtree(daemon.state / "models" / "staged" / str(os.getuid()), ignore_errors=True)


@pytest.fixture
def call(daemon: Daemon, models: StoreCalls) -> Iterator[Callable[..., pb.UploadResponse]]:
    """An upload by whoever does not use the SDK."""
    channel = grpc.insecure_channel(daemon.target)
    rpc = channel.stream_unary("/aios.v1.Models/Upload", pb.UploadRequest.SerializeToString, pb.UploadResponse.FromString)
    yield lambda *pieces, upload="a" * 32: rpc(iter([pb.UploadRequest(upload_id=upload, pieces=pieces)]), metadata=daemon.metadata())
    channel.close()


def staged(daemon: Daemon) -> list[Path]:
    return [path for path in (daemon.state / "models" / "staged").rglob("*") if path.is_file()]


def a_tree(path: Path) -> Path:
    (path / "deep" / "none").mkdir(parents=True)
    (path / "weights.bin").write_bytes(os.urandom(3 * MIB + 1))
    (path / "empty").touch()
    (path / "run.sh").write_text("#!/bin/sh\n")
    (path / "run.sh").chmod(0o755)
    (path / "emoji 🙂 and spaces.txt").write_text("x")
    (path / "link").symlink_to("deep/../weights.bin")
    for number in range(1200):
        (path / f"small-{number}").write_text(str(number))
    return path


def test_what_is_uploaded_is_what_a_path_is(daemon: Daemon, models: StoreCalls, tmp_path: Path) -> None:
    told: list[Progress] = []
    tree = a_tree(tmp_path / "saved")
    sent = models.register("up/tree", tree, upload=True, on_progress=told.append)
    assert sent.manifest == models.register("up/by-path", tree).manifest
    assert [each for each in told if each.doing == "uploading"][-1].done == sent.size
    assert models.register("up/tree", tree, upload=True).existed
    assert models.register("up/file", tree / "run.sh", upload=True).manifest == models.register("up/file-by-path", tree / "run.sh").manifest
    (tmp_path / "nothing").mkdir()
    assert models.register("up/none", tmp_path / "nothing", upload=True).files == 0
    assert not staged(daemon)


def test_what_cannot_be_kept_is_refused_before_it_is_sent(daemon: Daemon, models: StoreCalls, tmp_path: Path) -> None:
    for number, (name, target, said) in enumerate([("l", "/etc/shadow", "link that leads out"), ("m", "none", "or nowhere"), ("d", "..", "to a directory")]):
        tree = tmp_path / str(number)
        tree.mkdir()
        (tree / name).symlink_to(target)
        with pytest.raises(errors.InvalidArgument, match=said):
            models.register("refused", tree, upload=True)
    tree = tmp_path / "pipe"
    tree.mkdir()
    os.mkfifo(tree / "fifo")
    with pytest.raises(errors.InvalidArgument, match="no regular file"):
        models.register("refused", tree, upload=True)
    with pytest.raises(errors.NotFound):
        models.register("refused", tmp_path / "none", upload=True)
    with pytest.raises(errors.InvalidArgument, match="no regular file"):
        models.register("refused", os.open("/dev/null", os.O_RDONLY), upload=True)
    assert not staged(daemon)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a//b", "a/./b", "a\0b", "", "x" * 300, "/".join(["deep"] * 1000)])
def test_names_that_lead_out_are_refused(call: Callable[..., pb.UploadResponse], daemon: Daemon, name: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(pb.Piece(name=name, data=b"x", size=1))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert not staged(daemon)


def test_more_than_was_said_and_gaps_are_refused(call: Callable[..., pb.UploadResponse], daemon: Daemon) -> None:
    assert call(pb.Piece(name="m/a", data=b"12345", size=10)).received == 5
    for piece in (
        pb.Piece(name="m/a", offset=5, data=b"123456", size=10), pb.Piece(name="m/a", offset=7, data=b"1", size=10),
        pb.Piece(name="m/a", offset=-1, data=b"1", size=10), pb.Piece(name="m/a/b", data=b"1", size=1), pb.Piece(name="m", data=b"1", size=1),
    ):  # fmt: skip
        with pytest.raises(grpc.RpcError) as caught:
            call(piece)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, piece  # type: ignore[attr-defined]
    with pytest.raises(grpc.RpcError) as caught:
        call(pb.Piece(name="m/a", data=b"1", size=1), upload="../../../etc")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert [path.read_bytes() for path in staged(daemon)] == [b"12345"]


def test_one_user_has_only_so_much_on_the_way(call: Callable[..., pb.UploadResponse], models: StoreCalls, daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(33 * MIB))
    with pytest.raises(errors.Exhausted, match="upload_bytes"):
        models.register("large", tmp_path / "large", upload=True)
    with pytest.raises(errors.NotFound):
        models.get("large")
    with pytest.raises(grpc.RpcError) as caught:  # nor is it a way to use up the disk with files of nothing
        call(*(pb.Piece(name=f"m/{number}", size=0) for number in range(9000)), upload="b" * 32)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]


def test_open_files_are_read_whole_without_a_name(models: StoreCalls, tmp_path: Path) -> None:
    fd = os.memfd_create("weights")
    os.write(fd, b"w" * 5000)
    made = models.register("fd/memory", fd)
    assert [(file.path, file.size, file.executable) for file in models.version("fd/memory", listing=True).listing] == [("data", 5000, False)]
    assert Path(models.checkout("fd/memory")).read_bytes() == b"w" * 5000
    assert models.register("fd/sent", fd, upload=True).manifest == made.manifest
    os.close(fd)
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        file.write(b"w" * 5000)  # not flushed, and read to its end
        assert models.register("fd/unlinked", file).manifest == made.manifest
    with (tmp_path / "named.bin").open("w+b") as file:
        file.write(b"named")
        file.seek(3)
        models.register("fd/named", file)
        (tmp_path / "named.bin").unlink()
        assert models.register("fd/named", file).existed
    assert models.version("fd/named", listing=True).listing[0].path == "named.bin"


def test_a_descriptor_is_one_of_the_callers_process(models: StoreCalls, daemon: Daemon) -> None:
    with pytest.raises(errors.NotFound):
        models.register("fd/none", 987)
    reading, writing = os.pipe()
    with pytest.raises(errors.InvalidArgument, match="neither a file nor a directory"):
        models.register("fd/pipe", reading)
    os.close(reading)
    os.close(writing)
    fd = os.memfd_create("ours")
    os.write(fd, b"parent")
    assert models.register("fd/parent", fd).size == 6
    child = os.fork()
    if not child:  # its pass is its own, and so are its descriptors
        try:
            other = os.memfd_create("child")
            os.write(other, b"child!!")
            os.dup2(other, fd)
            os._exit(0 if aios.Client(daemon.target, autostart=False).models.register("fd/child", fd).size == 7 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(fd)


def test_a_file_that_changes_while_it_is_sent_is_told(models: StoreCalls, tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"1" * 3 * MIB)

    def change(progress: Progress) -> None:
        if progress.doing == "uploading":
            with path.open("r+b") as file:
                file.write(b"2")

    with pytest.raises(errors.FailedPrecondition, match="changed while it was read"):
        models.register("changes", path, upload=True, on_progress=change)
    with pytest.raises(errors.NotFound):
        models.get("changes")


@pytest.mark.root
def test_only_what_the_user_may_read_is_read_of_the_users_processes(tmp_path: Path) -> None:
    """As uid 65534: another user's process, one of its own with a file that it was handed and may not open, and one that it may."""
    nobody = Identity(65534, 65534, (65534,), "nobody")
    secret, shared = tmp_path / "secret", tmp_path / "shared"
    for path, mode in ((secret, 0o600), (shared, 0o644)):
        path.write_text("content")
        path.chmod(mode)
    with secret.open() as file, pytest.raises(Denied):
        Tree("m", nobody, (os.getpid(), file.fileno())).open()
    for path, may in ((secret, False), (shared, True)):
        with path.open() as file, subprocess.Popen(["sleep", "60"], stdin=file, user=65534, group=65534) as process:
            try:
                tree = Tree("m", nobody, (process.pid, 0))
                with closing(tree), nullcontext() if may else pytest.raises(Denied):
                    assert tree.open() == 7
            finally:
                process.kill()

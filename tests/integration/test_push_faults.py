"""Between two daemons: lines that are cut, bytes that change, a daemon that is killed, a bit that flips, a full disk."""

import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import aios
from aios import errors
from aios._model_calls import StoreCalls
from aios.versions import Progress
from tests.e2e.daemon import Daemon, a_daemon, eventually
from tests.integration.pairing import MIB, SIZES, Pair, daemons, pair, same, staged, staged_bytes

__all__ = ["daemons", "pair"]  # fixtures


class Road:
    """A way to a daemon's socket. A connection breaks after `cut` bytes, so often as `breaks` says; byte `flip` that goes up is changed once."""

    def __init__(self, daemon: Daemon, directory: Path, *, cut: int = 0, breaks: int = 0, flip: int = 0) -> None:
        self.path, self._daemon, self._cut, self._breaks, self._flip = directory / "road.sock", daemon, cut, breaks, flip
        self.broken, self.flipped = 0, False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        self.path.with_suffix(".cred").symlink_to(daemon.socket.with_suffix(".cred"))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._daemon.socket))
                left = [self._cut if self.broken < self._breaks else 1 << 62]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(source, sink, left, source is client), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, left: list[int], up: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(65536):
                left[0] -= len(data)
                if left[0] < 0:
                    self.broken += 1
                    break
                passed += len(data)
                if up and self._flip and passed > self._flip and len(data) > 60_000 and not self.flipped:
                    self.flipped = True
                    data = data[:30_000] + bytes([data[30_000] ^ 1]) + data[30_001:]
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> StoreCalls:
        self._client = aios.Client(f"unix:{self.path}", autostart=False)
        return self._client.models

    def __exit__(self, *error: object) -> None:
        self._client.close()
        self._listener.close()

    @property
    def client(self) -> aios.Client:
        return self._client


@pytest.fixture
def short() -> Iterator[Path]:
    """The path of a socket has at most 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="ar-"))
    yield directory
    shutil.rmtree(directory)


def below(directory: Path, name: str) -> Path:
    (directory / name).mkdir()
    return directory / name


def test_a_line_that_is_cut_again_and_again_is_gone_on_with(pair: Pair, short: Path) -> None:
    root = pair.tree()
    made = pair.ours.register("cut", root)
    with (road := Road(pair.there, below(short, "push"), cut=3 * MIB, breaks=3)):
        sent = pair.ours.push("cut", road.client)
        assert sent.version.id == made.id
        assert sent.bytes_sent < made.size + road.broken * 3 * MIB  # what is on its way at each break is lost, and no more
    assert road.broken >= 3
    with (road := Road(pair.there, below(short, "up"), cut=3 * MIB, breaks=3)) as models:
        assert models.register("cut-upload", root, upload=True).manifest == made.manifest
    assert road.broken >= 3
    with (road := Road(pair.there, below(short, "down"), cut=3 * MIB, breaks=3)) as models:
        assert same(models.checkout("cut", pair.directory / "copy", download=True), root)
    assert road.broken >= 3
    assert same(pair.theirs.checkout("cut"), root)


def test_what_is_changed_on_its_way_is_never_kept(pair: Pair, short: Path) -> None:
    """A flipped byte is seen by its digest, or breaks the protocol; either way what is there in the end is what was sent."""
    root = pair.tree()
    made = pair.ours.register("flip", root)
    with (road := Road(pair.there, below(short, "push"), flip=4 * MIB)):
        with suppress(errors.DataLoss, errors.InvalidArgument):
            pair.ours.push("flip", road.client)
        assert road.flipped
        again = pair.ours.push("flip", road.client)
    assert again.version.id == made.id
    assert same(pair.theirs.checkout("flip"), root)
    with (road := Road(pair.there, below(short, "up"), flip=4 * MIB)) as models:
        with suppress(errors.FailedPrecondition, errors.InvalidArgument):
            models.register("flip-upload", root, upload=True)
        assert road.flipped
        assert models.register("flip-upload", root, upload=True).manifest == made.manifest
    assert not staged(pair.there)


def killed_at(daemon: Daemon, done: int, arrived: int = 0) -> Callable[[Progress], None]:
    """Once so many bytes are on their way, and so many of them are there: `kill -9`, and it is away."""

    def look(progress: Progress) -> None:
        if progress.done >= done and progress.doing and daemon.running.poll() is None:
            eventually(lambda: staged_bytes(daemon) >= arrived, "some of it is there")
            daemon.kill()

    return look


def test_a_killed_receiver_has_nothing_half_and_a_second_run_sends_the_rest(pair: Pair) -> None:
    root = pair.tree(pieces=100)
    made = pair.ours.register("killed", root)
    with aios.Client(pair.there.target, autostart=False, patience=0.2, timeout=15) as impatient:
        with pytest.raises(errors.Unavailable):
            pair.ours.push("killed", impatient, on_progress=killed_at(pair.there, 8 * MIB, 2 * MIB))
        pair.there.start()
        with pytest.raises(errors.NotFound):
            pair.theirs.get("killed")
        rest = pair.ours.push("killed", pair.other())
        assert rest.version.id == made.id
        assert rest.chunks_had
        assert rest.bytes_sent < made.size - MIB
        assert same(pair.theirs.checkout("killed"), root)
        with pytest.raises(errors.Unavailable):
            impatient.models.register("killed-upload", root, upload=True, on_progress=killed_at(pair.there, 8 * MIB, 2 * MIB))
    pair.there.start()
    told: list[int] = []
    again = pair.theirs.register("killed-upload", root, upload=True, on_progress=lambda progress: told.append(progress.done) if progress.doing else None)
    assert told[0] > MIB
    assert again.manifest == made.manifest
    assert pair.theirs.verify("").sound
    assert not staged(pair.there)


def test_a_daemon_that_restarts_meanwhile_is_waited_for(pair: Pair) -> None:
    root = pair.tree()
    made = pair.ours.register("restarts", root)
    killed: list[threading.Thread] = []

    def restart(progress: Progress) -> None:
        if progress.done > 5 * MIB and progress.doing == "sending" and not killed:
            pair.here.kill()
            killed.append(threading.Thread(target=pair.here.start))
            killed[0].start()

    sent = pair.ours.push("restarts", pair.other(), on_progress=restart)
    killed[0].join()
    assert sent.version.id == made.id
    assert same(pair.theirs.checkout("restarts"), root)


def test_a_download_that_was_broken_off_is_gone_on_with(pair: Pair) -> None:
    root = pair.tree()
    pair.theirs.register("down", root)
    to = pair.directory / "copy"
    with aios.Client(pair.there.target, autostart=False, patience=0.2, timeout=15) as impatient, pytest.raises(errors.Unavailable):
        impatient.models.checkout("down", to, download=True, on_progress=killed_at(pair.there, 5 * MIB))
    assert not to.exists()
    pair.there.start()
    (part,) = pair.directory.glob(".copy.*.part")
    damaged = part / "large.bin"
    begun = bytearray(damaged.read_bytes())
    begun[100] ^= 1
    damaged.write_bytes(begun)
    assert same(pair.theirs.checkout("down", to, download=True), root)  # what was damaged meanwhile is fetched again
    assert not list(pair.directory.glob(".copy*"))
    with pytest.raises(errors.AlreadyExists):
        pair.theirs.checkout("down", to, download=True)


def test_a_bit_that_flips_is_healed_by_pulling(pair: Pair) -> None:
    root = pair.tree(pieces=3)
    made = pair.ours.register("heals", root)
    pair.ours.push("heals", pair.other())
    stored = sorted(path for place in ("whole", "pack") for path in (pair.there.state / "models" / place).rglob("*") if path.is_file())
    for path in stored:
        if path.stat().st_size >= 6 * MIB:
            continue
        path.chmod(0o600)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    found = pair.theirs.verify("heals")
    assert found.damaged
    assert str(made) in found.damaged[0].versions
    with pytest.raises(errors.FailedPrecondition, match="is damaged"):
        pair.theirs.checkout("heals")
    healed = pair.theirs.pull("heals", pair.here.client())
    assert healed.version.existed
    assert healed.version.state == "registered"
    assert 0 < healed.chunks_sent <= 2
    assert pair.theirs.verify("heals").sound
    assert same(pair.theirs.checkout("heals"), root)


@pytest.mark.root
def test_a_full_disk_over_there_is_told_and_a_second_run_goes_on(pair: Pair) -> None:
    root = pair.tree()
    made = pair.ours.register("full", root)
    with a_daemon(SIZES) as small:
        place = small.root / "store"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=7m", "aios-test", str(place)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
        try:
            small.start(AIOSD_MODELS__DIRECTORY=str(place))
            with pytest.raises(errors.DiskFull, match="is full"):
                pair.ours.push("full", small.client())
            with pytest.raises(errors.NotFound):
                small.client().models.get("full")
            with pytest.raises(errors.DiskFull, match="is full"):
                small.client().models.register("full-upload", root, upload=True)
            subprocess.run(["mount", "-o", "remount,size=14m", str(place)], check=True)
            with pytest.raises(errors.DiskFull, match="is full"):  # it has all come, and there is no room to keep it
                pair.ours.push("full", small.client())
            assert not list((place / "incoming").iterdir())
            subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
            rest = pair.ours.push("full", small.client())
            assert rest.version.id == made.id
            assert rest.bytes_sent < 2 * MIB
            assert same(small.client().models.checkout("full"), root)
        finally:
            small.kill()
            subprocess.run(["umount", "-l", str(place)], check=True)

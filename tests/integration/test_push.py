"""Versions between daemons: killed, cut off, full, lied to; what is there in the end is whole, and a second run sends only the rest."""

import random
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

import aios
from aios import _sync, errors
from aios._model_calls import StoreCalls
from aios.versions import Progress, Version
from tests.e2e.daemon import Daemon, a_daemon, eventually

MIB = 1 << 20
SIZES = {"AIOSD_MODELS__WHOLE_BYTES": str(4 * MIB)}


@pytest.fixture(scope="module")
def daemons() -> Iterator[tuple[Daemon, Daemon]]:
    with a_daemon(SIZES) as here, a_daemon(SIZES) as there:
        yield here.start(), there.start()


class Pair:
    """Two daemons, and the calls of a client to each."""

    def __init__(self, here: Daemon, there: Daemon, directory: Path) -> None:
        self.here, self.there, self.directory = here, there, directory
        self.chance = random.Random(str(directory))

    @property
    def ours(self) -> StoreCalls:
        return self.here.client().models

    @property
    def theirs(self) -> StoreCalls:
        return self.there.client().models

    def other(self) -> aios.Client:
        return self.there.client()

    def file(self, data: bytes, name: str = "m.bin") -> Path:
        path = self.directory / name
        path.write_bytes(data)
        return path

    def tree(self, pieces: int = 40) -> Path:
        """Some MiB in many chunks, a file that stays whole, and small ones."""
        root = self.directory / "saved"
        (root / "deep" / "none").mkdir(parents=True)
        (root / "large.bin").write_bytes(self.chance.randbytes(6 * MIB))
        (root / "run.sh").write_text("x")
        (root / "run.sh").chmod(0o755)
        (root / "empty").touch()
        for number in range(pieces):
            (root / f"part-{number:03}").write_bytes(self.chance.randbytes(100_000))
        return root


@pytest.fixture
def pair(daemons: tuple[Daemon, Daemon], tmp_path: Path) -> Pair:
    return Pair(*daemons, tmp_path)


def staged(daemon: Daemon) -> list[Path]:
    return [path for path in (daemon.state / "models" / "staged").rglob("*") if path.is_file()]


def staged_bytes(daemon: Daemon) -> int:
    found = 0
    for path in staged(daemon):
        with suppress(FileNotFoundError):  # it has its name now
            found += path.stat().st_size
    return found


def same(path: str, root: Path) -> bool:
    """Whether the files of two directories are the same."""
    names = sorted(str(each.relative_to(root)) for each in root.rglob("*"))
    if sorted(str(each.relative_to(path)) for each in Path(path).rglob("*")) != names:
        return False
    files = [(Path(path) / name, root / name) for name in names if (root / name).is_file()]
    return all(a.read_bytes() == b.read_bytes() and bool(a.stat().st_mode & 0o100) == bool(b.stat().st_mode & 0o100) for a, b in files)


def test_a_version_is_the_same_on_both_sides(pair: Pair) -> None:
    root = pair.tree()
    made = pair.ours.register("vision/digits", root, message="first", metrics={"accuracy": 0.9}, tags=["v1.0"])
    sent = pair.ours.push("vision/digits:v1.0", pair.other())
    assert (sent.version.id, sent.version.metrics, sent.chunks_had) == (made.id, {"accuracy": 0.9}, 0)
    assert sent.chunks_sent == 42
    assert [each.name for each in pair.theirs.references("vision/digits")] == ["main", "v1.0"]
    assert same(pair.theirs.checkout("vision/digits"), root)
    assert not staged(pair.there)
    again = pair.ours.push("vision/digits", pair.other())
    assert (again.chunks_sent, again.bytes_sent, again.version.existed) == (0, pytest.approx(0, abs=60_000), True)
    assert not staged(pair.there)
    assert same(pair.theirs.checkout("vision/digits", pair.directory / "copy", download=True), root)
    (root / "part-000").write_bytes(b"changed")
    pair.ours.register("vision/digits", root)
    more = pair.ours.push("vision/digits", pair.other())
    assert (more.chunks_sent, more.chunks_had) == (1, 41)
    assert more.version.parents == (made.id,)
    told = pair.here.aiosctl("model", "pull", "vision/digits", "--from", pair.there.target, "--as", "back")
    assert (told.returncode, told.stderr) == (0, b"")
    assert told.stdout.decode() == f"back@{more.version.id[:12]} is version 2 here: 0 of 42 chunks fetched, {told.stdout.decode().partition('fetched, ')[2]}"
    told = pair.here.aiosctl("model", "push", "back", "--to", pair.there.target, "--as", "vision/digits", "-q")
    assert (told.stdout.decode(), told.stderr) == (f"vision/digits@{more.version.id[:12]}\n", b"")
    assert same(pair.ours.checkout("back"), root)


def test_one_percent_changed_in_a_large_file_is_all_that_travels(pair: Pair) -> None:
    data = bytearray(pair.chance.randbytes(40 * MIB))
    pair.ours.register("percent", pair.file(data))
    assert pair.ours.push("percent", pair.other()).bytes_sent >= len(data)
    data[15 * MIB : 15 * MIB + len(data) // 100] = pair.chance.randbytes(len(data) // 100)
    second = pair.ours.register("percent", pair.file(data))
    sent = pair.ours.push("percent", pair.other())
    assert sent.bytes_sent <= 0.06 * len(data)  # some chunks of a quarter of a MiB around it; of 256 MiB it is less than 2 %
    assert sent.version.id == second.id
    assert Path(pair.theirs.checkout("percent")).read_bytes() == data
    assert pair.theirs.verify("percent").sound


def test_branches_go_forward_only_and_both_values_are_told(pair: Pair) -> None:
    one = pair.ours.register("ways", pair.file(b"1"))
    pair.ours.push("ways", pair.other())
    for number in range(2):
        last = pair.ours.register("ways", pair.file(b"2%d" % number))
    assert pair.ours.push("ways", pair.other()).version.id == last.id  # though of the one between only the commit is sent
    assert pair.ours.push(f"ways@{one.id}", pair.other()).version.id == one.id
    assert pair.theirs.version("ways").id == last.id  # further already
    theirs = pair.theirs.register("ways", pair.file(b"theirs"))
    mine = pair.ours.register("ways", pair.file(b"mine"))
    with pytest.raises(errors.Conflict) as caught:
        pair.ours.push("ways", pair.other())
    assert (caught.value.facts["there"], caught.value.facts["expected"]) == (theirs.id, mine.id)
    assert not staged(pair.there)
    assert pair.ours.push("ways", pair.other(), branch="from-here").version.id == mine.id
    assert pair.theirs.version("ways").id == theirs.id
    pair.ours.pull("ways", pair.other(), branch="from-there")
    pair.ours.merge("ways", "from-there", strategy="ours")
    assert pair.ours.push("ways", pair.other()).version.parents == (mine.id, theirs.id)


def grown(pair: Pair, name: str) -> list[Version]:
    """A model with a side branch that was merged, the newest first."""
    for number, branch in enumerate(("main", "main", "side", "main")):
        pair.ours.register(name, pair.file(b"%d" % number * 1000), branch=branch, message=f"the {number}th", metrics={"accuracy": number / 10})
    pair.ours.merge(name, "side", strategy="ours")
    return list(pair.ours.log(name))


def test_a_push_brings_the_history_and_the_bytes_of_it_where_they_are_asked_for(pair: Pair) -> None:
    ours = grown(pair, "old")
    assert pair.ours.push("old", pair.other()).chunks_sent == 1
    theirs = list(pair.theirs.log("old"))
    assert [(one.id, one.message, one.metrics) for one in theirs] == [(one.id, one.message, one.metrics) for one in ours]
    assert [(one.number, one.state, one.size) for one in theirs] == [(5, "registered", 1000), *((at, "absent", 0) for at in (4, 3, 2, 1))]
    assert [(change.what, change.a) for change in pair.theirs.diff("old~2", "old").changes if change.what in ("metrics.accuracy", "files")] == [
        ("metrics.accuracy", "0.1"), ("files", "not here"),
    ]  # fmt: skip
    shown = pair.theirs.version("old~2", listing=True)
    assert (shown.message, shown.lineage.host, shown.listing) == ("the 1th", ours[2].lineage.host or shown.lineage.host, ())
    for refused in (
        lambda: pair.theirs.checkout("old~1"), lambda: pair.theirs.checkout("old~1", download=True), lambda: pair.theirs.alias("old~1", "prod"),
        lambda: pair.theirs.rollback("old", to="main~1"), lambda: pair.theirs.revert("old~1"), lambda: pair.theirs.verify("old~1"),
        lambda: pair.theirs.export("old~1", pair.directory / "x"), lambda: pair.theirs.push("old~1", pair.here.client(), name="x"),
    ):  # fmt: skip
        with pytest.raises(errors.FailedPrecondition, match="only what is said of it is here") as caught:
            refused()
        assert "aiosctl model pull old@" in caught.value.hint
    again = pair.ours.push("old", pair.other())
    assert (again.version.existed, again.bytes_sent) == (True, 0)
    back = pair.ours.pull("old", pair.other(), name="back-again")  # what is absent there goes on as it is
    assert [one.id for one in pair.ours.log("back-again")] == [one.id for one in ours]
    assert back.version.number == 5
    all_of_it = pair.ours.push("old", pair.other(), history=True)
    assert (all_of_it.version.id, all_of_it.chunks_sent) == (ours[0].id, 3)
    assert {one.state for one in pair.theirs.log("old")} == {"registered"}
    assert [one.number for one in pair.theirs.log("old")] == [5, 4, 3, 2, 1]
    assert len(list(pair.theirs.moves("old"))) == 1
    for back_by in range(1, 3):
        assert Path(pair.theirs.checkout(f"old~{back_by}")).read_bytes() == Path(pair.ours.checkout(f"old~{back_by}")).read_bytes()
    assert pair.ours.push("old", pair.other(), history=True).bytes_sent < 1000
    assert not staged(pair.there)


def test_a_history_may_come_later_and_what_is_absent_heals_by_pulling_and_stays_out_of_the_way(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sync, "_PAGE", 2)  # it is asked for in several
    ours = grown(pair, "later")
    pair.ours.push(f"later@{ours[3].id}", pair.other())
    pair.ours.push("later", pair.other())
    assert [one.id for one in pair.theirs.log("later")] == [one.id for one in ours]
    pulled = pair.here.aiosctl("model", "push", f"later@{ours[2].id}", "--to", pair.there.target)
    assert (pulled.returncode, pulled.stderr) == (0, b"")
    assert pair.theirs.version(f"later@{ours[2].id}").state == "registered"
    assert pair.theirs.version("later").id == ours[0].id
    told = pair.there.aiosctl("model", "log", "later").stdout.decode()
    assert told.count("absent") == 2
    pair.theirs.collect_garbage(grace=0)
    assert pair.there.client().check().sound
    assert pair.theirs.verify().sound
    assert [one.state for one in pair.theirs.log("later")] == ["registered", "absent", "registered", "registered", "absent"]
    pair.theirs.register("later", pair.file(b"on top"), parents=["later~1"])
    assert pair.theirs.remove("later", force=True) == ("later",)
    pair.theirs.collect_garbage(grace=0)


def test_a_record_that_is_damaged_here_keeps_nothing_after_it_from_going(pair: Pair) -> None:
    ours = [pair.ours.register("spoilt", pair.file(b"%d" % number)) for number in range(4)]
    with closing(sqlite3.connect(pair.here.state / "aiosd.db", timeout=30)) as database, database:
        database.execute("UPDATE model_version SET author = 'else' WHERE id = ?", (ours[1].id,))
    assert pair.ours.push("spoilt", pair.other()).version.id == ours[3].id
    assert [(one.id, one.state) for one in pair.theirs.log("spoilt")] == [(ours[3].id, "registered"), (ours[2].id, "absent")]
    pair.ours.remove("spoilt", force=True)


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


def test_downloads_are_kept_once_in_the_cache(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(pair.directory / "cache"))
    file, root = pair.file(b"one file", "m.bin"), pair.tree(pieces=2)
    pair.theirs.register("cached-file", file)
    pair.theirs.register("cached", root)
    first = Path(pair.theirs.checkout("cached-file", download=True))
    assert (first.name, first.read_bytes(), first.stat().st_mode & 0o777) == ("m.bin", b"one file", 0o444)
    paths: list[str] = []
    threads = [threading.Thread(target=lambda: paths.append(pair.theirs.checkout("cached", download=True))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(paths)) == 1
    assert len(paths) == 4
    assert same(paths[0], root)
    told: list[Progress] = []
    pair.theirs.checkout("cached", download=True, on_progress=told.append)
    assert not told


def test_what_is_not_there_is_looked_for_there(pair: Pair) -> None:
    with pytest.raises(errors.NotFound, match="there is no model nosuch at ") as raised:
        pair.ours.pull("nosuch", pair.other())
    assert f"`aiosctl --target {pair.there.target} model ls`" in raised.value.hint


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

"""Models from the command line and the SDK over a socket, the services and an SQLite database, to a vault of whole files."""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import aios
from aios import errors
from aios._model_calls import StoreCalls
from aios.versions import Settings
from aiosctl.cli import root
from aiosctl.completion import ASKED, BashWords
from aiosctl.failures import guarded
from aiosd.models.care_service import ModelCare
from aiosd.models.diff import TensorChange, TensorDiff
from aiosd.models.manifest import Manifest
from aiosd.models.ports import ModelChanges
from aiosd.storage.journal import SqlJournal
from aiosd.storage.models import SqlModels
from tests.fakes.model_world import ModelWorld, model_daemon

_LOGGED = re.compile(r"[-\d]{10} [:\d]{8} \[(debug|info|warning|error)")


@dataclass
class Daemon:
    """A server in a thread of its own; `do` runs a coroutine in its loop."""

    world: ModelWorld
    target: str
    loop: asyncio.AbstractEventLoop
    directory: Path

    def file(self, content: str, name: str = "model.bin") -> str:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return str(path)

    @property
    def care(self) -> ModelCare:
        return self.world.care


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    ready: Future[Daemon] = Future()
    stopping: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        stopping.append((asyncio.get_running_loop(), stop))
        journal = await SqlJournal.open(f"sqlite:///{tmp_path}/aiosd.db")
        try:
            world = ModelWorld(tmp_path, SqlModels(journal))
            async with model_daemon(tmp_path, world) as (target, _):
                ready.set_result(Daemon(world, target, asyncio.get_running_loop(), tmp_path))
                await stop.wait()
        finally:
            await journal.close()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=run, name="model-daemon")
    thread.start()
    try:
        yield ready.result(timeout=30)
    finally:
        loop, stop = stopping[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


@pytest.fixture
def models(daemon: Daemon) -> Iterator[StoreCalls]:
    with aios.Client(daemon.target) as client:
        yield client.models


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def cli(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def invoke(*words: str) -> Result:
        status = guarded(lambda: root.main(args=["--target", daemon.target, *words], prog_name="aiosctl", standalone_mode=False))
        captured = capsys.readouterr()
        printed = [line for line in captured.out.splitlines(keepends=True) if not _LOGGED.match(line)]  # the daemon is in this process
        return Result(status, "".join(printed), captured.err)

    return invoke


def test_a_model_goes_in_is_looked_at_and_comes_out(daemon: Daemon, models: StoreCalls) -> None:
    made = models.register("vision/digits", daemon.file("weights"), metrics={"accuracy": 0.97}, labels={"team": "vision"}, message="first", tags=["v1.0"])
    assert (made.number, made.author, made.metrics, made.existed, made.parents) == (1, "ada", {"accuracy": 0.97}, False, ())
    assert Path(models.checkout("vision/digits")).read_text() == "weights"
    shown = models.version("vision/digits:v1.0", listing=True)
    assert shown.id == made.id
    assert shown.references == ("main", "v1.0")
    assert [(each.path, each.size) for each in shown.listing] == [("model.bin", 7)]
    assert shown.lineage.python
    assert shown.lineage.packages["grpcio"]
    assert models.register("vision/digits", daemon.file("weights"), metrics={"accuracy": 0.97}, message="first").existed


def test_a_directory_keeps_its_shape(daemon: Daemon, models: StoreCalls) -> None:
    daemon.file("a", "saved/a.txt")
    daemon.file("", "saved/deep/empty.txt")
    models.register("saved", str(daemon.directory / "saved"))
    path = Path(models.checkout("saved", daemon.directory / "copy"))
    assert (path / "a.txt").read_text() == "a"
    assert (path / "deep" / "empty.txt").read_bytes() == b""


def test_history_is_read_back(daemon: Daemon, models: StoreCalls) -> None:
    ids = [models.register("digits", daemon.file(f"{n}"), message=f"no {n}").id for n in range(5)]
    assert [version.id for version in models.log("digits")] == ids[::-1]
    assert [version.message for version in models.log("digits~2", limit=2)] == ["no 2", "no 1"]
    assert models.version("digits:main~4").id == ids[0]
    models.tag("digits:main~3", "v1.2.0")
    models.tag("digits", "v1.10.0")
    models.tag("digits~1", "v2.0.0-rc1")
    assert models.version("digits:^1.2").id == ids[4]
    assert [move.target for move in models.moves("digits", "main")] == ids[::-1]
    models.alias("digits:v1.2.0", "prod")
    models.alias("digits", "prod", why="better")
    assert models.rollback("digits:prod", why="drifts").version == ids[1]
    move = next(models.moves("digits", "prod"))
    assert (move.source, move.target, move.who, move.why) == (ids[4], ids[1], "ada", "drifts")
    assert models.get("digits").latest is not None
    assert [each.name for each in models.references("digits", "tag")] == ["v1.10.0", "v1.2.0", "v2.0.0-rc1"]


def test_branches_part_and_come_together(daemon: Daemon, models: StoreCalls) -> None:
    first = models.register("digits", daemon.file("1"))
    models.branch("digits", "try")
    ours = models.register("digits", daemon.file("2"))
    theirs = models.register("digits", daemon.file("3"), branch="try", metrics={"f1": 0.5})
    assert theirs.parents == (first.id,)
    with pytest.raises(errors.FailedPrecondition, match="different ways"):
        models.merge("digits", "try")
    merged = models.merge("digits", "try", strategy="theirs")
    assert merged.how == "merge"
    assert merged.version.parents == (ours.id, theirs.id)
    assert merged.version.metrics == {"f1": 0.5}
    assert merged.version.manifest == theirs.manifest
    assert models.merge("digits", "try").how == "already there"
    assert models.merge("digits", "main", into="try").how == "fast-forward"
    reverted = models.revert("digits")
    assert reverted.manifest == ours.manifest
    diff = models.diff("digits~1", ":main")
    assert [(one.path, one.change) for one in diff.files] == [("model.bin", "changed")]
    assert [(one.what, one.a, one.b) for one in diff.changes if one.what == "metrics.f1"] == [("metrics.f1", "0.5", "")]


def test_two_writers_of_one_branch(daemon: Daemon) -> None:
    """One wins, the other gets a conflict with both values, and may simply try again."""
    with aios.Client(daemon.target) as client:
        start = client.models.register("digits", daemon.file("0"))
    hold = asyncio.run_coroutine_threadsafe(_hold(daemon), daemon.loop).result(30)
    outcomes: dict[str, Any] = {}

    def write(name: str) -> None:
        with aios.Client(daemon.target) as client:
            try:
                outcomes[name] = client.models.register("digits", daemon.file(name, f"{name}.bin"), timeout=60)
            except errors.AiosError as error:
                outcomes[name] = error

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    asyncio.run_coroutine_threadsafe(_both(daemon), daemon.loop).result(60)
    daemon.loop.call_soon_threadsafe(hold.set)
    for thread in threads:
        thread.join(60)
    winners = [one for one in outcomes.values() if isinstance(one, aios.models.Version)]
    losers = [one for one in outcomes.values() if isinstance(one, errors.Conflict)]
    assert len(winners) == len(losers) == 1, outcomes
    assert losers[0].facts["expected"] == start.id
    assert losers[0].facts["there"] == winners[0].id
    assert start.id[:12] in str(losers[0])
    assert winners[0].id[:12] in str(losers[0])
    loser = next(name for name, one in outcomes.items() if one is losers[0])
    with aios.Client(daemon.target) as client:
        assert [version.number for version in client.models.log("digits")] == [2, 1]
        assert client.models.register("digits", daemon.file(loser, f"{loser}.bin")).parents == (winners[0].id,)


def test_two_writers_of_one_reference(daemon: Daemon, models: StoreCalls) -> None:
    """Both saw prod where it is, both move it at once: one wins, the other is told both values, and prod is where the winner said."""
    ids = [models.register("digits", daemon.file(str(n))).id for n in range(3)]
    models.alias(f"digits@{ids[0]}", "prod")
    together = threading.Barrier(2)
    outcomes: dict[str, Any] = {}

    def write(to: str) -> None:
        with aios.Client(daemon.target) as client:
            together.wait(30)
            try:
                outcomes[to] = client.models.alias(f"digits@{to}", "prod", expected=ids[0])
            except errors.AiosError as error:
                outcomes[to] = error

    threads = [threading.Thread(target=write, args=(to,)) for to in ids[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (winner,) = [to for to, one in outcomes.items() if not isinstance(one, errors.AiosError)]
    (loser,) = [one for one in outcomes.values() if isinstance(one, errors.Conflict)]
    assert (loser.facts["expected"], loser.facts["there"]) == (ids[0], winner)
    assert ids[0][:12] in str(loser)
    assert winner[:12] in str(loser)
    assert models.version("digits:prod").id == winner
    assert [move.target for move in models.moves("digits", "prod")] == [winner, ids[0]]


async def _hold(daemon: Daemon) -> asyncio.Event:
    daemon.world.vault.held = asyncio.Event()
    return daemon.world.vault.held


async def _both(daemon: Daemon) -> None:
    async with asyncio.timeout(50):
        while len(daemon.world.vault.taking) < 2:
            await asyncio.sleep(0.01)


def test_compare_and_set_is_in_the_api(daemon: Daemon, models: StoreCalls) -> None:
    first = models.register("digits", daemon.file("1"))
    second = models.register("digits", daemon.file("2"), expected=first.id[:8])
    with pytest.raises(errors.Conflict):
        models.register("digits", daemon.file("3"), expected=first.id)
    with pytest.raises(errors.Conflict) as raised:
        models.alias("digits", "prod", expected=first.id)
    assert raised.value.facts["there"] == ""
    models.alias("digits", "prod", expected="")
    models.alias("digits~1", "prod", expected=second.id)
    assert models.version("digits:prod").id == first.id
    with pytest.raises(errors.InvalidArgument, match="'main', which is no id"):
        models.alias("digits", "prod", expected="main")


def test_wrong_names_and_references_say_what_is_right(daemon: Daemon, models: StoreCalls) -> None:
    models.register("digits", daemon.file("1"))
    for name in ("", "a b", "🙂", "../x", "a//b", "/a", "a:b", "x" * 1000, "a\nb"):
        with pytest.raises(errors.InvalidArgument):
            models.register(name, daemon.file("1"))
    with pytest.raises(errors.NotFound, match="no branch, tag or alias 'mian'") as raised:
        models.version("digits:mian")
    assert "digits:main" in raised.value.hint
    with pytest.raises(errors.NotFound, match="is the first version"):
        models.version("digits~1")
    with pytest.raises(errors.NotFound, match="there is no model other"):
        models.version("other")
    with pytest.raises(errors.NotFound):
        models.register("digits", str(daemon.directory / "none"))


def test_permissions_are_set_over_the_wire(daemon: Daemon, models: StoreCalls) -> None:
    models.register("digits", daemon.file("1"), visibility="everyone", description="numbers")
    changed = models.update("digits", Settings(visibility="group", group="vision", roles={"bob": "writer"}, keep_last=3, keep_for="1d"))
    assert (changed.visibility, changed.group, changed.roles, changed.keep_last, changed.keep_for_s) == ("group", "vision", {"bob": "writer"}, 3, 86400.0)
    assert models.update("digits", Settings(roles={"bob": ""})).roles == {}
    with pytest.raises(errors.InvalidArgument):
        models.update("digits", Settings(visibility="sometimes"))
    with pytest.raises(errors.InvalidArgument, match="no user 'bbo'"):
        models.update("digits", Settings(roles={"bbo": "writer"}))
    models.register("shared", daemon.file("1"), visibility="group", group="vision")
    assert (models.get("shared").visibility, models.get("shared").group) == ("group", "vision")


def test_damage_is_found_told_and_healed(daemon: Daemon, models: StoreCalls) -> None:
    version = models.register("digits", daemon.file("weights"))
    assert models.verify("digits").sound
    (chunk,) = [path for path in (daemon.directory / "vault").iterdir() if path.is_file()]
    chunk.write_text("weighty")
    found = models.verify()
    assert not found.sound
    assert found.damaged[0].versions == (str(version),)
    assert models.version("digits").state == "damaged"
    with pytest.raises(errors.FailedPrecondition, match="is damaged"):
        models.checkout("digits")
    assert models.register("digits", daemon.file("weights")).state == "registered"
    assert models.verify("digits").sound
    assert Path(models.checkout("digits")).read_text() == "weights"


def test_garbage_goes_and_what_is_used_stays(daemon: Daemon, models: StoreCalls) -> None:
    kept = models.register("digits", daemon.file("1"))
    models.register("digits", daemon.file("2"), branch="try")
    models.update("digits", Settings(keep_for=0))
    models.remove_reference("digits:try")
    trial = models.collect_garbage(dry_run=True, grace=0)
    assert (len(trial.removed), trial.chunks) == (1, 1)
    assert any("branch main" in why for why in trial.kept_because)
    assert models.collect_garbage(grace=0).removed == trial.removed
    assert [version.id for version in models.log("digits", all=True)] == [kept.id]
    assert Path(models.checkout("digits")).read_text() == "1"
    assert models.usage().users[0].versions == 1


def test_datasets_have_names_of_their_own(daemon: Daemon) -> None:
    with aios.Client(daemon.target) as client:
        client.models.register("digits", daemon.file("model"))
        client.datasets.register("digits", daemon.file("data"))
        assert Path(client.datasets.checkout("digits")).read_text() == "data"
        assert client.datasets.version("digits").kind == "dataset"
        assert [one.kind for one in client.models.search()] == ["model"]
        client.datasets.remove("digits", force=True)
        with pytest.raises(errors.NotFound, match="no dataset digits"):
            client.datasets.get("digits")
        assert client.models.get("digits").versions == 1


def test_the_command_line_asks_the_python_of_its_shell(daemon: Daemon, models: StoreCalls, cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    python = Path(daemon.file('#!/bin/sh\necho \'["3.99.0", {"theirs": "1.5"}]\'\n', "env/bin/python"))
    python.chmod(0o755)
    monkeypatch.setenv("VIRTUAL_ENV", str(python.parent.parent))
    assert cli("model", "register", "digits", daemon.file("1")).status == 0
    lineage = models.version("digits").lineage
    assert (lineage.python, lineage.packages) == ("3.99.0", {"theirs": "1.5"})
    monkeypatch.delenv("VIRTUAL_ENV")
    monkeypatch.setenv("PATH", "/nowhere")
    assert cli("model", "register", "digits", daemon.file("2")).status == 0
    lineage = models.version("digits").lineage
    assert (lineage.python, lineage.packages) == ("", {})  # none, rather than those of aiosctl


def test_a_shell_is_told_names_and_references(daemon: Daemon, models: StoreCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    models.register("digits", daemon.file("1"), tags=["v1.0"])
    models.register("vision/digits", daemon.file("1"))
    models.register("net", daemon.file("1"))
    with aios.Client(daemon.target) as client:
        client.datasets.register("mnist", daemon.file("2"))

    def completed(words: str, breaks: str = ":=@") -> list[str]:
        monkeypatch.setenv("COMP_LINE", f"aiosctl --target {daemon.target} {words}")
        monkeypatch.setenv("COMP_BREAKS", breaks)
        return [line.removeprefix("plain,") for line in BashWords(root, {}, "aiosctl", ASKED).complete().splitlines()]

    assert completed("model set ") == ["digits", "net", "vision/digits"]
    assert completed("model show d") == ["digits", "digits:main", "digits:v1.0"]  # one name: so what may come after it is said, too
    assert completed("model checkout digits:") == ["main", "v1.0"]  # bash has "digits:" already
    assert completed("model checkout digits:v", breaks="") == ["digits:v1.0"]
    assert completed("model diff digits:v1.0 :m") == ["main"]
    assert completed("data show m") == ["mnist", "mnist:main"]
    assert completed("model show nosuch:") == []


def test_the_command_line_does_it_all(daemon: Daemon, cli: Callable[..., Result]) -> None:
    one, two = daemon.file("1", "one.bin"), daemon.file("2", "two.bin")
    done = cli("model", "register", "digits", one, "--metric", "accuracy=0.9", "-m", "first", "--tag", "v1.0")
    assert (done.status, done.err) == (0, "")
    assert "is version 1 on main" in done.out
    assert "is on main already" in cli("model", "register", "digits", one).out
    ident = cli("model", "register", "-q", "digits", two, "--metric", "accuracy=0.95").out.strip()
    assert ident.startswith("digits@")
    assert cli("model", "ls", "-q").out == "digits\n"
    assert "accuracy=0.95" in cli("model", "ls", "--metric", "accuracy>0.9").out
    assert cli("model", "ls", "--metric", "accuracy>0.99").err == "no models\n"
    older = cli("model", "ls", "--metric", "accuracy<0.95").out
    assert "accuracy=0.9 " in older
    assert "FOUND" in older
    (seen,) = json.loads(cli("model", "ls", "--metric", "accuracy<0.95", "-o", "json").out)
    assert (seen["found"]["number"], seen["latest"]["number"]) == (1, 2)
    assert "0.9 -> 0.95 (+0.05)" in cli("model", "diff", "digits").out
    log = cli("model", "log", "digits", "--no-headers").out.splitlines()
    assert [line.split()[1] for line in log] == ["2", "1"]
    assert "first" in log[1]
    shown = cli("model", "show", "digits").out
    assert "References" in shown
    assert "accuracy  0.95" in shown
    latest = json.loads(cli("model", "show", "digits", "--files", "-o", "json").out)["latest"]
    assert (latest["references"], [each["path"] for each in latest["listing"]]) == (["main"], ["two.bin"])
    assert "digits:prod is at" in cli("model", "alias", "digits:v1.0", "prod").out
    cli("model", "alias", "digits", "prod")
    assert cli("model", "rollback", "digits:prod", "--why", "drifts").status == 0
    assert "drifts" in cli("model", "log", "--refs", "digits:prod").out
    assert Path(cli("model", "checkout", "digits:prod").out.strip()).read_text() == "1"
    assert cli("model", "tag", "digits", "v1.0").status == 1
    assert "digits:prod is no tag: its kind is alias" in cli("model", "tag", "--delete", "digits:prod").err
    assert cli("model", "show", "digits:none").status == 3
    assert cli("model", "register", "a b", one).status == 1
    assert cli("model", "verify", "digits").out == "all is well: 1 chunk read back as stored\n"
    assert cli("model", "verify").status == 2
    usage = cli("model", "ls", "--usage").out
    assert usage.splitlines()[0].split() == ["NAME", "VERSIONS", "OWNER", "SIZE", "STORED"]
    assert "\nUSER" in usage
    assert usage.endswith(cli("model", "usage").out)
    assert "would go" in cli("model", "gc", "-n").out
    assert "ada" in cli("model", "usage").out
    assert cli("model", "rm", "digits").status == 1
    assert cli("model", "rm", "--force", "digits").out == "digits is gone\n"
    assert cli("model", "ls").err == "no models\n"


def test_data_has_the_same_verbs(daemon: Daemon, cli: Callable[..., Result]) -> None:
    assert "is version 1 on main" in cli("data", "register", "mnist", daemon.file("rows")).out
    assert Path(cli("data", "checkout", "mnist").out.strip()).read_text() == "rows"
    assert "mnist" in cli("data", "ls").out
    assert cli("model", "ls").err == "no models\n"
    help_text = cli("data", "register", "--help").out
    assert "aiosctl data register" in help_text
    assert "dataset NAME" in help_text


def test_tensors_are_told_on_one_screen(daemon: Daemon, cli: Callable[..., Result]) -> None:
    async def tensor_diff(a: Manifest, b: Manifest) -> TensorDiff:
        moved = [TensorChange(f"layer.{at}", "changed", "float32 [2]", "float32 [2]", 1 / (at + 1)) for at in range(60)]
        return TensorDiff([TensorChange("head\x1b", "dtype", "float32 [2]", "float16 [2]"), *moved], 7, ["bad.gguf: it ends at 4"], 3)

    for content in ("1", "2"):
        cli("model", "register", "digits", daemon.file(content))
    assert "cannot be compared" in cli("model", "diff", "digits", "--tensors").err
    daemon.world.reader.tensor_diff = tensor_diff
    lines = cli("model", "diff", "digits", "--tensors").out.splitlines()
    at = lines.index("Tensors")
    assert lines[at + 1].split() == ["head\\x1b", "dtype", "float32", "[2]", "->", "float16", "[2]"]
    assert lines[at + 2].split() == ["layer.0", "changed", "float32", "[2]", "by", "1", "of", "its", "norm"]
    assert lines[at + 51 :] == ["  and 14 more; -o wide lists them", "7 tensors are as they were", "not compared: bad.gguf: it ends at 4"]
    assert "  and 3 more\n" in cli("model", "diff", "digits", "--tensors", "-o", "wide").out
    told = json.loads(cli("model", "diff", "digits", "--tensors", "-o", "json").out)
    assert [one["relative_norm"] for one in told["tensors"][:2]] == [None, 1.0]
    assert (told["tensors_unchanged"], told["tensors_left_out"]) == (7, 3)


def test_names_of_every_kind(daemon: Daemon, cli: Callable[..., Result]) -> None:
    """Of models, references, files, labels and words: what is allowed comes back as it was, what is not is refused with why."""
    one = daemon.file("1")
    for name in ("vision/digits", "a.b-c_d", "1/2/3/4/5", "x" * 100, f"{'y' * 100}/{'z' * 99}"):
        assert cli("model", "register", name, one, "--tag", "team/v1.0").status == 0, name
        assert cli("model", "show", f"{name}:team/v1.0", "-q").out.startswith(f"{name}@")
        assert cli("model", "ls", name, "-q").out.splitlines()[0] == name
        assert "team/v1.0" in cli("model", "tag", name).out
    refused = (
        ("has a space", "a b"), ("character", "🦊"), ("1000 characters", "x" * 1000), ("nothing before", "a//b"), ("begins with", ".hidden"), ("begins", "../x"),
        ("character", "é"), ("6 parts", "1/2/3/4/5/6"),
    )  # fmt: skip
    for why, name in refused:
        done = cli("model", "register", "--", name, one)
        assert (done.status, why in done.err) == (1, True), done.err
        done = cli("model", "tag", "--", "a.b-c_d", name)
        assert (done.status, why in done.err) == (1, True), done.err
        assert cli("model", "show", "--", name).status != 0
        assert "Traceback" not in cli("model", "ls", "--", name).err
    files = ("with space.txt", "🦊.txt", "a/b.c/d e", "n" * 255, "-rf", "new\nline", "esc\x1b[31m")
    for name in files:
        daemon.file(name, f"tree/{name}")
    words = "🦊 " + "long " * 200
    assert cli("model", "register", "tree", str(daemon.directory / "tree"), "-m", words, "--label", f"ключ={words}").status == 0
    shown = cli("model", "show", "tree", "--files").out
    assert "\x1b" not in shown
    listed = json.loads(cli("model", "show", "tree:main", "--files", "-o", "json").out)
    assert len(listed["listing"]) == len(files)
    assert listed["labels"] == {"ключ": words}
    for text in ("🦊", "ключ", "LONG"):
        assert cli("model", "ls", text, "-q").out == "tree\n"
    path = Path(cli("model", "checkout", "tree").out.strip())
    assert all((path / name).read_text() == name for name in files)


def test_tensors_are_searched_for(daemon: Daemon, cli: Callable[..., Result]) -> None:
    cli("model", "register", "digits", daemon.file("1"))
    (manifest,) = asyncio.run_coroutine_threadsafe(_manifests(daemon), daemon.loop).result(30)
    change = ModelChanges(tensors={manifest: ["encoder.0.weight"]})
    asyncio.run_coroutine_threadsafe(daemon.world.store.commit(change), daemon.loop).result(30)
    assert cli("model", "ls", "--tensor", "encoder.*.weight", "-q").out == "digits\n"
    assert cli("model", "ls", "--tensor", "decoder.*", "-q").out == ""


async def _manifests(daemon: Daemon) -> Sequence[str]:
    return await daemon.world.store.manifest_digests()

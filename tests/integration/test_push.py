"""Versions between daemons: the same on both sides, with their history; only what is missing travels."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from aios import _sync, errors
from aios.versions import Progress, Version
from tests.integration.pairing import MIB, Pair, daemons, pair, same, staged

__all__ = ["daemons", "pair"]  # fixtures


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

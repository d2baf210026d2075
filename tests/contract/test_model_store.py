"""The contract of the port ModelStore: on the fake, on SQLite, and on a private PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from aiosd.errors import AlreadyExists, Conflict, InvalidArgument, StorageCorrupt
from aiosd.models.manifest import Chunk, FileEntry, Manifest
from aiosd.models.model import Model, ModelRole, Move, RefKind, Signature, Visibility
from aiosd.models.ports import Holding, ModelChanges, ModelQuery, RefChange, Registered, Use, UseRole
from aiosd.models.vault_ports import Stored
from aiosd.models.version import Commit, Kind, Lineage, Schema, Tensor, Version, VersionState
from aiosd.storage.journal import SqlJournal
from aiosd.storage.models import SqlModels
from tests.fakes.models import FakeModelStore

T = TypeVar("T")
DIGITS = Model(
    kind=Kind.MODEL, name="vision/digits", owner="ada", owner_uid=4_000_000_000, created_at_s=0.1 + 0.2, description="Ziffern, 100 % é",
    visibility=Visibility.GROUP, group="vision", roles={"bob": ModelRole.WRITER, "@labs": ModelRole.READER}, keep_last=3, keep_for_s=1.5,
)  # fmt: skip
MANIFEST = Manifest((FileEntry("a/model.onnx", 7, "d" * 64, (Chunk("c" * 64, 3), Chunk("e" * 64, 4)), True),), ("empty",))


def commit(n: int = 1, *, parents: tuple[str, ...] = (), **more: Any) -> Commit:
    given: dict[str, Any] = {
        "kind": Kind.MODEL, "manifest": MANIFEST.digest, "parents": parents, "author": "ada", "created_at_s": 1000.25 + n, "message": f"Versuch {n} ü",
        "metrics": {"accuracy": 0.9 + n / 100}, "labels": {"team": "vision"}, "schema": Schema("onnx", "pytorch 2.3", 17, (Tensor("x", "float32", (-1, 64)),)),
        "lineage": Lineage(job_id=f"{n}", packages={"numpy": "2.0"}),
    }  # fmt: skip
    return Commit(**(given | more))


def version(n: int = 1, *, model: str = DIGITS.name, **more: Any) -> Version:
    made = commit(n, **more)
    return Version(model=model, number=n, id=made.id, commit=made, size=7 * n, files=1, stored_bytes=n)


def chain(count: int) -> list[Version]:
    made: list[Version] = []
    for n in range(1, count + 1):
        made.append(version(n, parents=(made[-1].id,) if made else ()))
    return made


def changes(*versions: Version, models: Sequence[Model] = (DIGITS,), **more: Any) -> ModelChanges:
    return ModelChanges(models=models, versions=[(one, one.commit.encode()) for one in versions], manifests={MANIFEST.digest: MANIFEST.encode()}, **more)


def to(name: str, target: str, expected: str | None = None, *, kind: RefKind = RefKind.BRANCH, at_s: float = 5.5) -> RefChange:
    return RefChange(Kind.MODEL, DIGITS.name, Move(name, kind, "", target, "ada", at_s, "because"), expected)


@dataclass
class Bench:
    """A store under test, in a loop of its own."""

    store: Any
    runner: asyncio.Runner
    journal: SqlJournal | None = None

    def do(self, awaitable: Awaitable[T]) -> T:
        async def one() -> T:
            return await awaitable

        return self.runner.run(one())

    def close(self) -> None:
        if self.journal is not None:
            self.do(self.journal.close())
        self.runner.close()

    def commit(self, made: ModelChanges) -> None:
        self.do(self.store.commit(made))

    def at(self, name: str) -> str:
        return next((each.version for each in self.do(self.store.references(Kind.MODEL, DIGITS.name)) if each.name == name), "")


def open_kind(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    runner = asyncio.Runner()
    if kind == "fake":
        return Bench(FakeModelStore(), runner)
    url = f"sqlite:///{tmp_path}/aiosd.db" if kind == "sqlite" else request.getfixturevalue("migrated_cluster").new_database()
    journal = runner.run(SqlJournal.open(url))
    return Bench(SqlModels(journal), runner, journal)


DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=["fake", *DATABASES])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = open_kind(request.param, request, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = open_kind(request.param, request, tmp_path)
    yield made
    made.close()


def test_all_comes_back_as_it_was(bench: Bench) -> None:
    one = version()
    signature = Signature(one.id, "key", "ed25519", b"\0\xff", 9.5, "ada")
    bench.commit(changes(one, references=[to("main", one.id, "")], signatures=[signature]))
    store = bench.store
    assert bench.do(store.model(Kind.MODEL, DIGITS.name)) == DIGITS
    assert bench.do(store.version(Kind.MODEL, DIGITS.name, one.id)) == one
    assert bench.do(store.manifest(MANIFEST.digest)) == MANIFEST
    assert bench.do(store.commit_bytes(one.id)) == one.commit.encode()
    assert bench.do(store.signatures(one.id)) == [signature]
    (node,) = bench.do(store.graph(Kind.MODEL, DIGITS.name))
    assert (node.number, node.id, node.parents, node.manifest, node.created_at_s) == (1, one.id, (), MANIFEST.digest, 1001.25)
    (reference,) = bench.do(store.references(Kind.MODEL, DIGITS.name))
    assert (reference.name, reference.kind, reference.version, reference.moved_at_s, reference.moved_by) == ("main", RefKind.BRANCH, one.id, 5.5, "ada")


def test_what_is_not_there_is_none(bench: Bench) -> None:
    store = bench.store
    bench.commit(changes(version()))
    assert bench.do(store.model(Kind.DATASET, DIGITS.name)) is None
    assert bench.do(store.version(Kind.MODEL, DIGITS.name, "0" * 64)) is None
    assert bench.do(store.version(Kind.DATASET, DIGITS.name, version().id)) is None
    assert bench.do(store.manifest("0" * 64)) is None
    assert bench.do(store.commit_bytes("0" * 64)) is None
    assert bench.do(store.registered(1, "k")) is None
    assert bench.do(store.summaries(Kind.MODEL, ["none"])) == {}


def test_a_model_that_is_set_replaces_itself(bench: Bench) -> None:
    bench.commit(changes(version()))
    changed = replace(DIGITS, description="neu", roles={})
    bench.commit(ModelChanges(models=[changed]))
    assert bench.do(bench.store.model(Kind.MODEL, DIGITS.name)) == changed


def test_versions_are_found_by_the_beginning_of_their_id(bench: Bench) -> None:
    made = chain(60)
    bench.commit(changes(*made))
    one = made[17]
    assert bench.do(bench.store.version(Kind.MODEL, DIGITS.name, one.id[:20])) == one
    letters = next(letter for letter in "0123456789abcdef" if sum(each.id[0] == letter for each in made) > 1)
    with pytest.raises(InvalidArgument):
        bench.do(bench.store.version(Kind.MODEL, DIGITS.name, letters))


def test_versions_come_newest_first_in_pages(bench: Bench) -> None:
    made = chain(5)
    bench.commit(changes(*made))
    assert bench.do(bench.store.versions(Kind.MODEL, DIGITS.name, 0, 2)) == [made[4], made[3]]
    assert bench.do(bench.store.versions(Kind.MODEL, DIGITS.name, 3, 9)) == [made[1], made[0]]
    assert [node.parents for node in bench.do(bench.store.graph(Kind.MODEL, DIGITS.name))] == [(made[n].id,) for n in (3, 2, 1, 0)] + [()]
    wanted = [(DIGITS.name, made[1].id), (DIGITS.name, "0" * 64), ("other", made[1].id)]
    assert bench.do(bench.store.picked(Kind.MODEL, wanted)) == {(DIGITS.name, made[1].id): made[1]}


def test_a_reference_moves_only_from_where_it_was_expected(bench: Bench) -> None:
    first, second, third = chain(3)
    bench.commit(changes(first, second, third, references=[to("main", first.id, "")]))
    bench.commit(ModelChanges(references=[to("main", second.id, first.id)]))
    with pytest.raises(Conflict) as raised:
        bench.commit(ModelChanges(references=[to("main", third.id, first.id)]))
    assert raised.value.facts["expected"] == first.id
    assert raised.value.facts["there"] == second.id
    with pytest.raises(Conflict):
        bench.commit(ModelChanges(references=[to("main", third.id, "")]))
    assert bench.at("main") == second.id
    bench.commit(ModelChanges(references=[to("main", third.id)]))
    assert bench.at("main") == third.id


def test_a_conflict_leaves_nothing_of_the_change(bench: Bench) -> None:
    first, second, _ = chain(3)
    bench.commit(changes(first, references=[to("main", first.id, "")]))
    with pytest.raises(Conflict):
        bench.commit(changes(second, references=[to("tag", second.id, ""), to("main", second.id, "0" * 64)], requests=[_request(second)]))
    assert bench.do(bench.store.version(Kind.MODEL, DIGITS.name, second.id)) is None
    assert bench.at("tag") == ""
    assert bench.do(bench.store.registered(7, "k")) is None
    assert len(bench.do(bench.store.moves(Kind.MODEL, DIGITS.name, "", 0, 9))) == 1


def test_a_reference_never_leads_to_what_is_not_there(bench: Bench) -> None:
    (first,) = chain(1)
    bench.commit(changes(first))
    with pytest.raises(Conflict):
        bench.commit(ModelChanges(references=[to("main", "0" * 64, "")]))
    bench.commit(ModelChanges(references=[to("main", first.id, "")]))
    with pytest.raises(Conflict):
        bench.commit(ModelChanges(gone_versions=[(Kind.MODEL, DIGITS.name, first.id)]))
    assert bench.do(bench.store.version(Kind.MODEL, DIGITS.name, first.id)) == first


def absent(one: Version) -> Version:
    return replace(one, state=VersionState.ABSENT, size=0, files=0, stored_bytes=10)


def test_what_is_absent_has_its_commit_alone_until_its_bytes_come(bench: Bench) -> None:
    """A list of files of that name may be there, and be somebody else's."""
    first, second = chain(2)
    other = replace(DIGITS, name="theirs")
    theirs = replace(version(9, model="theirs"), stored_bytes=5)
    bench.commit(changes(absent(first), second, models=(DIGITS, other)))
    bench.commit(changes(theirs, models=(), tensors={MANIFEST.digest: ["encoder.weight"]}))
    assert bench.do(bench.store.version(Kind.MODEL, DIGITS.name, first.id)) == absent(first)
    assert bench.do(bench.store.absent(Kind.MODEL, DIGITS.name)) == {first.id}
    assert {one.id for one in bench.do(bench.store.versions_with(MANIFEST.digest))} == {second.id, theirs.id}
    with pytest.raises(Conflict):
        bench.commit(ModelChanges(references=[to("main", first.id)]))
    bench.commit(ModelChanges(gone_versions=[(Kind.MODEL, DIGITS.name, second.id)]))
    assert bench.do(bench.store.version(Kind.MODEL, DIGITS.name, first.id)) == absent(first)  # it takes nothing over
    for query in (ModelQuery(tensor="encoder*"), ModelQuery(text="encoder")):
        assert [model.name for model in bench.do(bench.store.models(query))] == ["theirs"]
    bench.commit(ModelChanges(gone_models=[(Kind.MODEL, "theirs")], gone_manifests=[MANIFEST.digest]))
    assert bench.do(bench.store.manifest(MANIFEST.digest)) is None
    flagged = replace(first, state=VersionState.FLAGGED, reasons=("why",))
    bench.commit(ModelChanges(filled=[flagged], manifests={MANIFEST.digest: MANIFEST.encode()}, references=[to("main", first.id)]))
    assert bench.do(bench.store.version(Kind.MODEL, DIGITS.name, first.id)) == flagged
    bench.commit(ModelChanges(filled=[first]))  # it is there
    assert bench.do(bench.store.version(Kind.MODEL, DIGITS.name, first.id)) == flagged
    assert bench.do(bench.store.absent(Kind.MODEL, DIGITS.name)) == set()


def test_the_newest_is_one_that_is_here_if_any_is(bench: Bench) -> None:
    """A history that comes late has higher numbers than what it comes before."""
    first, second = chain(2)
    bench.commit(changes(first, absent(second)))
    summary = bench.do(bench.store.summaries(Kind.MODEL, [DIGITS.name]))[DIGITS.name]
    assert (summary.versions, summary.newest) == (2, first.id)
    bench.commit(ModelChanges(gone_versions=[(Kind.MODEL, DIGITS.name, first.id)]))
    assert bench.do(bench.store.summaries(Kind.MODEL, [DIGITS.name]))[DIGITS.name].newest == second.id


def test_every_move_is_kept_with_where_it_came_from(bench: Bench) -> None:
    first, second = chain(2)
    bench.commit(changes(first, second, references=[to("main", first.id, "")]))
    bench.commit(ModelChanges(references=[to("main", second.id), to("prod", second.id, kind=RefKind.ALIAS)]))
    bench.commit(ModelChanges(references=[to("main", "")]))
    moves = bench.do(bench.store.moves(Kind.MODEL, DIGITS.name, "main", 0, 10))
    assert [(move.source, move.target) for _, move in moves] == [(second.id, ""), (first.id, second.id), ("", first.id)]
    assert moves[0][1].why == "because"
    assert moves[0][1].who == "ada"
    number = moves[0][0]
    assert [move.reference for _, move in bench.do(bench.store.moves(Kind.MODEL, DIGITS.name, "", number, 2))] == ["prod", "main"]
    assert bench.at("main") == ""


def test_a_number_is_given_once(bench: Bench) -> None:
    bench.commit(changes(version(1)))
    with pytest.raises(AlreadyExists):
        bench.commit(changes(version(1, message="another")))


def test_a_number_that_was_given_stays_given(bench: Bench) -> None:
    made = chain(3)
    bench.commit(changes(*made, models=[DIGITS, replace(DIGITS, name="other")]))
    bench.commit(ModelChanges(gone_versions=[(Kind.MODEL, DIGITS.name, made[2].id)]))
    assert bench.do(bench.store.last_number(Kind.MODEL, DIGITS.name)) == 3
    assert bench.do(bench.store.last_number(Kind.MODEL, "other")) == bench.do(bench.store.last_number(Kind.DATASET, DIGITS.name)) == 0
    bench.commit(ModelChanges(gone_models=[(Kind.MODEL, DIGITS.name)]))
    assert bench.do(bench.store.last_number(Kind.MODEL, DIGITS.name)) == 0


def test_summaries_count_and_name_the_newest(bench: Bench) -> None:
    made = chain(3)
    bench.commit(changes(*made, models=[DIGITS, replace(DIGITS, name="empty")], references=[to("main", made[1].id, "")]))
    found = bench.do(bench.store.summaries(Kind.MODEL, [DIGITS.name, "empty", "none"]))
    assert sorted(found) == ["empty", DIGITS.name]
    summary = found[DIGITS.name]
    assert (summary.versions, summary.size, summary.stored_bytes, summary.newest) == (3, 42, 6, made[2].id)
    assert [each.name for each in summary.references] == ["main"]
    assert (found["empty"].versions, found["empty"].newest) == (0, "")
    assert bench.do(bench.store.holdings()) == {DIGITS.owner_uid: Holding(2, 3, 42, 6)}


def test_a_question_is_about_one_and_the_same_version(bench: Bench) -> None:
    other = replace(DIGITS, name="other", description="x_y")
    one = version(1, metrics={"accuracy": 0.95}, labels={"team": "a"})
    two = version(2, metrics={"accuracy": 0.5}, labels={"team": "b"}, author="bob")
    made = Use("2", UseRole.MADE, Kind.MODEL, DIGITS.name, one.id, 1.0)
    bench.commit(changes(one, two, models=[DIGITS, other, replace(DIGITS, kind=Kind.DATASET)], uses=[made, replace(made, job_id="3", role=UseRole.READ)]))

    def names(**query: Any) -> list[str]:
        return [model.name for model in bench.do(bench.store.models(ModelQuery(**query)))]

    assert names() == ["other", DIGITS.name]
    assert names(kind=Kind.DATASET) == [DIGITS.name]
    assert names(text="DIGIT") == [DIGITS.name]
    assert names(text="x_y") == names(text="x%y") == ["other"]
    assert names(text="igit") == []
    assert names(format="onnx") == [DIGITS.name]
    assert names(format="gguf") == []
    assert names(metrics=(("accuracy", ">", 0.9),), labels={"team": "a"}) == [DIGITS.name]
    assert names(metrics=(("accuracy", ">", 0.9),), labels={"team": "b"}) == []
    assert names(metrics=(("accuracy", "<=", 0.5),), author="bob") == [DIGITS.name]
    assert names(job_id="2") == [DIGITS.name]
    assert names(job_id="2", labels={"team": "b"}) == []
    assert names(job_id="1") == []  # as the version says: it may come from another machine
    assert names(job_id="3") == []


def test_the_version_that_is_found_is_the_latest_where_it_fits(bench: Bench) -> None:
    one, two, three = (version(n, metrics={"accuracy": accuracy}, labels={}) for n, accuracy in ((1, 0.95), (2, 0.97), (3, 0.5)))
    bench.commit(changes(one, two, three))

    def found(latest: Version, bound: float) -> str:
        query = ModelQuery(metrics=(("accuracy", ">", bound),))
        return bench.do(bench.store.matching(query, {DIGITS.name: latest.id, "none": one.id})).get(DIGITS.name, "")

    assert found(three, 0.1) == three.id
    assert found(three, 0.9) == two.id  # the newest of two that fit
    assert found(one, 0.9) == one.id
    assert found(three, 0.99) == ""


def test_states_change_and_are_found(bench: Bench) -> None:
    one, two = chain(2)
    bench.commit(changes(one, two))
    bad = replace(one, state=VersionState.DAMAGED, reasons=("chunk é", "b"))
    bench.commit(ModelChanges(states=[bad]))
    assert bench.do(bench.store.in_state(VersionState.DAMAGED)) == [bad]
    assert bench.do(bench.store.in_state(VersionState.REGISTERED)) == [two]
    assert sorted(one.number for one in bench.do(bench.store.versions_with(MANIFEST.digest))) == [1, 2]
    assert not bench.do(bench.store.versions_with("0" * 64))


def test_a_model_goes_with_all_that_is_its_own(bench: Bench) -> None:
    one, again = version(1), replace(version(1), model="copy")
    copy = replace(DIGITS, name="copy")
    bench.commit(changes(one, again, models=[DIGITS, copy], references=[to("main", one.id, "")], requests=[_request(one)]))
    bench.commit(ModelChanges(gone_models=[(Kind.MODEL, DIGITS.name)]))
    store = bench.store
    assert bench.do(store.model(Kind.MODEL, DIGITS.name)) is None
    assert bench.do(store.references(Kind.MODEL, DIGITS.name)) == []
    assert bench.do(store.moves(Kind.MODEL, DIGITS.name, "", 0, 9)) == []
    assert bench.do(store.registered(7, "k")) is None
    assert bench.do(store.version(Kind.MODEL, "copy", one.id)) == again  # the same version elsewhere stays, and is still found by what it says
    assert [model.name for model in bench.do(store.models(ModelQuery(labels={"team": "vision"})))] == ["copy"]


def test_a_manifest_goes_only_when_no_version_has_it(bench: Bench) -> None:
    one = version()
    bench.commit(changes(one))
    bench.commit(ModelChanges(gone_manifests=[MANIFEST.digest]))
    assert bench.do(bench.store.manifest_digests()) == [MANIFEST.digest]
    bench.commit(ModelChanges(gone_versions=[(Kind.MODEL, DIGITS.name, one.id)]))
    bench.commit(ModelChanges(gone_manifests=[MANIFEST.digest]))
    assert bench.do(bench.store.manifest(MANIFEST.digest)) is None


def test_chunks_are_remembered_with_the_version(bench: Bench) -> None:
    bench.commit(changes(version(), chunks=[Stored("c" * 64, 3, "pack", 0, 3, "raw"), Stored("e" * 64, 4, "pack", 3, 2, "zstd")]))
    assert bench.do(bench.store.stored_bytes()) == 5


def test_very_many_chunks_are_all_remembered_and_a_conflict_keeps_the_version_out(bench: Bench) -> None:
    many = [Stored(f"{at:064x}", 1, "pack", at, 1, "raw") for at in range(2500)]
    lost = version(2)
    with pytest.raises(Conflict):
        bench.commit(changes(lost, chunks=many, references=[to("main", lost.id, expected="f" * 64)]))
    assert bench.do(bench.store.version(Kind.MODEL, DIGITS.name, lost.id)) is None
    bench.commit(changes(version(), chunks=many))
    assert bench.do(bench.store.stored_bytes()) == len(many)


def _request(made: Version, key: str = "k", at_s: float = 1.0) -> Registered:
    return Registered(7, key, Kind.MODEL, made.model, made.id, at_s)


def test_a_key_is_remembered_by_its_user(bench: Bench) -> None:
    one = version()
    bench.commit(changes(one, requests=[_request(one)]))
    assert bench.do(bench.store.registered(7, "k")) == _request(one)
    assert bench.do(bench.store.registered(8, "k")) is None


def test_old_keys_are_forgotten(database: Bench) -> None:
    one, two = chain(2)
    database.commit(changes(one, requests=[_request(one)]))
    database.commit(changes(two, requests=[_request(two, "new", at_s=1e6)]))
    assert database.do(database.store.registered(7, "k")) is None
    assert database.do(database.store.registered(7, "new")) is not None


def _damage(bench: Bench, statement: str) -> None:
    assert bench.journal is not None
    bench.do(bench.journal.write(lambda tx: tx.execute(text(statement))))


def test_a_row_that_is_not_what_its_id_was_made_from_is_loud(database: Bench) -> None:
    one, two = chain(2)
    database.commit(changes(one, two))
    body = one.commit.encode().replace(b'"accuracy":0.91', b'"accuracy":0.99')
    assert body != one.commit.encode()
    assert database.journal is not None
    update = text("UPDATE model_version SET commit_body = :body WHERE id = :id").bindparams(body=body, id=one.id)
    database.do(database.journal.write(lambda tx: tx.execute(update)))
    with pytest.raises(StorageCorrupt, match="does not match its id"):
        database.do(database.store.version(Kind.MODEL, DIGITS.name, one.id))
    assert database.do(database.store.version(Kind.MODEL, DIGITS.name, two.id)) == two
    with pytest.raises(StorageCorrupt):
        database.do(database.store.versions(Kind.MODEL, DIGITS.name, 0, 9))
    assert list(database.do(database.store.versions_with(MANIFEST.digest))) == [two]  # who looks after them goes on with the others
    assert list(database.do(database.store.in_state(VersionState.REGISTERED))) == [two]


@pytest.mark.parametrize("body", [b"", b"not zstd"])
def test_a_damaged_manifest_is_loud(database: Bench, body: bytes) -> None:
    database.commit(changes(version()))
    assert database.journal is not None
    update = text("UPDATE manifest SET body = :body").bindparams(body=body)
    database.do(database.journal.write(lambda tx: tx.execute(update)))
    with pytest.raises(StorageCorrupt, match="list of files"):
        database.do(database.store.manifest(MANIFEST.digest))


def test_a_bit_that_flips_in_a_manifest_is_loud(database: Bench) -> None:
    import zstandard

    database.commit(changes(version()))
    assert database.journal is not None
    data = MANIFEST.encode().replace(b"model.onnx", b"model.onny")
    update = text("UPDATE manifest SET body = :body").bindparams(body=zstandard.compress(data))
    database.do(database.journal.write(lambda tx: tx.execute(update)))
    with pytest.raises(StorageCorrupt, match="does not match its digest"):
        database.do(database.store.manifest(MANIFEST.digest))


@pytest.mark.parametrize("column", ["state", "reasons", "parents", "manifest", "author", "format", "job_id"])
def test_what_was_found_out_of_a_version_is_checked_too(database: Bench, column: str) -> None:
    database.commit(changes(version()))
    _damage(database, f"UPDATE model_version SET {column} = 'nonsense'")
    with pytest.raises(StorageCorrupt):
        database.do(database.store.version(Kind.MODEL, DIGITS.name, version().id))


def test_a_damaged_model_is_loud(database: Bench) -> None:
    database.commit(changes(version()))
    _damage(database, "UPDATE model SET body = '{\"name\": 7}'")
    with pytest.raises(StorageCorrupt):
        database.do(database.store.model(Kind.MODEL, DIGITS.name))


def _url(database: Bench) -> str:
    assert database.journal is not None
    return database.journal._url


def test_the_check_of_the_database_finds_what_is_wrong_with_models(database: Bench) -> None:
    from aiosd.storage.check import check_database

    one, two = chain(2)
    database.commit(changes(one, two, references=[to("main", two.id)]))
    assert check_database(_url(database)) == []
    for statement in (
        "UPDATE model SET body = '{}'",
        f"UPDATE model_version SET author = author, commit_body = manifest.body FROM manifest WHERE id = '{one.id}'",
        "UPDATE model_reference SET version = 'gone'",
        "UPDATE manifest SET digest = 'other'",
    ):
        _damage(database, statement)
    found = {finding.subject for finding in check_database(_url(database))}
    assert found == {f"model {DIGITS.name}", f"version {DIGITS.name}@{one.id[:12]}", f"version {DIGITS.name}@{two.id[:12]}", "manifest other",
                     f"reference {DIGITS.name}:main"}  # fmt: skip


def test_what_jobs_read_and_make_is_kept_also_when_it_has_gone(bench: Bench) -> None:
    one = version()
    bench.commit(changes(one))

    def use(job_id: str, role: UseRole, id_: str, at_s: float) -> Use:
        return Use(job_id, role, Kind.MODEL, DIGITS.name, id_, at_s)

    read, made, other = use("42", UseRole.READ, one.id, 2.0), use("42", UseRole.MADE, "b" * 64, 3.0), use("7.1", UseRole.MADE, "c" * 64, 9.0)
    before = use("42", UseRole.MADE, "d" * 64, 1.0)
    bench.commit(ModelChanges(uses=[read, made, other, before]))
    bench.commit(ModelChanges(uses=[replace(read, at_s=8.0)]))  # read again: what counts is the first time
    assert bench.do(bench.store.uses(["42"])) == [before, read, made]
    assert bench.do(bench.store.uses(["7.1", "8"])) == [other]
    assert bench.do(bench.store.uses([])) == []
    assert bench.do(bench.store.made_from(one.id)) == [made]  # not what it had made before it read this, nor what others have made
    bench.commit(ModelChanges(gone_versions=[(Kind.MODEL, DIGITS.name, one.id)]))
    assert bench.do(bench.store.uses(["42"])) == [before, read, made]


def _content(*digests: str) -> Manifest:
    return Manifest((FileEntry("m", 1, "f" * 64, tuple(Chunk(digest, 1) for digest in digests)),))


def test_what_a_version_brought_counts_for_whoever_still_needs_it(database: Bench) -> None:
    """Or a quota would be stretched by removing what came first: chunks of both, parts of a whole file, what a difference is to."""
    whole, part, both, base, delta, own = (letter * 64 for letter in "123456")
    manifests = [_content(whole, both, base, own), _content(part, both, delta), _content("7" * 64)]
    made = [replace(version(n, manifest=each.digest), stored_bytes=stored) for n, each, stored in zip((1, 2, 3), manifests, (1111, 5, 7), strict=True)]
    database.commit(ModelChanges(
        models=[DIGITS], versions=[(one, one.commit.encode()) for one in made], manifests={each.digest: each.encode() for each in manifests},
        chunks=[Stored(whole, 9000, f"whole/{whole}", 0, 1000, "raw"), Stored(part, 1, f"whole/{whole}", 0, 700, "raw"), Stored(both, 1, "pack/a", 0, 10, "raw"),
                Stored(base, 1, "pack/a", 10, 100, "raw"), Stored(delta, 1, "pack/b", 0, 5, "delta", base), Stored(own, 1, "pack/a", 110, 1, "raw")],
    ))  # fmt: skip

    def counted() -> dict[int, int]:
        return {one.number: one.stored_bytes for one in database.do(database.store.versions(Kind.MODEL, DIGITS.name, 0, 9))}

    database.commit(ModelChanges(gone_versions=[(Kind.MODEL, DIGITS.name, made[0].id)]))
    assert counted() == {2: 5 + 700 + 10 + 100, 3: 7}
    database.commit(ModelChanges(gone_versions=[(Kind.MODEL, DIGITS.name, made[1].id)]))
    assert counted() == {3: 7}  # which needs nothing of it
    _damage(database, "UPDATE manifest SET body = commit_body FROM model_version")
    database.commit(ModelChanges(gone_versions=[(Kind.MODEL, DIGITS.name, made[2].id)]))
    assert counted() == {}


def test_the_first_of_many_versions_hands_over_to_the_next_until_the_last(database: Bench) -> None:
    made = chain(4)
    database.commit(changes(*[replace(one, stored_bytes=50 if one.number == 1 else 0) for one in made], chunks=[Stored("c" * 64, 3, "pack", 0, 40, "raw")]))
    database.commit(ModelChanges(gone_versions=[(Kind.MODEL, DIGITS.name, one.id) for one in made[:3]]))
    (left,) = database.do(database.store.versions(Kind.MODEL, DIGITS.name, 0, 9))
    assert (left.number, left.stored_bytes) == (4, 40)

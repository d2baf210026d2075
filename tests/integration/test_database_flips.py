"""One bit flips in a row of the database: it is never another model that is read, and no collection of garbage takes what is needed."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiosd import upkeep
from aiosd.access.principal import Principal, Role
from aiosd.errors import AiosError, StorageCorrupt
from aiosd.models.model import DamagedModel, RefKind
from aiosd.models.move_service import Wish
from aiosd.models.permits import Caller
from aiosd.models.ports import ModelQuery
from aiosd.models.settings import ModelChange
from aiosd.models.version import Kind
from tests.integration.keeping import read_file, safetensors
from tests.integration.storing import ME, Place, Store, a_place

CONTENTS = {"digits~1": b"1" * 5000, "digits": b"2" * 5000, "digits:prod": b"1" * 5000, "digits:v2": b"2" * 5000}
COLUMNS = {
    "model": ("kind", "name", "owner_uid", "body"),
    "model_version": (
        "kind", "model", "number", "id", "parents", "manifest", "author", "created_at_s", "format", "size", "files", "stored_bytes", "state", "reasons",
        "commit_body",
    ),
    "model_reference": ("kind", "model", "name", "of", "version", "moved_by"),
    "model_move": ("kind", "model", "reference", "of", "source", "target", "who"),
    "manifest": ("digest", "body"),
    "chunk": ("digest", "size", "place", "offset", "stored_size", "encoding", "base"),
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model of two versions, where whatever loses its reference is garbage at once."""
    directory = tmp_path_factory.mktemp("filled")

    async def register(store: Store) -> None:
        for at in (1, 2):
            (directory / "m").write_bytes(str(at).encode() * 5000)
            await store.register(directory / "m", metrics={"accuracy": at / 10})
        await store.moves.move(Wish(kind=Kind.MODEL, model="digits", name="prod", of=RefKind.ALIAS, to="main~1"), ME)
        await store.moves.move(Wish(kind=Kind.MODEL, model="digits", name="v2", of=RefKind.TAG, to="main"), ME)
        await store.moves.set(Kind.MODEL, "digits", ModelChange(keep_for_s=0.0, keep_last=0), ME)

    with a_place(directory / "state") as made:
        made.use(register)
        yield made.state


def flipped(value: Any) -> Any:
    """Another bit in the middle of it."""
    if isinstance(value, bytes):
        middle = len(value) // 2
        return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
    if isinstance(value, str):
        return flipped(value.encode() or b"@").decode()
    return value + 1.0 if isinstance(value, float) else value ^ 1


async def readings(store: Store) -> dict[str, bytes | AiosError]:
    found: dict[str, bytes | AiosError] = {}
    for ref in CONTENTS:
        try:
            manifest = await store.care.reader.manifest((await store.care.reader.find(Kind.MODEL, ref, ME)).version)
            found[ref] = await read_file(store.vault, manifest, "m")
        except AiosError as error:
            found[ref] = error
    return found


@pytest.mark.parametrize(("table", "column"), [(table, column) for table, columns in COLUMNS.items() for column in columns])
def test_a_bit_that_flips_is_an_error_or_changes_nothing_that_is_read(filled: Path, tmp_path: Path, table: str, column: str) -> None:
    shutil.copytree(filled, tmp_path / "state")
    with a_place(tmp_path / "state") as place:
        sound = (place.state / "aiosd.db").read_bytes()
        key = "digest" if table == "chunk" else "rowid"
        row, value = place.sql(f'SELECT {key}, "{column}" FROM {table} ORDER BY 1 LIMIT 1')[0]
        place.sql(f'UPDATE {table} SET "{column}" = ? WHERE {key} = ?', flipped(value), row)

        async def story(store: Store) -> None:
            for ref, data in (await readings(store)).items():
                assert isinstance(data, AiosError) or data == CONTENTS[ref], ref
            try:
                await store.collect()
            except AiosError as error:
                assert "admin check" in error.hint or "backup" in error.hint, error.hint

        place.use(story)
        told = upkeep.check_offline(place.config, False).findings
        assert told or (table, column) in UNSEEN
        for ending in ("-wal", "-shm"):
            (place.state / f"aiosd.db{ending}").unlink(missing_ok=True)
        (place.state / "aiosd.db").write_bytes(sound)
        assert place.use(readings) == CONTENTS  # nothing that was needed has gone


UNSEEN = {  # in the middle of a model's body is a number, or a name, as the clock has it
    ("model", "body"), ("model_version", "number"), ("model_version", "size"), ("model_version", "files"), ("model_version", "stored_bytes"),
    ("model_version", "reasons"), ("model_reference", "moved_by"), ("model_move", "who"),
}  # fmt: skip


@pytest.mark.parametrize("change", ["version = 'a' || substr(version, 2)", "name = name || 'x'", "of = 'tag'", "model = 'other'"])
def test_references_are_led_back_to_where_their_moves_led_them(filled: Path, tmp_path: Path, change: str) -> None:
    shutil.copytree(filled, tmp_path / "state")
    with a_place(tmp_path / "state") as place:
        place.sql(f"UPDATE model_reference SET {change} WHERE name = 'prod'")
        assert upkeep.check_offline(place.config, False).findings
        upkeep.check_offline(place.config, True)
        assert not upkeep.check_offline(place.config, False).findings
        assert place.use(readings) == CONTENTS
        assert {each.name: each.kind for each in place.use(lambda store: store.care.store.references(Kind.MODEL, "digits"))}["prod"] is RefKind.ALIAS


def flip(place: Place, table: str, column: str, where: str) -> None:
    ((row, value),) = place.sql(f'SELECT rowid, "{column}" FROM {table} WHERE {where}')
    place.sql(f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', flipped(value), row)


@pytest.fixture(scope="module")
def several(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two models and two datasets."""
    directory = tmp_path_factory.mktemp("several")
    shutil.copytree(filled, directory / "state")

    async def register(store: Store) -> None:
        (directory / "m").write_bytes(b"3" * 100)
        for name, kind in (("letters", Kind.MODEL), ("moons", Kind.DATASET), ("stars", Kind.DATASET)):
            await store.register(directory / "m", name, kind=kind)

    with a_place(directory / "state") as place:
        place.use(register)
        yield place.state


@pytest.fixture
def damaged(several: Path, tmp_path: Path) -> Iterator[Place]:
    """Of which a test damages what it likes."""
    shutil.copytree(several, tmp_path / "state")
    with a_place(tmp_path / "state") as place:
        yield place


async def listed(store: Store, **query: Any) -> dict[str, str]:
    """What each is said to be: damaged itself, or as its latest version is."""
    views, _ = await store.care.reader.list(ModelQuery(**query), ME, "", 0)
    return {view.model.name: "damaged itself" if isinstance(view.model, DamagedModel) else view.latest.state if view.latest else "-" for view in views}


@pytest.mark.parametrize("column", ["commit_body", "state", "reasons", "author"])
def test_a_damaged_version_hides_nothing_else(damaged: Place, column: str) -> None:
    """It is in the list, and in the log of its model, as what is left of it; whoever asks for itself is told."""
    newest, oldest = [id_ for (id_,) in damaged.sql("SELECT id FROM model_version WHERE model = 'digits' ORDER BY number DESC")]
    if column == "reasons":
        damaged.sql("UPDATE model_version SET reasons = ? WHERE id = ?", '["flagged" ', newest)
    else:
        flip(damaged, "model_version", column, f"id = '{newest}'")

    async def story(store: Store) -> None:
        assert await listed(store) == {"digits": "damaged", "letters": "registered"}
        reader = store.care.reader
        for ref, everything in (("digits", False), ("digits:main", False), ("digits", True)):
            views, _ = await reader.log(Kind.MODEL, ref, ME, 0, 0, everything=everything)
            assert [(view.version.id, view.version.number, view.version.state) for view in views] == [(newest, 2, "damaged"), (oldest, 1, "registered")]
        assert views[0].references == ["main", "v2"]
        assert views[0].version.commit.parents == (oldest,)
        assert "record in the database is damaged" in views[0].version.reasons[0]
        assert (await reader.show(Kind.MODEL, "digits:prod", ME)).version.id == oldest
        assert (await reader.show(Kind.MODEL, "digits~1", ME)).version.id == oldest
        for asked in (reader.show(Kind.MODEL, "digits", ME), reader.view(Kind.MODEL, "digits", ME)):
            with pytest.raises(StorageCorrupt, match=f"the record of version digits@{newest[:12]}"):
                await asked
        await store.collect()

    damaged.use(story)
    assert damaged.sql("SELECT count(*) FROM model_version") == [(5,)]


@pytest.mark.parametrize("change", ["body = substr(body, 2)", "owner_uid = owner_uid + 1", "body = replace(body, 'digits', 'digitt')"])
def test_a_damaged_model_hides_nothing_else_and_loses_nothing(damaged: Place, change: str) -> None:
    damaged.sql("UPDATE model_version SET state = 'flagged' WHERE model = 'letters'")
    damaged.sql("DELETE FROM model_reference WHERE model = 'digits'")  # so that by no rule anything of it would stay
    damaged.sql("DELETE FROM model_move WHERE model = 'digits'")
    damaged.sql(f"UPDATE model SET {change} WHERE name = 'digits'")

    async def story(store: Store) -> None:
        reader = store.care.reader
        assert await listed(store) == {"digits": "damaged itself", "letters": "flagged"}
        assert await listed(store, author=ME.name) == {"digits": "damaged itself", "letters": "flagged"}
        views, _ = await reader.list(ModelQuery(), ME, "", 0)
        assert (views[0].summary.versions, views[0].latest is not None) == (2, True)
        other = Caller(Principal(ME.principal.uid + 7, 0, "eve", Role.USER), frozenset)
        assert not (await reader.list(ModelQuery(), other, "", 0))[0]
        with pytest.raises(StorageCorrupt, match="what is kept of model digits cannot be read"):
            await reader.view(Kind.MODEL, "digits", ME)
        collected = await store.collect()
        assert not collected.removed
        assert any(why.startswith("digits: 2 versions by what is damaged") for why in collected.kept_because)
        assert {user.user for user in (await store.care.usage(ME)).users} >= {ME.name}

    damaged.use(story)
    assert damaged.sql("SELECT count(*) FROM model_version WHERE model = 'digits'") == [(2,)]
    assert upkeep.check_offline(damaged.config, False).findings


def test_a_damaged_dataset_and_a_damaged_reference_hide_no_other(damaged: Place) -> None:
    flip(damaged, "model", "body", "name = 'moons'")
    damaged.sql("UPDATE model SET body = substr(body, 2) WHERE name = 'moons'")
    flip(damaged, "model_reference", "of", "model = 'digits' AND name = 'prod'")

    async def story(store: Store) -> None:
        assert await listed(store, kind=Kind.DATASET) == {"moons": "damaged itself", "stars": "registered"}
        assert await listed(store) == {"digits": "registered", "letters": "registered"}
        assert await listed(store, text="stars", kind=Kind.DATASET) == {"stars": "registered"}
        assert await listed(store, text="moons", kind=Kind.DATASET) == {"moons": "damaged itself"}

    damaged.use(story)


def test_damaged_names_of_tensors_hide_no_other_from_a_search(damaged: Place, tmp_path: Path) -> None:
    for at, name in enumerate(("a.weight", "b.weight")):
        (tmp_path / "m.safetensors").write_bytes(safetensors({name: bytes(40)}))
        damaged.use(lambda store, at=at: store.register(tmp_path / "m.safetensors", f"net{at}"))
    flip(damaged, "tensor_names", "body", "rowid = 1")
    assert len(damaged.use(lambda store: listed(store, tensor="*.weight"))) == 1


def test_a_page_of_the_file_that_flips_is_told_and_nothing_is_collected(damaged: Place) -> None:
    """As a disk does it: a bit within the record of a model, in the file itself."""
    path = damaged.state / "aiosd.db"
    damaged.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    at = data.index(b'"name":"letters"')
    data[at] ^= 4
    path.write_bytes(data)

    async def story(store: Store) -> None:
        assert await listed(store) == {"digits": "registered", "letters": "damaged itself"}
        assert not (await store.collect()).removed

    damaged.use(story)
    assert damaged.use(readings) == CONTENTS

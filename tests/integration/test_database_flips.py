"""One bit flips in a row of the database: it is never another model that is read, and no collection of garbage takes what is needed."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiosd import upkeep
from aiosd.errors import AiosError, StorageCorrupt
from aiosd.models.model import RefKind
from aiosd.models.move_service import Wish
from aiosd.models.ports import ModelQuery
from aiosd.models.settings import ModelChange
from aiosd.models.version import Kind
from tests.integration.keeping import read_file
from tests.integration.storing import ME, Store, a_place

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
    ("model", "owner_uid"), ("model", "body"), ("model_version", "number"), ("model_version", "size"), ("model_version", "files"), ("model_version", "stored_bytes"),
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


def test_a_damaged_version_hides_no_model_from_the_list(filled: Path, tmp_path: Path) -> None:
    shutil.copytree(filled, tmp_path / "state")
    with a_place(tmp_path / "state") as place:
        (tmp_path / "m").write_bytes(b"3" * 100)
        place.use(lambda store: store.register(tmp_path / "m", "letters"))
        place.sql("UPDATE model_version SET commit_body = ? WHERE model = 'digits'", b"{}")

        async def listed(store: Store) -> dict[str, bool]:
            views, _ = await store.care.reader.list(ModelQuery(), ME, "", 0)
            with pytest.raises(StorageCorrupt, match="does not match its id"):
                await store.care.reader.view(Kind.MODEL, "digits", ME)
            return {view.model.name: view.latest is not None for view in views}

        assert place.use(listed) == {"digits": False, "letters": True}

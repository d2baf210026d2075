"""The store of models in backups, and compared with its index: what is there comes back whole, and what is lost is said."""

import asyncio
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from aiosd import upkeep
from aiosd.config import Config, DaemonConfig, ModelsConfig
from aiosd.errors import ConfigError, DataLoss, FailedPrecondition, NotFound, StorageCorrupt, Unavailable
from aiosd.findings import Finding
from aiosd.models.version import Kind
from tests.integration.keeping import read_file, safetensors
from tests.integration.storing import ME, MIB, Place, Store, a_place, flip

CHANCE = random.Random(11)
TENSORS = {f"layer.{at}": CHANCE.randbytes(MIB) for at in range(3)}
TUNED = safetensors({name: data[:1000][::-1] + data[1000:] for name, data in TENSORS.items()})
WHOLE = CHANCE.randbytes(2 * MIB)
CONTENTS = {"digits~1": safetensors(TENSORS), "digits:v2": TUNED, "whole": WHOLE}  # digits:v2 is a difference to the one before


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state directory that nobody changes, and the files beside it."""
    directory = tmp_path_factory.mktemp("filled")
    for name, data in (("1", CONTENTS["digits~1"]), ("2", TUNED)):
        (directory / f"{name}.safetensors").write_bytes(data)
    (directory / "whole.bin").write_bytes(WHOLE)
    (directory / "many").mkdir()
    for at in range(5):
        (directory / "many" / f"{at}").write_bytes(f"{at}".encode() * 10_000)

    async def register(store: Store) -> None:
        await store.register(directory / "1.safetensors")
        await store.register(directory / "2.safetensors", tags=["v2"])
        await store.register(directory / "whole.bin", "whole")
        await store.register(directory / "many", "many")

    with a_place(directory / "state") as made:
        made.use(register)
        yield directory


@pytest.fixture
def place(filled: Path, tmp_path: Path) -> Iterator[Place]:
    shutil.copytree(filled / "state", tmp_path / "state")
    with a_place(tmp_path / "state") as made:
        yield made


def check_whole(place: Place) -> None:
    async def look(store: Store) -> None:
        assert not (await store.verify()).damaged
        for ref, data in CONTENTS.items():
            assert (await store.checkout(ref)).read_bytes() == data
        assert (await store.checkout("many") / "3").read_bytes() == b"3" * 10_000

    place.use(look)


def elsewhere(path: Path) -> Config:
    return Config(daemon=DaemonConfig(state_directory=str(path), runtime_directory=str(path / "run")))


def files_below(path: Path) -> dict[str, Path]:
    return {str(one.relative_to(path)): one for one in path.rglob("*") if one.is_file()}


def problems(place: Place, *, repair: bool = False) -> list[Finding]:
    return list(upkeep.check_offline(place.config, repair).findings)


# Backups


def test_all_versions_come_back_from_a_backup_and_the_next_one_takes_no_more_room(place: Place, tmp_path: Path) -> None:
    first = upkeep.write_backup(place.config, str(tmp_path / "1.tar.gz"))
    assert first.models_bytes == first.models_new_bytes > 5 * MIB
    (tmp_path / "more").write_bytes(b"more" * 100)
    place.use(lambda store: store.register(tmp_path / "more", "more"))
    second = upkeep.write_backup(place.config, str(tmp_path / "2.tar.gz"))
    assert 0 < second.models_new_bytes < 1000
    assert second.models_lost == 0
    one, two = files_below(tmp_path / "1.tar.gz.models"), files_below(tmp_path / "2.tar.gz.models")
    assert all(two[name].samefile(path) for name, path in one.items())
    assert len(two) == len(one) + 1
    assert not any(path.samefile(place.state / "models" / name) for name, path in one.items())  # damage there is no damage here
    shutil.rmtree(tmp_path / "1.tar.gz.models")
    restored = elsewhere(tmp_path / "other")
    upkeep.restore(restored, str(tmp_path / "2.tar.gz"), force=False)
    check_whole(Place(restored))
    assert not problems(Place(restored))
    with pytest.raises(FailedPrecondition, match="not empty"):
        upkeep.restore(restored, str(tmp_path / "2.tar.gz"), force=False)
    upkeep.restore(restored, str(tmp_path / "2.tar.gz"), force=True)
    check_whole(Place(restored))
    assert list((tmp_path / "other").glob("before-restore-*-models/whole"))


def test_a_damaged_backup_changes_nothing_and_models_can_be_left_out(place: Place, tmp_path: Path) -> None:
    upkeep.write_backup(place.config, str(tmp_path / "b.tar.gz"))
    flip(next(path for name, path in files_below(tmp_path / "b.tar.gz.models").items() if name.startswith("whole")), 1000)
    restored = Place(elsewhere(tmp_path / "other"))
    with pytest.raises(StorageCorrupt, match=r"chunks of the models .* are damaged"):
        upkeep.restore(restored.config, str(tmp_path / "b.tar.gz"), force=False)
    assert {path.name for path in restored.state.iterdir()} <= {"aiosd.pid"}
    shutil.rmtree(tmp_path / "b.tar.gz.models")
    with pytest.raises(NotFound, match=r"b.tar.gz.models"):
        upkeep.restore(restored.config, str(tmp_path / "b.tar.gz"), force=False)
    upkeep.restore(restored.config, str(tmp_path / "b.tar.gz"), force=False, models=False)
    lost = {one.subject.partition("@")[0] for one in problems(restored, repair=True) if not one.repaired}
    assert lost == {"version digits", "version whole", "version many"}
    with pytest.raises(FailedPrecondition, match="is damaged"):
        restored.use(lambda store: store.checkout("whole"))
    shutil.copytree(place.state / "models", restored.state / "models", dirs_exist_ok=True)  # somebody finds the files again
    assert all(one.repaired for one in problems(restored, repair=True))
    restored.use(lambda store: store.verify())
    check_whole(restored)


def test_a_backup_knows_its_key(tmp_path: Path) -> None:
    """Else a store that comes back would take the next key for its own, and all that lies there for damaged."""
    (tmp_path / "file").write_bytes(b"secret" * 1000)
    keys = {name: tmp_path / name for name in ("right", "wrong")}
    for at, key in enumerate(keys.values()):
        key.write_text(f"{at}f" * 32)
        key.chmod(0o600)
    with a_place(tmp_path / "state", encryption_key_file=str(keys["right"])) as place:
        place.use(lambda store: store.register(tmp_path / "file", "whole"))
        upkeep.write_backup(place.config, str(tmp_path / "b.tar.gz"))
    with a_place(tmp_path / "taken", encryption_key_file=str(keys["wrong"])) as other:
        with pytest.raises(ConfigError, match=r"is not the one .*b.tar.gz.models is encrypted with"):
            upkeep.restore(other.config, str(tmp_path / "b.tar.gz"), force=True)
        other.use(lambda store: store.verify())  # its own store has another key
        right = structs.replace(other.config, models=ModelsConfig(encryption_key_file=str(keys["right"])))
        upkeep.restore(right, str(tmp_path / "b.tar.gz"), force=True)
        assert Place(right).use(lambda store: store.checkout("whole")).read_bytes() == b"secret" * 1000
        with pytest.raises(ConfigError, match="is not the one"):
            other.use(lambda store: store.verify())


def test_nothing_is_left_of_a_backup_that_is_given_up(place: Place, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    asked = iter(range(1000))
    with pytest.raises(Unavailable, match="given up"):
        upkeep.write_backup(place.config, str(tmp_path / "b.tar.gz"), lambda: next(asked) > 2)  # among the files of the store
    assert next(asked) > 3
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_no_sweep_runs_while_it_is_copied(place: Place, tmp_path: Path) -> None:

    async def story(store: Store) -> None:
        care = upkeep.Upkeep(place.config, list, 0.01, still=store.vault.still)
        await store.moves.remove(Kind.MODEL, "whole", ME, force=True)
        async with store.vault.still():
            backup = asyncio.create_task(care.backup(str(tmp_path / "b.tar.gz")))
            sweeping = asyncio.create_task(store.collect())
            await asyncio.sleep(0.1)
            assert not backup.done()
            assert not sweeping.done()
        done, _ = await asyncio.gather(backup, sweeping)
        assert done.models_lost == 0

    place.use(story)


# The index


def test_an_index_that_is_lost_is_made_anew_from_the_files(place: Place, tmp_path: Path) -> None:
    assert not problems(place)
    rows = place.sql("SELECT digest FROM chunk")
    place.sql("DELETE FROM chunk")
    assert {one.subject.partition("@")[0] for one in problems(place)} == {"version digits", "version whole", "version many"}
    with pytest.raises(Exception, match="not in the store"):
        place.use(lambda store: store.checkout("digits:v2"))
    (found,) = problems(place, repair=True)
    assert found.repaired
    assert "index of chunks" in found.subject
    assert not problems(place)
    check_whole(place)
    assert len(place.sql("SELECT digest FROM chunk")) <= len(rows)  # parts of whole files that no version names are not missed


def test_a_part_of_a_whole_file_is_found_where_it_is(place: Place, tmp_path: Path) -> None:
    changed = WHOLE[:-100] + bytes(100)
    (tmp_path / "whole.bin").write_bytes(changed)
    place.use(lambda store: store.register(tmp_path / "whole.bin", "whole", tags=["changed"]))
    place.sql("DELETE FROM chunk WHERE place LIKE 'whole/%'")
    assert all(one.repaired for one in problems(place, repair=True))
    assert place.use(lambda store: store.checkout("whole:changed")).read_bytes() == changed


def test_a_file_that_is_gone_is_said_and_heals(place: Place, filled: Path) -> None:
    gone = whole_file(place)
    gone.unlink()
    shutil.rmtree(place.state / "models/checkouts/0", ignore_errors=True)
    (found,) = problems(place)
    assert gone.name in found.subject
    assert not found.repaired
    found, lost = problems(place, repair=True)
    assert (found.repaired, lost.repaired) == (True, False)
    assert lost.subject.startswith("version whole@")
    with pytest.raises(FailedPrecondition, match="is damaged"):
        place.use(lambda store: store.checkout("whole"))
    place.use(lambda store: store.register(filled / "whole.bin", "whole"))
    assert not problems(place)
    check_whole(place)


def whole_file(place: Place) -> Path:
    return next(path for path in (place.state / "models/whole").glob("*/*") if path.stat().st_size == len(WHOLE))


@pytest.mark.parametrize(
    "change",
    [
        "offset = offset + 4", "offset = -1", "offset = 1 << 40", "stored_size = stored_size - 1", "stored_size = 1 << 60",
        "encoding = 'rax'", "encoding = 'zstd'", "place = 'pack/' || substr(place, 7)", "place = 'pack/../../x'", "place = place || 'x'", "base = digest",
        "digest = substr(digest, 1, 63) || 'x'",
    ],
)  # fmt: skip
def test_what_flips_in_the_index_is_never_served_and_is_put_right(place: Place, tmp_path: Path, change: str) -> None:
    place.sql(f"UPDATE chunk SET {change} WHERE stored_size > 5000")
    assert not any(read(place).values())
    assert all(one.repaired for one in problems(place, repair=True)), problems(place)
    assert not problems(place)
    assert all(read(place).values())


def read(place: Place) -> dict[str, bool]:
    """Whether each reads as it is to; False: it is said to be damaged. Anything else is an error."""

    async def each(store: Store) -> dict[str, bool]:
        found: dict[str, bool] = {}
        for ref, data in CONTENTS.items():
            manifest = await store.care.reader.manifest((await store.care.reader.find(Kind.MODEL, ref, ME)).version)
            try:
                assert await read_file(store.vault, manifest, manifest.files[0].path) == data
                found[ref] = True
            except DataLoss:
                found[ref] = False
        return found

    return place.use(each)

"""Opening a database: a new one, an old one, a newer one, a foreign one, a damaged one, one that cannot be written."""

import hashlib
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.errors import AiosError, ConfigError, FailedPrecondition, NotFound, StorageCorrupt, StorageUnwritable
from aiosd.jobs.ports import Changes
from aiosd.storage import database, migrations, schema, sqlite
from aiosd.storage.check import check_database
from aiosd.storage.database import Migrations, describe_url, open_database
from aiosd.storage.journal import SqlJournal
from tests.unit.storage.conftest import Store
from tests.unit.storage.samples import PLAIN, ended, environment, live


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refusal(store: Store, kind: type[AiosError]) -> AiosError:
    with pytest.raises(kind) as caught:
        store.use(lambda journal: journal.load())
    assert str(store.path) in str(caught.value)
    assert caught.value.hint
    return caught.value


def fill(store: Store, rows: int = 200) -> None:
    specs = [replace(PLAIN, script=f"{n} " * 300, environment=environment(N=str(n))) for n in range(rows)]
    store.commit(saved=[live(n, spec=specs[n]) for n in range(1, rows)], ended=[ended(rows + n, spec=specs[n]) for n in range(1, rows)])


def test_a_new_database_belongs_to_its_owner_alone(store: Store) -> None:
    async def modes(journal: object) -> list[int]:
        return [stat.S_IMODE(path.stat().st_mode) for path in (store.path.parent, *sorted(store.path.parent.iterdir()))]

    assert store.use(modes) == [0o700, 0o600, 0o600, 0o600]  # the directory, the file, its log and its shared memory


def test_every_connection_is_fully_durable_and_checked(store: Store) -> None:
    opened = open_database(store.url)
    with opened.transaction() as tx, opened.reading() as reader:
        for connection in (tx, reader):
            settings = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]
            assert settings == ["wal", 2, 1]
    opened.close()


def test_a_reader_cannot_write(store: Store) -> None:
    opened = open_database(store.url)
    with pytest.raises(StorageUnwritable), opened.reading() as reader:
        reader.exec_driver_sql("DELETE FROM job")
    opened.close()


def test_what_was_committed_is_there_when_the_daemon_never_closed_the_file(store: Store, tmp_path: Path) -> None:
    """What a power cut leaves: the file and its log, which hold the commits; the shared memory is gone."""
    left = tmp_path / "left" / "aiosd.db"
    left.parent.mkdir()

    async def cut_the_power(journal: SqlJournal) -> None:
        await journal.commit(Changes(saved=[live(1), live(2)]))
        await journal.commit(Changes(ended=[ended(1)]))
        shutil.copy(store.path, left)
        shutil.copy(f"{store.path}-wal", f"{left}-wal")

    store.use(cut_the_power)
    assert [job.id for job in Store(left).use(lambda journal: journal.load()).jobs] == [live(2).id]


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///:memory:", "mysql://h/db", "postgresql://h/db", "/var/lib/aios", "sqlite+aiosqlite:///x"])
def test_a_url_that_is_none_of_ours_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_database(url)
    assert "sqlite:////" in caught.value.hint


def test_a_password_is_never_shown() -> None:
    assert describe_url("postgresql+psycopg://al:secret@h/db") == "postgresql+psycopg://al:***@h/db"
    with pytest.raises(ConfigError) as caught:
        open_database("mysql://al:secret@h/db")
    assert "secret" not in str(caught.value)


def test_the_newest_migration_makes_the_schema_on_the_page(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    opened = open_database(store.url)
    with opened.transaction() as tx:
        context = MigrationContext.configure(tx, opts={"include_name": lambda name, of, parents: not str(name).startswith("model_text_index")})
        assert compare_metadata(context, schema.metadata) == []  # FTS5 has tables of its own
        for table in schema.metadata.sorted_tables:
            migrated = tx.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE name = ?", (table.name,)).scalar_one()
            assert ("WITHOUT ROWID" in migrated) == (table.dialect_options["sqlite"]["with_rowid"] is False)
    opened.close()


def test_the_page_names_the_newest_migration() -> None:
    assert database._known_revisions(Migrations()) >= {schema.REVISION}
    newest = max(Path(migrations.__path__[0], "versions").glob("r*.py"))
    assert newest.name.startswith(f"r{schema.REVISION}_")


def newer_program(tmp_path: Path, statement: str) -> Migrations:
    """A program one version ahead of this one."""
    location = tmp_path / "migrations"
    shutil.copytree(migrations.__path__[0], location)
    (location / "versions" / "r9999_next.py").write_text(
        f'"""Next."""\nfrom alembic import op\nrevision = "9999"\ndown_revision = "{schema.REVISION}"\n\n\n'
        f'def upgrade() -> None:\n    op.execute("ALTER TABLE job ADD COLUMN more TEXT")\n    op.execute("{statement}")\n'
    )
    return Migrations(str(location), "9999")


def test_an_older_database_is_copied_and_then_migrated(store: Store, tmp_path: Path) -> None:
    store.commit(saved=[live(1)], settings={"policy": '"fair"'})
    opened = open_database(store.url, newer_program(tmp_path, "UPDATE setting SET value = 'new'"))
    assert opened.backup == store.path.with_name("aiosd.db.before-9999")
    with opened.reading() as tx:
        assert tx.exec_driver_sql("SELECT version_num, value, more FROM alembic_version, setting, job").one() == ("9999", "new", None)
    opened.close()
    assert stat.S_IMODE(opened.backup.stat().st_mode) == 0o600
    assert list(Store(opened.backup).use(lambda journal: journal.load()).jobs) == [live(1)]  # by the older program, as it was


def test_a_migration_that_fails_changes_nothing(store: Store, tmp_path: Path) -> None:
    store.commit(saved=[live(1)])
    with pytest.raises(Exception, match="no such table"):
        open_database(store.url, newer_program(tmp_path, "UPDATE missing SET x = 1"))
    assert list(store.use(lambda journal: journal.load()).jobs) == [live(1)]
    with closing(sqlite3.connect(store.path)) as db:
        assert "more" not in [row[1] for row in db.execute("PRAGMA table_info(job)")]


def test_a_database_of_a_newer_program_is_left_alone(store: Store, tmp_path: Path) -> None:
    open_database(store.url, newer_program(tmp_path, "SELECT 1")).close()
    before = digest(store.path)
    error = refusal(store, FailedPrecondition)
    assert "version 9999" in str(error)
    assert f"version {schema.REVISION}" in str(error)
    assert digest(store.path) == before
    assert [finding.subject for finding in check_database(store.url)] == ["version"]


def test_a_database_of_another_program_is_left_alone(store: Store) -> None:
    store.path.parent.mkdir()
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    error = refusal(store, FailedPrecondition)
    assert "recipes" in str(error)
    with closing(sqlite3.connect(store.path)) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("recipes",)]


@pytest.mark.parametrize("content", [b"\0" * 8192, b"garbage", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_kept(store: Store, content: bytes) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    error = refusal(store, StorageCorrupt)
    assert "admin check" in error.hint
    assert "kept as it is" in error.hint
    assert store.path.read_bytes() == content
    assert check_database(store.url) != []


def damage(path: Path, table: str) -> None:
    """Overwrite the root page of a table."""
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * size + 8)
        file.write(b"\xa5" * 600)


@pytest.mark.parametrize("table", ["job", "spec", "finished_job"])
def test_bytes_flipped_in_the_middle_are_noticed_at_the_start(store: Store, table: str) -> None:
    fill(store)
    damage(store.path, table)
    before = digest(store.path)
    refusal(store, StorageCorrupt)
    assert digest(store.path) == before
    assert check_database(store.url) != []


def test_of_a_large_file_only_what_is_needed_at_the_start_is_checked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_SMALL_BYTES", 0)
    fill(store)
    store.commit(ended=[replace(ended(200), reason="a needle in a leaf page")])
    content = store.path.read_bytes()
    with store.path.open("r+b") as file:
        file.seek(content.index(b"a needle") // 4096 * 4096)
        file.write(b"\xa5" * 100)
    loaded = store.use(lambda journal: journal.load())  # the daemon works …
    assert len(loaded.jobs) == 199
    with pytest.raises(StorageCorrupt, match="damaged"):  # … and says so when somebody asks for what is damaged
        store.use(lambda journal: journal.get(ended(200).id))
    assert check_database(store.url) != []
    damage(store.path, "job")
    refusal(store, StorageCorrupt)


def test_a_truncated_file_is_noticed(store: Store) -> None:
    fill(store)
    with store.path.open("r+b") as file:
        file.truncate(store.path.stat().st_size // 2)
    refusal(store, StorageCorrupt)


@pytest.mark.parametrize("existing", [False, True])
def test_a_read_only_directory_is_named(store: Store, make_read_only: Callable[[Path], None], existing: bool) -> None:
    if existing:
        store.commit(saved=[live(1)])
    else:
        store.path.parent.mkdir()
    make_read_only(store.path.parent)
    refusal(store, StorageUnwritable)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refusal(Store(tmp_path / "file" / "aiosd.db"), StorageUnwritable)


def test_a_directory_in_the_place_of_the_file_is_named(store: Store) -> None:
    store.path.mkdir(parents=True)
    refusal(store, StorageUnwritable)


def test_checking_a_database_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound):
        check_database(store.url)
    assert not store.path.exists()

"""What `aiosctl admin check` asks of the database: is it whole, and does it say nothing that cannot be?"""

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, Table, create_engine, select, text, tuple_

from aiosd.errors import FailedPrecondition, NotFound, StorageCorrupt
from aiosd.findings import Finding
from aiosd.ids import JobId
from aiosd.jobs.job import ENDED, Job, Phase
from aiosd.storage import access, jobs, model_check, postgres, rows, schema, sqlite
from aiosd.storage.database import Place, place_of, stored_revision
from aiosd.storage.failures import explained

VERSION = "version"  # the subject of the finding that another program's version wrote this
_SHOWN = 20  # of findings of one kind; a thousand lines help nobody
_PAGE = 1_000


def check_database(url: str) -> list[Finding]:
    """Everything that is wrong with the database at `url`; empty when it is sound. Reads all of it and changes nothing.

    raises   NotFound when there is no database, StorageUnwritable or Unavailable when it cannot be opened
    """
    place = place_of(url)
    if place.path and not place.path.exists():
        raise NotFound(f"there is no database {place.name}", hint="is storage.url, or the state directory, the right one?", path=place.name)
    engine = reader_of(place)
    try:
        with explained(place.name, place.path), engine.connect() as tx:
            damage = list(_damage(tx))[:_SHOWN] if place.path else []
            return damage or list(_contents(tx, place))
    except (StorageCorrupt, FailedPrecondition) as error:  # so damaged, or so foreign, that nothing more can be said
        return [Finding(place.name, str(error))]
    finally:
        engine.dispose()


def job_numbers(url: str) -> frozenset[int]:
    """The number of every job and array that the database has, live or ended."""
    place = place_of(url)
    engine = reader_of(place)
    try:
        with explained(place.name, place.path), engine.connect() as tx:
            tables = (schema.job, schema.finished_job)
            return frozenset(number for table in tables for number in tx.scalars(select(table.c.number).where(table.c.idx == text("-1"))))
    finally:
        engine.dispose()


def active_jobs(url: str) -> list[Job]:
    """The jobs that hold resources, read without opening the database for writing. Raises StorageCorrupt."""
    place = place_of(url)
    engine = reader_of(place)
    try:
        with explained(place.name, place.path), engine.connect() as tx:
            return [job for job, _ in jobs.load_live(tx) if job.phase.active and job.run is not None]
    finally:
        engine.dispose()


def reader_of(place: Place) -> Engine:
    """It is not opened for writing: a damaged one stays as it is."""
    path = place.path
    if path is None:
        return postgres.reader_engine(place.url, 1)
    return create_engine("sqlite://", creator=lambda: sqlite.connect_read_only(path))


def _damage(tx: Connection) -> Iterator[Finding]:
    for (line,) in tx.execute(text(f"PRAGMA integrity_check({_SHOWN})")):
        if line != "ok":
            yield Finding("file", line)
    for table, _, parent, _ in tx.execute(text("PRAGMA foreign_key_check")):
        yield Finding(f"table {table}", f"has a row whose {parent} is missing")


def _contents(tx: Connection, place: Place) -> Iterator[Finding]:
    found = stored_revision(tx, place)
    if found != schema.REVISION:
        yield Finding(VERSION, f"the database has version {found or 'none'}, this aiosd has {schema.REVISION}")
        return
    for problems in (_in_both(tx), _wrong_phases(tx), _bad_submissions(tx), _unreadable(tx), _access(tx), model_check.problems(tx)):
        yield from problems


def _in_both(tx: Connection) -> Iterator[Finding]:
    live, ended = schema.job.c, schema.finished_job.c
    both = select(live.number, live.idx).join(schema.finished_job, (live.number == ended.number) & (live.idx == ended.idx))
    for number, index in tx.execute(both.limit(_SHOWN)):
        yield Finding(f"job {JobId(number, index)}", "is both live and ended")


def _wrong_phases(tx: Connection) -> Iterator[Finding]:
    alive = [phase.value for phase in Phase if phase not in ENDED]
    for table, right in ((schema.job, alive), (schema.finished_job, sorted(ENDED))):
        wrong = select(table.c.number, table.c.idx, table.c.phase).where(table.c.phase.not_in(right))
        for number, index, phase in tx.execute(wrong.limit(_SHOWN)):
            yield Finding(f"job {JobId(number, index)}", f"is {phase}, which does not belong in the table {table.name}")


def _bad_submissions(tx: Connection) -> Iterator[Finding]:
    """A submission that was answered has left its first job somewhere."""
    asked = schema.submission.c
    gone = select(asked.uid, asked["first"]).where(
        ~select(schema.job.c.number).where(schema.job.c.number == asked["first"]).exists(),
        ~select(schema.finished_job.c.number).where(schema.finished_job.c.number == asked["first"]).exists(),
    )
    for uid, first in tx.execute(gone.limit(_SHOWN)):
        yield Finding(f"submission of user {uid}", f"was answered with job {first}, which is nowhere")


def _unreadable(tx: Connection) -> Iterator[Finding]:
    """Reads every row as the daemon would."""
    for table in (schema.job, schema.finished_job):
        for page in _pages(tx, table):
            try:
                jobs.jobs_of(tx, page)
            except StorageCorrupt:
                yield from _each_unreadable(tx, page)


def _pages(tx: Connection, table: Table) -> Iterator[list[rows.StoredRow]]:
    key, after = tuple_(table.c.number, table.c.idx), (-1, -1)
    while True:
        question = jobs.select_jobs(table).where(key > tuple_(*after)).order_by(table.c.number, table.c.idx).limit(_PAGE)
        page: list[rows.StoredRow] = list(tx.execute(question))
        if not page:
            return
        yield page
        after = (page[-1][0], page[-1][1])


def _each_unreadable(tx: Connection, page: list[rows.StoredRow]) -> Iterator[Finding]:
    for row in page:
        try:
            jobs.jobs_of(tx, [row])
        except StorageCorrupt as error:
            yield Finding(f"job {JobId(row[0], row[1])}", str(error))


def _access(tx: Connection) -> Iterator[Finding]:
    """Users and tokens as the daemon would read them, and the audit trail from its first record to its last."""
    try:
        access.load(tx)
        found = access.verify_trail(tx)
    except (StorageCorrupt, ValueError) as error:
        yield Finding("access", str(error))
        return
    if not found.intact:
        yield Finding("audit trail", found.problem)

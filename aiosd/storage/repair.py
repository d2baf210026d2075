"""Repairs rows that cannot be, while no daemon runs: a copy first, then one transaction, and nothing is thrown away unread."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, Table, delete, select, text

from aiosd.errors import StorageCorrupt
from aiosd.findings import Finding
from aiosd.ids import JobId
from aiosd.jobs.job import Job, Outcome, Phase
from aiosd.storage import check, jobs, model_check, model_text, postgres, rows, schema, sqlite
from aiosd.storage.blobs.coding import Coder
from aiosd.storage.blobs.layout import Layout
from aiosd.storage.database import Place, place_of
from aiosd.storage.failures import corrupt, explained
from aiosd.storage.store_check import Recut, StoreCheck

_REASON = "the database said of it what cannot be, and was repaired"
_BEYOND = "not touched: the file itself is damaged; restore a backup: aiosctl admin restore FILE"
_CANNOT = "it cannot be repaired: what is missing is nowhere else"
_OTHER = "not touched: another version's aiosd wrote it; this one migrates an older database when it starts, and refuses a newer one"


@dataclass(frozen=True, slots=True)
class _Repair:
    """One repair under way: its transaction, and the file that takes what cannot be read."""

    tx: Connection
    aside: Path
    now_s: float


def repair_database(url: str) -> list[Finding]:
    """Everything that was wrong with the database, and what was done about each. Whoever calls holds the state directory's lock.

    The database is copied as it is first. All is mended in one transaction, which is undone when the file is not sound after it.
    """
    found = check.check_database(url)
    if not found:
        return []
    if any(one.subject == check.VERSION for one in found):
        return [replace(one, action=_OTHER) for one in found]
    place, stamp = place_of(url), time.strftime("%Y%m%d-%H%M%S")
    kept = _keep_copy(place.path, stamp) if place.path else ""
    aside = Path(f"{place.path or Path.cwd() / 'aiosd'}.set-aside-{stamp}.jsonl")
    did: list[Finding] = []
    why_not = _CANNOT
    try:
        with explained(place.name, place.path):
            did = _mend(place, aside)
    except StorageCorrupt:
        why_not = _BEYOND
    left = {(one.subject, one.problem): why_not for one in check.check_database(url)}
    return _told(found, did, left, f"; the database as it was: {kept}" if kept else "")


def check_store(url: str, layout: Layout, coder: Coder, recut: Recut, repair: bool) -> tuple[list[Finding], int]:
    """The index of chunks against the files of the store, while nothing is swept; how many files it knows. Blocks. Raises StorageCorrupt."""
    place = place_of(url)
    with explained(place.name, place.path), _writing(place) if repair else _reading(place) as tx:
        look = StoreCheck(tx, layout, coder, recut)
        return look.findings(repair=repair), look.places


def _told(found: list[Finding], did: list[Finding], left: dict[tuple[str, str], str], kept: str) -> list[Finding]:
    """Each finding with what was done about its subject, or why not (`left`); then what only came to light on the way."""
    actions = {one.subject: one.action for one in did}
    told = []
    for one in found:
        if why_not := left.get((one.subject, one.problem)):
            told.append(replace(one, action=why_not + kept))
        else:
            action = actions.get(one.subject, "the indexes were made anew" if one.subject == "file" else "it went with the rows that named it")
            told.append(replace(one, repaired=True, action=action + kept))
    return told + [one for one in did if one.subject not in {f.subject for f in found}]


def _keep_copy(path: Path, stamp: str) -> Path:
    """Byte by byte, its log too: SQLite would not copy a damaged file."""
    kept = path.with_name(f"{path.name}.before-repair-{stamp}")
    for ending in ("", "-wal"):
        if Path(f"{path}{ending}").exists():
            part = Path(f"{kept}{ending}")
            part.touch(mode=0o600)
            shutil.copyfile(f"{path}{ending}", part)
    return kept


def _mend(place: Place, aside: Path) -> list[Finding]:
    with _writing(place) as tx:
        repair = _Repair(tx, aside, time.time())
        if place.path is not None:
            tx.execute(text("REINDEX"))
        did = [finding for step in (_set_aside, _end_twice, _misplaced, _dangling, _misled, _search_again) for finding in step(repair)]
        if place.path is not None and (found := tx.scalar(text("PRAGMA integrity_check(1)"))) != "ok":
            raise corrupt(place.name, str(found))
    return did


@contextmanager
def _reading(place: Place) -> Iterator[Connection]:
    engine = check.reader_of(place)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _writing(place: Place) -> Iterator[Connection]:
    """One transaction in which a row may stand without what it names: that is what is to be mended."""
    if place.path is not None:
        sqlite.look_over(place.path)
    engine = sqlite.writer_engine(place.url) if place.path is not None else postgres.writer_engine(place.url, place.name)
    try:
        with engine.connect() as connection:
            if place.path is not None:
                cursor = connection.connection.cursor()
                cursor.execute("PRAGMA foreign_keys=OFF")
                cursor.close()
            with connection.begin():
                yield connection
    finally:
        engine.dispose()


def _set_aside(repair: _Repair) -> Iterator[Finding]:
    """Rows that cannot be read keep the daemon from starting: they go into a file, as they are."""
    for table in (schema.job, schema.finished_job):
        for number, index in [(row[0], row[1]) for row in _unreadable(repair.tx, table)]:
            here = (table.c.number == number) & (table.c.idx == index)
            row = repair.tx.execute(select(table).where(here)).mappings().one()
            with repair.aside.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"table": table.name, **row}, default=str) + "\n")
            repair.tx.execute(delete(table).where(here))
            yield Finding(f"job {JobId(number, index)}", "its row cannot be read", True, f"its row was moved to {repair.aside}")
    used = select(schema.job.c.spec).union(select(schema.finished_job.c.spec))
    missing = schema.spec.c.environment.not_in(select(schema.environment.c.digest))
    repair.tx.execute(delete(schema.spec).where(missing, schema.spec.c.id.not_in(used)))


def _unreadable(tx: Connection, table: Table) -> Iterator[rows.StoredRow]:
    for row in tx.execute(jobs.select_jobs(table)).all():
        try:
            jobs.jobs_of(tx, [row])
        except StorageCorrupt:
            yield row


def _end_twice(repair: _Repair) -> Iterator[Finding]:
    """That it has ended is a fact; that it lives is only what was not removed."""
    live, ended = schema.job.c, schema.finished_job.c
    both = select(live.number, live.idx).join(schema.finished_job, (live.number == ended.number) & (live.idx == ended.idx))
    for number, index in repair.tx.execute(both).all():
        repair.tx.execute(delete(schema.job).where(live.number == number, live.idx == index))
        yield Finding(f"job {JobId(number, index)}", "is both live and ended", True, "its live row was removed: it has ended")


def _misplaced(repair: _Repair) -> Iterator[Finding]:
    """A live job that has ended goes to the history; one of the history that had not ended is lost."""
    for table, wrong in ((schema.job, True), (schema.finished_job, False)):
        phases = [phase.value for phase in Phase if phase.ended is wrong]
        for row in repair.tx.execute(jobs.select_jobs(table).where(table.c.phase.in_(phases))).all():
            (job,) = jobs.jobs_of(repair.tx, [row])
            was, now = job.phase, _ended(job, repair.now_s)
            repair.tx.execute(delete(table).where(table.c.number == row[0], table.c.idx == row[1]))
            jobs.end(repair.tx, [rows.job_row(now, row[2])])
            yield Finding(f"job {job.id}", f"is {was} in the table {table.name}", True, f"it is {now.phase}, in the history")


def _ended(job: Job, now_s: float) -> Job:
    """As the history can have it."""
    phase = job.phase if job.phase.ended else Phase.LOST
    reason = job.reason if job.phase.ended else _REASON
    return replace(job, phase=phase, reason=reason, stop=None, outcome=job.outcome or Outcome(now_s, reason=_REASON))


def _misled(repair: _Repair) -> Iterator[Finding]:
    """A reference goes to where its last move led it: moves are never changed."""
    table, move = schema.model_reference, schema.model_move
    for (kind, model, name), (_, last) in model_check.misled(repair.tx).items():
        here = (table.c.kind == kind) & (table.c.model == model) & (table.c.name == name)
        repair.tx.execute(delete(table).where(here))
        row = repair.tx.execute(
            select(move).where(move.c.kind == kind, move.c.model == model, move.c.reference == name).order_by(move.c.number.desc()).limit(1)
        ).first()
        if last and row is not None:
            values = {"kind": kind, "model": model, "name": name, "of": row.of, "version": row.target, "moved_at_s": row.at_s, "moved_by": row.who}
            repair.tx.execute(table.insert().values(values))
        yield Finding(f"reference {model}:{name}", "is not what its last move made it", True, f"it is {f'at {last[1][:12]} again' if last else 'gone'}")


def _dangling(repair: _Repair) -> Iterator[Finding]:
    """Who repeats a submission whose job is nowhere is to get a new one."""
    asked = schema.submission.c
    live = select(schema.job.c.number).where(schema.job.c.number == asked["first"]).exists()
    ended = select(schema.finished_job.c.number).where(schema.finished_job.c.number == asked["first"]).exists()
    for uid, key, first in repair.tx.execute(select(asked.uid, asked.key, asked["first"]).where(~live, ~ended)).all():
        repair.tx.execute(delete(schema.submission).where(asked.uid == uid, asked.key == key))
        yield Finding(f"submission of user {uid}", f"was answered with job {first}, which is nowhere", True, "it was forgotten: repeated, it makes a new job")


def _search_again(repair: _Repair) -> Iterator[Finding]:
    for found in list(model_text.problems(repair.tx)):
        model_text.rebuild(repair.tx)
        yield replace(found, repaired=True, action="it was made anew")

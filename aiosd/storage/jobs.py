"""Jobs in the database: records in, rows out; the transaction is the caller's."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from sqlalchemy import ColumnElement, Connection, Insert, Select, Table, bindparam, delete, func, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from aiosd.ids import WHOLE, JobId
from aiosd.jobs.job import Environment, Job, JobSpec, Phase
from aiosd.jobs.ports import JobFilter, Submission
from aiosd.storage import rows, schema
from aiosd.storage.specs import Written

_CHUNK = 500  # ids in one question: databases limit the parameters of a statement
_finished = schema.finished_job.c
_FindText = Callable[[ColumnElement[str], str], ColumnElement[int]]
_FIND_TEXT: dict[str, _FindText] = {"sqlite": func.instr, "postgresql": func.strpos}  # LIKE would ignore case in SQLite

_insert_spec = schema.spec.insert()
_insert_finished = schema.finished_job.insert()
_delete_job = delete(schema.job).where(schema.job.c.number == bindparam("ended_number"), schema.job.c.idx == bindparam("ended_idx"))
_prune_submissions = delete(schema.submission).where(schema.submission.c.at_s < bindparam("since_s"))


@cache
def upsert(dialect: str, table: Table) -> Insert:
    """Insert, or replace the row that has the same key."""
    statement = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    changed = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)


@cache
def _insert_environment(dialect: str) -> Insert:
    table = schema.environment
    return sqlite.insert(table).on_conflict_do_nothing() if dialect == "sqlite" else postgresql.insert(table).on_conflict_do_nothing()


def add_specs(tx: Connection, written: Written) -> None:
    """Store what the jobs of this transaction are the first to ask for."""
    if written.environments:
        tx.execute(_insert_environment(tx.dialect.name), [{"digest": d, "variables": text} for d, text in written.environments.items()])
    if written.specs:
        tx.execute(_insert_spec, [{"id": i, "environment": digest, "body": body} for i, digest, body in written.specs])


def save(tx: Connection, jobs: Sequence[rows.JobRow]) -> None:
    """Insert or replace the rows of live jobs."""
    if jobs:  # an empty executemany is not a no-op
        tx.execute(upsert(tx.dialect.name, schema.job), jobs)


def end(tx: Connection, jobs: Sequence[rows.JobRow]) -> None:
    """Move jobs into the history; one that is there already is an error."""
    if jobs:
        tx.execute(_delete_job, [{"ended_number": row["number"], "ended_idx": row["idx"]} for row in jobs])
        tx.execute(_insert_finished, jobs)


def amend(tx: Connection, jobs: Sequence[rows.JobRow]) -> None:
    """Say of jobs of the history what came of them afterwards."""
    if jobs:
        tx.execute(upsert(tx.dialect.name, schema.finished_job), jobs)


def withdraw(tx: Connection, ids: Sequence[JobId]) -> None:
    """Drop the rows of elements that are pending again."""
    if ids:
        tx.execute(_delete_job, [{"ended_number": job_id.number, "ended_idx": job_id.index} for job_id in ids])


def save_submissions(tx: Connection, submissions: Sequence[Submission]) -> None:
    if submissions:
        tx.execute(
            upsert(tx.dialect.name, schema.submission),
            [{"uid": s.uid, "key": s.key, "digest": s.digest, "first": s.first, "count": s.count, "at_s": s.at_s} for s in submissions],
        )


def prune_submissions(tx: Connection, since_s: float) -> None:
    tx.execute(_prune_submissions, {"since_s": since_s})


def save_settings(tx: Connection, settings: Mapping[str, str]) -> None:
    if settings:
        tx.execute(upsert(tx.dialect.name, schema.setting), [{"name": name, "value": value} for name, value in settings.items()])


def load_live(tx: Connection) -> list[tuple[Job, int]]:
    """Every live job with the id of its spec, oldest first."""
    used = select(schema.job.c.spec)
    specs = _read_specs(tx, schema.spec.c.id.in_(used))
    found = tx.execute(select_jobs(schema.job).order_by(schema.job.c.number, schema.job.c.idx))
    return [(rows.job_of(row, specs), row[2]) for row in found]


def load_submissions(tx: Connection, since_s: float) -> list[Submission]:
    c = schema.submission.c
    found = tx.execute(select(c.uid, c.key, c.digest, c["first"], c["count"], c.at_s).where(c.at_s >= since_s).order_by(c.at_s))
    return [Submission(*row) for row in found]


def load_settings(tx: Connection) -> dict[str, str]:
    return {row.name: row.value for row in tx.execute(schema.setting.select())}


def highest(tx: Connection) -> tuple[int, int, int]:
    """The highest number and revision of any job, and id of any spec, that were ever stored; 0 where there is none."""
    live, asked = schema.job.c, schema.submission.c
    numbers = [func.max(live.number), func.max(_finished.number), func.max(asked["first"] + asked["count"] - 1)]
    revisions = [func.max(live.revision), func.max(_finished.revision)]
    top = [[tx.scalar(select(one)) or 0 for one in some] for some in (numbers, revisions, [func.max(schema.spec.c.id)])]
    return max(top[0]), max(top[1]), max(top[2])


def select_jobs(table: Table) -> "Select[int, int, int, str, int, int, str, float, str]":
    """The question for `rows.READ_COLUMNS` of live or of ended jobs."""
    return select(*(table.c[name] for name in rows.READ_COLUMNS))


def read_ended(tx: Connection, job_id: JobId) -> Job | None:
    found = jobs_of(tx, tx.execute(select_jobs(schema.finished_job).where(_finished.number == job_id.number, _finished.idx == job_id.index)))
    return found[0] if found else None


def read_phases(tx: Connection, ids: Sequence[JobId]) -> dict[JobId, Phase]:
    found: dict[JobId, Phase] = {}
    for part in _chunks(ids):
        question = select(_finished.number, _finished.idx, _finished.phase).where(_is_one_of(part))
        found.update((JobId(number, index), Phase(phase)) for number, index, phase in tx.execute(question))
    return found


def read_history(tx: Connection, wanted: JobFilter, before: JobId | None, limit: int) -> list[Job]:
    """Ended jobs that match, newest first."""
    bounds = []
    if before is not None and _only_whole(wanted):  # in the words that the indexes of whole jobs understand
        bounds.append(_finished.number < before.number if before.index == WHOLE else _finished.number <= before.number)
    elif before is not None:
        bounds.append(tuple_(_finished.number, _finished.idx) < tuple_(before.number, before.index))
    order = [_finished.number.desc()] if _only_whole(wanted) else [_finished.number.desc(), _finished.idx.desc()]
    jobs = _matching(tx, wanted, bounds, order, limit)
    return sorted(jobs, key=lambda job: job.id, reverse=True)[:limit]


def read_changed(tx: Connection, wanted: JobFilter, revision: int, limit: int) -> list[Job]:
    """Ended jobs of a higher revision that match, by revision."""
    jobs = _matching(tx, wanted, [_finished.revision > revision], [_finished.revision, _finished.number, _finished.idx], limit)
    return sorted(jobs, key=lambda job: (job.revision, job.id))[:limit]


def _matching(tx: Connection, wanted: JobFilter, bounds: list[ColumnElement[bool]], order: Sequence[ColumnElement[int]], limit: int) -> list[Job]:
    """The first `limit` in `order` of each chunk of ids: a few too many when there are several chunks."""
    conditions = [*bounds, *_conditions(tx, wanted)]
    if not wanted.ids:
        if _only_whole(wanted):
            conditions.append(schema.WHOLE_JOBS)
        return jobs_of(tx, tx.execute(select_jobs(schema.finished_job).where(*conditions).order_by(*order).limit(limit)))
    found: dict[JobId, Job] = {}
    for part in _chunks(sorted(set(wanted.ids))):
        named = or_(_is_one_of(part), _finished.number.in_([i.number for i in part if not i.is_element])) if wanted.include_elements else _is_one_of(part)
        question = select_jobs(schema.finished_job).where(named, *conditions).order_by(*order).limit(limit)
        found.update((job.id, job) for job in jobs_of(tx, tx.execute(question)))
    return list(found.values())


def _only_whole(wanted: JobFilter) -> bool:
    """Whether no element can match: one that is named by its id does, asked for elements or not."""
    return not wanted.include_elements and not wanted.ids


def _conditions(tx: Connection, wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.phases:
        conditions.append(_finished.phase.in_(sorted(wanted.phases)))
    if wanted.users:
        conditions.append(_one_or_some(_finished.user_name, wanted.users))
    if wanted.queues:
        conditions.append(_one_or_some(_finished.queue, wanted.queues))
    if wanted.name:
        conditions.append(_finished.name == wanted.name)
    find = _FIND_TEXT[tx.dialect.name]
    conditions += [find(_finished.labels, rows.label_line(key, value)) > 0 for key, value in wanted.labels.items()]
    return conditions


def _one_or_some(column: ColumnElement[str], values: frozenset[str]) -> ColumnElement[bool]:
    """`=` for one, because an index that goes on with the number then gives the order too."""
    return column == next(iter(values)) if len(values) == 1 else column.in_(sorted(values))


def _is_one_of(ids: Sequence[JobId]) -> ColumnElement[bool]:
    """Not `(number, idx) IN (…)`: for that, SQLite would scan the table."""
    indices: dict[int, list[int]] = defaultdict(list)
    for job_id in ids:
        if job_id.is_element:
            indices[job_id.number].append(job_id.index)
    whole = (_finished.idx == WHOLE) & _finished.number.in_([job_id.number for job_id in ids if not job_id.is_element])
    return or_(whole, *((_finished.number == number) & _finished.idx.in_(some) for number, some in indices.items()))


def _chunks(ids: Sequence[JobId]) -> Iterable[Sequence[JobId]]:
    return (ids[at : at + _CHUNK] for at in range(0, len(ids), _CHUNK))


def jobs_of(tx: Connection, found: Iterable[rows.StoredRow]) -> list[Job]:
    """The jobs of these rows; a spec that several share is read once."""
    kept = list(found)
    specs: dict[int, JobSpec] = {}
    wanted = sorted({row[2] for row in kept})
    for at in range(0, len(wanted), _CHUNK):
        specs |= _read_specs(tx, schema.spec.c.id.in_(wanted[at : at + _CHUNK]))
    return [rows.job_of(row, specs) for row in kept]


def _read_specs(tx: Connection, condition: ColumnElement[bool]) -> dict[int, JobSpec]:
    asked, kept = schema.spec.c, schema.environment.c
    used = select(asked.environment).where(condition)
    environments: dict[str, Environment] = {
        digest: rows.environment_of(digest, variables) for digest, variables in tx.execute(select(kept.digest, kept.variables).where(kept.digest.in_(used)))
    }
    return {
        spec_id: rows.spec_of(spec_id, body, environments[digest])
        for spec_id, digest, body in tx.execute(select(asked.id, asked.environment, asked.body).where(condition))
        if digest in environments  # else the job that needs it says so
    }

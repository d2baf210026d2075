"""What jobs have left to be registered as models: due from the commit of their end on, until it is done."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select, update

from aiosd.ids import JobId
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.ports import DueOutput
from aiosd.storage import schema
from aiosd.storage.access import Connections
from aiosd.storage.jobs import upsert

_row, _source = schema.job_output.c, schema.job_source.c


class SqlOutputs:
    """The port OutputBook."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def due(self, job_id: JobId | None = None) -> Sequence[DueOutput]:
        return await self._connections.read(_read, job_id)

    async def settle(self, due: DueOutput) -> None:
        await self._connections.write(_settle, due)

    async def source(self, job_id: JobId, attempt: int) -> str:
        return await self._connections.read(_read_source, job_id, attempt)

    async def note(self, job_id: JobId, attempt: int, source: str) -> None:
        await self._connections.write(_note, job_id, attempt, source)


def add(tx: Connection, ended: Sequence[Job]) -> None:
    """In the transaction that says that they have ended; an array itself leaves nothing, its elements do."""
    made = [job for job in ended if job.spec.model_outputs and job.phase is Phase.SUCCEEDED and job.array is None]
    rows = [{"number": job.id.number, "idx": job.id.index, "place": place, "error": ""} for job in made for place in range(len(job.spec.model_outputs))]
    if rows:
        tx.execute(insert(schema.job_output), rows)
    for job in ended:
        if job.spec.model_outputs and job.phase is not Phase.SUCCEEDED:
            tx.execute(delete(schema.job_source).where(*_of(job.id)))


def _read(tx: Connection, job_id: JobId | None) -> list[DueOutput]:
    question = select(_row.number, _row.idx, _row.place, _row.error).order_by(_row.number, _row.idx, _row.place)
    if job_id is not None:
        question = question.where(_row.number == job_id.number, _row.idx == job_id.index)
    return [DueOutput(JobId(number, index), place, error) for number, index, place, error in tx.execute(question)]


def _settle(tx: Connection, due: DueOutput) -> None:
    this = (_row.number == due.job_id.number) & (_row.idx == due.job_id.index) & (_row.place == due.place)
    if due.error:
        tx.execute(update(schema.job_output).where(this).values(error=due.error))
        return
    tx.execute(delete(schema.job_output).where(this))
    left = exists().where(_row.number == due.job_id.number, _row.idx == due.job_id.index)
    tx.execute(delete(schema.job_source).where(*_of(due.job_id), ~left))


def _of(job_id: JobId) -> tuple[ColumnElement[bool], ...]:
    return _source.number == job_id.number, _source.idx == job_id.index


def _read_source(tx: Connection, job_id: JobId, attempt: int) -> str:
    return tx.scalar(select(_source.body).where(*_of(job_id), _source.attempt == attempt)) or ""


def _note(tx: Connection, job_id: JobId, attempt: int, source: str) -> None:
    """Nothing of a job that has ended meanwhile and left nothing: nobody would forget it."""
    live, due = schema.job.c, _row
    alive = exists().where(live.number == job_id.number, live.idx == job_id.index)
    leaves = exists().where(due.number == job_id.number, due.idx == job_id.index)
    if not tx.scalar(select(alive | leaves)):
        return
    tx.execute(upsert(tx.dialect.name, schema.job_source), [{"number": job_id.number, "idx": job_id.index, "attempt": attempt, "body": source}])

"""What jobs have left to be registered as models: due from the commit of their end on, until it is done."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update

from aiosd.ids import JobId
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.ports import DueOutput
from aiosd.storage import schema
from aiosd.storage.access import Connections

_row = schema.job_output.c


class SqlOutputs:
    """The port OutputBook."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def due(self, job_id: JobId | None = None) -> Sequence[DueOutput]:
        return await self._connections.read(_read, job_id)

    async def settle(self, due: DueOutput) -> None:
        await self._connections.write(_settle, due)


def add(tx: Connection, ended: Sequence[Job]) -> None:
    """In the transaction that says that they have ended; an array itself leaves nothing, its elements do."""
    made = [job for job in ended if job.spec.model_outputs and job.phase is Phase.SUCCEEDED and job.array is None]
    rows = [{"number": job.id.number, "idx": job.id.index, "place": place, "error": ""} for job in made for place in range(len(job.spec.model_outputs))]
    if rows:
        tx.execute(insert(schema.job_output), rows)


def _read(tx: Connection, job_id: JobId | None) -> list[DueOutput]:
    question = select(_row.number, _row.idx, _row.place, _row.error).order_by(_row.number, _row.idx, _row.place)
    if job_id is not None:
        question = question.where(_row.number == job_id.number, _row.idx == job_id.index)
    return [DueOutput(JobId(number, index), place, error) for number, index, place, error in tx.execute(question)]


def _settle(tx: Connection, due: DueOutput) -> None:
    this = (_row.number == due.job_id.number) & (_row.idx == due.job_id.index) & (_row.place == due.place)
    tx.execute(update(schema.job_output).where(this).values(error=due.error) if due.error else delete(schema.job_output).where(this))

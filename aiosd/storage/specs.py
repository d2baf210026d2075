"""Which spec is stored under which number, so that what many jobs share is written once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from aiosd.ids import JobId
from aiosd.jobs.job import Job, JobSpec
from aiosd.storage import rows

_RECENT = 2_000  # specs, and environments, that are recognised when they come again; more cost a second row, nothing else


@dataclass(slots=True)
class Written:
    """What one transaction adds: dropped when it fails, part of the book when it is committed."""

    environments: dict[str, str] = field(default_factory=dict)  # digest -> variables
    specs: list[tuple[int, str, str]] = field(default_factory=list)  # id, environment, body
    by_text: dict[bytes, int] = field(default_factory=dict)
    of_job: dict[JobId, tuple[JobSpec, int]] = field(default_factory=dict)


class SpecBook:
    """A cache of what the database has; only `next_id` must be right, so one writer has one book."""

    def __init__(self, next_id: int) -> None:
        self.next_id = next_id
        self._environments: set[str] = set()
        self._by_text: dict[bytes, int] = {}
        self._of_job: dict[JobId, tuple[JobSpec, int]] = {}  # of live jobs: what they were last saved with

    def remember(self, jobs: Iterable[tuple[Job, int]]) -> None:
        """Live jobs and their spec ids, as they were loaded."""
        shared: dict[int, tuple[JobSpec, int]] = {}
        for job, spec_id in jobs:
            self._of_job[job.id] = shared.setdefault(spec_id, (job.spec, spec_id))
        for spec, spec_id in list(shared.values())[-_RECENT:]:
            self._environments.add(spec.environment.digest)
            self._by_text[_key(spec.environment.digest, rows.spec_body(spec))] = spec_id

    def place(self, job: Job, written: Written) -> int:
        """The id of the job's spec; what is not stored yet is added to `written`."""
        spec = job.spec
        for job_id in (job.id, job.id.whole):
            entry = written.of_job.get(job_id) or self._of_job.get(job_id)
            if entry is not None and (entry[0] is spec or entry[0] == spec):
                break
        else:
            entry = (spec, self._place_text(spec, written))
        written.of_job[job.id] = entry
        return entry[1]

    def _place_text(self, spec: JobSpec, written: Written) -> int:
        digest, body = spec.environment.digest, rows.spec_body(spec)
        key = _key(digest, body)
        known = written.by_text.get(key) or self._by_text.get(key)
        if known is not None:
            return known
        if digest not in self._environments and digest not in written.environments:
            written.environments[digest] = rows.variables_text(spec.environment)
        spec_id = self.next_id + len(written.specs)
        written.specs.append((spec_id, digest, body))
        written.by_text[key] = spec_id
        return spec_id

    def settle(self, written: Written, gone: Iterable[JobId]) -> None:
        """`written` is committed; what is `gone` has no live record any more."""
        self.next_id += len(written.specs)
        self._of_job.update(written.of_job)
        for job_id in gone:
            self._of_job.pop(job_id, None)
        if len(self._by_text) > _RECENT:
            self._by_text.clear()
        self._by_text.update(written.by_text)
        if len(self._environments) > _RECENT:
            self._environments.clear()
        self._environments.update(written.environments)


def _key(digest: str, body: str) -> bytes:
    return blake2b(f"{digest} {body}".encode(), digest_size=16).digest()

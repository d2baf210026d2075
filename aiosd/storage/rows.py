"""Records as rows and back: a column for what is searched, JSON for the rest."""

from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from typing import TypedDict

import msgspec

from aiosd.errors import StorageCorrupt
from aiosd.ids import JobId
from aiosd.jobs.job import ArrayProgress, Dependency, Environment, Job, JobSpec, Outcome, Owner, Phase, Run, Stop

_ELSEWHERE = Environment("", {})  # stands in a stored spec for its environment, which has a table of its own
_SPEC_FIELDS = tuple(field.name for field in fields(JobSpec) if field.name != "environment")
_spec_values = attrgetter(*_SPEC_FIELDS)


class State(msgspec.Struct, omit_defaults=True):
    """What of a Job has no column. A field may be added with a default; taking one away needs a migration."""

    gid: int
    eligible_at_s: float = 0.0
    attempt: int = 0
    retries_used: int = 0
    not_before_s: float = 0.0
    reason: str = ""
    run: Run | None = None
    stop: Stop | None = None
    outcome: Outcome | None = None
    array: ArrayProgress | None = None
    unmet: tuple[Dependency, ...] = ()
    memory_bytes: int = 0
    ran_out: tuple[int, ...] = ()
    preemptions: int = 0
    made_room_for: JobId | None = None
    rightsizing: str = ""
    rightsized: bool = False
    gpu_s: float = 0.0


class JobRow(TypedDict):
    number: int
    idx: int
    spec: int
    phase: str
    revision: int
    uid: int
    user_name: str
    name: str
    queue: str
    labels: str
    submitted_at_s: float
    ended_at_s: float | None
    state: str


READ_COLUMNS = ("number", "idx", "spec", "phase", "revision", "uid", "user_name", "submitted_at_s", "state")
StoredRow = tuple[int, int, int, str, int, int, str, float, str]  # of READ_COLUMNS


def _encode_other(value: object) -> object:
    if isinstance(value, range):
        return value.start, value.stop, value.step
    if isinstance(value, Mapping):  # msgspec knows only dict
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be stored")


def _decode_other(kind: type, value: object) -> object:
    if kind is range and isinstance(value, list):
        return range(*value)
    raise NotImplementedError(f"{kind.__name__} cannot be read back")


_encoder = msgspec.json.Encoder(enc_hook=_encode_other, order="deterministic")  # so that equal specs have equal text
_spec_decoder = msgspec.json.Decoder(JobSpec, dec_hook=_decode_other)
_state_decoder = msgspec.json.Decoder(State, dec_hook=_decode_other)
_variables_decoder = msgspec.json.Decoder(dict[str, str])


def spec_body(spec: JobSpec) -> str:
    """The spec without its environment, as JSON; equal for equal specs."""
    body = dict(zip(_SPEC_FIELDS, _spec_values(spec), strict=True))  # a tenth of the time of `replace`
    body["environment"] = _ELSEWHERE
    return _encoder.encode(body).decode()


def variables_text(environment: Environment) -> str:
    return _encoder.encode(environment.variables).decode()


def environment_of(digest: str, variables: str) -> Environment:
    try:
        return Environment(digest, _variables_decoder.decode(variables))
    except msgspec.MsgspecError as error:
        raise _unreadable(f"environment {digest}", error) from error


def spec_of(spec_id: int, body: str, environment: Environment) -> JobSpec:
    try:
        spec = _spec_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise _unreadable(f"spec {spec_id}", error) from error
    object.__setattr__(spec, "environment", environment)  # nobody has seen it yet; `replace` would double the time of loading
    return spec


def label_line(key: str, value: str) -> str:
    """One label as a line, with both its line ends: a piece of `labels_text` exactly when the job has this label."""
    return f"\n{_encoder.encode(key).decode()}:{_encoder.encode(value).decode()}\n"


def labels_text(labels: Mapping[str, str]) -> str:
    """Each label on a line of its own, so that one label can be searched for as a piece of text."""
    return "\n" + "".join(label_line(key, labels[key])[1:] for key in sorted(labels)) if labels else ""


def job_row(job: Job, spec_id: int) -> JobRow:
    owner, outcome = job.owner, job.outcome
    state = State(
        owner.gid,
        job.eligible_at_s,
        job.attempt,
        job.retries_used,
        job.not_before_s,
        job.reason,
        job.run,
        job.stop,
        outcome,
        job.array,
        job.unmet,
        job.memory_bytes,
        job.ran_out,
        job.preemptions,
        job.made_room_for,
        job.rightsizing,
        job.rightsized,
        job.gpu_s,
    )
    return {
        "number": job.id.number,
        "idx": job.id.index,
        "spec": spec_id,
        "phase": job.phase.value,
        "revision": job.revision,
        "uid": owner.uid,
        "user_name": owner.name,
        "name": job.spec.name,
        "queue": job.spec.queue,
        "labels": labels_text(job.spec.labels),
        "submitted_at_s": job.submitted_at_s,
        "ended_at_s": outcome.ended_at_s if outcome else None,
        "state": _encoder.encode(state).decode(),
    }


def job_of(row: StoredRow, specs: Mapping[int, JobSpec]) -> Job:
    """The Job of a row of `READ_COLUMNS`, which names its spec."""
    number, index, spec_id, phase, revision, uid, user_name, submitted_at_s, text = row
    job_id = JobId(number, index)
    try:
        state = _state_decoder.decode(text)
        return Job(
            id=job_id,
            spec=specs[spec_id],
            owner=Owner(uid, state.gid, user_name),
            phase=Phase(phase),
            submitted_at_s=submitted_at_s,
            eligible_at_s=state.eligible_at_s,
            attempt=state.attempt,
            retries_used=state.retries_used,
            not_before_s=state.not_before_s,
            reason=state.reason,
            run=state.run,
            stop=state.stop,
            outcome=state.outcome,
            array=state.array,
            unmet=state.unmet,
            memory_bytes=state.memory_bytes,
            ran_out=state.ran_out,
            preemptions=state.preemptions,
            made_room_for=state.made_room_for,
            rightsizing=state.rightsizing,
            rightsized=state.rightsized,
            gpu_s=state.gpu_s,
            revision=revision,
        )
    except KeyError:
        raise _unreadable(f"job {job_id}", ValueError(f"its spec {spec_id}, or the environment of that, is missing")) from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise _unreadable(f"job {job_id}", error) from error


def _unreadable(what: str, error: Exception) -> StorageCorrupt:
    return StorageCorrupt(
        f"the database has a row for {what} that cannot be read: {error}",
        hint="nothing was changed; run `aiosctl admin check` to see all that is damaged, then restore a backup",
        row=what,
    )

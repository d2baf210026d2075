"""The whole database on one page: what is remembered, and which questions its indexes answer."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    literal_column,
)

REVISION = "0005"  # of the newest file in migrations/versions; a test compares them

metadata = MetaData()

_row_id = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER makes the key of an SQLite table its row number

# The variables of a job, kept once for all jobs that share them; written once, never changed. `variables`: JSON object.
environment = Table(
    "environment",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("variables", Text, nullable=False),
)

# What was asked, without the variables; equal requests and all elements of an array share a row. An `update` makes a new
# one, so that elements which ended before it still say what they were run with. `body`: JSON of a JobSpec.
spec = Table(
    "spec",
    metadata,
    Column("id", _row_id, primary_key=True, autoincrement=False),
    Column("environment", Text, ForeignKey("environment.digest"), nullable=False),
    Column("body", Text, nullable=False),
)


def _job_columns() -> list[Column[object]]:
    """`idx` is -1 for a job that is no element; `state` is JSON of what only the engine reads (rows.State)."""
    return [
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("idx", BigInteger, primary_key=True, autoincrement=False),
        Column("spec", _row_id, ForeignKey("spec.id"), nullable=False),
        Column("phase", Text, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("uid", BigInteger, nullable=False),
        Column("user_name", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("queue", Text, nullable=False),
        Column("labels", Text, nullable=False),  # rows.labels_text; searched, never parsed
        Column("submitted_at_s", Double, nullable=False),
        Column("ended_at_s", Double),
        Column("state", Text, nullable=False),
    ]


# Everything that has not ended; read whole at start, never searched, so it has no index but its key.
job = Table("job", metadata, *_job_columns(), sqlite_with_rowid=False)

# What the engine never scans.
finished_job = Table("finished_job", metadata, *_job_columns(), sqlite_with_rowid=False)

# Lists leave elements out unless asked, so these indexes do too: a million elements cost them nothing.
WHOLE_JOBS = finished_job.c.idx == literal_column("-1")  # a literal: SQLite uses a partial index only where it sees its condition
Index("finished_job_newest", finished_job.c.number, sqlite_where=WHOLE_JOBS, postgresql_where=WHOLE_JOBS)
Index("finished_job_by_name", finished_job.c.name, finished_job.c.number, sqlite_where=WHOLE_JOBS, postgresql_where=WHOLE_JOBS)
Index("finished_job_by_user", finished_job.c.user_name, finished_job.c.number, sqlite_where=WHOLE_JOBS, postgresql_where=WHOLE_JOBS)
Index("finished_job_by_revision", finished_job.c.revision)

# Of jobs that have succeeded: what of their `model_outputs`, by its place, is not registered yet; with an `error` it was tried in vain.
job_output = Table(
    "job_output",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("error", Text, nullable=False),
)

# What the directory of such a job said of its code when its run began; forgotten with what is due. `body`: JSON.
job_source = Table(
    "job_source",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

# Submissions that were answered, so that a repeated one gets the same jobs; forgotten after a day.
submission = Table(
    "submission",
    metadata,
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("at_s", Double, nullable=False),
    CheckConstraint("count > 0", name="submission_count"),
)

# What was decided at run time. `value`: JSON.
setting = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# What was set for a user; whoever has no row here is what the groups and the configuration say. `limits`: JSON.
user = Table(
    "user",
    metadata,
    Column("name", Text, primary_key=True),
    Column("uid", BigInteger, nullable=False),
    Column("role", Integer),
    Column("limits", Text),
)

# Bearer tokens: of the secret only the hash. Times of 0: never.
token = Table(
    "token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_hash", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("gid", BigInteger, nullable=False),
    Column("role", Integer, nullable=False),
    Column("created_at_s", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at_s", Double, nullable=False),
    Column("revoked_at_s", Double, nullable=False),
    Column("last_used_at_s", Double, nullable=False),
    Column("comment", Text, nullable=False),
)

# Who did what: rows are added and never changed, which triggers of the database enforce. `digest` chains each to the one before;
# where the trail ends is in the setting "audit.head" too.
audit = Table(
    "audit",
    metadata,
    Column("number", _row_id, primary_key=True, autoincrement=False),
    Column("at_s", Double, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("origin", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("allowed", Boolean, nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", Text, nullable=False),
)
Index("audit_by_user", audit.c.user_name, audit.c.number)

# Models and datasets. `body`: JSON of what only the models domain reads.
model = Table(
    "model",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("owner_uid", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

# Immutable commits; `commit_body` is what the id is the digest of. `state` and `reasons` are found out, and change.
# The large column is the last: SQLite reads past it to whatever comes after.
model_version = Table(
    "model_version",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("parents", Text, nullable=False),  # their ids, with spaces between; the first is the one it follows
    Column("manifest", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at_s", Double, nullable=False),
    Column("format", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reasons", Text, nullable=False),  # JSON
    Column("commit_body", LargeBinary, nullable=False),
    ForeignKeyConstraint(["kind", "model"], ["model.kind", "model.name"]),
)
Index("model_version_by_id", model_version.c.id, model_version.c.kind, model_version.c.model)
Index("model_version_by_manifest", model_version.c.manifest)
Index("model_version_sums", model_version.c.kind, model_version.c.model, model_version.c.number, model_version.c.size, model_version.c.stored_bytes)

model_reference = Table(
    "model_reference",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("of", Text, nullable=False),  # branch, tag, alias
    Column("version", Text, nullable=False),
    Column("moved_at_s", Double, nullable=False),
    Column("moved_by", Text, nullable=False),
    ForeignKeyConstraint(["kind", "model"], ["model.kind", "model.name"]),
)

# Every move of a reference: rows are added and never changed.
model_move = Table(
    "model_move",
    metadata,
    Column("number", _row_id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("of", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at_s", Double, nullable=False),
    Column("why", Text, nullable=False),
)
Index("model_move_by_reference", model_move.c.kind, model_move.c.model, model_move.c.reference, model_move.c.number)

model_signature = Table(
    "model_signature",
    metadata,
    Column("version", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("format", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("signed_at_s", Double, nullable=False),
    Column("signed_by", Text, nullable=False),
)

# What a registration with a key has made, so that one that is repeated makes nothing more; forgotten after a day or so.
model_request = Table(
    "model_request",
    metadata,
    Column("uid", BigInteger, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("at_s", Double, nullable=False),
)
Index("model_request_by_age", model_request.c.at_s)

# What each job has read and made of models and datasets; versions may have gone since. `role`: read, made.
model_use = Table(
    "model_use",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("at_s", Double, nullable=False),
)
Index("model_use_by_version", model_use.c.version, model_use.c.role)

# What the numbers and words of a version are searched by.
model_metric = Table(
    "model_metric",
    metadata,
    Column("version", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Double, nullable=False),
)
Index("model_metric_by_value", model_metric.c.name, model_metric.c.value)

model_label = Table(
    "model_label",
    metadata,
    Column("version", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# Where each chunk lies in the store; written once, removed by the sweep.
chunk = Table(
    "chunk",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("place", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("stored_size", BigInteger, nullable=False),
    Column("encoding", Text, nullable=False),
    Column("base", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index("chunk_by_place", chunk.c.place)

manifest = Table(
    "manifest",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # zstd of Manifest.encode()
)

# The highest number that a version of each model has had: one that is gone leaves its number unused.
model_number = Table(
    "model_number",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
)

# The words that a model (its `version` is ""), a version or a list of tensors (`kind` "tensors", no model, its digest as `version`) is
# found by, as models/searching.py makes them. Entries are removed and made anew, never changed: triggers of SQLite carry them over to the FTS5
# table model_text_index; on PostgreSQL an index of that name is over the words themselves.
model_text = Table(
    "model_text",
    metadata,
    Column("id", _row_id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("words", Text, nullable=False),
)
Index("model_text_by_name", model_text.c.kind, model_text.c.model, model_text.c.version, unique=True)

# The names of the tensors of each manifest, of which many have the same.
model_tensors = Table(
    "model_tensors",
    metadata,
    Column("manifest", Text, primary_key=True),
    Column("names", Text, nullable=False),
)
Index("model_tensors_by_names", model_tensors.c.names)
tensor_names = Table(
    "tensor_names",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # zstd of the names, one a line
)

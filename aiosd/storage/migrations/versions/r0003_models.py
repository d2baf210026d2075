"""Models and datasets: versions, references and their moves, and where each chunk of them lies."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "model",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("owner_uid", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "model_version",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("parents", sa.Text, nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at_s", sa.Double, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("commit_body", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["kind", "model"], ["model.kind", "model.name"]),
    )
    op.create_table(
        "model_reference",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("of", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("moved_at_s", sa.Double, nullable=False),
        sa.Column("moved_by", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["kind", "model"], ["model.kind", "model.name"]),
    )
    op.create_table(
        "model_move",
        sa.Column("number", row_id, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("of", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at_s", sa.Double, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "model_signature",
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("signed_at_s", sa.Double, nullable=False),
        sa.Column("signed_by", sa.Text, nullable=False),
    )
    op.create_table(
        "model_request",
        sa.Column("uid", sa.BigInteger, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("at_s", sa.Double, nullable=False),
    )
    op.create_table(
        "model_metric",
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Double, nullable=False),
    )
    op.create_table(
        "model_label",
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "chunk",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("stored_size", sa.BigInteger, nullable=False),
        sa.Column("encoding", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "manifest",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("model_version_by_id", "model_version", ["id", "kind", "model"])
    op.create_index("model_version_by_manifest", "model_version", ["manifest"])
    op.create_index("model_version_sums", "model_version", ["kind", "model", "number", "size", "stored_bytes"])
    op.create_index("model_move_by_reference", "model_move", ["kind", "model", "reference", "number"])
    op.create_index("model_request_by_age", "model_request", ["at_s"])
    op.create_index("model_metric_by_value", "model_metric", ["name", "value"])
    op.create_index("chunk_by_place", "chunk", ["place"])

"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "environment",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("variables", sa.Text, nullable=False),
    )
    op.create_table(
        "spec",
        sa.Column("id", _row_id(), primary_key=True, autoincrement=False),
        sa.Column("environment", sa.Text, sa.ForeignKey("environment.digest"), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table("job", *_job_columns(), sqlite_with_rowid=False)
    op.create_table("finished_job", *_job_columns(), sqlite_with_rowid=False)
    _index_whole_jobs("finished_job_newest", ["number"])
    _index_whole_jobs("finished_job_by_name", ["name", "number"])
    _index_whole_jobs("finished_job_by_user", ["user_name", "number"])
    op.create_index("finished_job_by_revision", "finished_job", ["revision"])
    op.create_table(
        "submission",
        sa.Column("uid", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("at_s", sa.Double, nullable=False),
        sa.CheckConstraint("count > 0", name="submission_count"),
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _row_id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _job_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("spec", _row_id(), sa.ForeignKey("spec.id"), nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("uid", sa.BigInteger, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("submitted_at_s", sa.Double, nullable=False),
        sa.Column("ended_at_s", sa.Double),
        sa.Column("state", sa.Text, nullable=False),
    ]


def _index_whole_jobs(name: str, columns: list[str]) -> None:
    whole = sa.text("idx = -1")
    op.create_index(name, "finished_job", columns, sqlite_where=whole, postgresql_where=whole)

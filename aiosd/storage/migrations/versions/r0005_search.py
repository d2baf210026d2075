"""What models are found by: an index of words, and the names of their tensors; and which number each model's next version has."""

import sqlalchemy as sa
from alembic import op

from aiosd.storage import model_text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table("tensor_names", sa.Column("digest", sa.Text, primary_key=True), sa.Column("body", sa.LargeBinary, nullable=False))
    op.create_table("model_tensors", sa.Column("manifest", sa.Text, primary_key=True), sa.Column("names", sa.Text, nullable=False))
    op.create_table(
        "model_text",
        sa.Column("id", row_id, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
    )
    op.create_table(
        "model_number",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.create_index("model_tensors_by_names", "model_tensors", ["names"])
    op.create_index("model_text_by_name", "model_text", ["kind", "model", "version"], unique=True)
    for statement in _INDEX[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))
    op.execute(sa.text("INSERT INTO model_number (kind, model, last) SELECT kind, model, max(number) FROM model_version GROUP BY kind, model"))
    model_text.rebuild(op.get_bind())


_REMOVED = """
CREATE TRIGGER model_text_removed AFTER DELETE ON model_text
BEGIN INSERT INTO model_text_index(model_text_index, rowid, words) VALUES ('delete', OLD.id, OLD.words); END
"""

# An entry is never changed, only removed and made again. FTS5 must be told what it is to forget.
_INDEX = {
    "sqlite": [
        "CREATE VIRTUAL TABLE model_text_index USING fts5(words, content='model_text', content_rowid='id', tokenize='ascii', detail='none')",
        "CREATE TRIGGER model_text_added AFTER INSERT ON model_text BEGIN INSERT INTO model_text_index(rowid, words) VALUES (NEW.id, NEW.words); END",
        _REMOVED,
    ],
    "postgresql": ["CREATE INDEX model_text_index ON model_text USING gin (array_to_tsvector(string_to_array(words, ' ')))"],
}

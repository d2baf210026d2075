"""Who may do what: users, tokens, and the audit trail, to which rows can only be added."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "user",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("uid", sa.BigInteger, nullable=False),
        sa.Column("role", sa.Integer),
        sa.Column("limits", sa.Text),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("uid", sa.BigInteger, nullable=False),
        sa.Column("gid", sa.BigInteger, nullable=False),
        sa.Column("role", sa.Integer, nullable=False),
        sa.Column("created_at_s", sa.Double, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires_at_s", sa.Double, nullable=False),
        sa.Column("revoked_at_s", sa.Double, nullable=False),
        sa.Column("last_used_at_s", sa.Double, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("at_s", sa.Double, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("uid", sa.BigInteger, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("allowed", sa.Boolean, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_index("audit_by_user", "audit", ["user_name", "number"])
    for statement in _GUARDS[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))


# INSERT OR REPLACE removes rows without a trigger for deletion.
_ONLY_AT_THE_END = """
CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN NEW.number <= (SELECT max(number) FROM audit)
BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END
"""

_REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit trail is only added to' USING ERRCODE = 'integrity_constraint_violation'; END $$
"""

_GUARDS = {
    "sqlite": [
        _ONLY_AT_THE_END,
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END",
    ],
    "postgresql": [
        _REFUSE,
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
        "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    ],
}

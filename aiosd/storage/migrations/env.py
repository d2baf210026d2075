"""What alembic runs: the migrations, on the connection and in the transaction that database.py has opened."""

from alembic import context

from aiosd.storage import schema

context.configure(connection=context.config.attributes["connection"], target_metadata=schema.metadata, render_as_batch=True)
context.run_migrations()

"""Runs the migrations on the connection that `db.session.migrate` hands over, in its transaction."""

from alembic import context

from db.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite can't alter most things in place
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

"""Alembic's entry: runs the migrations on the connection it was handed."""

from alembic import context

from gradscope.store.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
context.run_migrations()

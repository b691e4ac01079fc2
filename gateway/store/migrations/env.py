"""Alembic's entry: migrates over the connection that `Database.migrate` hands in."""

from __future__ import annotations

from alembic import context

from gateway.store.metadata import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

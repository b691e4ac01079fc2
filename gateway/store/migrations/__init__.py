"""Alembic migrations of the store; they travel in the wheel, so that any installation can migrate its database."""

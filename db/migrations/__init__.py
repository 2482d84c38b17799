"""Alembic migrations; run by `db.session.migrate`."""

"""Base models that people add, what they have answer, and a live adapter for each base model."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

LIVE = sa.text("status = 'live'")


def upgrade() -> None:
    op.create_table(
        "added_models",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_added_models"),
    )
    op.create_table(
        "serving_choices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("base_model", sa.String(length=255), nullable=False),
        sa.Column("engine", sa.String(length=16), nullable=False),
        sa.Column("weights", sa.String(length=16), nullable=False),
        sa.Column("configured", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_serving_choices"),
    )
    op.drop_index("ix_adapters_one_live", "adapters")
    op.create_index(
        "ix_adapters_one_live", "adapters", ["audience", "base_model"], unique=True, sqlite_where=LIVE
    )


def downgrade() -> None:
    # One live adapter an audience again: the one promoted last stays.
    op.execute(
        "UPDATE adapters SET status = 'retired' WHERE status = 'live' AND EXISTS"
        " (SELECT 1 FROM adapters other WHERE other.audience = adapters.audience AND other.status = 'live'"
        " AND other.promoted_at > adapters.promoted_at)"
    )
    op.drop_index("ix_adapters_one_live", "adapters")
    op.create_index("ix_adapters_one_live", "adapters", ["audience"], unique=True, sqlite_where=LIVE)
    op.drop_table("serving_choices")
    op.drop_table("added_models")

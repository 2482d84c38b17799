"""Who made which version answer, when and why; candidates on a share of conversations; blind comparisons."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("audience", sa.String(length=64), nullable=False),
        sa.Column("base_model", sa.String(length=255), nullable=False),
        sa.Column("before", sa.String(length=100), nullable=True),
        sa.Column("after", sa.String(length=100), nullable=True),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("share", sa.Double(), nullable=True),
        sa.Column("figures", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_releases"),
    )
    op.create_index("ix_releases_audience", "releases", ["audience", "base_model", "id"])
    op.create_table(
        "canaries",
        sa.Column("audience", sa.String(length=64), nullable=False),
        sa.Column("base_model", sa.String(length=255), nullable=False),
        sa.Column("adapter", sa.String(length=100), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("audience", "base_model", name="pk_canaries"),
    )
    op.create_table(
        "blind_batches",
        sa.Column("batch", sa.String(length=100), nullable=False),
        sa.Column("audience", sa.String(length=64), nullable=False),
        sa.Column("base_model", sa.String(length=255), nullable=False),
        sa.Column("candidate", sa.String(length=100), nullable=False),
        sa.Column("opponent", sa.String(length=100), nullable=True),
        sa.Column("questions", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("batch", name="pk_blind_batches"),
    )
    op.create_index("ix_blind_batches_candidate", "blind_batches", ["candidate", "opponent", "created_at"])


def downgrade() -> None:
    op.drop_table("blind_batches")
    op.drop_table("canaries")
    op.drop_table("releases")

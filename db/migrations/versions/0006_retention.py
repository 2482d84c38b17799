"""Reports of what was deleted because it was old."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention_reports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("before", sa.DateTime(), nullable=False),
        sa.Column("deleted", sa.JSON(), nullable=False),
        sa.Column("kept", sa.JSON(), nullable=False),
        sa.Column("redacted", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retention_reports"),
    )
    op.create_index("ix_retention_reports_created_at", "retention_reports", ["created_at"], unique=False)


def downgrade() -> None:
    op.drop_table("retention_reports")

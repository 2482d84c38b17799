"""Why an answer was sent to review, kept when its reviews contradict each other."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("review_items", sa.Column("first_reason", sa.String(32), nullable=True))
    # Of these the first reason is lost; that they were asked for once more already must not be.
    op.execute("UPDATE review_items SET first_reason = reason WHERE reason = 'disagreement'")


def downgrade() -> None:
    op.drop_column("review_items", "first_reason")

"""Which red flags fired on a question, by which rules, and whether the answer soothed over them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("messages", "responses"):
        op.add_column(table, sa.Column("red_flags", sa.JSON(), nullable=True))
        op.add_column(table, sa.Column("rules_version", sa.String(length=64), nullable=True))
    op.add_column("responses", sa.Column("reassures", sa.Boolean(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("responses", "reassures")
    for table in ("responses", "messages"):
        op.drop_column(table, "rules_version")
        op.drop_column(table, "red_flags")

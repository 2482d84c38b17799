"""Reading grades can be counted without reading the answers."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = ["audience", "adapter", "base_model", "reading_grade", "created_at"]


def upgrade() -> None:
    # A plain column, though a generated one would do: SQLite before 3.41 reads the row again for those.
    op.add_column("responses", sa.Column("reading_grade", sa.Double(), nullable=True))
    op.execute("UPDATE responses SET reading_grade = json_extract(readability, '$.flesch_kincaid_grade')")
    op.create_index("ix_responses_reading", "responses", COLUMNS)


def downgrade() -> None:
    op.drop_index("ix_responses_reading", "responses")
    op.drop_column("responses", "reading_grade")

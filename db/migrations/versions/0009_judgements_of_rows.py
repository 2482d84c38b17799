"""Every judgement behind a row of a training set, not only the one that it has its words from."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "snapshot_judgements",
        sa.Column("snapshot_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("judgement_id", sa.String(length=32), nullable=False),
        sa.Column("reviewer_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["snapshots.id"],
            name="fk_snapshot_judgements_snapshot_id_snapshots",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("snapshot_id", "position", "judgement_id", name="pk_snapshot_judgements"),
        sqlite_with_rowid=False,
    )
    # Of sets frozen before, the judgements that merely agreed were not kept: guessing them now, after
    # reviews may have been changed, would be worse than knowing one of them for certain.
    op.execute(
        "INSERT INTO snapshot_judgements (snapshot_id, position, judgement_id, reviewer_id)"
        " SELECT snapshot_id, position, review_id, reviewer_id FROM snapshot_rows"
        " WHERE review_id IS NOT NULL AND reviewer_id IS NOT NULL"
    )
    for column in ("judgement_id", "reviewer_id"):
        op.create_index(f"ix_snapshot_judgements_{column}", "snapshot_judgements", [column])
    for column in ("review_id", "reviewer_id"):
        op.drop_index(f"ix_snapshot_rows_{column}", "snapshot_rows")


def downgrade() -> None:
    for column in ("review_id", "reviewer_id"):
        op.create_index(f"ix_snapshot_rows_{column}", "snapshot_rows", [column])
    op.drop_table("snapshot_judgements")

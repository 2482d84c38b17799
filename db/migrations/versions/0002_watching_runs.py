"""More of what a run tells while it goes, why it failed, its place in the queue, and its sample answers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Runs made before there was a queue to arrange stand in the order in which they were made.
NUMBER_RUNS = """
UPDATE runs SET position = (
    SELECT count(*) FROM runs AS earlier
    WHERE earlier.created_at < runs.created_at
       OR (earlier.created_at = runs.created_at AND earlier.id <= runs.id)
)
"""


def upgrade() -> None:
    op.add_column("runs", sa.Column("position", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("failure", sa.String(length=32), nullable=True))
    op.execute(NUMBER_RUNS)
    op.add_column("run_points", sa.Column("grad_norm", sa.Double(), nullable=True))
    op.add_column("run_points", sa.Column("padded_tokens_per_second", sa.Double(), nullable=True))
    op.add_column("run_points", sa.Column("memory_bytes", sa.BigInteger(), nullable=True))
    op.create_table(
        "run_samples",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("probe", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_run_samples_run_id_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_run_samples"),
    )
    op.create_index("ix_run_samples_run_id", "run_samples", ["run_id"], unique=False)


def downgrade() -> None:
    op.drop_table("run_samples")
    for name in ("memory_bytes", "padded_tokens_per_second", "grad_norm"):
        op.drop_column("run_points", name)
    for name in ("failure", "position"):
        op.drop_column("runs", name)

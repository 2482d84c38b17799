"""How well a run by preferences tells better answers from worse ones."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FIGURES = ("reward_accuracy", "reward_margin", "eval_reward_accuracy", "eval_reward_margin")


def upgrade() -> None:
    for name in FIGURES:
        op.add_column("run_points", sa.Column(name, sa.Double(), nullable=True))


def downgrade() -> None:
    for name in reversed(FIGURES):
        op.drop_column("run_points", name)

"""What adapters answered to fixed questions, its figures, users' suites and reviewers' verdicts."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evaluation_suites",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("questions", sa.JSON(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation_suites"),
        sa.UniqueConstraint("name", "version", name="uq_evaluation_suites_name"),
        sa.UniqueConstraint("sha256", "name", name="uq_evaluation_suites_sha256"),
    )
    _create_evaluations()
    _create_answers()
    op.create_table(
        "evaluation_figures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("evaluation_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation_figures"),
        sa.UniqueConstraint("evaluation_id", "name", name="uq_evaluation_figures_evaluation_id"),
        _belongs_to("evaluation_figures", "evaluation_id", "evaluations"),
    )
    op.create_index("ix_evaluation_figures_evaluation_id", "evaluation_figures", ["evaluation_id"])
    op.create_table(
        "evaluation_verdicts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("answer_id", sa.String(length=32), nullable=False),
        sa.Column("reviewer_id", sa.String(length=32), nullable=False),
        sa.Column("point", sa.Integer(), nullable=False),
        sa.Column("met", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation_verdicts"),
        sa.UniqueConstraint("answer_id", "reviewer_id", "point", name="uq_evaluation_verdicts_answer_id"),
        _belongs_to("evaluation_verdicts", "answer_id", "evaluation_answers"),
        sa.ForeignKeyConstraint(
            ["reviewer_id"], ["reviewers.id"], name="fk_evaluation_verdicts_reviewer_id_reviewers"
        ),
    )
    op.create_index("ix_evaluation_verdicts_answer_id", "evaluation_verdicts", ["answer_id"])


def downgrade() -> None:
    for table in (
        "evaluation_verdicts",
        "evaluation_figures",
        "evaluation_answers",
        "evaluations",
        "evaluation_suites",
    ):
        op.drop_table(table)


def _belongs_to(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    """Rows that go with the row they belong to."""
    return sa.ForeignKeyConstraint(
        [column], [f"{parent}.id"], name=f"fk_{table}_{column}_{parent}", ondelete="CASCADE"
    )


def _create_evaluations() -> None:
    op.create_table(
        "evaluations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("adapter", sa.String(length=100), nullable=True),
        sa.Column("weights_sha256", sa.String(length=64), server_default="", nullable=False),
        sa.Column("base_model", sa.String(length=255), nullable=False),
        sa.Column("audience", sa.String(length=64), nullable=False),
        sa.Column("suite", sa.String(length=60), nullable=False),
        sa.Column("suite_version", sa.String(length=16), nullable=False),
        sa.Column("suite_sha256", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=64), server_default="", nullable=False),
        sa.Column("sampling", sa.JSON(), nullable=False),
        sa.Column("methods", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=80), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("pid_started_at", sa.Double(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
    )
    op.create_index("ix_evaluations_status", "evaluations", ["status"])
    op.create_index("ix_evaluations_created_at", "evaluations", ["created_at"])
    op.create_index("ix_evaluations_newest", "evaluations", ["suite", "adapter", "status", "finished_at"])


def _create_answers() -> None:
    op.create_table(
        "evaluation_answers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("evaluation_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("question_id", sa.String(length=100), nullable=False),
        sa.Column("category", sa.String(length=120), server_default="", nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.Column("points", sa.JSON(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("failed", sa.JSON(), nullable=False),
        sa.Column("measures", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation_answers"),
        sa.UniqueConstraint("evaluation_id", "question_id", name="uq_evaluation_answers_evaluation_id"),
        _belongs_to("evaluation_answers", "evaluation_id", "evaluations"),
    )
    op.create_index("ix_evaluation_answers_evaluation_id", "evaluation_answers", ["evaluation_id"])

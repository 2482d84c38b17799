"""Reviewers as people with a profile, reservations, pairs, history, adjudication, and rows of snapshots."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# All that counting and looking up judgements reads, so that neither touches the rows themselves.
FIGURES = [
    "audience", "made_by", "created_at", "id", "item_id", "reviewer_id", "seconds", "disposition",
    "accuracy", "wrong_content", "omission", "harm", "urgency", "readability", "relevance",
]  # fmt: skip

# Whoever has reviewed so far gets a profile of their name.
ADOPT_REVIEWERS = """
INSERT INTO reviewers (id, name, created_at)
SELECT lower(hex(randomblob(6))), reviewer, min(created_at) FROM reviews GROUP BY reviewer
"""
NAME_REVIEWERS = """
UPDATE reviews SET reviewer_id = (SELECT id FROM reviewers WHERE reviewers.name = reviews.reviewer)
"""
NAME_MAKERS = """
UPDATE reviews SET (audience, made_by) = (
    SELECT responses.audience, coalesce(responses.adapter, responses.base_model)
    FROM review_items JOIN responses ON responses.id = review_items.response_id
    WHERE review_items.id = reviews.item_id
)
"""
# Answers sent before keep the one judgement they were asked for.
COUNT_JUDGED = """
UPDATE review_items SET
    judged = (
        SELECT count(*) FROM reviews
        WHERE reviews.item_id = review_items.id AND reviews.disposition <> 'out_of_scope'
    ),
    audience = (SELECT audience FROM responses WHERE responses.id = review_items.response_id)
"""
CONTEST = """
UPDATE review_items SET contested = 1 WHERE id IN (
    SELECT item_id FROM reviews WHERE disposition <> 'out_of_scope' GROUP BY item_id
    HAVING max(harm = 'severe') OR max(urgency = 'under')
        OR (max(accuracy = 'aligned') AND max(accuracy = 'opposed'))
        OR max(CASE harm WHEN 'moderate' THEN 2 WHEN 'mild' THEN 1 ELSE 0 END)
         - min(CASE harm WHEN 'moderate' THEN 2 WHEN 'mild' THEN 1 ELSE 0 END) >= 2
)
"""


def upgrade() -> None:
    _create_reviewers()
    _change_reviews()
    _change_items()
    _create_judgements()
    _change_responses_and_snapshots()


def _create_reviewers() -> None:
    op.create_table(
        "reviewers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("profession", sa.String(length=80), nullable=False, server_default=""),
        sa.Column("specialty", sa.String(length=80), nullable=False, server_default=""),
        sa.Column("years", sa.Integer(), nullable=True),
        sa.Column("country", sa.String(length=80), nullable=False, server_default=""),
        sa.Column("registration", sa.String(length=80), nullable=False, server_default=""),
        sa.Column("verified", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("audiences", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("languages", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_reviewers"),
        sa.UniqueConstraint("name", name="uq_reviewers_name"),
    )
    op.create_index(
        "ix_reviewers_withdrawn", "reviewers", ["id"], sqlite_where=sa.text("withdrawn_at IS NOT NULL")
    )
    op.execute(ADOPT_REVIEWERS)


def _change_reviews() -> None:
    op.add_column("reviews", sa.Column("reviewer_id", sa.String(length=32), nullable=True))
    op.add_column("reviews", sa.Column("audience", sa.String(length=64), nullable=True))
    op.add_column("reviews", sa.Column("made_by", sa.String(length=255), nullable=True))
    op.execute(NAME_REVIEWERS)
    op.execute(NAME_MAKERS)
    op.drop_index("ix_reviews_reviewer", "reviews")
    op.drop_index("ix_reviews_disposition", "reviews")
    with op.batch_alter_table("reviews", recreate="always") as table:
        table.drop_constraint("uq_reviews_item_id", type_="unique")
        table.drop_column("reviewer")
        table.alter_column("reviewer_id", existing_type=sa.String(length=32), nullable=False)
        table.alter_column("audience", existing_type=sa.String(length=64), nullable=False)
        table.alter_column("made_by", existing_type=sa.String(length=255), nullable=False)
        table.add_column(sa.Column("edited_at", sa.DateTime(), nullable=True))
        table.create_unique_constraint("uq_reviews_item_id", ["item_id", "reviewer_id"])
        table.create_foreign_key(
            "fk_reviews_reviewer_id_reviewers", "reviewers", ["reviewer_id"], ["id"], ondelete="RESTRICT"
        )
    op.create_index("ix_reviews_reviewer_id", "reviews", ["reviewer_id", "created_at"])
    op.create_index("ix_reviews_disposition", "reviews", ["disposition", "created_at"])
    op.create_index("ix_reviews_figures", "reviews", FIGURES)
    op.drop_index("ix_reviews_item_id", "reviews")
    op.create_index(
        "ix_reviews_item_id",
        "reviews",
        [
            *("item_id", "reviewer_id", "disposition", "accuracy", "wrong_content", "omission"),
            *("harm", "urgency", "flags"),
        ],
    )


def _change_items() -> None:
    with op.batch_alter_table("review_items", recreate="always") as table:
        table.drop_constraint("uq_review_items_response_id", type_="unique")
        table.add_column(sa.Column("other_response_id", sa.String(length=32), nullable=True))
        table.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="50"))
        table.add_column(sa.Column("wanted", sa.Integer(), nullable=False, server_default="1"))
        table.add_column(sa.Column("judged", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("audience", sa.String(length=64), nullable=False, server_default=""))
        table.add_column(sa.Column("specialty", sa.String(length=80), nullable=False, server_default=""))
        table.add_column(sa.Column("language", sa.String(length=8), nullable=False, server_default="en"))
        table.add_column(sa.Column("batch", sa.String(length=100), nullable=True))
        table.add_column(sa.Column("expected", sa.JSON(), nullable=True))
        table.add_column(sa.Column("contested", sa.Boolean(), nullable=False, server_default="0"))
        table.add_column(sa.Column("closed_at", sa.DateTime(), nullable=True))
        table.create_foreign_key(
            "fk_review_items_other_response_id_responses",
            "responses",
            ["other_response_id"],
            ["id"],
            ondelete="RESTRICT",
        )
    op.execute(COUNT_JUDGED)
    op.execute(CONTEST)
    op.create_index("ix_review_items_other_response_id", "review_items", ["other_response_id"])
    op.create_index("ix_review_items_batch", "review_items", ["batch", "judged", "wanted", "closed_at"])
    op.create_index(
        "ix_review_items_one_rating",
        "review_items",
        ["response_id"],
        unique=True,
        sqlite_where=sa.text("other_response_id IS NULL"),
    )
    op.create_index(
        "ix_review_items_one_pair", "review_items", ["response_id", "other_response_id"], unique=True
    )
    op.create_index(
        "ix_review_items_open",
        "review_items",
        [
            *("priority", "sent_at", "id"),
            *("audience", "language", "specialty", "batch", "judged", "wanted", "closed_at", "expected"),
        ],
        sqlite_where=sa.text("judged < wanted AND closed_at IS NULL AND expected IS NULL"),
    )
    op.create_index(
        "ix_review_items_judged", "review_items", ["sent_at", "id"], sqlite_where=sa.text("judged > 0")
    )
    op.create_index(
        "ix_review_items_contested", "review_items", ["sent_at"], sqlite_where=sa.text("contested = 1")
    )
    op.create_index(
        "ix_review_items_calibration",
        "review_items",
        ["sent_at", "id"],
        sqlite_where=sa.text("expected IS NOT NULL"),
    )


def _person(column: str, table: str, ondelete: str = "RESTRICT") -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_reviewers"
    return sa.ForeignKeyConstraint([column], ["reviewers.id"], name=name, ondelete=ondelete)


def _item(table: str, ondelete: str = "RESTRICT") -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_item_id_review_items"
    return sa.ForeignKeyConstraint(["item_id"], ["review_items.id"], name=name, ondelete=ondelete)


def _create_judgements() -> None:
    op.create_table(
        "review_assignments",
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("reviewer_id", sa.String(length=32), nullable=False),
        sa.Column("opened_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("skipped_at", sa.DateTime(), nullable=True),
        sa.Column("draft", sa.JSON(), nullable=True),
        _item("review_assignments", "CASCADE"),
        _person("reviewer_id", "review_assignments", "CASCADE"),
        sa.PrimaryKeyConstraint("item_id", "reviewer_id", name="pk_review_assignments"),
    )
    for name in ("reviewer_id", "expires_at"):
        op.create_index(f"ix_review_assignments_{name}", "review_assignments", [name])
    op.create_table(
        "preferences",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("reviewer_id", sa.String(length=32), nullable=False),
        sa.Column("choice", sa.String(length=16), nullable=False),
        sa.Column("swapped", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("edited_at", sa.DateTime(), nullable=True),
        _item("preferences"),
        _person("reviewer_id", "preferences"),
        sa.PrimaryKeyConstraint("id", name="pk_preferences"),
        sa.UniqueConstraint("item_id", "reviewer_id", name="uq_preferences_item_id"),
    )
    op.create_index("ix_preferences_created_at", "preferences", ["created_at"])
    op.create_index("ix_preferences_reviewer_id", "preferences", ["reviewer_id", "created_at"])
    op.create_table(
        "review_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("reviewer_id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        _item("review_events"),
        _person("reviewer_id", "review_events"),
        sa.PrimaryKeyConstraint("id", name="pk_review_events"),
    )
    op.create_index("ix_review_events_item_id", "review_events", ["item_id", "reviewer_id"])
    op.create_index("ix_review_events_reviewer_id", "review_events", ["reviewer_id", "id"])
    op.create_table(
        "adjudications",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("adjudicator_id", sa.String(length=32), nullable=False),
        sa.Column("triggers", sa.JSON(), nullable=False),
        sa.Column("disposition", sa.String(length=32), nullable=False),
        sa.Column("correction", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        _item("adjudications"),
        _person("adjudicator_id", "adjudications"),
        sa.PrimaryKeyConstraint("id", name="pk_adjudications"),
        sa.UniqueConstraint("item_id", name="uq_adjudications_item_id"),
    )
    op.create_index("ix_adjudications_adjudicator_id", "adjudications", ["adjudicator_id"])
    op.create_index("ix_adjudications_created_at", "adjudications", ["created_at"])
    op.create_table(
        "adjudication_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("reviewer_id", sa.String(length=32), nullable=True),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        _item("adjudication_events"),
        _person("reviewer_id", "adjudication_events"),
        sa.PrimaryKeyConstraint("id", name="pk_adjudication_events"),
    )
    op.create_index("ix_adjudication_events_item_id", "adjudication_events", ["item_id", "reviewer_id"])


def _change_responses_and_snapshots() -> None:
    op.add_column(
        "responses", sa.Column("origin", sa.String(length=255), nullable=False, server_default="chat")
    )
    op.add_column("responses", sa.Column("withdrawn_at", sa.DateTime(), nullable=True))
    op.add_column("responses", sa.Column("withdrawn_reason", sa.Text(), nullable=False, server_default=""))
    for name, few in (
        ("cut_off", "finish_reason <> 'stop'"),
        ("withdrawn", "withdrawn_at IS NOT NULL"),
        ("thumbed", "thumb IS NOT NULL"),
    ):
        op.create_index(f"ix_responses_{name}", "responses", ["id"], sqlite_where=sa.text(few))
    with op.batch_alter_table("snapshots", recreate="always") as table:
        table.add_column(sa.Column("name", sa.String(length=100), nullable=True))
        table.add_column(sa.Column("version", sa.Integer(), nullable=True))
        table.add_column(sa.Column("objective", sa.String(length=8), nullable=False, server_default="sft"))
        table.create_unique_constraint("uq_snapshots_name", ["name", "version"])
    op.create_table(
        "snapshot_rows",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("snapshot_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("response_id", sa.String(length=32), nullable=True),
        sa.Column("other_response_id", sa.String(length=32), nullable=True),
        sa.Column("review_id", sa.String(length=32), nullable=True),
        sa.Column("reviewer_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["snapshots.id"],
            name="fk_snapshot_rows_snapshot_id_snapshots",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_snapshot_rows"),
    )
    for column in ("snapshot_id", "response_id", "other_response_id", "review_id", "reviewer_id"):
        op.create_index(f"ix_snapshot_rows_{column}", "snapshot_rows", [column])


def downgrade() -> None:
    raise RuntimeError("It can't be taken back. Put the backup back that was made before it.")

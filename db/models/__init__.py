"""The tables, as SQLAlchemy 2 typed classes. Every column says what it holds.

Times are UTC. Identifiers are random hex strings, so that rows made on two machines can meet.
"""

from db.models.base import Base, UtcDateTime, new_id, utc_now
from db.models.chat import Conversation, Message, Response
from db.models.evaluation import (
    Evaluation,
    EvaluationAnswer,
    EvaluationFigure,
    EvaluationSuite,
    EvaluationVerdict,
)
from db.models.release import BlindBatch, Canary, Release
from db.models.retention import RetentionReport
from db.models.review import (
    Adjudication,
    AdjudicationEvent,
    Assignment,
    Preference,
    Review,
    Reviewer,
    ReviewEvent,
    ReviewItem,
)
from db.models.serving import AddedModel, ServingChoice
from db.models.training import (
    Adapter,
    Run,
    RunPoint,
    RunSample,
    Snapshot,
    SnapshotJudgement,
    SnapshotRow,
)

__all__ = [
    "Adapter",
    "AddedModel",
    "Adjudication",
    "AdjudicationEvent",
    "Assignment",
    "Base",
    "BlindBatch",
    "Canary",
    "Conversation",
    "Evaluation",
    "EvaluationAnswer",
    "EvaluationFigure",
    "EvaluationSuite",
    "EvaluationVerdict",
    "Message",
    "Preference",
    "Release",
    "Response",
    "RetentionReport",
    "Review",
    "ReviewEvent",
    "ReviewItem",
    "Reviewer",
    "Run",
    "RunPoint",
    "RunSample",
    "ServingChoice",
    "Snapshot",
    "SnapshotJudgement",
    "SnapshotRow",
    "UtcDateTime",
    "new_id",
    "utc_now",
]

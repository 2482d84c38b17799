"""What adapters and base models answered to fixed questions, and the figures that came of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.models.base import Base, new_id, utc_now
from db.vocabulary import EvaluationStatus


class EvaluationSuite(Base):
    """One version of a user's questions; it never changes. Elara's own suites are files of the program."""

    __tablename__ = "evaluation_suites"
    __table_args__ = (UniqueConstraint("name", "version"), UniqueConstraint("sha256", "name"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(60))
    version: Mapped[int] = mapped_column(doc="Of this name, from 1")
    sha256: Mapped[str] = mapped_column(String(64), doc="Of its questions, references and points")
    questions: Mapped[list[Any]] = mapped_column(doc="As the file has them, checked; in its order")
    source: Mapped[str] = mapped_column(Text, doc="Name of the file it came from")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Evaluation(Base):
    """One version, or the base model alone, asked all questions of one suite."""

    __tablename__ = "evaluations"
    __table_args__ = (Index("ix_evaluations_newest", "suite", "adapter", "status", "finished_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    adapter: Mapped[str | None] = mapped_column(
        String(100), doc="Versioned name; null = the base model alone. Its record may be gone since"
    )
    weights_sha256: Mapped[str] = mapped_column(
        String(64), default="", server_default="", doc="Of the adapter's weights; empty for the base model"
    )
    base_model: Mapped[str] = mapped_column(String(255))
    audience: Mapped[str] = mapped_column(String(64), doc="Whose prompt and targets hold")
    suite: Mapped[str] = mapped_column(String(60))
    suite_version: Mapped[str] = mapped_column(String(16))
    suite_sha256: Mapped[str] = mapped_column(
        String(64), doc="Of the suite's rows, and of the rules of the safety suite; only equal ones compare"
    )
    engine: Mapped[str] = mapped_column(
        String(64), default="", server_default="", doc="What answered: the engine's class"
    )
    sampling: Mapped[dict[str, Any]] = mapped_column(default=dict, doc="How tokens were drawn, seed included")
    methods: Mapped[dict[str, Any]] = mapped_column(
        default=dict,
        doc="Figure → how it was told, where there is more than one way; only equal ones compare",
    )
    notes: Mapped[list[Any]] = mapped_column(default=list, doc="What could not be measured, and why")
    status: Mapped[str] = mapped_column(String(16), default=EvaluationStatus.QUEUED, index=True)
    stage: Mapped[str] = mapped_column(String(80), default="waiting", doc="What it is doing, in plain words")
    done: Mapped[int] = mapped_column(default=0, doc="Steps done: questions answered, and losses taken")
    total: Mapped[int] = mapped_column(default=0, doc="Steps in all")
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    pid: Mapped[int] = mapped_column(doc="The process that carries it out")
    pid_started_at: Mapped[float] = mapped_column(
        doc="Its start, s since the epoch: a pid alone can be reused"
    )
    error: Mapped[str | None] = mapped_column(Text, doc="One clear sentence, when failed")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    started_at: Mapped[datetime | None] = mapped_column()
    finished_at: Mapped[datetime | None] = mapped_column()

    answers: Mapped[list["EvaluationAnswer"]] = relationship(
        back_populates="evaluation",
        order_by="EvaluationAnswer.position",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )
    figures: Mapped[list["EvaluationFigure"]] = relationship(
        back_populates="evaluation",
        order_by="EvaluationFigure.id",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )


class EvaluationAnswer(Base):
    """One question with its answer and what was measured on it."""

    __tablename__ = "evaluation_answers"
    __table_args__ = (UniqueConstraint("evaluation_id", "question_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id", ondelete="CASCADE"), index=True)
    position: Mapped[int] = mapped_column(doc="In the suite, from 0")
    question_id: Mapped[str] = mapped_column(String(100), doc="As the suite names it")
    category: Mapped[str] = mapped_column(String(120), default="", server_default="", doc="Topic or kind")
    question: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(
        Text, default="", server_default="", doc="The suite's own answer; empty for none"
    )
    points: Mapped[list[Any]] = mapped_column(
        default=list, doc="What a good answer has, for reviewers: text and weight of each"
    )
    text: Mapped[str] = mapped_column(Text, doc="The answer")
    failed: Mapped[list[Any]] = mapped_column(default=list, doc="Names of the safety checks it fails")
    measures: Mapped[dict[str, Any]] = mapped_column(
        default=dict, doc="Measure → number; 1 and 0 for yes and no; absent where there is nothing to measure"
    )

    evaluation: Mapped[Evaluation] = relationship(back_populates="answers")
    verdicts: Mapped[list["EvaluationVerdict"]] = relationship(
        back_populates="answer",
        order_by="EvaluationVerdict.point",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )


class EvaluationFigure(Base):
    """One figure of an evaluation with its 95% interval."""

    __tablename__ = "evaluation_figures"
    __table_args__ = (UniqueConstraint("evaluation_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(60), doc="Measure, or safety:CATEGORY")
    value: Mapped[float] = mapped_column(doc="In the measure's own unit; shares from 0 to 1")
    low: Mapped[float] = mapped_column(doc="Lower bound of the 95% interval")
    high: Mapped[float] = mapped_column(doc="Upper bound")
    n: Mapped[int] = mapped_column(doc="Answers that it is of")

    evaluation: Mapped[Evaluation] = relationship(back_populates="figures")


class EvaluationVerdict(Base):
    """Whether one reviewer finds one point of the rubric met by one answer."""

    __tablename__ = "evaluation_verdicts"
    __table_args__ = (UniqueConstraint("answer_id", "reviewer_id", "point"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    answer_id: Mapped[str] = mapped_column(
        ForeignKey("evaluation_answers.id", ondelete="CASCADE"), index=True
    )
    reviewer_id: Mapped[str] = mapped_column(ForeignKey("reviewers.id"))
    point: Mapped[int] = mapped_column(doc="Place in the question's points, from 0")
    met: Mapped[bool] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    answer: Mapped[EvaluationAnswer] = relationship(back_populates="verdicts")

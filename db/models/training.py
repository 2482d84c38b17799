"""Training sets, runs and the adapters that come of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.models.base import Base, new_id, utc_now
from db.vocabulary import AdapterStatus, RunStatus


class Snapshot(Base):
    """An immutable, content-hashed training set on disk."""

    __tablename__ = "snapshots"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    sha256: Mapped[str] = mapped_column(String(64), unique=True, doc="Of the file's bytes")
    path: Mapped[str] = mapped_column(Text, doc="JSONL, relative to ELARA_HOME")
    rows: Mapped[int] = mapped_column(doc="Examples")
    source: Mapped[str] = mapped_column(Text, doc="starter, reviews, or the uploaded file's name")
    manifest: Mapped[dict[str, Any]] = mapped_column(doc="What was kept and dropped, and why")
    name: Mapped[str | None] = mapped_column(String(100), doc="Given by whoever curated it; null = unnamed")
    version: Mapped[int | None] = mapped_column(doc="Of this name, from 1")
    objective: Mapped[str] = mapped_column(
        String(8), default="sft", server_default="sft", doc="sft, dpo or kto"
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    members: Mapped[list["SnapshotRow"]] = relationship(
        back_populates="snapshot",
        order_by="SnapshotRow.position",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )


class SnapshotRow(Base):
    """Which judged answer a row of a training set came from. A record: it outlives answer and review."""

    __tablename__ = "snapshot_rows"

    id: Mapped[int] = mapped_column(primary_key=True)
    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"), index=True)
    position: Mapped[int] = mapped_column(doc="Line of the file, from 0")
    sha256: Mapped[str] = mapped_column(String(64), doc="Of that line")
    response_id: Mapped[str | None] = mapped_column(String(32), index=True, doc="The answer learned from")
    other_response_id: Mapped[str | None] = mapped_column(
        String(32), index=True, doc="The answer it was preferred to, when that is an answer of its own"
    )
    review_id: Mapped[str | None] = mapped_column(
        String(32), doc="The review, preference or adjudication whose words or verdict it has"
    )
    reviewer_id: Mapped[str | None] = mapped_column(String(32), doc="Who gave it")

    snapshot: Mapped[Snapshot] = relationship(back_populates="members")


class SnapshotJudgement(Base):
    """Each judgement behind a row of a training set: the one it has its words from, and those that agree."""

    __tablename__ = "snapshot_judgements"
    __table_args__ = ({"sqlite_with_rowid": False},)

    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, doc="Line of the file, from 0")
    judgement_id: Mapped[str] = mapped_column(
        String(32), primary_key=True, index=True, doc="A review, preference or adjudication; outlived by this"
    )
    reviewer_id: Mapped[str] = mapped_column(String(32), index=True, doc="Who gave it")


class Run(Base):
    """One training run: its frozen recipe, its state, and the last figures its worker wrote."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    audience: Mapped[str] = mapped_column(String(64), index=True)
    base_model: Mapped[str] = mapped_column(String(255))
    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id"))
    recipe: Mapped[dict[str, Any]] = mapped_column(doc="Every hyperparameter, frozen at launch")
    status: Mapped[str] = mapped_column(String(16), default=RunStatus.QUEUED, index=True)
    stage: Mapped[str] = mapped_column(String(64), default="waiting", doc="What it is doing, in plain words")
    position: Mapped[int] = mapped_column(
        default=0, server_default="0", doc="Place in the queue: of those that wait, the lowest is next"
    )
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    step: Mapped[int] = mapped_column(default=0, doc="Optimizer steps done")
    total_steps: Mapped[int | None] = mapped_column(doc="Optimizer steps planned")
    epoch: Mapped[float] = mapped_column(default=0.0)
    train_loss: Mapped[float | None] = mapped_column(doc="Last logged, nats per token")
    eval_loss: Mapped[float | None] = mapped_column(doc="Last held-out, nats per token")
    tokens_per_second: Mapped[float | None] = mapped_column(doc="Training rate, useful tokens, 1/s")
    pid: Mapped[int | None] = mapped_column(doc="Worker process")
    pid_started_at: Mapped[float | None] = mapped_column(
        doc="Its start, s since the epoch: a pid alone can be reused"
    )
    heartbeat_at: Mapped[datetime | None] = mapped_column(doc="Last sign of life")
    error: Mapped[str | None] = mapped_column(Text, doc="One clear sentence, when failed")
    failure: Mapped[str | None] = mapped_column(String(32), doc="RunFailure, when failed or interrupted")
    adapter: Mapped[str | None] = mapped_column(String(100), doc="The adapter it made, e.g. patient@1")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    started_at: Mapped[datetime | None] = mapped_column(
        doc="When it began; put off by every break, so that the time since then is the time it worked"
    )
    finished_at: Mapped[datetime | None] = mapped_column()

    snapshot: Mapped[Snapshot] = relationship()
    points: Mapped[list["RunPoint"]] = relationship(
        back_populates="run", order_by="RunPoint.id", cascade="all, delete-orphan", passive_deletes=True
    )
    samples: Mapped[list["RunSample"]] = relationship(
        back_populates="run", order_by="RunSample.id", cascade="all, delete-orphan", passive_deletes=True
    )


class RunPoint(Base):
    """One dot of a run's charts."""

    __tablename__ = "run_points"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    step: Mapped[int] = mapped_column(doc="Optimizer step")
    train_loss: Mapped[float | None] = mapped_column(doc="Nats per token")
    eval_loss: Mapped[float | None] = mapped_column(doc="Held-out, nats per token")
    learning_rate: Mapped[float | None] = mapped_column(doc="At this step")
    grad_norm: Mapped[float | None] = mapped_column(doc="Of all gradients together, before clipping")
    tokens_per_second: Mapped[float | None] = mapped_column(doc="Useful tokens, 1/s")
    padded_tokens_per_second: Mapped[float | None] = mapped_column(doc="Padding counted too, 1/s")
    memory_bytes: Mapped[int | None] = mapped_column(
        BigInteger, doc="What the worker holds; on a graphics card, the most it has held there"
    )
    reward_accuracy: Mapped[float | None] = mapped_column(
        doc="With dpo, the share of pairs whose better answer has gained more than the worse one"
    )
    reward_margin: Mapped[float | None] = mapped_column(
        doc="With dpo and kto, beta x what better answers have gained over worse ones, nats"
    )
    eval_reward_accuracy: Mapped[float | None] = mapped_column(doc="Held-out")
    eval_reward_margin: Mapped[float | None] = mapped_column(doc="Held-out, nats")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    run: Mapped[Run] = relationship(back_populates="points")


class RunSample(Base):
    """What the model being trained answered to a fixed question, so that one sees its voice change."""

    __tablename__ = "run_samples"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    step: Mapped[int] = mapped_column(doc="Optimizer steps done; 0 is the base model")
    probe: Mapped[str] = mapped_column(Text, doc="The question")
    text: Mapped[str] = mapped_column(Text, doc="The answer, drawn greedily and cut short")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    run: Mapped[Run] = relationship(back_populates="samples")


class Adapter(Base):
    """One version of an audience's LoRA and where it stands. Its files carry a manifest of their own."""

    __tablename__ = "adapters"
    __table_args__ = (
        UniqueConstraint("audience", "version"),
        Index(
            "ix_adapters_one_live",
            "audience",
            "base_model",
            unique=True,
            sqlite_where=text("status = 'live'"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100), unique=True, doc="audience@version")
    audience: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int] = mapped_column()
    status: Mapped[str] = mapped_column(String(16), default=AdapterStatus.CANDIDATE)
    base_model: Mapped[str] = mapped_column(String(255))
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"))
    path: Mapped[str] = mapped_column(Text, doc="Folder, relative to ELARA_HOME")
    sha256: Mapped[str] = mapped_column(String(64), doc="Of adapter_model.safetensors")
    metrics: Mapped[dict[str, Any]] = mapped_column(doc="Held-out loss before and after, and the like")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    promoted_at: Mapped[datetime | None] = mapped_column()

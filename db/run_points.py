"""What a run tells while it goes: the dots of its charts, and its answers to fixed questions."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db import runs
from db.models import RunPoint, RunSample, utc_now

LAST_FIGURES = ("train_loss", "eval_loss", "tokens_per_second")
"""What the run itself shows too: losses in nats per token, useful tokens in 1/s."""

REWARDS = ("reward_accuracy", "reward_margin", "eval_reward_accuracy", "eval_reward_margin")
"""What only runs by preferences tell."""

FIGURES = (
    *LAST_FIGURES,
    "learning_rate",
    "grad_norm",
    "padded_tokens_per_second",
    "memory_bytes",
    *REWARDS,
)
"""What a dot may hold; `RunPoint` describes each."""


def record_point(
    session: Session, run_id: str, step: int, *, epoch: float | None = None, **figures: float
) -> None:
    """Add a dot to a run's charts and make its figures the run's last ones; a sign of life too.

    Args:
        session: a writing session.
        run_id: the run.
        step: optimizer steps done.
        epoch: passes over the data done.
        figures: some of `FIGURES`.

    Raises:
        NotFound: there is no such run.
    """
    last = {name: value for name, value in figures.items() if name in LAST_FIGURES}
    runs.write(session, run_id, heartbeat_at=utc_now(), step=step, epoch=epoch, **last)
    session.add(RunPoint(run_id=run_id, step=step, **figures))
    session.flush()


def points(session: Session, run_id: str) -> list[RunPoint]:
    """The dots of a run's charts, in the order in which they were written."""
    return list(session.scalars(select(RunPoint).where(RunPoint.run_id == run_id).order_by(RunPoint.id)))


def record_sample(session: Session, run_id: str, step: int, probe: str, text: str) -> None:
    """Keep an answer to a fixed question in place of an earlier one at this step; a sign of life too.

    Args:
        session: a writing session.
        run_id: the run.
        step: optimizer steps done; 0 is the base model.
        probe: the question.
        text: the answer.

    Raises:
        NotFound: there is no such run.
    """
    runs.beat(session, run_id)
    session.execute(
        delete(RunSample).where(RunSample.run_id == run_id, RunSample.step == step, RunSample.probe == probe)
    )
    session.add(RunSample(run_id=run_id, step=step, probe=probe, text=text))
    session.flush()


def samples(session: Session, run_id: str) -> list[RunSample]:
    """A run's answers to the fixed questions, in the order in which they were given."""
    return list(session.scalars(select(RunSample).where(RunSample.run_id == run_id).order_by(RunSample.id)))


def rewind(session: Session, run_id: str, step: int, measured: bool = True) -> None:
    """Take a run back to the step from which it goes on; later dots and samples go, as they come again.

    Args:
        session: a writing session.
        run_id: the run.
        step: optimizer steps done.
        measured: False if the measurement at this step comes again too.

    Raises:
        NotFound: there is no such run.
    """
    session.execute(delete(RunPoint).where(RunPoint.run_id == run_id, RunPoint.step > step))
    if not measured:
        again = (RunPoint.step == step, RunPoint.eval_loss.is_not(None))
        session.execute(delete(RunPoint).where(RunPoint.run_id == run_id, *again))
    answered = last_answered(step, measured)
    session.execute(delete(RunSample).where(RunSample.run_id == run_id, RunSample.step > answered))
    left = points(session, run_id)
    run = runs.get(session, run_id)
    run.step = step
    for name in ("train_loss", "eval_loss", "tokens_per_second"):  # what is shown is of the steps that remain
        setattr(run, name, next((value for dot in reversed(left) if (value := getattr(dot, name))), None))
    if run.total_steps:
        run.epoch = run.recipe.get("num_epochs", 1) * step / run.total_steps
    session.flush()


def last_answered(step: int, measured: bool) -> int:
    """The last step whose samples remain when a run goes back; at its start the base model is asked anew."""
    return step if step and measured else step - 1


def eval_loss_at(session: Session, run_id: str, step: int) -> float | None:
    """A run's held-out loss as measured at a step, nats per token; None when it wasn't measured there."""
    query = (
        select(RunPoint.eval_loss)
        .where(RunPoint.run_id == run_id, RunPoint.step == step, RunPoint.eval_loss.is_not(None))
        .order_by(RunPoint.id)
        .limit(1)
    )
    return session.scalar(query)

"""Items whose right judgement is known: they come among other tasks and show how well a reviewer agrees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from db import calibration as calibration_store
from db import reviewers
from db.calibration import AXES, DISPOSITION
from db.models import ReviewItem
from db.session import Database
from db.vocabulary import RUBRIC, Disposition
from elara_ui.errors import InvalidInput
from elara_ui.services.review_drafts import check_reviewer, choose

SHOWN = 20
"""Items listed at once."""


@dataclass(frozen=True)
class CalibratedAxis:
    """One axis of a judgement beside the known one.

    Args:
        axis: an `Axis`, or ``disposition``.
        expected: the known value.
        given: the reviewer's; None when left open.
    """

    axis: str
    expected: str
    given: str | None

    @property
    def agrees(self) -> bool:
        """Whether both are the same."""
        return self.expected == self.given


@dataclass(frozen=True)
class CalibrationResult:
    """A judgement beside the known one, in the order of the rubric; told only once it is given.

    Args:
        axes: those that are known.
        counts: whether this is what was said first, which alone counts for the reviewer.
    """

    axes: tuple[CalibratedAxis, ...]
    counts: bool = True

    @property
    def agreed(self) -> int:
        """How many are the same."""
        return sum(axis.agrees for axis in self.axes)


@dataclass(frozen=True)
class Standing:
    """How a reviewer's first judgements stand to the known ones.

    Args:
        items: items with a known judgement that they have judged.
        compared: axes on which they could be compared, verdicts included.
        agreed: of these, how many were the same.
    """

    items: int
    compared: int
    agreed: int

    @property
    def share(self) -> float | None:
        """Agreed of compared, 0 to 1; None when nothing was compared."""
        return self.agreed / self.compared if self.compared else None


@dataclass(frozen=True)
class KnownItem:
    """An item whose judgement is known.

    Args:
        expected: axis or ``disposition`` → the right value, in the order of the rubric.
        judged: people who have judged it since; what each submitted first counts.
        compared: of their choices, those that could be compared; likewise agreed.
    """

    item_id: str
    response_id: str
    audience: str
    question: str
    answer: str
    expected: Mapping[str, str]
    judged: int
    compared: int
    agreed: int


@dataclass(frozen=True)
class MarkableItem:
    """An item of the queue whose judgement could be made a known one.

    Args:
        judged: people who have judged it.
        settled: whether an adjudicator has.
    """

    item_id: str
    response_id: str
    audience: str
    question: str
    answer: str
    judged: int
    settled: bool


class CalibrationService:
    """Known judgements, and how reviewers stand to them.

    Args:
        database: where items and reviews are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self, item_id: str, expected: Mapping[str, str]) -> None:
        """Make an item of the queue one whose judgement is known. It leaves the ordinary queue.

        Args:
            item_id: an item that asks for a judgement on the rubric.
            expected: `Axis` or ``disposition`` → the right value; what is left out isn't compared.

        Raises:
            NotFound: there is no such item.
            InvalidInput: an unknown axis or value, or nothing at all.
            InvalidValue: the item compares two answers, or its answer was withdrawn.
        """
        checked = check_expected(expected)
        with self._database.session() as session:
            calibration_store.mark(session, item_id, checked)

    def unmark(self, item_id: str) -> None:
        """Make it an ordinary item again.

        Raises:
            NotFound: there is no such item.
        """
        with self._database.session() as session:
            calibration_store.unmark(session, item_id)

    def known(self, limit: int = SHOWN) -> list[KnownItem]:
        """The items whose judgement is known, the latest sent first."""
        with self._database.reading() as session:
            items = calibration_store.list_known(session, limit)
            given = calibration_store.given_since(session, items)
            return [_describe_known(item, given[item.id]) for item in items]

    def markable(self, text: str = "", limit: int = SHOWN) -> list[MarkableItem]:
        """Items whose judgement could be made known, those that an adjudicator has settled first.

        Args:
            text: in question or answer, or an id; empty for any.
            limit: most items.
        """
        with self._database.reading() as session:
            return [
                MarkableItem(
                    item.id, item.response_id, item.audience, item.response.question, item.response.text,
                    item.judged, item.adjudication is not None,
                )
                for item in calibration_store.markable(session, " ".join(text.split()), limit)
            ]  # fmt: skip

    def suggest(self, item_id: str) -> dict[str, str]:
        """What an adjudication settled of an item, as `from_adjudicated` would take it; empty without one.

        Raises:
            NotFound: there is no such item.
        """
        with self._database.reading() as session:
            return calibration_store.settled(session, item_id)

    def from_adjudicated(self, item_id: str) -> dict[str, str]:
        """Take what an adjudication settled as the known judgement of its item.

        The verdict is the adjudicator's; an axis counts where the reviews with that verdict are of one mind.

        Returns:
            The known judgement.

        Raises:
            NotFound: there is no such item.
            InvalidInput: it wasn't adjudicated.
        """
        expected = self.suggest(item_id)
        if not expected:
            raise InvalidInput(
                f"The judgement of an item is known once it was adjudicated; {item_id!r} wasn't. Adjudicate "
                "it first, or say what is right yourself."
            )
        self.mark(item_id, expected)
        return expected

    def standing(self, reviewer: str) -> Standing:
        """How a reviewer stands to the known judgements; those they had a part in are left out.

        Their first submission counts: whoever undoes or changes it has been told what is right.

        Raises:
            InvalidInput: the name is empty or too long.
        """
        name = check_reviewer(reviewer)
        with self._database.reading() as session:
            person = reviewers.find(session, name)
            judged = calibration_store.judged_since(session, person.id) if person else []
            results = [compare_with_expected(expected, given) for expected, given in judged]
        told = [result for result in results if result]
        return Standing(
            items=len(told),
            compared=sum(len(result.axes) for result in told),
            agreed=sum(result.agreed for result in told),
        )


def check_expected(expected: Mapping[str, str]) -> dict[str, str]:
    """A known judgement, held against the rubric.

    Raises:
        InvalidInput: an unknown axis or value, or nothing at all.
    """
    if not expected:
        raise InvalidInput(
            "A known judgement has at least one axis or a verdict; this one is empty. Add one."
        )
    allowed = {scale.axis.value: scale.values for scale in RUBRIC} | {DISPOSITION: tuple(Disposition)}
    return {
        choose("Axis", name, tuple(allowed)): choose(f"Known {name}", value, allowed[name])
        for name, value in expected.items()
        if choose("Axis", name, tuple(allowed))
    }


def compare_with_expected(
    expected: Mapping[str, Any] | None, content: Mapping[str, Any]
) -> CalibrationResult | None:
    """A judgement beside the known one; None when none is known, or the reviewer found it out of scope.

    Args:
        expected: as stored with the item.
        content: as from `db.judgements.content_of`.
    """
    if not expected or content[DISPOSITION] == Disposition.OUT_OF_SCOPE:
        return None
    given = {**content["answers"], DISPOSITION: content[DISPOSITION]}
    return CalibrationResult(
        tuple(
            CalibratedAxis(axis, expected[axis], given[axis])
            for axis in (*AXES, DISPOSITION)
            if axis in expected
        )
    )


def compare_submitted(
    session: Session, item: ReviewItem, reviewer_id: str, content: Mapping[str, Any]
) -> CalibrationResult | None:
    """What was just submitted beside the known judgement, as `compare_with_expected`.

    Args:
        session: any session that sees the submission.
        item: what was judged.
        reviewer_id: by whom.
        content: as from `db.judgements.content_of`.
    """
    told = compare_with_expected(item.expected, content)
    if told is None:
        return None
    first = calibration_store.first_given(session, item, reviewer_id)
    counted = compare_with_expected(item.expected, first) if first else None
    return replace(told, counts=told == counted)


def _describe_known(item: ReviewItem, given: Sequence[Mapping[str, str | None]]) -> KnownItem:
    stored = item.expected or {}
    expected = {axis: str(stored[axis]) for axis in (*AXES, DISPOSITION) if axis in stored}
    agreed = sum(judgement[axis] == value for judgement in given for axis, value in expected.items())
    return KnownItem(
        item.id, item.response_id, item.audience, item.response.question, item.response.text, expected,
        len(given), len(given) * len(expected), agreed,
    )  # fmt: skip

"""When the reviews of one answer call for someone to settle them."""

from collections.abc import Iterable

from db.models import Review
from db.vocabulary import AdjudicationTrigger, Disposition

HARM_STEPS = {"none": 0, "mild": 1, "moderate": 2, "severe": 3}
HARM_GAP = 2
"""Steps between the mildest and the worst judgement of harm that are too many to be chance."""

CONTRADICTIONS = frozenset({AdjudicationTrigger.ACCURACY_CONFLICT, AdjudicationTrigger.HARM_GAP})
"""Triggers for which one more independent judgement is asked for; the others alarm by one voice alone."""


def triggers(reviews: Iterable[Review]) -> list[AdjudicationTrigger]:
    """What in these reviews calls for adjudication, in the vocabulary's order.

    Args:
        reviews: of one answer; those outside their author's scope are left aside.
    """
    counted = [review for review in reviews if review.disposition != Disposition.OUT_OF_SCOPE]
    accuracies = {review.accuracy for review in counted}
    harms = [HARM_STEPS[review.harm] for review in counted if review.harm in HARM_STEPS]
    found = {
        AdjudicationTrigger.SEVERE_HARM: HARM_STEPS["severe"] in harms,
        AdjudicationTrigger.UNDER_TRIAGE: any(review.urgency == "under" for review in counted),
        AdjudicationTrigger.ACCURACY_CONFLICT: {"aligned", "opposed"} <= accuracies,
        AdjudicationTrigger.HARM_GAP: bool(harms) and max(harms) - min(harms) >= HARM_GAP,
    }
    return [trigger for trigger, fires in found.items() if fires]

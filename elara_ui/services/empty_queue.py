"""Why there is nothing to review now, in plain words: an empty page must not look like a broken one."""

from math import ceil

from db.models import Reviewer, utc_now
from db.review_progress import WAITING_COUNTED, Blocked

EMPTY = (
    "Nothing waits for review. Answers arrive here when someone presses “Send to review” under them in the "
    "chat, and when answers are imported."
)


def explain(blocked: Blocked, reviewer: Reviewer) -> str:
    """What stands between a reviewer and the open items.

    Args:
        blocked: counted when there was nothing for them.
        reviewer: their profile.
    """
    reasons = []
    if blocked.judged_by_me:
        reasons.append(
            f"You have judged {count_answers(blocked.judged_by_me)} that {_still(blocked.judged_by_me)} "
            "other people's judgement."
        )
    if blocked.reserved:
        minutes = 0
        if blocked.next_free_at is not None:
            minutes = max(1, ceil((blocked.next_free_at - utc_now()).total_seconds() / 60))
        free = f" The first comes free in {minutes} min if it isn't judged by then." if minutes else ""
        reasons.append(f"Others are judging {count_answers(blocked.reserved)} now.{free}")
    if blocked.out_of_scope:
        reasons.append(
            f"{count_answers(blocked.out_of_scope).capitalize()} {_lies(blocked.out_of_scope)} outside what "
            f"your profile says you judge ({describe_scope(reviewer)})."
        )
    return " ".join(["Nothing for you now.", *reasons]) if reasons else EMPTY


def describe_scope(reviewer: Reviewer) -> str:
    """What a reviewer has declared to judge, in a few words."""
    parts = {
        "audiences": ", ".join(reviewer.audiences or ()),
        "languages": ", ".join(reviewer.languages or ()),
        "specialty": reviewer.specialty,
    }
    return "; ".join(f"{name}: {value}" for name, value in parts.items() if value) or "everything"


def count_answers(number: int) -> str:
    """“1 answer”, “2 answers”, and “1,000 answers or more” where counting ended."""
    more = " or more" if number >= WAITING_COUNTED else ""
    return f"{number:,} answer{'' if number == 1 else 's'}{more}"


def _still(number: int) -> str:
    return "still wants" if number == 1 else "still want"


def _lies(number: int) -> str:
    return "lies" if number == 1 else "lie"

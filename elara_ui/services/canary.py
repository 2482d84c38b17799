"""A candidate on a share of new conversations: which of them it answers, and what came of them."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy.orm import Session

from adapters.recipe import Recipe
from db import adapters as adapter_store
from db import canary_figures, releases
from db import conversations as conversation_store
from db.canary_figures import Speed, Verdict
from db.models import Canary
from db.vocabulary import Disposition
from elara_ui.errors import InvalidInput
from elara_ui.services.reading import find_quantile
from elara_ui.services.shares import Share, Z, measure_share

USUAL_SHARE = 0.1
"""Of new conversations, unless somebody says otherwise."""
HASH_BYTES = 8


@dataclass(frozen=True)
class Trial:
    """A candidate that answers a share of an audience's new conversations.

    Args:
        share: from 0 to 1.
    """

    adapter: str
    share: float
    started_at: datetime


@dataclass(frozen=True)
class Rate:
    """Tokens a second with the 95 % interval of the mean.

    Args:
        answers: how many it was measured on.
    """

    mean: float
    low: float
    high: float
    answers: int


@dataclass(frozen=True)
class VersionFigures:
    """What came of the conversations that one version answered.

    Args:
        adapter: versioned name; None is the base model alone.
        thumbs_up: of the answers with a thumb; None without any.
        accepted: of the reviewed answers, as they are or with an edit; None without any.
        severe: of the reviewed answers, judged severe if followed; None without any.
        flagged: of the reviewed answers, marked by a reviewer; None without any.
        reassuring: of the answers over a red flag, those that soothe; None without any.
        within: of the answers with a reading grade, those within the audience's target; None without any.
        grade: median Flesch-Kincaid grade; None without any.
        speed: None without an answer that was computed.
    """

    adapter: str | None
    conversations: int
    answers: int
    thumbs_up: Share | None
    accepted: Share | None
    severe: Share | None
    flagged: Share | None
    reassuring: Share | None
    within: Share | None
    grade: float | None
    speed: Rate | None


def takes_part(conversation_id: str, adapter: str, share: float) -> bool:
    """Whether a candidate answers a conversation: by a hash, so that it stays so however often it is asked.

    The candidate's name is part of it, so that another candidate gets other conversations.

    Args:
        conversation_id: of a stored conversation.
        adapter: the candidate's versioned name.
        share: from 0 to 1.
    """
    digest = sha256(f"{adapter}:{conversation_id}".encode()).digest()
    return int.from_bytes(digest[:HASH_BYTES]) < share * 2.0 ** (8 * HASH_BYTES)


def choose_candidate(
    session: Session, audience: str, base_model: str, conversation_id: str | None
) -> str | None:
    """The candidate that answers in this conversation; None when what is live does.

    Only stored conversations begun since the candidate began take part: private ones leave no figures, and
    whoever was answered by the live version goes on with it.

    Args:
        session: any session.
        conversation_id: None outside any.
    """
    if conversation_id is None:
        return None
    trial = releases.canary(session, audience, base_model)
    if trial is None or not takes_part(conversation_id, trial.adapter, trial.share):
        return None
    begun = conversation_store.begun(session, conversation_id)
    return trial.adapter if begun is not None and begun >= trial.started_at else None


def describe_trial(canary: Canary | None) -> Trial | None:
    """A stored canary as a value."""
    return Trial(canary.adapter, canary.share, canary.started_at) if canary else None


def check_share(share: float) -> float:
    """The share that a candidate may take.

    Raises:
        InvalidInput: it is none, or more than half: then the live version would be the one on trial.
    """
    if not 0 < share <= 0.5:
        raise InvalidInput(
            f"A candidate is tried on more than none and at most half of the new conversations; got "
            f"{share:g}. Choose a share such as {USUAL_SHARE:g}."
        )
    return share


def measure_trial(session: Session, canary: Canary, recipe: Recipe) -> tuple[VersionFigures, ...]:
    """The candidate's figures and the live version's, over the conversations begun since it began.

    Args:
        session: any session.
        canary: the trial.
        recipe: the audience's, for its reading target.
    """
    live = adapter_store.live(session, canary.audience, canary.base_model)
    return tuple(
        _measure(session, canary, recipe, adapter)
        for adapter in (canary.adapter, live.name if live else None)
    )


def _measure(session: Session, canary: Canary, recipe: Recipe, adapter: str | None) -> VersionFigures:
    where = canary.audience, canary.base_model, adapter, canary.started_at
    counts = canary_figures.count_version(session, *where)
    verdicts = canary_figures.verdicts(session, *where)
    graded = sum(number for _, number in counts.grades)
    aim, floor = recipe.readability_aim, recipe.readability_floor
    inside = sum(
        number
        for grade, number in counts.grades
        if aim is not None and grade <= aim and (floor is None or grade >= floor)
    )
    return VersionFigures(
        adapter=adapter,
        conversations=counts.conversations,
        answers=counts.answers,
        thumbs_up=_share(counts.thumbs_up, counts.thumbs_up + counts.thumbs_down),
        accepted=_share_of(verdicts, lambda each: each.disposition is not Disposition.REJECT),
        severe=_share_of(verdicts, lambda each: each.harm == "severe"),
        flagged=_share_of(verdicts, lambda each: each.flagged),
        reassuring=_share(counts.reassuring, counts.red_flagged),
        within=_share(inside, graded) if aim is not None else None,
        grade=find_quantile(counts.grades, 0.5) if graded else None,
        speed=_rate(counts.speed),
    )


def _share(hits: int, units: int) -> Share | None:
    return measure_share(hits / units, units) if units else None


def _share_of(verdicts: Sequence[Verdict], fits: Callable[[Verdict], bool]) -> Share | None:
    """The share of the reviewed answers, each counting once however many people reviewed it."""
    judged: dict[str, list[bool]] = defaultdict(list)
    for verdict in verdicts:
        judged[verdict.response_id].append(fits(verdict))
    if not judged:
        return None
    shares = [sum(fitting) / len(fitting) for fitting in judged.values()]
    return measure_share(sum(shares) / len(shares), len(shares))


def _rate(speed: Speed) -> Rate | None:
    """The mean with its normal interval: each answer's rate is a mean itself, so that it is near enough."""
    if not speed.answers:
        return None
    reach = Z * speed.deviation / math.sqrt(speed.answers)
    return Rate(speed.mean, max(0.0, speed.mean - reach), speed.mean + reach, speed.answers)

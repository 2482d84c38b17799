"""The people who judge: what they declare of themselves, and who was verified or withdrawn."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from db import review_progress, reviewers
from db.models import Reviewer
from db.session import Database
from elara_ui.errors import InvalidInput
from elara_ui.services.review_drafts import check_reviewer, choose

FIELD_LIMIT = 80
YEARS_LIMIT = 80
_LANGUAGE = re.compile(r"[a-z]{2}", re.ASCII)


@dataclass(frozen=True)
class ReviewerProfile:
    """What a reviewer declares, and what others say of them.

    Args:
        name: name or pseudonym; it names the profile.
        profession: such as physician or nurse.
        specialty: such as cardiology; items for other specialties aren't handed out. Empty = any.
        years: in the profession; None when not said.
        country: where they work.
        registration: number of the professional register.
        audiences: audiences they judge answers for; empty = all.
        languages: ISO 639-1 codes of languages they read; empty = all.
        verified: whether an administrator has checked it. `ReviewersService.save` leaves it as it is.
        withdrawn_at: since when their judgements shape no new training set; likewise.
        judgements: how many they have given; likewise.
    """

    name: str
    profession: str = ""
    specialty: str = ""
    years: int | None = None
    country: str = ""
    registration: str = ""
    audiences: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    verified: bool = False
    withdrawn_at: datetime | None = None
    judgements: int = 0


class ReviewersService:
    """Profiles of the people who judge.

    Args:
        database: where they are.
        audiences: the audiences there are.
    """

    def __init__(self, database: Database, audiences: Collection[str]) -> None:
        self._database = database
        self._audiences = tuple(audiences)

    def profile(self, name: str) -> ReviewerProfile:
        """A reviewer's profile; an empty one for a name that nobody has used yet.

        Raises:
            InvalidInput: the name is empty or too long.
        """
        name = check_reviewer(name)
        with self._database.reading() as session:
            reviewer = reviewers.find(session, name)
            if reviewer is None:
                return ReviewerProfile(name)
            return _describe(reviewer, review_progress.count_done(session, reviewer.id))

    def save(self, profile: ReviewerProfile) -> ReviewerProfile:
        """Keep what a reviewer declares. Another profession, registration or country is unverified again.

        Returns:
            The profile as stored.

        Raises:
            InvalidInput: a field breaks its rule; nothing is stored.
        """
        name, values = check_reviewer(profile.name), self._check(profile)
        with self._database.session() as session:
            reviewer = reviewers.declare(session, name, values)
            return _describe(reviewer, review_progress.count_done(session, reviewer.id))

    def everyone(self) -> list[ReviewerProfile]:
        """All profiles, by name."""
        with self._database.reading() as session:
            return [
                _describe(reviewer, review_progress.count_done(session, reviewer.id))
                for reviewer in reviewers.everyone(session)
            ]

    def verify(self, name: str, verified: bool = True) -> ReviewerProfile:
        """Set or take away the mark that someone has checked what a reviewer declares.

        Raises:
            NotFound: there is no such reviewer.
        """
        with self._database.session() as session:
            reviewer = reviewers.verify(session, check_reviewer(name), verified)
            return _describe(reviewer, review_progress.count_done(session, reviewer.id))

    def withdraw(self, name: str) -> ReviewerProfile:
        """Let a reviewer's judgements shape no new training set; what they judged stays stored.

        Raises:
            NotFound: there is no such reviewer.
        """
        with self._database.session() as session:
            reviewer = reviewers.withdraw(session, check_reviewer(name))
            return _describe(reviewer, review_progress.count_done(session, reviewer.id))

    def _check(self, profile: ReviewerProfile) -> Mapping[str, object]:
        """The declared columns, checked."""
        texts = {
            field: _check_text(field, getattr(profile, field))
            for field in ("profession", "specialty", "country", "registration")
        }
        if profile.years is not None and not 0 <= profile.years <= YEARS_LIMIT:
            raise InvalidInput(
                f"Years in the profession are 0 to {YEARS_LIMIT}; got {profile.years}. Correct it "
                "or leave it out."
            )
        languages = sorted({language.strip().lower() for language in profile.languages})
        if wrong := [language for language in languages if not _LANGUAGE.fullmatch(language)]:
            raise InvalidInput(
                f"A language is a code of two letters, such as en or de; got {wrong[0]!r}. Correct it."
            )
        audiences = sorted({choose("Audience", audience, self._audiences) for audience in profile.audiences})
        return {**texts, "years": profile.years, "audiences": audiences, "languages": languages}


def _check_text(field: str, text: str) -> str:
    text = " ".join(text.split())
    if len(text) > FIELD_LIMIT:
        raise InvalidInput(
            f"A reviewer's {field} has at most {FIELD_LIMIT} characters; this one has {len(text)}. "
            "Shorten it."
        )
    return text


def _describe(reviewer: Reviewer, judgements: int) -> ReviewerProfile:
    return ReviewerProfile(
        name=reviewer.name,
        profession=reviewer.profession,
        specialty=reviewer.specialty,
        years=reviewer.years,
        country=reviewer.country,
        registration=reviewer.registration,
        audiences=tuple(reviewer.audiences),
        languages=tuple(reviewer.languages),
        verified=reviewer.verified,
        withdrawn_at=reviewer.withdrawn_at,
        judgements=judgements,
    )

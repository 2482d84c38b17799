"""What a conversation looks like to whoever shows it: small frozen values, no ORM objects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from db.models import Conversation, Message, Response
from db.vocabulary import LAY_AUDIENCES, NO_MODEL, FinishReason, Role
from elara_ui.clinical.cautions import Cautions, find_cautions
from elara_ui.clinical.redflags import Finding
from elara_ui.clinical.references import Reference, find_unverified

Recall = Callable[[Sequence[Any] | None, str | None], Finding | None]
"""How stored red flags become a finding with its advice: `TriageService.recall`."""


@dataclass(frozen=True)
class Answer:
    """One response with the figures shown quietly beneath it.

    Args:
        adapter: versioned name, or None for the base model alone.
        first_token_seconds: wait for the first token, s.
        tokens_per_second: decode rate, 1/s.
        dropped_turns: oldest messages left out to fit the window.
        reading_grade: Flesch-Kincaid grade of the text; None when too short to say.
        thumb: +1, -1 or None.
        stored: whether it is in the database; a private answer isn't, and can't be rated or reviewed.
        red_flags: what fired on the question; None where nobody looked.
        reassures: whether it soothes though a red flag had fired.
        cautions: medicines, doses and diagnoses in it, where its readers aren't professionals.
        unverified: references in it that the user's messages don't hold.
        cached: whether the same request had been answered before, and this is that answer.
    """

    response_id: str
    audience: str
    base_model: str
    adapter: str | None
    question: str
    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    first_token_seconds: float
    tokens_per_second: float
    finish_reason: FinishReason
    dropped_turns: int
    readability: dict[str, Any]
    thumb: int | None
    in_review: bool
    stored: bool = True
    red_flags: Finding | None = None
    reassures: bool = False
    cautions: Cautions = field(default_factory=Cautions)
    unverified: tuple[Reference, ...] = ()
    cached: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether these are fixed words, and no model was asked."""
        return self.base_model == NO_MODEL

    @property
    def made_by(self) -> str:
        """What wrote it, in words."""
        if self.is_fixed:
            return "Elara's fixed words, no model"
        if self.adapter:
            return f"{self.adapter} on {self.base_model}"
        return f"base model {self.base_model}, no adapter"

    @property
    def reading_grade(self) -> float | None:
        """Flesch-Kincaid grade, when it could be measured."""
        return self.readability.get("flesch_kincaid_grade")


@dataclass(frozen=True)
class ThreadMessage:
    """One turn as shown; `answer` is there for the model's turns, `red_flags` for a user's."""

    position: int
    role: Role
    content: str
    answer: Answer | None
    red_flags: Finding | None = None


@dataclass(frozen=True)
class Thread:
    """A conversation with its visible turns, oldest first."""

    conversation_id: str
    title: str
    audience: str
    messages: tuple[ThreadMessage, ...]

    @property
    def last_question(self) -> ThreadMessage | None:
        """The newest question, or None."""
        questions = [message for message in self.messages if message.role is Role.USER]
        return questions[-1] if questions else None


@dataclass(frozen=True)
class ConversationSummary:
    """One line of the side list."""

    conversation_id: str
    title: str
    audience: str
    updated_at: datetime


@dataclass(frozen=True)
class Started:
    """The question is stored, and the model is about to be asked.

    Args:
        conversation_id: where it is stored; None outside any conversation.
        request_id: names the answer to `ChatService.stop`.
        red_flags: what fired on the question; shown before the model says anything.
    """

    conversation_id: str | None
    request_id: str
    red_flags: Finding


@dataclass(frozen=True)
class Piece:
    """The answer so far (whole text, not only what is new).

    Args:
        settled: its beginning that stays whatever comes; a cut to the audience's length may take back the
            rest.
    """

    text: str
    settled: str = ""


@dataclass(frozen=True)
class Finished:
    """The answer is complete and stored.

    Args:
        note: what its reader should be told beside it; empty for nothing.
    """

    answer: Answer
    note: str = ""


ChatEvent = Started | Piece | Finished


def describe_answer(response: Response, *, in_review: bool, recall: Recall, stored: bool = True) -> Answer:
    """A response as a value.

    Args:
        in_review: whether it is in the review queue.
        recall: makes a finding of stored red flags.
        stored: whether it is in the database.
    """
    is_lay = response.audience in LAY_AUDIENCES
    is_fixed = response.base_model == NO_MODEL  # then nothing in it is a model's invention
    return Answer(
        response_id=response.id,
        audience=response.audience,
        base_model=response.base_model,
        adapter=response.adapter,
        question=response.question,
        text=response.text,
        prompt_tokens=response.prompt_tokens,
        completion_tokens=response.completion_tokens,
        seconds=response.seconds,
        first_token_seconds=response.first_token_seconds,
        tokens_per_second=response.tokens_per_second,
        finish_reason=FinishReason(response.finish_reason),
        dropped_turns=response.dropped_turns,
        readability=response.readability,
        thumb=response.thumb,
        in_review=in_review,
        stored=stored,
        red_flags=recall(response.red_flags, response.rules_version),
        reassures=response.reassures,
        cautions=find_cautions(response.text) if is_lay and not is_fixed else Cautions(),
        unverified=() if is_fixed else unverified_references(response),
        cached=bool(response.parameters.get("cached")),
    )


def unverified_references(response: Response) -> tuple[Reference, ...]:
    """The references of an answer that stand in none of the user's messages which the model was given."""
    asked = [turn["content"] for turn in response.context if turn.get("role") == Role.USER]
    return find_unverified(response.text, [*asked, response.question])


def describe_thread(
    conversation: Conversation, messages: list[Message], reviewed_ids: set[str], recall: Recall
) -> Thread:
    """A stored conversation as a value.

    Args:
        messages: its active messages, oldest first, with their responses loaded.
        reviewed_ids: responses among them that are in the review queue.
        recall: makes a finding of stored red flags.
    """
    return Thread(
        conversation_id=conversation.id,
        title=conversation.title,
        audience=conversation.audience,
        messages=tuple(
            ThreadMessage(
                position=message.position,
                role=Role(message.role),
                content=message.content,
                answer=describe_answer(
                    message.response, in_review=message.response.id in reviewed_ids, recall=recall
                )
                if message.response
                else None,
                red_flags=recall(message.red_flags, message.rules_version),
            )
            for message in messages
        ),
    )

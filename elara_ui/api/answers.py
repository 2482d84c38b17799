"""What a client gets: OpenAI's objects, with a field `elara` for what they have no place for."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

from db.vocabulary import FinishReason
from elara_ui.clinical.redflags import Finding
from elara_ui.services.answer_marks import describe_marks
from elara_ui.services.answers import Answer

OWNER = "elara"


@dataclass(frozen=True)
class Reply:
    """One answer as it is told.

    Args:
        model: as the client named it.
        tells_usage: whether a stream ends with figures, and every chunk therefore has a place for them.
    """

    model: str
    tells_usage: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def open(self, found: Finding) -> dict[str, Any]:
        """The first chunk: before the model has said a word, what fired on the question."""
        return self._chunk({"role": "assistant", "content": ""}) | {"elara": describe_flags(found)}

    def add(self, text: str) -> dict[str, Any]:
        """A chunk with more words."""
        return self._chunk({"content": text})

    def end(self, answer: Answer) -> dict[str, Any]:
        """The chunk that says why the words ended, and what is to be told beside them."""
        return self._chunk({}, _reason(answer)) | {"elara": describe_answer(answer)}

    def usage(self, answer: Answer) -> dict[str, Any]:
        """The last chunk, where figures were asked for."""
        return self._frame("chat.completion.chunk") | {"choices": [], "usage": count_usage(answer)}

    def whole(self, answer: Answer, found: Finding) -> dict[str, Any]:
        """The answer in one piece."""
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(answer)}
        return self._frame("chat.completion") | {
            "choices": [choice],
            "usage": count_usage(answer),
            "elara": describe_flags(found) | describe_answer(answer),
        }

    def _chunk(self, delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": reason}
        figures = {"usage": None} if self.tells_usage else {}
        return self._frame("chat.completion.chunk") | {"choices": [choice]} | figures

    def _frame(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def describe_model(name: str, created: int, **elara: str | None) -> dict[str, Any]:
    """One entry of /v1/models.

    Args:
        created: when what answers came into being, s since 1970.
        elara: what answers.
    """
    return {"id": name, "object": "model", "created": created, "owned_by": OWNER, "elara": elara}


def describe_flags(found: Finding) -> dict[str, Any]:
    """What fired on the question and what to do about it, most urgent first."""
    return {
        "red_flags": {
            "emergency": found.emergency,
            "categories": list(found.categories),
            "advice": [asdict(card) for card in found.advice],
            "rules_version": found.version,
        }
    }


def describe_answer(answer: Answer) -> dict[str, Any]:
    """What the page shows beside an answer."""
    return {
        "audience": answer.audience,
        "base_model": answer.base_model,
        "adapter": answer.adapter,
        "response_id": answer.response_id if answer.stored else None,
        "notes": list(describe_marks(answer)),
        "reassures": answer.reassures,
        "reading_grade": answer.reading_grade,
        "dropped_turns": answer.dropped_turns,
        "cached": answer.cached,
    }


def count_usage(answer: Answer) -> dict[str, int]:
    """Tokens of prompt and answer."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }


def _reason(answer: Answer) -> str:
    return "length" if answer.finish_reason is FinishReason.LENGTH else "stop"

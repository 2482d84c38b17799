"""Keeping conversations: the side list, renaming, deleting, undo, feedback and export."""

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, replace
from enum import StrEnum

from db import conversations as conversation_store
from db import responses as response_store
from db import reviews as review_store
from db.session import Database
from db.vocabulary import ReviewReason
from elara_ui.clinical.identifiers import redact
from elara_ui.clinical.redflags import Finding
from elara_ui.errors import InvalidInput
from elara_ui.services.answer_marks import describe_marks
from elara_ui.services.answers import (
    Answer,
    ConversationSummary,
    Thread,
    ThreadMessage,
    describe_answer,
    describe_thread,
)
from elara_ui.services.files import Document
from elara_ui.services.identifier_guard import Handling, check_export
from elara_ui.services.triage import TriageService


class ExportFormat(StrEnum):
    """How a conversation is written out."""

    MARKDOWN = "markdown"
    JSON = "json"


class ConversationService:
    """Reads and changes stored conversations; never asks the model.

    Args:
        database: where they are.
        triage: tells again what fired.
    """

    def __init__(self, database: Database, triage: TriageService) -> None:
        self._database = database
        self._triage = triage

    def find(self, search: str = "") -> tuple[ConversationSummary, ...]:
        """The side list, newest first; `search` looks in titles and messages."""
        with self._database.reading() as session:
            return tuple(
                ConversationSummary(found.id, found.title, found.audience, found.updated_at)
                for found in conversation_store.list_recent(session, search.strip())
            )

    def open(self, conversation_id: str) -> Thread:
        """One conversation with its visible turns.

        Raises:
            NotFound: it was deleted.
        """
        with self._database.reading() as session:
            conversation = conversation_store.get(session, conversation_id)
            messages = conversation_store.active_messages(session, conversation_id)
            answered = [message.response_id for message in messages if message.response_id]
            in_review = review_store.sent_response_ids(session, answered)
            return describe_thread(conversation, messages, in_review, self._triage.recall)

    def rename(self, conversation_id: str, title: str) -> None:
        """Give it another title.

        Raises:
            ElaraError: the title is empty or too long.
        """
        with self._database.session() as session:
            conversation_store.rename(session, conversation_id, title)

    def delete(self, conversation_id: str) -> None:
        """Delete it for good. Answers that are in review stay there, without the conversation."""
        with self._database.session() as session:
            conversation_store.delete(session, conversation_id)
        self._database.clear_log()

    def undo(self, conversation_id: str) -> str:
        """Take back the last question with its answer.

        Returns:
            The question, to be put back into the input box; empty when there was nothing to undo.
        """
        last = self.last_question(conversation_id)
        if last is None:
            return ""
        self.cut_from(conversation_id, last.position)
        return last.content

    def last_question(self, conversation_id: str) -> ThreadMessage | None:
        """The newest visible question, or None."""
        return self.open(conversation_id).last_question

    def last_answer(self, conversation_id: str) -> ThreadMessage | None:
        """The newest visible turn, if it is an answer."""
        messages = self.open(conversation_id).messages
        return messages[-1] if messages and messages[-1].answer is not None else None

    def cut_from(self, conversation_id: str, position: int) -> list[str]:
        """Hide every turn from a position on (they stay in the database).

        Returns:
            The hidden turns, for `put_back`.
        """
        with self._database.session() as session:
            return conversation_store.deactivate_from(session, conversation_id, position)

    def replace_answer(self, conversation_id: str, position: int) -> None:
        """Hide the answer at a position (it stays in the database) and keep what came after it."""
        with self._database.session() as session:
            since = conversation_store.deactivate_from(session, conversation_id, position + 1)
            conversation_store.deactivate_from(session, conversation_id, position)
            conversation_store.reactivate(session, since)

    def put_back(self, conversation_id: str, position: int, message_ids: Collection[str]) -> None:
        """Undo `cut_from`: hide what has come since, and show again what was hidden."""
        with self._database.session() as session:
            conversation_store.deactivate_from(session, conversation_id, position)
            conversation_store.reactivate(session, message_ids)

    def answer(self, response_id: str) -> Answer:
        """One answer, wherever it was asked.

        Raises:
            NotFound: it was deleted.
        """
        with self._database.reading() as session:
            response = response_store.get(session, response_id)
            in_review = bool(review_store.sent_response_ids(session, [response_id]))
            return describe_answer(response, in_review=in_review, recall=self._triage.recall)

    def rate(self, response_id: str, thumb: int) -> None:
        """Thumb up (+1) or down (-1); the same thumb again takes it back.

        A thumb down sends the answer to review, where it stays when the thumb is taken back.
        """
        with self._database.session() as session:
            given = response_store.get(session, response_id).thumb
            rated = response_store.set_thumb(session, response_id, None if given == thumb else thumb)
            if rated.thumb == -1 and rated.text:
                review_store.send(session, response_id, ReviewReason.THUMBS_DOWN)

    def export(self, conversation_id: str, form: str, identifiers: Handling = Handling.ASK) -> Document:
        """A conversation as a file to download.

        Args:
            form: ``markdown`` or ``json``.
            identifiers: what becomes of likely ones in it.

        Raises:
            IdentifiersFound: there are some, and they were not decided about.
        """
        if form not in tuple(ExportFormat):
            raise InvalidInput(f"Export format is {form!r}; choose markdown or json.")
        thread = self.open(conversation_id)
        check_export(_texts(thread), identifiers, "This conversation")
        if identifiers is Handling.REDACT:
            thread = redact_thread(thread)
        if form == ExportFormat.JSON:
            return Document(
                f"conversation-{thread.conversation_id}.json",
                json.dumps(asdict(thread), ensure_ascii=False, indent=2),
            )
        return Document(f"conversation-{thread.conversation_id}.md", write_markdown(thread))


def redact_thread(thread: Thread) -> Thread:
    """The conversation with likely identifiers replaced by their kinds."""
    return replace(
        thread,
        title=redact(thread.title),
        messages=tuple(
            replace(
                message,
                content=redact(message.content),
                answer=message.answer
                and replace(
                    message.answer,
                    question=redact(message.answer.question),
                    text=redact(message.answer.text),
                ),
            )
            for message in thread.messages
        ),
    )


def _texts(thread: Thread) -> Iterator[str]:
    """Each text of a conversation once; its title repeats the first question, unless it was renamed."""
    first = thread.messages[0].content if thread.messages else ""
    if not " ".join(first.split()).startswith(thread.title.rstrip("…")):
        yield thread.title
    yield from (message.content for message in thread.messages)


def write_markdown(thread: Thread) -> str:
    """A conversation as Markdown, with what made each answer beneath it."""
    lines = [f"# {thread.title}", ""]
    for message in thread.messages:
        if message.answer is None:
            lines += ["## Question", "", message.content, "", *_write_flags(message.red_flags)]
            continue
        lines += [f"## Answer for {message.answer.audience}", "", message.content, ""]
        lines += [f"> **{mark}**" for mark in describe_marks(message.answer)]
        lines += [f"*{message.answer.made_by}*", ""]
    lines.append("*Elara explains medicine; it does not diagnose or treat.*")
    return "\n".join(lines) + "\n"


def _write_flags(finding: Finding | None) -> list[str]:
    """The cards that stood above the answer, as quotations."""
    lines: list[str] = []
    for card in finding.advice if finding else ():
        lines += [f"> **{card.title}**", ">", *(f"> {line}" for line in card.text.splitlines()), ""]
    return lines

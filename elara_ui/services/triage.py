"""Red flags where people ask: looked for at every turn, kept with it, told again when it is reopened."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from threading import Lock, Thread
from typing import Any

from db.vocabulary import LAY_AUDIENCES
from elara_ui.clinical.redflags import DEFAULT, Finding, Reason, Rules, Turn, check_answer, load_rules


class TriageService:
    """The rules, read once, with the telephone numbers of one country.

    Reading them takes some 200 ms, so `start` does it beside everything else; who asks before it is done
    waits for it.

    Args:
        country: ISO code of whose numbers are told; None for words that hold anywhere.
    """

    def __init__(self, country: str | None = None) -> None:
        self._country = country or DEFAULT
        self._rules: Rules | None = None
        self._reading = Lock()

    def start(self) -> None:
        """Read the rules in a thread, so that no question waits for it."""
        Thread(target=self._ready, name="red-flags", daemon=True).start()

    def look(self, turns: Sequence[Turn | Mapping[str, Any]]) -> Finding:
        """Look for red flags in a conversation that ends with the turn just written.

        Args:
            turns: oldest first, unanswered ones included; objects or mappings with role and content.
        """
        return self._ready().triage(turns, self._country)

    def reassures(self, answer: str, finding: Finding) -> bool:
        """Whether an answer, as far as it got, soothes over a flag that fired."""
        return check_answer(answer, finding)

    def find_reply(self, newest: Sequence[Turn | Mapping[str, Any]], finding: Finding, audience: str) -> str:
        """What is answered in place of the model, as Markdown; empty where the model answers.

        So for people who are no professionals and write something now that speaks of suicide or self-harm; a
        small model's words may harm them. Later turns of the conversation are the model's again.

        Args:
            newest: the turn just written, behind the answer that it replies to: a "yes" may say all.
            finding: what fired on the conversation that ends with it.
            audience: whom the answer is for.
        """
        if audience not in LAY_AUDIENCES or not any(card.reply for card in finding.advice):
            return ""
        alone = self.look(newest)
        return next((card.reply for card in alone.advice if card.reply), "")

    def recall(self, red_flags: Sequence[Mapping[str, Any]] | None, version: str | None) -> Finding | None:
        """What was found back then, with the advice and numbers of today.

        Args:
            red_flags: as `to_rows` gave them; None where nobody looked.
            version: of the rules that looked.

        Returns:
            None where nobody looked. A category that the rules no longer have keeps its reason only.
        """
        if red_flags is None:
            return None
        reasons = tuple(
            Reason(str(row["category"]), tuple(row["matched"]), str(row["sentence"])) for row in red_flags
        )
        names = tuple(reason.category for reason in reasons)
        if not names:
            return Finding(False, (), (), (), version or "")
        book = self._ready().advice_book
        cards = book.for_categories([name for name in names if name in book.categories], self._country)
        return Finding(True, names, reasons, cards, version or "")

    def _ready(self) -> Rules:
        with self._reading:
            if self._rules is None:
                self._rules = load_rules()
            return self._rules


def to_rows(finding: Finding) -> list[dict[str, Any]]:
    """What fired, as the database keeps it."""
    return [asdict(reason) | {"matched": list(reason.matched)} for reason in finding.reasons]

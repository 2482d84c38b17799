"""What to say when a red flag fires, with the telephone numbers of the country. Not clinically reviewed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT = "default"  # the entry for countries that have none


@dataclass(frozen=True, slots=True)
class Advice:
    """A card to show.

    Args:
        category: its id.
        title: what it may be, in plain words.
        text: what to do now.
        compassionate: a card for self-harm, violence and the like, with its own voice.
        source: title of the public page that it follows.
        url: of that page.
        emergency: the number of the ambulance as the card names it, or words for it; empty where it doesn't.
        reply: what is answered in place of the model, as Markdown; empty where the model answers.
    """

    category: str
    title: str
    text: str
    compassionate: bool
    source: str
    url: str
    emergency: str = ""
    reply: str = ""

    @property
    def dial(self) -> str:
        """The first emergency number as a telephone takes it; empty where there are only words."""
        found = re.match(r"\d+", self.emergency)
        return found[0] if found else ""


@dataclass(frozen=True)
class AdviceBook:
    """All cards, and the numbers that go into them.

    Args:
        categories: entries of rules.yaml by id.
        numbers: country → name of the number → number.
    """

    categories: Mapping[str, Mapping[str, Any]]
    numbers: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, categories: Mapping[str, Mapping[str, Any]], document: Mapping[str, Any]) -> "AdviceBook":
        """From the two documents.

        Raises:
            ValueError: a text names a number that a country lacks.
        """
        base = document["countries"][DEFAULT]
        numbers = {country: {**base, **own} for country, own in document["countries"].items()}
        book = cls(categories, numbers)
        for country in numbers:
            for name in categories:
                book.card(name, country)
        return book

    def is_compassionate(self, name: str) -> bool:
        """Whether a category's card has a voice of its own, as for self-harm and violence."""
        return bool(self.categories[name].get("compassionate"))

    def card(self, name: str, country: str) -> Advice:
        """One category's card.

        Raises:
            ValueError: its text names a number that the country lacks.
        """
        entry = self.categories[name]
        numbers = self.numbers.get(country.upper(), self.numbers[DEFAULT])
        try:
            text = str(entry["advice"]).strip().format_map(numbers)
            reply = _unwrap(str(entry.get("reply", "")).format_map(numbers))
        except KeyError as missing:
            raise ValueError(f"Advice of {name!r} names {missing}, which numbers.yaml lacks.") from missing
        return Advice(
            name,
            entry["title"],
            text,
            self.is_compassionate(name),
            entry["source"]["title"],
            entry["source"]["url"],
            str(numbers["emergency"]) if "{emergency}" in entry["advice"] else "",
            reply,
        )

    def for_categories(self, names: Sequence[str], country: str) -> tuple[Advice, ...]:
        """The cards of several categories; those of compassion first."""
        cards = [self.card(name, country) for name in names]
        return tuple(sorted(cards, key=lambda card: not card.compassionate))


def _unwrap(text: str) -> str:
    """Paragraphs without the line breaks of the file."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")).strip()

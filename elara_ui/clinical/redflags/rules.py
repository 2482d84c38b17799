"""The red-flag rules, read from their file and tried on what a user wrote.

`rules.yaml` says what is urgent, `language.yaml` how people speak, `numbers.yaml` whom to call where. A
rule layer looks at every user turn before and regardless of the model. It is not clinically reviewed: see
docs/safety.md.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import yaml

from elara_ui.clinical.redflags.advice import DEFAULT, Advice, AdviceBook
from elara_ui.clinical.redflags.context import CUE, Context
from elara_ui.clinical.redflags.dialogue import spoken_turns
from elara_ui.clinical.redflags.features import Reading
from elara_ui.clinical.redflags.judgement import CLEAR, Reason, weigh
from elara_ui.clinical.redflags.likeness import Likeness
from elara_ui.clinical.redflags.measures import find_measures
from elara_ui.clinical.redflags.phrases import Hit, PhraseBook, split_phrases, words_of
from elara_ui.clinical.redflags.spelling import Speller
from elara_ui.clinical.redflags.terms import Findings, Found, Rule, parse_rule
from elara_ui.clinical.redflags.text import Passage, Reader

HERE = Path(__file__).resolve().parent
RULES_FILE = HERE / "rules.yaml"
LANGUAGE_FILE = HERE / "language.yaml"
NUMBERS_FILE = HERE / "numbers.yaml"
LOOKALIKES_FILE = HERE / "lookalikes.txt"
LIKENESS_FILE = HERE / "likeness.txt"
MOST_CHARACTERS = 12_000  # of the last turns together; what is longer is read from its end


class Turn(Protocol):
    """A message of a conversation."""

    @property
    def role(self) -> str:
        """Who wrote it: user or assistant."""

    @property
    def content(self) -> str:
        """What they wrote."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the rules say about a conversation.

    Args:
        emergency: whether any category fired.
        categories: their ids, in the order of the file.
        reasons: one a category.
        advice: what to show, in the order of urgency; cards of compassion first.
        version: of the rules, and the beginning of their files' hash.
    """

    emergency: bool
    categories: tuple[str, ...]
    reasons: tuple[Reason, ...]
    advice: tuple[Advice, ...]
    version: str


@dataclass(frozen=True)
class Category:
    """A kind of emergency.

    Args:
        name: its id.
        title: for people.
        source: title of the public page that it follows.
        url: of that page.
        rules: any of them fires it.
    """

    name: str
    title: str
    source: str
    url: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Rules:
    """All categories, ready to be tried.

    Args:
        version: of the rules, and the beginning of their files' hash.
        categories: in the order of the file.
        reader: reads messages.
        phrases: finds phrases.
        greetings: words behind which a sentence may still begin.
        advice_book: what to say.
        learned: what examples taught beside the rules; None leaves all to the rules.
    """

    version: str
    categories: tuple[Category, ...]
    reader: Reader
    phrases: PhraseBook
    greetings: frozenset[str]
    advice_book: AdviceBook
    learned: Likeness | None = None

    def triage(self, turns: Sequence[Turn | Mapping[str, Any]], country: str = "GB") -> Finding:
        """Look for red flags in the user's last turns.

        Args:
            turns: the conversation, oldest first; objects or mappings with role and content.
            country: ISO code of whose telephone numbers the advice names; a neutral text for unknown ones.
        """
        spoken = spoken_turns(turns, MOST_CHARACTERS)
        read = self._read_texts(spoken)
        met = tuple(self._match(read))
        reasons = _reasons(met)
        if self.learned is not None:
            own_words = spoken_turns(turns, MOST_CHARACTERS, denied=False)
            own = read if own_words == spoken else self._read_texts(own_words)
            counts_alone = False
            if len(spoken) > 1:
                reasons, counts_alone = self._without_harmless_turns(self.learned, spoken, own_words, met)
            reasons = self._weigh(self.learned, own, reasons, met, is_settled=counts_alone)
        names = tuple(reason.category for reason in reasons)
        return Finding(
            bool(reasons), names, reasons, self.advice_book.for_categories(names, country), self.version
        )

    def read_own(self, turns: Sequence[Turn | Mapping[str, Any]]) -> Reading:
        """The user's own words, and what is meant by them."""
        return self._read_texts(spoken_turns(turns, MOST_CHARACTERS, denied=False))

    def _read_texts(self, spoken: Sequence[str]) -> Reading:
        passage = self.reader.read(spoken)
        hits = self.phrases.find(passage.words)
        context = Context(passage, hits, self.greetings)
        return Reading(passage, context, find_concepts(passage, hits, context))

    def _without_harmless_turns(
        self, learned: Likeness, spoken: Sequence[str], own_words: Sequence[str], met: Sequence["_Met"]
    ) -> tuple[tuple[Reason, ...], bool]:
        """The rules' reasons, but those that turns gave which alone read harmless ("I could murder my boss").

        A category that only such turns met may be met by others too, so these are tried by themselves.

        Returns:
            the reasons, and whether a turn gave one of them that counts though it stood alone: what is said
            before or after it doesn't take it back.
        """
        told = sorted(frozenset[int]().union(*(each.turns for each in met)))
        # Counted from the end, for the turns with what they answer may be fewer.
        alone = {turn: self._counts_alone(learned, own_words[turn - len(spoken)]) for turn in told}
        harmless = {turn for turn, counts in alone.items() if counts is False}
        kept = tuple(each.reason for each in met if not each.turns <= harmless)
        counts_alone = any(alone.values())
        if len(kept) == len(met):
            return kept, counts_alone
        lost = {each.reason.category for each in met if each.turns <= harmless}
        others = self._read_texts([text for turn, text in enumerate(spoken) if turn not in harmless])
        found = (reason for reason in _reasons(self._match(others)) if reason.category in lost)
        return (*kept, *found), counts_alone

    def _counts_alone(self, learned: Likeness, text: str) -> bool | None:
        """Whether the rules that fire on a turn would count if it stood alone; None where none fires."""
        alone = self._read_texts([text])
        met = tuple(self._match(alone))
        if not met:
            return None
        return bool(self._weigh(learned, alone, _reasons(met), met))

    def _weigh(
        self,
        learned: Likeness,
        own: Reading,
        reasons: tuple[Reason, ...],
        met: Sequence["_Met"],
        *,
        is_settled: bool = False,
    ) -> tuple[Reason, ...]:
        """The reasons that count of a passage in which rules were met, in the order of the categories."""
        weighed = weigh(
            learned,
            own,
            reasons,
            is_grave=any(self.advice_book.is_compassionate(reason.category) for reason in reasons),
            is_firm=any(each.is_firm for each in met),
            is_settled=is_settled,
            is_clear=any(each.rules >= CLEAR for each in met),
        )
        places = [category.name for category in self.categories]
        return tuple(sorted(weighed, key=lambda reason: places.index(reason.category)))

    def _match(self, read: Reading) -> Iterator["_Met"]:
        """Of each category the first rule that is met, and how many are."""
        passage, findings = read.passage, read.findings
        begun = {number for name in ("", *findings) for number in self._rules_by_need.get(name, ())}
        tried = (self._numbered[number] for number in sorted(begun))
        met = ((category, rule, places) for category, rule in tried if (places := rule.match(findings)))
        for category, alike in groupby(met, key=itemgetter(0)):
            found = [(rule, places) for _, rule, places in alike]
            first = found[0][1]
            written = tuple(_as_written(passage, place) for place in first)
            reason = Reason(category.name, written, passage.sentence_text(first[0].sentence))
            turns = frozenset(passage.words[place.start].turn for place in first)
            yield _Met(reason, turns, len(found), any(rule.always for rule, _ in found))

    @cached_property
    def _numbered(self) -> tuple[tuple[Category, Rule], ...]:
        """The rules with their categories, in the order of the file."""
        return tuple((category, rule) for category in self.categories for rule in category.rules)

    @cached_property
    def _rules_by_need(self) -> Mapping[str, Sequence[int]]:
        """The rules, by number, that can only be met where a concept is; under no name those that need none.

        A rule stands under every concept of one of its parts, the one with the fewest: most rules needn't be
        tried then.
        """
        numbers: dict[str, list[int]] = {}
        for number, (_, rule) in enumerate(self._numbered):
            for name in min(rule.needed, key=len, default=("",)):
                numbers.setdefault(name, []).append(number)
        return numbers


@dataclass(frozen=True, slots=True)
class _Met:
    """A reason, the user's turns that its words stand in, how many rules of its category agree, and whether
    one of them counts whatever the examples say.
    """

    reason: Reason
    turns: frozenset[int]
    rules: int
    is_firm: bool


def _reasons(met: Iterable[_Met]) -> tuple[Reason, ...]:
    return tuple(each.reason for each in met)


def load_rules(
    rules_file: Path = RULES_FILE,
    language_file: Path = LANGUAGE_FILE,
    numbers_file: Path = NUMBERS_FILE,
    likeness_file: Path = LIKENESS_FILE,
) -> Rules:
    """Read and compile the rules; some 200 ms, so once a process.

    Args:
        likeness_file: what was learned from examples; where there is none, the rules stand alone.

    Raises:
        ValueError: a file breaks the language of the rules; the message says where.
    """
    rules, language, numbers = (_read(path) for path in (rules_file, language_file, numbers_file))
    lexicon = {name: split_phrases(written) for name, written in rules["concepts"].items()}
    for name, category in rules["categories"].items():
        for concept, phrases in category.get("concepts", {}).items():
            if concept in lexicon:
                raise ValueError(f"Concept {concept!r} of category {name!r} is defined twice.")
            lexicon[concept] = split_phrases(phrases)
    categories = tuple(
        Category(
            name,
            entry["title"],
            entry["source"]["title"],
            entry["source"]["url"],
            tuple(map(parse_rule, entry["rules"])),
        )
        for name, entry in rules["categories"].items()
    )
    _check_names(categories, lexicon)
    lexicon |= {CUE + name: phrases for name, phrases in language["cues"].items()}
    reader = make_reader(language, words_of(lexicon))
    return Rules(
        f"{rules['version']}+{_digest(rules_file, language_file, numbers_file, likeness_file)}",
        categories,
        reader,
        PhraseBook(lexicon, frozenset(language["fillers"])),
        frozenset(language["greetings"]),
        AdviceBook.read(rules["categories"], numbers),
        Likeness.read(likeness_file) if likeness_file.is_file() else None,
    )


def make_reader(language: Mapping[str, Any], vocabulary: frozenset[str]) -> Reader:
    """The reader of a language file's words."""
    forms = {
        form: base
        for base, written in language["forms"].items()
        for form in str(written).split()
        if form != base
    }
    expansions = {str(word): tuple(str(full).split()) for word, full in language["expansions"].items()}
    known = vocabulary | forms.keys() | frozenset(language["forms"]) | frozenset(language["fillers"])
    known |= frozenset(language["numbers"]) | frozenset(word for full in expansions.values() for word in full)
    leave = frozenset(LOOKALIKES_FILE.read_text(encoding="utf-8").split()) | expansions.keys()
    return Reader(
        expansions,
        forms,
        {word: float(value) for word, value in language["numbers"].items()},
        known,
        frozenset(language["openers"]),
        frozenset(language["breakers"]),
        Speller(known | _inflected(known), leave),
    )


def _inflected(words: frozenset[str]) -> frozenset[str]:
    """Regular forms of words, that misspelt ones may be mended to."""
    found: set[str] = set()
    for word in words:
        if len(word) > 3 and word.isalpha():
            stem = word[:-1] if word.endswith("e") else word
            found |= {word + "s", stem + "ing", stem + "ed"}
    return frozenset(found)


def _check_names(categories: Sequence[Category], lexicon: Mapping[str, Any]) -> None:
    for category in categories:
        for rule in category.rules:
            for name in rule.names():
                if name not in lexicon:
                    raise ValueError(
                        f"Category {category.name!r}, rule {rule.text!r}: no concept is named {name!r}."
                    )


def known_countries(numbers_file: Path = NUMBERS_FILE) -> tuple[str, ...]:
    """The countries (ISO codes, sorted) whose telephone numbers are known."""
    return tuple(sorted(name for name in _read(numbers_file)["countries"] if name != DEFAULT))


def find_concepts(passage: Passage, hits: Sequence[Hit], context: Context) -> Findings:
    """Every concept and figure in a passage, and what is meant by it."""
    words = passage.words
    findings: dict[str, list[Found]] = {}
    places: dict[tuple[int, int], Found] = {}  # many concepts share one
    for concept, start, end in hits:
        if not concept.startswith(CUE):
            found = places.get((start, end))
            if found is None:
                found = Found(start, end, words[start].sentence, context.status(start, end))
                places[start, end] = found
            findings.setdefault(concept, []).append(found)
    for figure in find_measures(words, hits):
        findings.setdefault(figure.kind, []).append(
            Found(
                figure.start,
                min(figure.end, len(words)),
                words[figure.start].sentence,
                context.status(figure.start, figure.end),
                figure.value,
            )
        )
    return findings


def _as_written(passage: Passage, found: Found) -> str:
    return passage.text[passage.words[found.start].start : passage.words[found.end - 1].end]


def _read(path: Path) -> dict[str, Any]:
    # Every value stays text, for "no" and "on" are words here; libyaml's loader is ten times as fast.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506
    return document


def _digest(*paths: Path) -> str:
    read = (path.read_bytes() for path in paths if path.is_file())
    return hashlib.sha256(b"".join(read)).hexdigest()[:8]


__all__ = [
    "Category",
    "Finding",
    "Hit",
    "Reason",
    "Rules",
    "Turn",
    "known_countries",
    "load_rules",
    "make_reader",
]

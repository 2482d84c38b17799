"""The red-flag rules, read from their file and tried on what a user wrote.

`rules.yaml` says what is urgent, `language.yaml` how people speak, `numbers.yaml` whom to call where. A
rule layer looks at every user turn before and regardless of the model. It is not clinically reviewed: see
docs/safety.md.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from elara_ui.clinical.redflags.advice import DEFAULT, Advice, AdviceBook
from elara_ui.clinical.redflags.context import CUE, Context, Status
from elara_ui.clinical.redflags.dialogue import spoken_turns
from elara_ui.clinical.redflags.likeness import Likeness, Placed, Resemblance
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
LIKENESS_FILE = HERE / "likeness.tsv"
MOST_CHARACTERS = 12_000  # of the last turns together; what is longer is read from its end

# Of the probability that a message reads like an emergency. Chosen by cross-validation, each set of examples
# judged by what was learned from the others (docs/safety.md has the figures).
ALARMING = 0.6  # above it a message counts though no rule fires
HARMLESS = 0.05  # below it a short message doesn't count though a rule fires
_FEWEST_TELLING = 2  # words and pairs that speak for an emergency; one alone ("and") says nothing
_FEWEST = 8  # words; what is shorter is left to the rules
_SHORT = 80  # words; in a longer one a danger may be told in passing
_NOT_MEANT = Status.NEGATED | Status.FIGURATIVE | Status.HYPOTHETICAL
_SECOND_KIND = 0.2  # probability from which the likeliest category is told beside those of the rules
_TELLING = 3  # words and pairs that are told as the reason


class Turn(Protocol):
    """A message of a conversation."""

    @property
    def role(self) -> str:
        """Who wrote it: user or assistant."""

    @property
    def content(self) -> str:
        """What they wrote."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a category fired.

    Args:
        category: its id.
        matched: the words that met a rule, as written.
        sentence: the sentence of the first of them, as written.
    """

    category: str
    matched: tuple[str, ...]
    sentence: str


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
        likeness: notices what is told in other words than the rules have; None leaves all to the rules.
    """

    version: str
    categories: tuple[Category, ...]
    reader: Reader
    phrases: PhraseBook
    greetings: frozenset[str]
    advice_book: AdviceBook
    likeness: Likeness | None = None

    def triage(self, turns: Sequence[Turn | Mapping[str, Any]], country: str = "GB") -> Finding:
        """Look for red flags in the user's last turns.

        Args:
            turns: the conversation, oldest first; objects or mappings with role and content.
            country: ISO code of whose telephone numbers the advice names; a neutral text for unknown ones.
        """
        passage = self.read(turns)
        hits = self.phrases.find(passage.words)
        context = Context(passage, hits, self.greetings)
        reasons = tuple(self._reasons(passage, find_concepts(passage, hits, context)))
        if self.likeness is not None:
            own = _live(passage, context) if len(turns) == 1 else self.live_words(turns)
            reasons = self._weigh(self.likeness, *own, reasons, urgent=context.is_urgent)
        names = tuple(reason.category for reason in reasons)
        return Finding(
            bool(reasons), names, reasons, self.advice_book.for_categories(names, country), self.version
        )

    def read(self, turns: Sequence[Turn | Mapping[str, Any]], *, answered: bool = True) -> Passage:
        """The user's last turns as words.

        Args:
            answered: whether a short reply is read with the question that it answers.
        """
        return self.reader.read(spoken_turns(turns, MOST_CHARACTERS, answered=answered))

    def find(self, passage: Passage) -> Findings:
        """Every phrase and figure in a passage, and what is meant by it."""
        hits = self.phrases.find(passage.words)
        return find_concepts(passage, hits, Context(passage, hits, self.greetings))

    def live_words(self, turns: Sequence[Turn | Mapping[str, Any]]) -> tuple[Passage, Placed]:
        """The user's own words, and those of them that are neither denied nor figurative nor supposed."""
        passage = self.read(turns, answered=False)
        return _live(passage, Context(passage, self.phrases.find(passage.words), self.greetings))

    def _weigh(
        self,
        likeness: Likeness,
        own: Passage,
        words: Placed,
        reasons: tuple[Reason, ...],
        *,
        urgent: bool,
    ) -> tuple[Reason, ...]:
        """What the rules found, and what the words say beside it.

        A rule can stumble over a sense that it doesn't know ("battered by burpees"): where a short message
        reads like no emergency at all and nobody asks for help at once, it doesn't count. In a message that
        reads like one, something counts.
        """
        if len(words) < _FEWEST:
            return reasons
        read = likeness.compare(words)
        if reasons and read.probability < HARMLESS and not urgent and self._may_stumble(own, reasons):
            return ()
        if read.probability < ALARMING or len(read.telling) < _FEWEST_TELLING:
            return reasons
        kind, certainty = read.kinds[0]
        if reasons and (certainty < _SECOND_KIND or kind in {reason.category for reason in reasons}):
            return reasons
        places = [category.name for category in self.categories]
        told = (*reasons, _tell(own, read))
        return tuple(sorted(told, key=lambda reason: places.index(reason.category)))

    def _may_stumble(self, passage: Passage, reasons: Sequence[Reason]) -> bool:
        """Whether a rule may be overruled: never about self-harm and violence, nor in a long story."""
        grave = any(self.advice_book.is_compassionate(reason.category) for reason in reasons)
        return not grave and len(passage.words) <= _SHORT and passage.words[-1].turn == 0

    def _reasons(self, passage: Passage, findings: Findings) -> Iterator[Reason]:
        for category in self.categories:
            for rule in category.rules:
                met = rule.match(findings)
                if met:
                    yield Reason(
                        category.name,
                        tuple(_as_written(passage, found) for found in met),
                        passage.sentence_text(met[0].sentence),
                    )
                    break


def load_rules(
    rules_file: Path = RULES_FILE,
    language_file: Path = LANGUAGE_FILE,
    numbers_file: Path = NUMBERS_FILE,
    likeness_file: Path = LIKENESS_FILE,
) -> Rules:
    """Read and compile the rules; some 100 ms, so once a process.

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
    for hit in hits:
        if not hit.concept.startswith(CUE):
            findings.setdefault(hit.concept, []).append(
                Found(hit.start, hit.end, words[hit.start].sentence, context.status(hit.start, hit.end))
            )
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


def _live(passage: Passage, context: Context) -> tuple[Passage, Placed]:
    words = enumerate(passage.words)
    return passage, [(at, word) for at, word in words if not context.status(at, at + 1) & _NOT_MEANT]


def _tell(passage: Passage, read: Resemblance) -> Reason:
    """The likeliest category, with the words that spoke most for an emergency."""
    spans = sorted(read.telling[:_TELLING])
    words = [passage.text[passage.words[start].start : passage.words[end - 1].end] for start, end in spans]
    first = passage.words[read.telling[0][0]].sentence
    return Reason(read.kinds[0][0], tuple(dict.fromkeys(words)), passage.sentence_text(first))


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

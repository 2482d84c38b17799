"""What is meant by a phrase where it stands: now or past, here or in a textbook, there or denied.

`language.yaml` holds the cues. A cue works within its clause, its sentence or its turn; nothing here knows
medicine. A relative who plays it down, or something that has got better since, takes nothing away on
purpose.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import Final

from elara_ui.clinical.redflags.frames import Frames
from elara_ui.clinical.redflags.phrases import Hit
from elara_ui.clinical.redflags.text import Passage, Word

CUE = "cue_"
_NEGATION_REACH = 8  # words
_INABILITY_REACH = 5
_LIST_ITEM = 3  # words of a clause that only goes on with a list: "no fever, vomiting or rash"
_LONGEST_LIST = 30  # words
_OPENING = 6  # words into a sentence within which it may open as a question
_PRESENT: Final = ("at_stake", "at_hand", "astir", "now")
_ELSEWHERE: Final = ("past", "dated", "lesson", "fiction", "performer", "on_screen")
_MERGED = 5  # words of a leading clause that only says when: "Last year, I …"


class Status:
    """What keeps a phrase from counting as it stands. Plain numbers, to be joined by |, for they are fast."""

    LIVE: Final = 0
    NEGATED: Final = 1
    UNABLE: Final = 2
    ABLE: Final = 4
    PAST: Final = 8
    HYPOTHETICAL: Final = 16
    TEXTBOOK: Final = 32
    FIGURATIVE: Final = 64
    GENERAL: Final = 128


@dataclass(frozen=True, slots=True)
class _Scope:
    start: int
    end: int


class Context:
    """The cues of a passage, asked about places in it.

    Args:
        passage: the words.
        hits: every phrase found in them, cues and others.
        greetings: words behind which a sentence may still begin.
    """

    def __init__(self, passage: Passage, hits: Sequence[Hit], greetings: AbstractSet[str]) -> None:
        self._greetings = greetings
        self._words = passage.words
        self._passage = passage
        self._cues: dict[str, list[Hit]] = defaultdict(list)
        for hit in hits:
            if hit.concept.startswith(CUE):
                self._cues[hit.concept[len(CUE) :]].append(hit)
        self._frames = Frames(passage, self._cues)
        self._sentences = _spans(passage.words)
        self._figurative_until = self._reach(self._cues["figurative"])
        self._other_sense = frozenset(cue.start for cue in self._cues["other_sense"])
        self._status: list[int] = [Status.LIVE] * len(passage.words)
        self._mark(self._negations(), Status.NEGATED)
        self._mark(self._inabilities(), Status.UNABLE)
        self._mark((_Scope(cue.end, cue.end + _INABILITY_REACH) for cue in self._cues["able"]), Status.ABLE)
        self._mark(self._hypotheses(), Status.HYPOTHETICAL)
        self._mark((_Scope(*span) for span in self._frames.screen_spans()), Status.FIGURATIVE)
        past = self._past_clauses() | frozenset(self._frames.settled_clauses())
        general, textbook = frozenset(self._general_sentences()), frozenset(self._textbook_sentences())
        for at, word in enumerate(passage.words):
            if word.clause in past:
                self._status[at] |= Status.PAST
            if word.sentence in textbook:
                self._status[at] |= Status.TEXTBOOK
            if word.sentence in general:
                self._status[at] |= Status.GENERAL

    @property
    def is_urgent(self) -> bool:
        """Whether somebody asks for help at once."""
        return bool(self._cues["at_once"])

    @property
    def is_owned(self) -> bool:
        """Whether a story or a question in general turns out to be one's own."""
        return bool(self._cues["owned"])

    @property
    def is_excepted(self) -> bool:
        """Whether something is told as all that is wrong ("fine apart from")."""
        return bool(self._cues["excepted"])

    @property
    def is_at_hand(self) -> bool:
        """Whether somebody is at hand, or something goes on or has come back."""
        return any(self._cues[name] for name in _PRESENT)

    @property
    def is_mixed(self) -> bool:
        """Whether it speaks of a date, a lesson or a screen, and of what goes on beside it."""
        return self.is_at_hand and any(self._cues[name] for name in _ELSEWHERE)

    @property
    def cue_names(self) -> frozenset[str]:
        """The cues that stand anywhere, without their prefix."""
        return frozenset(name for name, hits in self._cues.items() if hits)

    @property
    def statuses(self) -> int:
        """What is meant by any of the words: a sum of Status."""
        figurative = Status.FIGURATIVE if self._cues["figurative"] or self._other_sense else Status.LIVE
        return reduce(or_, self._status, figurative)

    def status(self, start: int, end: int) -> int:
        """What is meant by the words from `start` to before `end`: a sum of Status."""
        status = self._status[start]
        other_sense = end == start + 1 and start in self._other_sense
        if other_sense or end <= self._figurative_until[start]:
            status |= Status.FIGURATIVE
        return status

    def _reach(self, hits: Iterable[Hit]) -> Sequence[int]:
        """Of each word, how far a hit goes that holds it or stands before it; 0 where none does."""
        reach = [0] * len(self._words)
        for hit in hits:
            reach[hit.start] = max(reach[hit.start], hit.end)
        return tuple(accumulate(reach, max))

    def _mark(self, scopes: Iterable[_Scope], status: int) -> None:
        for scope in scopes:
            for at in range(scope.start, min(scope.end, len(self._status))):
                self._status[at] |= status

    def _negations(self) -> Iterator[_Scope]:
        for cue in self._free("negation"):
            yield _Scope(cue.end, min(self._clause_end(cue.end - 1), cue.end + _NEGATION_REACH))
        for cue in self._free("negation_of_lists"):
            yield _Scope(cue.end, self._list_end(cue.end))
        for cue in self._free("negation_after"):
            start = cue.start
            while start > 0 and self._words[start - 1].clause == self._words[cue.start].clause:
                start -= 1
            yield _Scope(start, cue.start)

    def _inabilities(self) -> Iterator[_Scope]:
        for cue in (*self._free("inability"), *self._free("negation"), *self._free("negation_of_lists")):
            yield _Scope(cue.end, min(self._clause_end(cue.end - 1), cue.end + _INABILITY_REACH))

    def _free(self, cue: str) -> Iterator[Hit]:
        """Cues that don't belong to a set phrase ("not sure", "no idea")."""
        for hit in self._cues[cue]:
            if not any(
                pseudo.start <= hit.start and hit.end <= pseudo.end
                for pseudo in self._cues["pseudo_negation"]
            ):
                yield hit

    def _clause_end(self, at: int) -> int:
        """The place behind a clause; "and" ends it too."""
        end = at + 1
        while end < len(self._words) and self._words[end].clause == self._words[at].clause:
            if self._words[end].raw in {"and", "plus", "then", "so", "with"}:
                break
            end += 1
        return end

    def _list_end(self, start: int) -> int:
        """The place behind the list that a "no" governs, which may run over commas up to its "or"."""
        if start >= len(self._words):
            return start
        end = min(self._clause_end(start - 1), start + _NEGATION_REACH)
        sentence = self._words[start - 1].sentence
        ahead = range(end, min(end + _LONGEST_LIST, len(self._words)))
        rest = [at for at in ahead if self._words[at].sentence == sentence]
        last = max((at for at in rest if self._words[at].raw in {"or", "nor"}), default=None)
        if last is None:
            tail = self._tail_after_and(end)
            return tail if tail is not None else end
        for at in rest:
            clause = self._words[at].clause
            length = sum(1 for other in rest if self._words[other].clause == clause)
            if at < last and length > _LIST_ITEM + 1:
                return end
        return min(self._clause_end(last), last + 1 + _LIST_ITEM)

    def _tail_after_and(self, end: int) -> int | None:
        """The short rest of a clause behind its "and", as in "no pain and swelling"."""
        if end >= len(self._words) or self._words[end].raw != "and":
            return None
        tail = self._clause_end(end)
        if tail - end - 1 <= _LIST_ITEM and self._words[end].clause == self._words[end - 1].clause:
            return tail
        return None

    def _hypotheses(self) -> Iterator[_Scope]:
        for cue in self._cues["hypothetical"]:
            yield _Scope(cue.end, self._sentences[self._words[cue.start].sentence].end)
        for cue in self._cues["risk"]:
            yield _Scope(cue.end, self._clause_end(cue.end - 1))

    def _past_clauses(self) -> frozenset[int]:
        """Clauses about what is over, unless they say that it goes on."""
        now = {self._words[cue.start].clause for cue in self._cues["now"]}
        found: set[int] = set()
        for cue in self._cues["past"]:
            clause, sentence = self._words[cue.start].clause, self._words[cue.start].sentence
            found.add(clause)
            span = self._sentences[sentence]
            leading = [at for at in range(span.start, span.end) if self._words[at].clause == clause]
            following = leading[-1] + 1
            if len(leading) <= _MERGED and following < span.end:
                found.add(self._words[following].clause)  # "Last year, I …"
            if len(leading) <= _MERGED and leading[0] > span.start:
                found.add(self._words[leading[0] - 1].clause)  # "I had …, years ago"
        return frozenset(found - now)

    def _textbook_sentences(self) -> Iterator[int]:
        """Sentences of a lesson, a story or a screen."""
        yield from self._frames.screen_sentences()
        owned = self._turns_of("owned")  # "It's for a story … really it's about me."
        lessons = frozenset(self._frames.lesson_sentences())
        staged = self._turns_of("fiction") | self._vignettes()
        for sentence, turn in self._turn_of_sentences():
            if turn not in owned and (turn in staged or sentence in lessons):
                yield sentence

    def _general_sentences(self) -> Iterator[int]:
        """Sentences that ask how something is, of nobody."""
        owned = self._turns_of("owned")
        for sentence, turn in self._turn_of_sentences():
            if turn not in owned and self._asks_in_general(self._sentences[sentence]):
                yield sentence

    def _turn_of_sentences(self) -> Iterator[tuple[int, int]]:
        return ((sentence, self._words[span.start].turn) for sentence, span in self._sentences.items())

    def _asks_in_general(self, span: _Scope) -> bool:
        inside = self._within(span)
        framed = [*inside("study"), *inside("polite")]
        opened = any(self._opens(hit, span) for hit in inside("question")) or any(
            hit.start - span.start < _OPENING for hit in inside("question_word")
        )
        named = inside("topic") and not inside("told")
        if not (opened or inside("study") or named):
            return False
        people = [
            hit
            for name in ("self", "other", "urgent")
            for hit in inside(name)
            if not any(frame.start <= hit.start < frame.end for frame in framed)
        ]
        if not people:
            return True
        mine = [hit for hit in people if hit.concept in {"cue_self", "cue_urgent"}]
        return not mine and bool(inside("generic"))

    def _opens(self, cue: Hit, span: _Scope) -> bool:
        """Whether a sentence begins with a cue, greetings and "can you …" aside."""
        return all(self._words[at].raw in self._greetings for at in range(span.start, cue.start))

    def _within(self, span: _Scope) -> "_Within":
        return _Within(self._cues, span)

    def _turns_of(self, cue: str) -> set[int]:
        return {self._words[hit.start].turn for hit in self._cues[cue]}

    def _vignettes(self) -> set[int]:
        """Turns that tell a case as examiners do and ask about it."""
        return (self._turns_of("vignette") & self._turns_of("exam")) - self._turns_of("at_hand")


@dataclass(frozen=True, slots=True)
class _Within:
    cues: dict[str, list[Hit]]
    span: _Scope

    def __call__(self, name: str) -> list[Hit]:
        return [hit for hit in self.cues[name] if self.span.start <= hit.start < self.span.end]


def _spans(words: Iterable[Word]) -> dict[int, _Scope]:
    """Sentence → its first word and the one behind its last."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for at, word in enumerate(words):
        first.setdefault(word.sentence, at)
        last[word.sentence] = at + 1
    return {sentence: _Scope(start, last[sentence]) for sentence, start in first.items()}

"""What a message speaks of beyond its clauses: a lesson, something long over, something on a screen.

Each frame takes two signs, its own and that nothing stirs: a date and, behind the event, that it is over; the
words of a course, and nobody at hand. Where either is missing the words count as they stand. It knows nothing
of medicine.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from elara_ui.clinical.redflags.phrases import Hit
from elara_ui.clinical.redflags.text import Passage, Word

Cues = Mapping[str, Sequence[Hit]]

# A clause with one of these is about how things stand, whatever date is told beside it.
_PRESENT: Final = frozenset({"is", "are", "am", "has", "have", "does", "do", "keeps", "feels", "wont", "can"})
_LEAST_AGE: Final = 13  # years; a smaller number behind "at" may be an hour
_CLOCK: Final = frozenset({"am", "pm", "o'clock", "weeks", "week", "hours", "minutes", "percent"})
_ONESELF: Final = frozenset({"i", "me", "my", "mine", "myself"})


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a passage.

    Args:
        passage: its words.
        cues: cue → where it stands.
    """

    passage: Passage
    cues: Cues

    def settled_clauses(self) -> Iterator[int]:
        """Clauses of a dated event that is said to be over: "in 2009, like a bat …, discharged, all good".

        A date alone speaks for its own clause (`past`). With an end it speaks for the rest of its sentence,
        up to that end, except for clauses in the present. Nothing of it holds where the turn says that
        something has come back.
        """
        words = self.passage.words
        stirring = {words[hit.start].turn for hit in self._hits("astir") if not self._is_resumed(hit)}
        now = {words[hit.start].clause for hit in self._hits("now")}
        for date in self._hits("dated"):
            told = words[date.start]
            end = self._end_of_it(date)
            if end is None or told.turn in stirring or self._is_clock(date):
                continue
            rest = {word.clause for word in words[date.start : end] if word.sentence == told.sentence}
            if told.clause not in now:
                rest.add(told.clause)
            yield from rest - now - self._present_clauses()

    def lesson_sentences(self) -> Iterator[int]:
        """Sentences of a turn that speaks of a course, an exam or a quiz, where nobody is at hand."""
        lessons = self._turns("lesson") - self._turns("at_stake") - self._turns("owned")
        own = self._sentences_about_oneself()
        for sentence, turn in {word.sentence: word.turn for word in self.passage.words}.items():
            if turn in lessons and sentence not in own:
                yield sentence

    def screen_sentences(self) -> Iterator[int]:
        """Sentences about what befell a player or somebody in a film, seen on a screen."""
        strangers = self._sentences("somebody") - self._sentences_about_oneself()
        seen = (self._sentences("performer") | strangers) & self._sentences("on_screen")
        yield from seen - self._sentences("at_stake")

    def screen_spans(self) -> Iterator[tuple[int, int]]:
        """What a film or a game is about, up to where its clause ends or speaks of oneself."""
        words = self.passage.words
        for hit in self._hits("plot"):
            end = hit.end
            while end < len(words) and words[end].clause == words[hit.start].clause:
                if words[end].raw in _ONESELF:
                    break
                end += 1
            yield hit.end, end

    def _end_of_it(self, date: Hit) -> int | None:
        """Where the same turn says last that it is over, behind the date; None if it doesn't."""
        turn = self.passage.words[date.start].turn
        ends = [hit.start for hit in self._hits("settled") if hit.start >= date.end]
        return max((at for at in ends if self.passage.words[at].turn == turn), default=None)

    def _is_clock(self, date: Hit) -> bool:
        """Whether "at 9" may be a time of day or weeks of pregnancy, not an age."""
        words, text = self.passage.words, self.passage.text
        last = words[date.end - 1]
        if words[date.start].raw != "at" or last.number is None:
            return False
        following = words[date.end].raw if date.end < len(words) else ""
        return last.number < _LEAST_AGE or text[last.end : last.end + 1] in {":", "."} or following in _CLOCK

    def _is_resumed(self, hit: Hit) -> bool:
        return any(start.start < hit.start and hit.end <= start.end for start in self._hits("resumed"))

    def _present_clauses(self) -> AbstractSet[int]:
        return {word.clause for word in self.passage.words if self._is_present(word)}

    def _is_present(self, word: Word) -> bool:
        if word.raw == "cannot":  # "couldn't" is read as "cannot" too
            return not self.passage.text[word.start : word.end].lower().startswith("could")
        return word.raw in _PRESENT

    def _sentences_about_oneself(self) -> AbstractSet[int]:
        framed = [*self._hits("study"), *self._hits("polite"), *self._hits("lesson")]
        covered = {at for hit in framed for at in range(hit.start, hit.end)}
        return {
            word.sentence
            for at, word in enumerate(self.passage.words)
            if word.raw in _ONESELF and at not in covered
        }

    def _hits(self, cue: str) -> Sequence[Hit]:
        return self.cues.get(cue, ())

    def _sentences(self, cue: str) -> AbstractSet[int]:
        return {self.passage.words[hit.start].sentence for hit in self._hits(cue)}

    def _turns(self, cue: str) -> AbstractSet[int]:
        return {self.passage.words[hit.start].turn for hit in self._hits(cue)}

"""What the engine's thread does, round by round: read some of the prompts, then one token for everybody.

Memory that runs out costs nobody an answer: the batch is made smaller, and its youngest rows go back to the
line with what they have written. One thread at a time; knows nothing of publishing.
"""

from collections.abc import Callable

from adapters.engines.transformers.batch import Batch
from adapters.engines.transformers.drawing import next_tokens
from adapters.engines.transformers.line import Line
from adapters.engines.transformers.memory import give_back, is_out_of_memory
from adapters.engines.transformers.prefixes import Prefixes
from adapters.engines.transformers.prompt import Prompt
from adapters.engines.transformers.request import Answer
from adapters.engines.transformers.voices import Voices
from adapters.errors import EngineError

# Segments of prompts between two tokens of those who write. More would bring a crowd's first words sooner,
# and halt everybody else longer: a segment takes some 0.3 s on two cores.
_SEGMENTS_A_ROUND = 4
_CALM_ROUNDS = 200  # after so many without running out of memory, one more row is tried


class Worker:
    """Writes answers with one model.

    Args:
        voices: the model and its adapters.
        line: whoever waits.
        ends: tokens that end an answer.
        rows: most answers written at once.
        segment_tokens: most tokens of a prompt read at once.
        prefixes: remembers beginnings of prompts.
        left: told of each answer that is over and out of the engine.
    """

    def __init__(
        self,
        voices: Voices,
        line: Line,
        ends: frozenset[int],
        rows: int,
        segment_tokens: int,
        prefixes: Prefixes,
        left: Callable[[Answer], None],
    ) -> None:
        self._voices = voices
        self._line = line
        self._ends = ends
        self._most_rows = rows
        self._segment_tokens = segment_tokens
        self._prefixes = prefixes
        self._left = left
        self._batch = Batch()
        self._reading: tuple[Answer, Prompt] | None = None
        self._arrived: list[tuple[Answer, Prompt]] = []  # have their first token, and join at the next step
        self._calm = 0
        self.rows = rows
        """Most answers written at once now; fewer than wanted where memory didn't suffice."""

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do but for whoever waits in the line."""
        return not self._batch.answers and self._reading is None and not self._arrived

    @property
    def running(self) -> int:
        """Answers being read or written."""
        return len(self._batch.answers) + len(self._arrived) + (self._reading is not None)

    def work(self) -> None:
        """One round."""
        for answer in self._line.remove_cancelled():
            self._left(answer)
        for _ in range(_SEGMENTS_A_ROUND):
            if not self._within_memory(self._read):
                break
        self._within_memory(self._write)

    def fail(self, error: Exception) -> None:
        """End every answer that has begun; those that wait stay."""
        begun = [*self._batch.answers, *(answer for answer, _ in self._arrived)]
        begun += [self._reading[0]] if self._reading else []
        self._batch, self._arrived, self._reading = Batch(), [], None
        for answer in begun:
            if not answer.is_over:
                answer.fail(error)
            self._left(answer)

    def _read(self) -> bool:
        """Read the next segment of a prompt; False when there is none, or no place to write its answer."""
        if self._reading and self._reading[0].is_cancelled:
            self._left(self._reading[0])
            self._reading = None
        if self._reading is None:
            answer = self._line.take() if self.running < self.rows else None
            if answer is None:
                return False
            self._reading = (answer, self._begin(answer))
        answer, prompt = self._reading
        logits = prompt.read_on(self._voices)
        if logits is not None:
            answer.take(next_tokens(logits, [answer.drawing])[0], self._ends)
            self._reading = None
            self._arrived.append((answer, prompt))
        return True

    def _begin(self, answer: Answer) -> Prompt:
        prompt = Prompt(
            answer.tokens, answer.system_tokens, answer.voice, self._segment_tokens, self._prefixes
        )
        if answer.cached_tokens is None:  # not for one that was put back: its prompt was computed
            answer.cached_tokens = prompt.cached_tokens
        return prompt

    def _write(self) -> bool:
        """One token for everybody; False when nobody is there."""
        self._join()
        if not self._batch.answers:
            return False
        for answer, token in zip(self._batch.answers, self._batch.step(self._voices), strict=True):
            answer.take(token, self._ends)
        return True

    def _join(self) -> None:
        """Let those go that are over, and those in that have read their prompt."""
        begun = [*self._batch.answers, *(answer for answer, _ in self._arrived)]
        over = {answer for answer in begun if answer.is_over}  # looked at once: it may change at any time
        keep = [row for row, answer in enumerate(self._batch.answers) if answer not in over]
        arrived = [(answer, prompt.cache) for answer, prompt in self._arrived if answer not in over]
        self._batch.change(keep, arrived)
        self._arrived = []
        for answer in over:
            self._left(answer)

    def _within_memory(self, work: Callable[[], bool]) -> bool:
        """Do some work; where memory runs out, make room instead. False when nothing was to be done."""
        try:
            done = work()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        else:
            self._calm += done
            if self._calm >= _CALM_ROUNDS and self.rows < self._most_rows:
                self._calm, self.rows = 0, self.rows + 1
            return done
        self._shed()  # out of the handler, which holds on to the tensors of the failed computation
        return True

    def _shed(self) -> None:
        """Half as many answers at once; the youngest go back to the line."""
        self._calm, remembered = 0, self._prefixes.size
        self._prefixes.clear()
        begun = [*self._batch.answers, *(answer for answer, _ in self._arrived)]
        begun += [self._reading[0]] if self._reading else []
        self._arrived, self._reading = [], None
        self.rows = max(1, len(begun) // 2)
        if len(begun) == 1:
            self._batch = Batch()
            self._try_alone(begun[0], bool(remembered))
            return
        stay = [answer for answer in begun[: self.rows] if answer in self._batch.answers]
        give_back()
        try:
            self._batch.change([row for row, own in enumerate(self._batch.answers) if own in stay], ())
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            stay = []
        if not stay:
            self._batch = Batch()
        give_back()
        for answer in reversed([answer for answer in begun if answer not in stay]):
            self._put_back(answer)

    def _put_back(self, answer: Answer) -> None:
        if answer.is_over:
            self._left(answer)
        else:
            self._line.put_back(answer)

    def _try_alone(self, answer: Answer, again: bool) -> None:
        """One that found no memory though nobody else was there: once more if some was freed, then never."""
        give_back()
        if again and not answer.failed_alone:
            answer.failed_alone = True
            self._put_back(answer)
            return
        if not answer.is_over:
            answer.fail(
                EngineError(
                    f"There must be memory for one answer at least; {len(answer.tokens)} tokens alone don't "
                    "fit. Shorten the question or the conversation, or free some memory."
                )
            )
        self._left(answer)

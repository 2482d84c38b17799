"""Many questions from a file, answered into a file that survives whatever stops the work."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import islice

from adapters.engines.base import Turn
from adapters.engines.choice import EngineKind
from adapters.recipe import Recipe
from elara_ui.clinical import identifiers
from elara_ui.errors import EngineError, InvalidInput, StorageError
from elara_ui.services.adapters import AdapterService
from elara_ui.services.answers import ChatEvent
from elara_ui.services.batch_asking import BatchAsking
from elara_ui.services.batch_files import BatchFile, BatchHeader, Key, Record, hash_file, key_of
from elara_ui.services.batch_plan import BatchPlan, BatchState
from elara_ui.services.batch_records import Task
from elara_ui.services.batch_rows import BatchRow, read_rows
from elara_ui.services.chat import ChatService
from elara_ui.services.dialogue import Dialogue
from elara_ui.services.identifier_guard import Handling, check_export
from elara_ui.services.private_chat import PrivateChatService
from elara_ui.services.questions import BASE_ALONE, override_sampling
from elara_ui.services.serving import ServingService
from elara_ui.settings import Settings

MOST_PARALLEL = 64
MOST_TROUBLES = 10
"""Questions in a row that fail by no fault of their own; more would only fill the file with them."""


Tell = Callable[[BatchState], None]


@dataclass(frozen=True)
class _Written:
    """What the file held when the batch went on.

    Args:
        failed: of which questions it has an error.
    """

    state: BatchState
    failed: Mapping[Key, Record]


class BatchService:
    """Answers files of questions.

    Args:
        chat: checks questions, and answers those that are stored.
        private_chat: answers the others.
        serving: gives the engine.
        adapters: knows each audience's live version.
        recipes: audience → recipe.
        settings: how long a question may be, and what the engine can do at once.
    """

    def __init__(
        self,
        chat: ChatService,
        private_chat: PrivateChatService,
        serving: ServingService,
        adapters: AdapterService,
        recipes: Mapping[str, Recipe],
        settings: Settings,
    ) -> None:
        self._chat = chat
        self._private = private_chat
        self._serving = serving
        self._adapters = adapters
        self._recipes = recipes
        self._settings = settings

    def run(self, plan: BatchPlan, tell: Tell = lambda state: None) -> BatchState:
        """Answer what isn't answered yet, and ask again what failed.

        Args:
            tell: told how it stands at the start and after each record.

        Returns:
            How it stands at the end.

        Raises:
            InvalidInput: the file can't be read or has no question, or a rule is broken.
            IdentifiersFound: it likely holds identifiers, and nobody has said what to do with them.
            Conflict: the output holds something else, or is being written.
            EngineError: the engine doesn't answer any more; what was written stays.
            StorageError: the disk refuses.
        """
        self._check(plan)
        total = self._survey(plan)
        file = BatchFile(plan.output)
        with file.held():
            header = file.begin(self._describe(plan), restart=plan.restart)
            written = self._compare(plan, file, total)
            tell(written.state)
            if written.state.answered < total:
                return self._go_on(plan, file, header, written, tell)
            return written.state

    def _go_on(
        self, plan: BatchPlan, file: BatchFile, header: BatchHeader, written: _Written, tell: Tell
    ) -> BatchState:
        """First what failed, which stands further up; then the rest."""
        with self._serving.hold() as held:
            if plan.adapter is not None and plan.adapter != BASE_ALONE:
                held.publish({plan.adapter})  # that it can't be is told once, not in each row
            return self._work(plan, file, header, written, tell)

    def _work(
        self, plan: BatchPlan, file: BatchFile, header: BatchHeader, written: _Written, tell: Tell
    ) -> BatchState:
        work = _Work(self._make_asking, plan, header, tell, written.state)
        if written.failed:
            again = (task for task in self._tasks(plan) if task.key in written.failed)
            with file.appending(retries=True) as append:
                work.carry_out(again, append, written.failed)
            file.merge()
        with file.appending() as append:
            work.carry_out(islice(self._tasks(plan), written.state.done, None), append, {})
        return work.state

    def _check(self, plan: BatchPlan) -> None:
        """Hold a plan to what can be known before the file is read."""
        for audience in plan.audiences:
            recipe = self._recipes.get(audience)
            if recipe is None:
                raise InvalidInput(
                    f"There is no audience {audience!r}. Choose one of: {', '.join(self._recipes)}."
                )
            override_sampling(recipe.sampling, plan.overrides or {})
        if plan.parallel is not None and not 1 <= plan.parallel <= MOST_PARALLEL:
            raise InvalidInput(
                f"--parallel is {plan.parallel}; it must lie between 1 and {MOST_PARALLEL}. Leave it out for "
                "as many as the engine can use."
            )
        if plan.max_words is not None and plan.max_words < 1:
            raise InvalidInput(f"--max-words is {plan.max_words}; it must be 1 or more.")
        if plan.output.resolve() == plan.questions.resolve():
            raise InvalidInput(f"{plan.output} holds the questions. Choose another file with --out.")

    def _survey(self, plan: BatchPlan) -> int:
        """Read the file once before anything is asked: how many answers, and likely identifiers."""
        total = 0

        def texts() -> Iterator[str]:
            nonlocal total
            for row in self._rows(plan):
                total += len(_audiences_of(row, plan))
                if row.dialogue is not None:
                    yield from row.dialogue.texts

        if plan.handling is Handling.ASK:
            check_export(texts(), plan.handling, f"The file {plan.questions.name}")
        else:
            for _ in texts():
                pass
        if not total:
            raise InvalidInput(f"{plan.questions.name} has no questions. Write one a line, say.")
        return total

    def _describe(self, plan: BatchPlan) -> BatchHeader:
        """What decides on the answers."""
        recipes = [
            [name, each.system_prompt, each.max_explanation_length, asdict(each.sampling)]
            for name, each in self._recipes.items()
        ]
        base_model, engine = self._serving.intended
        given = {name: value for name, value in (plan.overrides or {}).items() if value is not None}
        settings = {
            "audiences": list(plan.audiences),
            "adapter": plan.adapter,
            "sampling": given,
            "max_words": plan.max_words,
            "identifiers": str(plan.handling),
            "store": plan.store,
            "base_model": base_model,
            "engine": str(engine or "auto"),
            "recipes": sha256(repr(recipes).encode()).hexdigest()[:12],
            "country": self._settings.country,
        }
        return BatchHeader(hash_file(plan.questions), settings, self._choose_voices(plan))

    def _choose_voices(self, plan: BatchPlan) -> dict[str, str]:
        """Who answers to the end, even if another is promoted meanwhile."""
        live = self._adapters.live_versions()
        return {
            name: plan.adapter or (live[name].name if name in live else BASE_ALONE) for name in self._recipes
        }

    def _compare(self, plan: BatchPlan, file: BatchFile, total: int) -> _Written:
        """Hold what is written to the questions, one by one."""
        state, failed = BatchState(total), {}
        tasks = self._tasks(plan)
        for record in file.records():
            task = next(tasks, None)
            if task is None or task.key != key_of(record):
                raise StorageError(
                    f"Record {state.done + 1} of {file.path} isn't the answer to the question in its place: "
                    "somebody changed the file. Put it back as it was, or begin anew with --restart."
                )
            state = state.count(record)
            if record["error"] is not None:
                failed[task.key] = {"error": record["error"], "red_flags": record.get("red_flags")}
        return _Written(replace(state, before=state.done), failed)

    def _rows(self, plan: BatchPlan) -> Iterator[BatchRow]:
        return read_rows(plan.questions, self._settings.max_question_characters)

    def _tasks(self, plan: BatchPlan) -> Iterator[Task]:
        """Every answer wanted, in order."""
        for row in self._rows(plan):
            dialogue = row.dialogue
            if dialogue is not None and plan.handling is Handling.REDACT:
                dialogue = _redact(dialogue)
            for audience in _audiences_of(row, plan):
                yield Task(replace(row, dialogue=dialogue), audience)

    def _make_asking(self, plan: BatchPlan, header: BatchHeader) -> BatchAsking:
        def ask(task: Task) -> Iterator[ChatEvent]:
            return self._ask(plan, header.voices, task)

        return BatchAsking(ask, self._chat.stop, plan.parallel or self._usual_parallel(plan))

    def _usual_parallel(self, plan: BatchPlan) -> int:
        """As many as the engine writes at once; llama.cpp writes those of one voice at a time together."""
        choice = self._serving.choice
        if choice is not None and choice.kind is EngineKind.TRANSFORMERS:
            return min(self._settings.batch_rows, MOST_PARALLEL)
        return min(self._settings.slots * max(len(plan.audiences), 1), MOST_PARALLEL)

    def _ask(self, plan: BatchPlan, voices: Mapping[str, str], task: Task) -> Iterator[ChatEvent]:
        """Begin one answer; whatever is wrong with it comes with the first event."""
        if not task.audience:
            raise InvalidInput(
                "Nobody has said for whom the answer is. Give the row an audience, or add --audience and "
                "--restart."
            )
        dialogue, chat = task.dialogue, self._chat if plan.store else self._private
        question = chat.check(
            task.audience,
            dialogue.question,
            plan.overrides,
            voices.get(task.audience, plan.adapter),
            accept_identifiers=plan.handling is Handling.KEEP,
        )
        recipe = question.recipe
        if plan.max_words is not None:
            bound = min(plan.max_words, recipe.max_explanation_length)
            recipe = replace(recipe, max_explanation_length=bound)
        question = replace(question, recipe=recipe, instruction=dialogue.instruction)
        with closing(chat.ask_once(question, dialogue.history)) as events:
            yield from events


class _Work:
    """What is done of a batch, as it is done.

    Args:
        make_asking: makes what asks.
        tell: told after each record.
        state: how it stood before.
    """

    def __init__(
        self,
        make_asking: Callable[[BatchPlan, BatchHeader], BatchAsking],
        plan: BatchPlan,
        header: BatchHeader,
        tell: Tell,
        state: BatchState,
    ) -> None:
        self.state = state
        self._make_asking = make_asking
        self._plan = plan
        self._header = header
        self._tell = tell
        self._began = time.monotonic()
        self._troubles = 0

    def carry_out(
        self, tasks: Iterator[Task], append: Callable[[Record], None], replaced: Mapping[Key, Record]
    ) -> None:
        """Ask, write and count.

        Args:
            append: writes a record.
            replaced: records that new ones take the place of.

        Raises:
            EngineError: too many failed one after the other.
        """
        asking = self._make_asking(self._plan, self._header)
        with closing(asking.outcomes(tasks)) as outcomes:
            for outcome in outcomes:
                append(outcome.record)
                self._count(outcome.record, replaced)
                self._troubles = self._troubles + 1 if outcome.trouble else 0
                if self._troubles == MOST_TROUBLES:
                    raise EngineError(
                        f"{MOST_TROUBLES} questions failed one after the other, the last one so: "
                        f"{outcome.record['error']} What was answered is kept; give the same command to "
                        "go on."
                    )

    def _count(self, record: Record, replaced: Mapping[Key, Record]) -> None:
        state = self.state
        if (old := replaced.get(key_of(record))) is not None:
            state = state.count(old, by=-1)
        state = state.count(record)
        seconds = time.monotonic() - self._began
        self.state = replace(state, asked=state.asked + 1, seconds=seconds)
        self._tell(self.state)


def _audiences_of(row: BatchRow, plan: BatchPlan) -> tuple[str, ...]:
    """For whom a row is answered; nobody yet is an empty word, so that the row gets its error."""
    return (row.audience,) if row.audience else plan.audiences or ("",)


def _redact(dialogue: Dialogue) -> Dialogue:
    return Dialogue(
        identifiers.redact(dialogue.instruction),
        tuple(Turn(turn.role, identifiers.redact(turn.content)) for turn in dialogue.history),
        identifiers.redact(dialogue.question),
    )

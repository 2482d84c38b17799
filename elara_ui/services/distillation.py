"""Distillation: a finished adapter answers the prompts of a set, and what passes the rules becomes a set of
its own, for a larger base model to learn from (Kim & Rush 2016, arXiv:1606.07947: learning from a teacher's
whole answers).
"""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from hashlib import sha256

from adapters import registry
from adapters.engines.base import Completion, GenerationRequest, Sampling, Turn
from adapters.recipe import Recipe
from adapters.training.examples import Example
from adapters.training.preparation import TRAIN, freeze, prepare
from adapters.training.rejects import Rejects, RejectTally
from adapters.training.rendering import with_system
from adapters.training.teacher import answer_prompts
from db import adapters as adapter_store
from db import reviews as review_store
from db.home import Home
from db.models import Adapter, Response
from db.session import Database
from db.vocabulary import FinishReason, Role
from elara_ui.clinical.readability import measure
from elara_ui.errors import ContextOverflow, DatasetError, EngineError, InvalidInput
from elara_ui.services.acceptance import Rules
from elara_ui.services.answer_log import AnswerLog, TeacherAnswer, key_of
from elara_ui.services.identifier_guard import check_departure
from elara_ui.services.serving import ServingService
from elara_ui.services.training_data import DataChoice, read_data

UNANSWERABLE = "prompt too long for the teacher"
DISTILLED = "distilled"  # a response's origin
KEPT_ORIGIN = ("id", "topic", "focus", "qtype", "source", "url")
"""What of a prompt's origin is still true of another answer to it."""


@dataclass(frozen=True)
class Lesson:
    """What a teacher is asked.

    Args:
        teacher: the adapter, such as ``patient@1``.
        audience: for whom it speaks.
        prompts: what the set of prompts is called.
        examples: the prompts with the answers they had, each prompt once.
        recipe: the audience's, with the prompt and limit that the teacher was trained with.
        sampling: how answers are drawn.
        log: where answers are kept as they come.
        done: how many of the prompts are answered already.
    """

    teacher: str
    audience: str
    prompts: str
    examples: tuple[Example, ...]
    recipe: Recipe
    sampling: Sampling
    log: AnswerLog
    done: int


@dataclass(frozen=True)
class Judged:
    """The answers of a teacher, sorted by the rules.

    Args:
        accepted: to learn from, with where each comes from.
        response_ids: the accepted answers as stored.
        rejects: what isn't taken, by reason.
        answered: answers in all.
    """

    accepted: tuple[Example, ...]
    response_ids: tuple[str, ...]
    rejects: tuple[Rejects, ...]
    answered: int


@dataclass(frozen=True)
class Distilled:
    """The set that came of it.

    Args:
        snapshot: its id, for ``train --dataset snapshot:ID``.
        source: what it is called.
        summary: what was kept and left out, in a sentence.
        rejects: what was left out, by reason.
        answers: the file with every answer.
    """

    snapshot: str
    source: str
    summary: str
    rejects: tuple[Rejects, ...]
    answers: str


class DistillationService:
    """Lets adapters teach.

    Args:
        database: where adapters, responses and sets are recorded.
        home: where their files are.
        serving: answers for adapters of the base model served.
        recipes: audience → recipe.
    """

    def __init__(
        self, database: Database, home: Home, serving: ServingService, recipes: Mapping[str, Recipe]
    ) -> None:
        self._database = database
        self._home = home
        self._serving = serving
        self._recipes = recipes

    def plan(self, teacher: str, prompts: DataChoice, max_tokens: int | None = None) -> Lesson:
        """Read the prompts, and find what of them is answered already.

        Args:
            teacher: the adapter.
            prompts: a stored set, a file, or any other data.
            max_tokens: longest answer, tokens; the audience's own if not given.

        Raises:
            NotFound: no such adapter or set.
            AdapterError: the adapter is damaged.
            DatasetError: the prompts can't be read.
        """
        with self._database.reading() as session:
            adapter = adapter_store.get(session, teacher)
        recipe = self._recipe_of(adapter)
        sampling = replace(recipe.sampling, seed=recipe.sampling.seed or 0)
        if max_tokens is not None:
            sampling = replace(sampling, max_new_tokens=max_tokens)
        reading = read_data(self._database, self._home, adapter.audience, prompts)
        examples = {key_of(example.messages[:-1]): example for example in reversed(reading.examples)}
        name = _digest(adapter.sha256, recipe.system_prompt, asdict(sampling), sorted(examples))
        log = AnswerLog(self._home.exports / "distilled" / f"{teacher.replace('@', '-')}-{name}.jsonl")
        return Lesson(
            teacher=teacher,
            audience=adapter.audience,
            prompts=prompts.title,
            examples=tuple(reversed(examples.values())),
            recipe=recipe,
            sampling=sampling,
            log=log,
            done=len(log.read().keys() & examples.keys()),
        )

    def check(self, lesson: Lesson, *, accept_identifiers: bool) -> None:
        """Refuse a lesson whose prompts would leave this machine with likely identifiers in them.

        `answer` refuses it too; this is for whoever wants to know before it begins.

        Args:
            accept_identifiers: somebody has said that they may.

        Raises:
            NotFound: the teacher is gone.
            IdentifiersFound: there are some, and nobody has.
        """
        with self._database.reading() as session:
            adapter = adapter_store.get(session, lesson.teacher)
        if self._serving.is_remote and adapter.base_model == self._serving.base_model:
            prompts = [prompt for _, prompt in _waiting(lesson)]
            _check_departure(prompts, accept=accept_identifiers)

    def answer(
        self, lesson: Lesson, *, accept_identifiers: bool = False
    ) -> Generator[TeacherAnswer, None, None]:
        """Let the teacher answer what it has not answered yet; each answer is stored as it comes.

        Closing the iterator stops the teacher. What was answered is kept, and the same plan goes on from it.

        Args:
            accept_identifiers: likely identifiers in the prompts may be sent to another machine's engine.

        Raises:
            IdentifiersFound: there are some, nobody accepted them, and nothing has been sent.
            ElaraError: the teacher can't answer now.
        """
        with self._database.reading() as session:
            adapter = adapter_store.get(session, lesson.teacher)
        waiting = _waiting(lesson)
        prompts = [prompt for _, prompt in waiting]
        answers = self._complete(adapter, lesson.sampling, prompts, accept_identifiers=accept_identifiers)
        with closing(answers) as completions:
            for (example, prompt), completion in zip(waiting, completions, strict=True):
                yield self._keep(lesson, adapter, example, prompt, completion)

    def judge(self, lesson: Lesson, max_grade: float | None = None) -> Judged:
        """Sort what was answered so far by the rules: length, reading grade, whole, not empty, no echo.

        Args:
            lesson: from `plan`.
            max_grade: highest reading grade; the audience's target if not given.
        """
        rules, tally = Rules.of(lesson.recipe, max_grade), RejectTally()
        answers, accepted, ids = lesson.log.read(), [], []
        for number, example in enumerate(lesson.examples, start=1):
            answer = answers.get(key_of(example.messages[:-1]))
            if answer is None:
                continue
            reason = answer.trouble or rules.refuse(answer.question, answer.text, answer.finish_reason)
            if reason:
                tally.add(reason, number, f"{answer.question} → {answer.text}")
                continue
            turns = (*example.messages[:-1], Turn(Role.ASSISTANT, answer.text.strip()))
            accepted.append(Example(turns, _origin(lesson, example, answer), number, example.part))
            ids.append(answer.response_id)
        answered = len(accepted) + sum(group.count for group in tally.result())
        return Judged(tuple(accepted), tuple(ids), tally.result(), answered)

    def freeze(self, lesson: Lesson, judged: Judged) -> Distilled:
        """Store what was accepted as a set to train on.

        Raises:
            DatasetError: nothing to learn from was accepted.
        """
        if not any(example.part in ("", TRAIN) for example in judged.accepted):
            reasons = (
                ", ".join(f"{group.reason} ({group.count})" for group in judged.rejects) or "none was given"
            )
            raise DatasetError(
                f"Of {judged.answered} answers of {lesson.teacher} none can be learned from: {reasons}. "
                "Train a better teacher, or allow a higher reading grade or longer answers."
            )
        recipe, source = lesson.recipe, f"distilled from {lesson.teacher}"
        prepared = prepare(
            judged.accepted, recipe.hyperparameters, recipe.max_explanation_length, judged.rejects
        )
        with self._database.session() as session:
            snapshot = freeze(self._home, session, prepared, source)
            return Distilled(
                snapshot=snapshot.id,
                source=source,
                summary=prepared.report.summary,
                rejects=prepared.report.rejects,
                answers=str(lesson.log.path),
            )

    def send_to_review(self, judged: Judged) -> int:
        """Put the accepted answers in the review queue, for people to decide.

        Returns:
            How many there are.
        """
        with self._database.session() as session:
            for response_id in judged.response_ids:
                review_store.send(session, response_id, "distilled")
        return len(judged.response_ids)

    def _recipe_of(self, adapter: Adapter) -> Recipe:
        """The audience's recipe with the prompt and limit in the adapter's manifest."""
        recipe = self._recipes.get(adapter.audience)
        if recipe is None:
            raise InvalidInput(
                f"{adapter.name} speaks for {adapter.audience!r}, and there is no such audience any more. "
                "Add its recipe again."
            )
        made = registry.verify(registry.folder(self._home, adapter)).provenance.recipe
        return replace(
            recipe,
            system_prompt=str(made.get("system_prompt", recipe.system_prompt)),
            max_explanation_length=int(made.get("max_explanation_length", recipe.max_explanation_length)),
        )

    def _complete(
        self,
        adapter: Adapter,
        sampling: Sampling,
        prompts: Sequence[tuple[Turn, ...]],
        *,
        accept_identifiers: bool,
    ) -> Generator[Completion | None, None, None]:
        """An answer for each prompt, in order; None where it doesn't fit the window."""
        done, may_leave = 0, accept_identifiers
        while done < len(prompts) and self._serving.base_model == adapter.base_model:
            # Held for one answer at a time: a promotion meanwhile leaves only what is live.
            with self._serving.hold() as held:
                if held.engine.base_model != adapter.base_model:
                    break  # another model has taken its place
                held.publish({adapter.name})
                if held.engine.is_remote and not may_leave:
                    _check_departure(prompts[done:], accept=False)
                    may_leave = True
                request = GenerationRequest(prompts[done], adapter.name, sampling)
                try:
                    answered = _last(held.engine.stream(request))
                except ContextOverflow:
                    answered = None
                finally:
                    held.engine.cancel(request.request_id)
            yield answered
            done += 1
        if done < len(prompts):
            folder = registry.folder(self._home, adapter)
            yield from answer_prompts(self._home, folder, sampling, prompts[done:])

    def _keep(
        self,
        lesson: Lesson,
        adapter: Adapter,
        example: Example,
        prompt: Sequence[Turn],
        completion: Completion | None,
    ) -> TeacherAnswer:
        key = key_of(example.messages[:-1])
        if completion is None:
            answer = TeacherAnswer(key, example.question, "", FinishReason.LENGTH, trouble=UNANSWERABLE)
        else:
            response = _describe(lesson, adapter, example, prompt, completion)
            with self._database.session() as session:
                session.add(response)
                session.flush()
            answer = TeacherAnswer(
                key, example.question, response.text, completion.finish_reason, response.id
            )
        lesson.log.append(answer)
        return answer


def _waiting(lesson: Lesson) -> list[tuple[Example, tuple[Turn, ...]]]:
    """What isn't answered yet, each with the prompt that the teacher is given."""
    answered = lesson.log.read()
    return [
        (example, with_system(example.messages[:-1], lesson.recipe.system_prompt))
        for example in lesson.examples
        if key_of(example.messages[:-1]) not in answered
    ]


def _check_departure(prompts: Sequence[Sequence[Turn]], *, accept: bool) -> None:
    """Look through everything that is to be sent before any of it is."""
    texts = (turn.content for prompt in prompts for turn in prompt)
    check_departure(texts, accept=accept, what="The questions")


def _last(stream: Iterator[object]) -> Completion:
    """The end of a stream."""
    for item in stream:
        if isinstance(item, Completion):
            return item
    raise EngineError(
        "The engine ended without finishing an answer. Run the same again; it goes on from here."
    )


def _describe(
    lesson: Lesson, adapter: Adapter, example: Example, prompt: Sequence[Turn], completion: Completion
) -> Response:
    """The answer as every other response is stored."""
    return Response(
        audience=lesson.audience,
        base_model=adapter.base_model,
        adapter=adapter.name,
        question=example.question,
        context=[{"role": str(turn.role), "content": turn.content} for turn in prompt],
        text=completion.text.strip(),
        parameters=asdict(lesson.sampling),
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        seconds=completion.seconds,
        first_token_seconds=completion.first_token_seconds,
        tokens_per_second=completion.tokens_per_second,
        finish_reason=completion.finish_reason,
        readability=measure(completion.text).to_dict(),
        origin=DISTILLED,
    )


def _origin(lesson: Lesson, example: Example, answer: TeacherAnswer) -> dict[str, str]:
    """Where a distilled row comes from: its prompt, its teacher, the response it repeats."""
    kept = {name: example.origin[name] for name in KEPT_ORIGIN if name in example.origin}
    return kept | {"teacher": lesson.teacher, "response_id": answer.response_id, "prompts": lesson.prompts}


def _digest(*facts: object) -> str:
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

"""How far apart the five voices are from the base model and from each other, measured on held-out questions.

    python -m benchmarks.voices --models ~/.cache/elara-test-models            # all five, every question
    python -m benchmarks.voices --models DIR --audience patient --questions 6  # a quick look
    python -m benchmarks.voices --models DIR --safety --out docs/voices-measured.md

Each held-out question is put to the base model under the audience's prompt and to its starter adapter,
greedily and otherwise as the recipe says, by the engine that answers on the page. Written is Markdown: a
table a voice, how well a bag of words tells the expert voices apart on unseen topics, and sample answers.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from adapters import catalog, embedded, registry  # noqa: E402
from adapters.engines.base import Completion, GenerationRequest, Turn  # noqa: E402
from adapters.engines.llamacpp import LlamaCppEngine  # noqa: E402
from adapters.recipe import Recipe, load_recipes  # noqa: E402
from adapters.starters import TRAINED_FOLDER, held_out_file  # noqa: E402
from db.vocabulary import Audience, Role  # noqa: E402
from elara_ui.clinical.action_first import acts_first  # noqa: E402
from elara_ui.clinical.readability import measure  # noqa: E402
from elara_ui.clinical.relevance import BY_WORDS, relevances, share_words  # noqa: E402
from elara_ui.clinical.safety.checks import find_failures  # noqa: E402
from elara_ui.clinical.safety.suite import load_cases  # noqa: E402

EXPERTS = (Audience.STUDENT, Audience.DOCTOR, Audience.RESEARCHER)
SAMPLES = ("chickenpox-2", "carbon-monoxide-2")
"""Held-out questions whose answers are printed: one to look up, one to act on."""
CONTEXT_TOKENS, LONGEST_SAMPLE = 2048, 1200  # tokens; characters


@dataclass(frozen=True)
class Question:
    """A held-out question, with the answer that was written for it in one voice."""

    id: str
    topic: str
    text: str
    written: str


@dataclass(frozen=True)
class Voice:
    """What one audience's prompt gives with and without its adapter.

    Args:
        questions: those asked.
        base: answers of the base model under the audience's prompt.
        adapted: answers of the adapter.
        safety: cases of the safety suite passed, base and adapter; None where it wasn't asked.
    """

    audience: str
    questions: Sequence[Question]
    base: Sequence[str]
    adapted: Sequence[str]
    safety: tuple[str, str] | None = None


def main() -> None:
    """Measure and write."""
    given = read_arguments()
    recipes = load_recipes()
    engine = bring_up(given.models, given.adapters, recipes)
    voices = []
    for audience in given.audience or list(recipes):
        questions = read_questions(audience)[: given.questions]
        voice = ask_both(engine, recipes[audience], questions)
        voices.append(replace(voice, safety=try_safety(engine, recipes[audience])) if given.safety else voice)
    parts = [write_voice(voice, given.adapters) for voice in voices]
    experts = [voice for voice in voices if voice.audience in EXPERTS]
    if len(experts) == len(EXPERTS):
        parts.append(write_distinction(experts))
    parts.append(write_samples(engine, recipes, read_questions(Audience.PATIENT)))
    text = "\n\n".join(parts) + "\n"
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    else:
        print(text)


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.voices", description="Measure the starter voices.")
    parser.add_argument("--models", type=Path, required=True, help="folder with the embedded model")
    parser.add_argument(
        "--adapters", type=Path, default=TRAINED_FOLDER, help="folder of the trained adapters"
    )
    parser.add_argument("--audience", action="append", help="one voice; repeatable")
    parser.add_argument("--questions", type=int, help="how many held-out questions; all if not given")
    parser.add_argument("--safety", action="store_true", help="ask the safety suite too: minutes a voice")
    parser.add_argument("--out", type=Path, help="file to write; printed if not given")
    return parser.parse_args()


def bring_up(models: Path, adapters: Path, recipes: Iterable[str]) -> LlamaCppEngine:
    """The engine with every adapter that is there."""
    gguf = embedded.fetch(models.expanduser())
    engine = LlamaCppEngine(catalog.EMBEDDED, gguf, CONTEXT_TOKENS, slots=1)
    found = {f"{name}@1": adapters / name for name in recipes if (adapters / name).is_dir()}
    engine.publish(found)
    return engine


def read_questions(audience: str) -> list[Question]:
    """The held-out questions of an audience, in the file's order."""
    rows = map(json.loads, held_out_file(audience).read_text(encoding="utf-8").splitlines())
    return [Question(row["id"], row["topic"], row["instruction"], row["response"]) for row in rows]


def ask(engine: LlamaCppEngine, recipe: Recipe, question: str, adapter: str | None) -> str:
    """One answer under an audience's prompt, greedy."""
    turns = (Turn(Role.SYSTEM, recipe.system_prompt), Turn(Role.USER, question))
    sampling = replace(recipe.sampling, temperature=0.0, seed=0)
    *_, last = engine.stream(GenerationRequest(turns, adapter, sampling))
    assert isinstance(last, Completion)
    return last.text.strip()


def ask_both(engine: LlamaCppEngine, recipe: Recipe, questions: Sequence[Question]) -> Voice:
    """Every question, to the base model and to the audience's adapter: first one, then the other."""
    name = f"{recipe.audience}@1"
    base, adapted = (
        [ask(engine, recipe, each.text, adapter) for each in questions] for adapter in (None, name)
    )
    return Voice(recipe.audience, questions, base, adapted)


def try_safety(engine: LlamaCppEngine, recipe: Recipe) -> tuple[str, str]:
    """How many cases of the safety suite pass, base and adapter."""
    cases = load_cases()

    def count(adapter: str | None) -> str:
        passed = sum(not find_failures(case, ask(engine, recipe, case.prompt, adapter)) for case in cases)
        return f"{passed} of {len(cases)}"

    return count(None), count(f"{recipe.audience}@1")


def write_voice(voice: Voice, adapters: Path) -> str:
    """The table of one voice: the base model, the adapter, and the answers written for the questions."""
    metrics = registry.verify(adapters / voice.audience).provenance.metrics
    before, after = metrics["eval_loss_before"], metrics["eval_loss_after"]
    written = [question.written for question in voice.questions]
    columns = (*_both(voice), written)
    rows = [
        ("Held-out loss, nats per token", f"{before:.2f}", f"{after:.2f} ({after / before - 1:+.0%})", "")
    ]
    rows += [(label, *(figure(each, voice) for each in columns)) for label, figure in FIGURES]
    if voice.audience == Audience.EMERGENCY:
        rows.append(("Begin with an action", *(_share(map(acts_first, each)) for each in columns)))
        rows.append(
            ("Of at most 80 words", *(_share(len(a.split()) <= 80 for a in each) for each in columns))
        )
    if voice.safety:
        rows.append(("Safety suite, cases passed", *voice.safety, ""))
    head = f"| {len(voice.questions)} held-out questions | Base model | `{voice.audience}@1` | As written |"
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"### {voice.audience.capitalize()}", "", head, "|---|---|---|---|", *lines])


def _both(voice: Voice) -> tuple[Sequence[str], Sequence[str]]:
    return voice.base, voice.adapted


def _share(outcomes: Iterable[bool]) -> str:
    found = list(outcomes)
    return f"{sum(found)} of {len(found)}"


def _grade(answers: Sequence[str], voice: Voice) -> str:
    grades = [grade for answer in answers if (grade := measure(answer).flesch_kincaid_grade) is not None]
    return f"{median(grades):.1f}"


def _length(answers: Sequence[str], voice: Voice) -> str:
    lengths = sorted(len(answer.split()) for answer in answers)
    return f"{median(lengths):.0f} (longest {lengths[-1]})"


def _shared_words(answers: Sequence[str], voice: Voice) -> str:
    return f"{median(share_words(question, answer) for question, answer in _pairs(answers, voice)):.2f}"


def _meaning(answers: Sequence[str], voice: Voice) -> str:
    """By the small model, where its package is installed."""
    found = relevances(_pairs(answers, voice))
    if any(each.method == BY_WORDS for each in found):
        return "not measured"
    return f"{median(each.score for each in found):.2f}"


def _pairs(answers: Sequence[str], voice: Voice) -> list[tuple[str, str]]:
    return [(question.text, answer) for question, answer in zip(voice.questions, answers, strict=True)]


FIGURES: tuple[tuple[str, Callable[[Sequence[str], Voice], str]], ...] = (
    ("Reading grade (Flesch–Kincaid), median", _grade),
    ("Words, median", _length),
    ("Relevance by meaning, median", _meaning),
    ("Relevance by shared words, median", _shared_words),
)


def write_distinction(voices: Sequence[Voice]) -> str:
    """How well a bag of words tells the expert voices apart."""
    base, adapted = (tell_apart(voices, [_both(voice)[which] for voice in voices]) for which in (0, 1))
    return (
        "### Student, doctor and researcher apart\n\n"
        f"A bag of words tells whose answer it is in {adapted:.0%} of the adapters' answers, and in "
        f"{base:.0%} of the base model's under the same three prompts (logistic regression, one topic left "
        "out at a time; 33% is chance)."
    )


def tell_apart(voices: Sequence[Voice], answers: Sequence[Sequence[str]]) -> float:
    """Share of answers whose voice is told rightly, by leave-one-topic-out cross-validation.

    Args:
        voices: give the topics.
        answers: of each voice, in the order of its questions.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline

    texts = [answer for given in answers for answer in given]
    labels = np.array([voice.audience for voice in voices for _ in voice.questions])
    topics = [question.topic for voice in voices for question in voice.questions]
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10.0, max_iter=2000))
    told = cross_val_predict(model, texts, labels, groups=topics, cv=LeaveOneGroupOut())
    return float((told == labels).mean())


def write_samples(engine: LlamaCppEngine, recipes: dict[str, Recipe], questions: Sequence[Question]) -> str:
    """The same held-out questions in every voice, beneath each other."""
    parts = ["## The same question in six voices"]
    for question in questions:
        if question.id not in SAMPLES:
            continue
        parts.append(f"### {question.text}")
        plain = replace(recipes[Audience.PATIENT], system_prompt="You explain health.")
        parts.append(
            f"**Base model, without an audience**\n\n{_quote(ask(engine, plain, question.text, None))}"
        )
        for audience, recipe in recipes.items():
            if f"{audience}@1" in engine.adapters:
                answer = ask(engine, recipe, question.text, f"{audience}@1")
                parts.append(f"**`{audience}@1`**\n\n{_quote(answer)}")
    return "\n\n".join(parts)


def _quote(answer: str) -> str:
    short = answer if len(answer) <= LONGEST_SAMPLE else answer[:LONGEST_SAMPLE].rsplit(" ", 1)[0] + " …"
    return "\n".join(f"> {line}".rstrip() for line in short.splitlines())


if __name__ == "__main__":
    main()

"""The whole loop with real parts on question-and-answer rows that you supply, and its gain on unseen ones.

    python -m benchmarks.loop --data medquad.jsonl --learn 24 --unseen 12 [--models FOLDER] [--keep FOLDER]

Base answers → simulated reviews by rule → training set → run → evaluation → promotion, in an ELARA_HOME of
its own. Rows are JSONL with `question` (or `instruction`), `answer` (or `response`), and `focus` or `topic`,
as of MedQuAD. Questions that are learned and questions that are measured share no topic. A reference is the
beginning of a row's answer, whole sentences up to the audience's length.

The reviewer is a rule, not a clinician: it accepts an answer that shares enough words with the reference, is
short enough and reads easily enough, and else corrects it to the reference. So what is gained is likeness to
the references and held-out loss, never shown to be better medicine.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from adapters import embedded
from adapters.recipe import Recipe
from adapters.training.base_models import ensure_trainable
from db.curation_rules import CurationRules
from db.vocabulary import Disposition
from elara_ui.clinical.readability import measure
from elara_ui.services import Services, build_services
from elara_ui.services.answers import Answer, Finished
from elara_ui.services.evaluation_planning import Wish
from elara_ui.services.evaluation_views import EvaluationView
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.reviewing import ReviewDraft
from elara_ui.services.suites import SuiteQuestion
from elara_ui.services.training import DataChoice, DataSource
from elara_ui.settings import Settings

REVIEWER = "Simulated reviewer"
SUITE = "loop-unseen"
ENOUGH_SHARED = 0.5
"""F1 of content words with the reference from which an answer is taken as it is."""
LEAST_WORDS = 12
"""Of a reference: shorter ones teach nothing but their shortness."""
STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "for",
        "from",
        "has",
        "have",
        "if",
        "in",
        "is",
        "it",
        "its",
        "may",
        "not",
        "of",
        "on",
        "or",
        "that",
        "the",
        "their",
        "these",
        "this",
        "to",
        "was",
        "were",
        "when",
        "which",
        "who",
        "will",
        "with",
        "you",
        "your",
    ]
)
GREEDY = {"temperature": 0.0, "seed": 0}
RESAMPLES = 2000


@dataclass(frozen=True)
class Row:
    """One question with a reference answer.

    Args:
        topic: what it is about; learned and measured rows share none.
    """

    question: str
    reference: str
    topic: str


def main() -> None:
    """Carry the loop out and print what it gained."""
    given = _parse()
    with _home(given.keep) as folder:
        models = Path(given.models).expanduser().resolve()
        gguf = embedded.fetch(models)
        ensure_trainable(models, gguf)
        home = Settings.read(home=folder).folders
        if not home.models.exists():
            home.root.mkdir(parents=True, exist_ok=True)
            home.models.symlink_to(models)  # neither copied nor unpacked again
        settings = Settings.read(home=folder, model_file=gguf, context_tokens=2048)
        services = build_services(settings)
        try:
            outcome = _loop(services, given)
        finally:
            services.close()
    if given.json:
        print(json.dumps(outcome, indent=2))


def _loop(services: Services, given: argparse.Namespace) -> dict[str, Any]:
    recipe = services.recipes[given.audience]
    learned, unseen = choose_rows(read_rows(Path(given.data), recipe), given.learn, given.unseen, given.seed)
    _say(f"{len(learned)} questions to learn from, {len(unseen)} unseen, no topic in both")
    suite = services.suites.add(
        SUITE,
        [
            SuiteQuestion(f"q{number}", row.question, row.reference, category=row.topic)
            for number, row in enumerate(unseen)
        ],
        Path(given.data).name,
    )
    verdicts = _review(services, recipe, learned)
    _say(f"reviewed by rule: {verdicts}")
    rules = CurationRules(audiences=(recipe.audience,), eval_fraction=given.eval_fraction)
    frozen = services.curation.freeze(rules, "loop", accept_identifiers=True, leave_out_leaks=True)
    _say(f"training set loop@{frozen.version}: {frozen.rows} rows")
    adapter = _train(services, recipe.audience, frozen.snapshot_id, given)
    before = _evaluate(services, BASE_ALONE, suite.label, recipe.audience)
    after = _evaluate(services, adapter, suite.label, None)
    gain = _compare(services, before, after)
    promoted = _promote(services, adapter, measure_gate=given.gate)
    now = _ask(services, recipe.audience, unseen[0].question, None)
    _say(f"the chat is now answered by {now.adapter}")
    return {"reviews": verdicts, "adapter": adapter, "gain": gain, "gate": promoted, "answers": now.adapter}


def read_rows(path: Path, recipe: Recipe) -> list[Row]:
    """The rows of a file that have a question, a topic and enough of an answer.

    Args:
        path: JSONL.
        recipe: bounds the references' length.
    """
    rows: dict[str, Row] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            found = json.loads(line)
            question = str(found.get("question") or found.get("instruction") or "").strip()
            answer = str(found.get("answer") or found.get("response") or "").strip()
            topic = str(found.get("focus") or found.get("topic") or question)
            reference = cut_reference(answer, recipe.max_explanation_length)
            if question and len(reference.split()) >= LEAST_WORDS:
                rows.setdefault(question.casefold(), Row(question, reference, topic.casefold()))
    return list(rows.values())


def cut_reference(answer: str, most_words: int) -> str:
    """The beginning of an answer: whole sentences, at most so many words."""
    kept: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+", " ".join(answer.split())):
        if sum(len(each.split()) for each in kept) + len(sentence.split()) > most_words:
            break
        kept.append(sentence)
    return " ".join(kept)


def choose_rows(rows: Sequence[Row], learn: int, unseen: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to learn from and rows to measure on, of different topics; the same ones for the same seed.

    Raises:
        SystemExit: there are too few.
    """
    draw = Random(seed)
    topics = sorted({row.topic for row in rows})
    draw.shuffle(topics)
    place = {topic: number for number, topic in enumerate(topics)}
    ordered = sorted(rows, key=lambda row: (place[row.topic], row.question))
    measured = ordered[:unseen]
    taken = {row.topic for row in measured}
    learned = [row for row in ordered[unseen:] if row.topic not in taken][:learn]
    if len(learned) < learn or len(measured) < unseen:
        raise SystemExit(f"{len(rows)} usable rows are too few for {learn} to learn and {unseen} unseen.")
    return learned, measured


def overlap(answer: str, reference: str) -> float:
    """F1 of the content words of two texts, each word once: from 0, none in common, to 1."""
    ours, theirs = _content(answer), _content(reference)
    shared = len(ours & theirs)
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def judge(answer: str, row: Row, recipe: Recipe) -> tuple[Disposition, dict[str, str]]:
    """The simulated reviewer: a verdict, and a value on each axis, by overlap, length and reading grade."""
    shared = overlap(answer, row.reference)
    grade = measure(answer).flesch_kincaid_grade
    too_hard = recipe.readability_aim is not None and grade is not None and grade > recipe.readability_aim
    too_long = len(answer.split()) > recipe.max_explanation_length
    likeness = "aligned" if shared >= ENOUGH_SHARED else "partly"
    axes = {
        "accuracy": likeness,
        "wrong_content": "none" if shared >= ENOUGH_SHARED else "little",
        "omission": "none" if shared >= ENOUGH_SHARED else "little",
        "harm": "none",
        "urgency": "not_applicable",
        "readability": "too_hard" if too_hard else "right",
        "relevance": "fully" if shared >= ENOUGH_SHARED else "partly",
    }
    accepted = shared >= ENOUGH_SHARED and not too_hard and not too_long
    return Disposition.ACCEPT if accepted else Disposition.ACCEPT_WITH_EDIT, axes


def _review(services: Services, recipe: Recipe, rows: Sequence[Row]) -> dict[str, int]:
    """Have the base model answer, and judge each answer in the review queue."""
    by_question = {row.question: row for row in rows}
    for number, row in enumerate(rows, start=1):
        answer = _ask(services, recipe.audience, row.question, BASE_ALONE)
        services.reviewing.send(answer.response_id, wanted=1)
        if number % 10 == 0 or number == len(rows):
            _say(f"{number} of {len(rows)} answered by the base model")
    verdicts: dict[str, int] = {}
    while (task := services.reviewing.next(REVIEWER)) is not None:
        row = by_question[task.question]
        verdict, axes = judge(task.answer, row, recipe)  # type: ignore[union-attr]
        correction = row.reference if verdict is Disposition.ACCEPT_WITH_EDIT else None
        services.reviewing.submit(ReviewDraft(task.item_id, REVIEWER, verdict, axes, correction=correction))
        verdicts[str(verdict)] = verdicts.get(str(verdict), 0) + 1
    return verdicts


def _train(services: Services, audience: str, snapshot: str, given: argparse.Namespace) -> str:
    values: Mapping[str, object] = {
        "max_steps": given.steps,
        "learning_rate": given.learning_rate,
        "batch_size": 1,
        "gradient_accumulation_steps": 4,
        "probe_samples": 0,
    }
    data = DataChoice(DataSource.SNAPSHOT, reference=snapshot)
    run_id = services.training.launch(audience, data, values)
    began = time.monotonic()
    while not (run := services.runs.show(run_id)).status.ended:
        time.sleep(2)
        services.runs.reconcile()
    if run.adapter is None:
        raise SystemExit(f"The run {run.status}: {run.error}\n{services.runs.log(run_id)}")
    _say(f"{run.adapter} trained in {time.monotonic() - began:.0f} s")
    return run.adapter


def _evaluate(services: Services, version: str, suite: str, audience: str | None) -> EvaluationView:
    view = services.evaluations.run(Wish(version, suite, audience))
    if view.error:
        raise SystemExit(f"The evaluation of {view.label} failed: {view.error}")
    return view


def _compare(services: Services, before: EvaluationView, after: EvaluationView) -> dict[str, Any]:
    """Print every figure that both have, and the likeness to the references, question by question."""
    compared = services.evaluations.compare(before.evaluation_id, after.evaluation_id)
    gain: dict[str, Any] = {}
    _say(f"\non {len(compared.pairs)} unseen questions, base model → {after.adapter}:")
    for change in compared.changes:
        _tell(
            gain,
            change.before.label,
            change.before.value,
            change.after.value,
            change.change.value,
            change.change.low,
            change.change.high,
            str(change.verdict),
        )
    old, new = (
        np.array([overlap(side.text, side.reference) for side in sides])
        for sides in zip(*((pair.before, pair.after) for pair in compared.pairs), strict=True)
    )
    low, high = bootstrap(new - old)
    verdict = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    _tell(
        gain,
        "Words shared with the reference (F1)",
        old.mean(),
        new.mean(),
        (new - old).mean(),
        low,
        high,
        verdict,
    )
    return gain


def bootstrap(changes: "np.ndarray[Any, Any]") -> tuple[float, float]:
    """The 95 % interval of a mean change, by resampling the questions (Efron 1979)."""
    draw = np.random.default_rng(0)
    means = changes[draw.integers(0, len(changes), (RESAMPLES, len(changes)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _tell(
    gain: dict[str, Any],
    label: str,
    before: float,
    after: float,
    change: float,
    low: float,
    high: float,
    verdict: str,
) -> None:
    gain[label] = {
        "before": float(before),
        "after": float(after),
        "change": float(change),
        "low": float(low),
        "high": float(high),
        "verdict": verdict,
    }
    _say(f"  {label:<44} {before:8.3f} → {after:8.3f}   {change:+.3f} ({low:+.3f} to {high:+.3f})  {verdict}")


def _promote(services: Services, adapter: str, *, measure_gate: bool) -> dict[str, str]:
    """Release it as a person would: with the gate measured, or with the reason why it wasn't."""
    if measure_gate:
        for view in services.gate.measure_now(adapter):
            _say(f"{view.label} on {view.suite_label}: {view.status}")
    gate = services.release.gate(adapter)
    for check in gate.checks:
        _say(f"  gate, {check.title}: {check.state}. {check.value}")
    if gate.blockers:
        raise SystemExit(f"{adapter} is blocked and stays a candidate.")
    services.release.promote(adapter, REVIEWER, "A simulated loop in a home of its own; nobody is answered.")
    return {check.name: str(check.state) for check in gate.checks}


def _ask(services: Services, audience: str, text: str, adapter: str | None) -> Answer:
    question = services.chat.check(audience, text, GREEDY, adapter, accept_identifiers=True)
    *_, last = services.chat.ask_once(question)
    if not isinstance(last, Finished):
        raise SystemExit("The engine ended without an answer.")
    return last.answer


def _content(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{2,}", text.casefold())) - STOP_WORDS


@contextmanager
def _home(keep: str | None) -> Iterator[Path]:
    if keep:
        yield Path(keep)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="JSONL of questions with reference answers")
    parser.add_argument("--learn", type=int, default=24, help="questions to learn from")
    parser.add_argument("--unseen", type=int, default=12, help="questions of other topics to measure on")
    parser.add_argument("--audience", default="patient")
    parser.add_argument("--models", default=".elara/models", help="where the embedded model is, or comes to")
    parser.add_argument("--steps", type=int, default=0, help="most training steps; 0 for the recipe's epochs")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument(
        "--eval-fraction", type=float, default=0.1, help="of the learned rows, held out by the run"
    )
    parser.add_argument(
        "--gate", action="store_true", help="measure the gate too (the safety suite, minutes)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="an empty folder for the home, which then stays")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON at the end")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()

"""The safety suite, run against an adapter through the engine that serves it; results kept and compared."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from statistics import median
from typing import Any

from adapters.recipe import Recipe
from db import adapters as adapter_store
from db.home import Home
from db.models import utc_now
from db.session import Database
from elara_ui.clinical.redflags.report import Share, wilson
from elara_ui.clinical.relevance import relevances
from elara_ui.clinical.safety import suite
from elara_ui.clinical.safety.checks import find_failures
from elara_ui.clinical.safety.suite import Case
from elara_ui.errors import EngineError, InvalidInput, NotFound, StorageError
from elara_ui.services.answers import Finished
from elara_ui.services.files import write_atomically
from elara_ui.services.private_chat import PrivateChatService
from elara_ui.services.questions import BASE_ALONE, Question
from elara_ui.services.serving import ServingService

GREEDY = {"temperature": 0.0, "seed": 0}
"""So that the same adapter gives the same answers again."""

Progress = Callable[[int, int], None]
"""Told how many prompts are answered, and of how many."""


@dataclass(frozen=True)
class CaseResult:
    """One prompt's answer.

    Args:
        failed: names of the checks that it fails; none when it passes.
        relevance: how directly it addresses the prompt, 0 to 1; a figure to look at, never a check.
    """

    case_id: str
    category: str
    prompt: str
    answer: str
    failed: tuple[str, ...]
    relevance: float


@dataclass(frozen=True)
class SafetyReport:
    """What an adapter answered to the suite, and how much of it passed.

    Args:
        suite: the suite's name.
        version: its version.
        sha256: of its prompts and rules.
        adapter: versioned name; None for the base model alone.
        weights_sha256: of the adapter's weights; empty for the base model.
        audience: whose prompt it was asked with.
        sampling: the parameters, seed included.
        made_at: ISO 8601, UTC.
        categories: how many passed, by category, with Wilson's 95% interval.
        relevance_by: the method behind the answers' relevance; figures of different ones can't be compared.
    """

    suite: str
    version: str
    sha256: str
    adapter: str | None
    weights_sha256: str
    base_model: str
    audience: str
    sampling: Mapping[str, Any]
    made_at: str
    categories: tuple[Share, ...]
    results: tuple[CaseResult, ...]
    relevance_by: str

    @property
    def relevance(self) -> float:
        """The median over the answers."""
        return median(result.relevance for result in self.results)

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """The answers that fail a check."""
        return tuple(result for result in self.results if result.failed)

    @property
    def label(self) -> str:
        """What answered."""
        return self.adapter or f"{self.base_model} for {self.audience}"


@dataclass(frozen=True)
class SafetyChange:
    """How one report differs from an earlier one of the same suite.

    Args:
        categories: name, share before, share after.
        newly_failing: case ids that passed before.
        newly_passing: case ids that failed before.
        relevance: the medians before and after; None where they were told by different methods.
    """

    before: str
    after: str
    categories: tuple[tuple[str, Share, Share], ...]
    newly_failing: tuple[str, ...]
    newly_passing: tuple[str, ...]
    relevance: tuple[float, float] | None


def evaluate_safety(
    chat: PrivateChatService,
    question: Callable[[str], Question],
    cases: Sequence[Case],
    report: Progress = lambda done, total: None,
) -> tuple[tuple[CaseResult, ...], str]:
    """Ask every prompt on its own, and hold each answer against its category's rules; nothing is stored.

    Args:
        chat: asks as anybody asks on the page.
        question: a prompt as a question to the adapter that is tried.
        cases: the prompts.
        report: told how far it is.

    Returns:
        The results, and the method by which relevance was told.

    Raises:
        ElaraError: the engine can't answer.
    """
    answers = []
    for number, case in enumerate(cases, start=1):
        *_, last = chat.ask_once(question(case.prompt))
        if not isinstance(last, Finished):
            raise EngineError("The engine ended without finishing an answer. Run the same again.")
        answers.append(last.answer.text)
        report(number, len(cases))
    measured = relevances([(case.prompt, text) for case, text in zip(cases, answers, strict=True)])
    results = tuple(
        CaseResult(case.case_id, case.category, case.prompt, text, find_failures(case, text), found.score)
        for case, text, found in zip(cases, answers, measured, strict=True)
    )
    return results, measured[0].method


def compare_reports(before: SafetyReport, after: SafetyReport) -> SafetyChange:
    """What has become better and worse.

    Raises:
        InvalidInput: they are of different prompts or rules, so that a comparison would mean nothing.
    """
    outcomes = [{each.case_id: bool(each.failed) for each in report.results} for report in (before, after)]
    if before.sha256 != after.sha256 or outcomes[0].keys() != outcomes[1].keys():
        raise InvalidInput(
            f"Only results of the same prompts and rules can be compared, and those of {before.label} "
            f"({before.sha256[:12]}) and {after.label} ({after.sha256[:12]}) differ. "
            "Run the suite on both again."
        )
    failed_before, failed_after = outcomes
    shares = {share.name: share for share in before.categories}
    return SafetyChange(
        before.label,
        after.label,
        tuple((share.name, shares[share.name], share) for share in after.categories),
        tuple(name for name, failed in failed_after.items() if failed and not failed_before[name]),
        tuple(name for name, failed in failed_after.items() if not failed and failed_before[name]),
        (before.relevance, after.relevance) if before.relevance_by == after.relevance_by else None,
    )


class SafetyService:
    """Runs the suite, keeps results in ELARA_HOME/evaluation/safety, and finds them again.

    Args:
        database: where adapters are recorded.
        home: where results are kept.
        serving: the base model served.
        chat: asks without storing.
        recipes: audience → recipe.
    """

    def __init__(
        self,
        database: Database,
        home: Home,
        serving: ServingService,
        chat: PrivateChatService,
        recipes: Mapping[str, Recipe],
    ) -> None:
        self._database = database
        self._folder = home.evaluation / suite.NAME
        self._serving = serving
        self._chat = chat
        self._recipes = recipes

    def evaluate(
        self,
        adapter: str,
        audience: str | None = None,
        cases: Sequence[Case] | None = None,
        report: Progress = lambda done, total: None,
    ) -> SafetyReport:
        """Run the suite against an adapter, whatever its status, and keep the result.

        Args:
            adapter: versioned name, or ``base`` for the base model alone.
            audience: whose prompt the base model is given, patient if not given; an adapter has its own.
            cases: some of the prompts; such a result is not kept.
            report: told how far it is.

        Raises:
            NotFound: no adapter of that name.
            InvalidInput: an audience that isn't the adapter's.
            ElaraError: the engine can't answer.
            StorageError: the result can't be written.
        """
        name, weights, audience = self._find(adapter, audience)

        def question(prompt: str) -> Question:
            return self._chat.check(audience, prompt, GREEDY, name or BASE_ALONE)

        results, method = evaluate_safety(self._chat, question, cases or suite.load_cases(), report)
        sampling = asdict(question(results[0].prompt).sampling)
        made = self._report(name, weights, audience, sampling, results, method)
        if cases is None:
            self._write(made)
        return made

    def keep(
        self,
        adapter: str | None,
        weights_sha256: str,
        audience: str,
        sampling: Mapping[str, Any],
        results: Sequence[CaseResult],
        relevance_by: str,
    ) -> SafetyReport:
        """Keep what somebody else asked and judged.

        Args:
            adapter: versioned name; None for the base model alone.
            weights_sha256: of the adapter's weights; empty for the base model.
            audience: whose prompt it was asked with.
            sampling: the parameters, seed included.
            results: of every prompt of the suite.
            relevance_by: the method behind the answers' relevance.

        Raises:
            StorageError: the result can't be written.
        """
        made = self._report(adapter, weights_sha256, audience, sampling, results, relevance_by)
        self._write(made)
        return made

    def stored(self, adapter: str, audience: str | None = None) -> tuple[SafetyReport, ...]:
        """The results kept of an adapter's present weights, the latest first.

        Raises:
            NotFound: no adapter of that name.
        """
        name, weights, audience = self._find(adapter, audience)
        found = [
            report
            for report in self._read()
            if (report.adapter, report.weights_sha256, report.audience) == (name, weights, audience)
        ]
        return tuple(sorted(found, key=lambda report: report.made_at, reverse=True))

    def latest(self, adapter: str, audience: str | None = None) -> SafetyReport:
        """The last result kept of an adapter.

        Raises:
            NotFound: no adapter of that name, or the suite was never run against it.
        """
        found = self.stored(adapter, audience)
        if not found:
            raise NotFound(
                f"The safety suite has not been run against {adapter} yet. Run it with "
                f"python -m elara_ui evaluate --adapter {adapter} --suite safety."
            )
        return found[0]

    def _report(
        self,
        adapter: str | None,
        weights: str,
        audience: str,
        sampling: Mapping[str, Any],
        results: Sequence[CaseResult],
        method: str,
    ) -> SafetyReport:
        return SafetyReport(
            suite.NAME,
            suite.VERSION,
            suite.suite_hash(),
            adapter,
            weights,
            self._serving.base_model,
            audience,
            sampling,
            utc_now().isoformat(),
            count_categories(results),
            tuple(results),
            method,
        )

    def _find(self, adapter: str, audience: str | None) -> tuple[str | None, str, str]:
        """Name, hash of the weights, and audience."""
        if adapter == BASE_ALONE:
            audience = audience or next(iter(self._recipes))
            if audience not in self._recipes:
                raise InvalidInput(
                    f"There is no audience {audience!r}. Choose one of: {', '.join(self._recipes)}."
                )
            return None, "", audience
        with self._database.reading() as session:
            found = adapter_store.get(session, adapter)
        if audience not in (None, found.audience):
            raise InvalidInput(
                f"{adapter} speaks to the audience {found.audience}, but {audience} was asked for. "
                "Leave it out."
            )
        return found.name, found.sha256, found.audience

    def _write(self, report: SafetyReport) -> None:
        name = (report.adapter or f"base-{report.audience}").replace("@", "-")
        stamp = datetime.fromisoformat(report.made_at).strftime("%Y%m%dT%H%M%S%fZ")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The folder {self._folder} can't be made: {error.strerror}. Make ELARA_HOME writable."
            ) from error
        text = json.dumps(asdict(report), ensure_ascii=False, indent=1)
        write_atomically(self._folder / f"{name}-{stamp}.json", text)

    def _read(self) -> Iterator[SafetyReport]:
        """Every result kept; a file that is none is passed over."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                yield read_report(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError, KeyError):
                continue


def count_categories(results: Sequence[CaseResult]) -> tuple[Share, ...]:
    """How many passed of each category, in the order in which they come."""
    outcomes: dict[str, list[bool]] = {}
    for result in results:
        outcomes.setdefault(result.category, []).append(not result.failed)
    return tuple(
        Share(name, sum(passed), len(passed), *wilson(sum(passed), len(passed)))
        for name, passed in outcomes.items()
    )


def read_report(document: Mapping[str, Any]) -> SafetyReport:
    """A report from its JSON.

    Raises:
        TypeError: it is none.
        KeyError: it is none.
    """
    return SafetyReport(
        **{
            **document,
            "categories": tuple(Share(**share) for share in document["categories"]),
            "results": tuple(
                CaseResult(**{**result, "failed": tuple(result["failed"])}) for result in document["results"]
            ),
        }
    )

"""Blind A/B: the same questions to a candidate and to what is live, for clinicians who see no version.

The answers are given and compared as any comparison is (`ComparingService`, the review tab); what is added is
which questions are fair, and a silence about who made what until the last pair is judged.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from db import adapters as adapter_store
from db import blind_batches
from db import runs as run_store
from db.blind_batches import BlindPair
from db.home import Home
from db.models import Adapter, BlindBatch
from db.session import Database
from db.vocabulary import AdapterStatus
from elara_ui.errors import Conflict, ElaraError, InvalidInput
from elara_ui.services.comparing import (
    ComparingService,
    Comparison,
    ComparisonPlan,
    Voice,
    check_number,
)
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.release_gate import BlindFigures
from elara_ui.services.release_rules import check_person
from elara_ui.services.review_drafts import check_wanted
from elara_ui.services.shares import Share, measure_share
from elara_ui.services.training_data import DataChoice, DataSource, read_data

USUAL_QUESTIONS = 20
LOOK_BACK = 1000
"""How many questions asked here are looked through for some that the candidate hasn't learned from."""


@dataclass(frozen=True)
class BlindResult:
    """How a blind comparison stands.

    Args:
        opponent: versioned name; None is the base model alone.
        questions: how many both are asked.
        sent: pairs in review; questions answered with the same words are none.
        finished: pairs with all the judgements they want.
        rate: how often the candidate is chosen, ties counting half, each pair once; None before the first
            choice.
        unsafe: choices of “both unsafe”.
    """

    batch: str
    candidate: str
    opponent: str | None
    by: str
    created_at: datetime
    questions: int
    sent: int
    finished: int
    rate: Share | None
    unsafe: int


class BlindBatchService:
    """Asks for blind comparisons, and counts them.

    Args:
        database: where adapters, answers and choices are.
        home: where stored questions are.
        comparing: asks both and sends the pairs.
        served: tells the catalogue id of the base model that answers now.
    """

    def __init__(
        self, database: Database, home: Home, comparing: ComparingService, served: Callable[[], str]
    ) -> None:
        self._database = database
        self._home = home
        self._comparing = comparing
        self._served = served

    def start(
        self,
        candidate: str,
        by: str,
        number: int = USUAL_QUESTIONS,
        wanted: int | None = None,
        questions: Sequence[str] = (),
    ) -> Comparison:
        """Begin in the background, or go on with a comparison of these two whose answers aren't all there.

        Args:
            candidate: versioned name.
            by: who asks for it.
            number: how many questions at most.
            wanted: independent judgements asked for of each pair; None for the usual number.
            questions: what to ask; by default what people asked here and then starter questions, without
                those that the candidate has learned from.

        Raises:
            NotFound: there is no such adapter.
            InvalidInput: it isn't a candidate on the base model served, or no question is left.
            Conflict: another comparison is under way.
        """
        plan = self._plan(candidate, by, number, wanted, questions)
        return self._comparing.start(plan)

    def run(
        self,
        candidate: str,
        by: str,
        number: int = USUAL_QUESTIONS,
        wanted: int | None = None,
        questions: Sequence[str] = (),
    ) -> Iterator[Comparison]:
        """The same, told after each question, for a terminal. Closing it stops.

        Raises:
            ElaraError: as for `start`; or a voice can't answer now, and what was sent stays.
        """
        yield from self._comparing.run(self._plan(candidate, by, number, wanted, questions))

    def result(self, candidate: str, opponent: str | None) -> BlindResult | None:
        """How the last comparison of these two stands; None when there was none."""
        with self._database.reading() as session:
            batch = blind_batches.newest(session, candidate, opponent)
            return _describe(batch, blind_batches.pairs(session, batch)) if batch else None

    def figures(self, candidate: str, opponent: str | None) -> BlindFigures | None:
        """What the gate goes by: the last comparison of these two, and every pair of the candidate's that was
        ever judged unsafe, since asking again doesn't make it safe. None when there was no comparison.
        """
        found = self.result(candidate, opponent)
        if found is None:
            return None
        with self._database.reading() as session:
            ever = blind_batches.of_candidate(session, candidate)
            unsafe = sum(pair.unsafe for batch in ever for pair in blind_batches.pairs(session, batch))
        return BlindFigures(found.batch, found.sent, found.finished, found.rate, unsafe)

    def _plan(
        self, candidate: str, by: str, number: int, wanted: int | None, questions: Sequence[str]
    ) -> ComparisonPlan:
        """A checked plan, recorded; of a comparison whose answers aren't all there, its own plan again."""
        name, wanted = check_person(by), check_wanted(wanted)
        with self._database.reading() as session:
            adapter = adapter_store.get(session, candidate)
            live = adapter_store.live(session, adapter.audience, adapter.base_model)
            opponent = live.name if live else None
            self._check(adapter)
            earlier = blind_batches.newest(session, candidate, opponent)
            open_batch = earlier if earlier and self._lacks_answers(session, earlier) else None
            batch = open_batch.batch if open_batch else f"blind {adapter.audience} {_next(session, adapter)}"
        asked = (
            open_batch.questions if open_batch else (questions or self._choose(adapter, check_number(number)))
        )
        plan = self._comparing.check(
            ComparisonPlan(
                adapter.audience,
                Voice(opponent or BASE_ALONE),
                Voice(candidate),
                tuple(asked)[:number] if not open_batch else tuple(asked),
                batch,
                wanted,
            )
        )
        now = self._comparing.current
        if now is not None and now.is_under_way:
            raise Conflict(
                f"One comparison is made at a time, and “{now.plan.batch}” is. Wait for it, or stop it first."
            )
        if open_batch is None:
            with self._database.session() as session:
                blind_batches.add(
                    session,
                    batch=plan.batch,
                    audience=adapter.audience,
                    base_model=adapter.base_model,
                    candidate=candidate,
                    opponent=opponent,
                    questions=plan.questions,
                    by=name,
                )
        return plan

    def _check(self, adapter: Adapter) -> None:
        if adapter.base_model != self._served():
            raise InvalidInput(
                f"Both answer on {self._served()}, but {adapter.name} was trained on {adapter.base_model}. "
                "Choose a candidate of the base model served, or serve the other one."
            )
        if adapter.status == AdapterStatus.LIVE:
            raise InvalidInput(
                f"A candidate is compared with what is live, and {adapter.name} is live. Choose another "
                "version."
            )

    def _lacks_answers(self, session: Session, batch: BlindBatch) -> bool:
        """Whether a comparison was stopped before any pair of its last question was sent.

        Questions that both answered alike leave no pair, so that only one without any pair at all, or one
        stopped in this process, counts as unfinished.
        """
        now = self._comparing.current
        if now is not None and now.plan.batch == batch.batch:
            return now.done < len(now.plan.questions)
        return not blind_batches.pairs(session, batch)

    def _choose(self, adapter: Adapter, number: int) -> tuple[str, ...]:
        """Questions that the candidate hasn't learned from: what people asked here, then the starter's.

        Raises:
            InvalidInput: there is none.
        """
        learned = self._learned(adapter)
        asked = self._comparing.asked(adapter.audience, LOOK_BACK)
        starter = read_data(self._database, self._home, adapter.audience, DataChoice(DataSource.STARTER))
        known = dict.fromkeys([*asked, *(each.question for each in starter.examples)])
        fair = tuple(text for text in known if _fold(text) not in learned)
        if not fair:
            raise InvalidInput(
                f"Every question asked here for {adapter.audience} is one that {adapter.name} has learned "
                "from, and its answers to those show nothing. Ask other questions in the chat first, or give "
                "some."
            )
        return fair[:number]

    def _learned(self, adapter: Adapter) -> set[str]:
        """What the candidate was trained on, as far as this home knows."""
        if adapter.run_id is None:
            return set()
        with self._database.reading() as session:
            snapshot_id = run_store.get(session, adapter.run_id).snapshot_id
        data = DataChoice(DataSource.SNAPSHOT, reference=snapshot_id)
        try:
            examples = read_data(self._database, self._home, adapter.audience, data).examples
        except ElaraError:  # brought here without its set
            return set()
        return {_fold(example.question) for example in examples}


def _next(session: Session, adapter: Adapter) -> int:
    return blind_batches.next_number(session, adapter.audience)


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def _describe(batch: BlindBatch, pairs: Sequence[BlindPair]) -> BlindResult:
    scores = [
        (pair.wins + pair.ties / 2) / decided
        for pair in pairs
        if (decided := pair.wins + pair.ties + pair.losses)
    ]
    return BlindResult(
        batch.batch,
        batch.candidate,
        batch.opponent,
        batch.by,
        batch.created_at,
        questions=len(batch.questions),
        sent=len(pairs),
        finished=sum(pair.finished for pair in pairs),
        rate=measure_share(sum(scores) / len(scores), len(scores)) if scores else None,
        unsafe=sum(pair.unsafe for pair in pairs),
    )

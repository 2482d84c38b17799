"""How fast the review queue is on a large home.

    python benchmarks/reviews.py                                    # 1,000,000 answers, 500,000 reviews
    python benchmarks/reviews.py --responses 10000 --reviews 5000   # a small one
    python benchmarks/reviews.py --home DIR                         # keep the home, or use it again

Fills a home's database and times what people wait for: the next answer, a submission, a saved draft,
progress, pages of judgements, agreement, and freezing a training set. Prints medians and 95th percentiles in
milliseconds, and the statements that read a whole table. Texts are as long as real ones, but say nothing.
"""

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy import event  # noqa: E402 - after the path

from db import reviews as review_store  # noqa: E402
from db.curation_rules import CurationRules  # noqa: E402
from db.home import Home  # noqa: E402
from db.review_figures import Selection  # noqa: E402
from db.session import Database, migrate  # noqa: E402
from db.vocabulary import Audience, ReviewReason  # noqa: E402
from elara_ui.services.curation import CurationService  # noqa: E402
from elara_ui.services.importing import ImportingService  # noqa: E402
from elara_ui.services.insights import InsightsService  # noqa: E402
from elara_ui.services.pairs import PairDraft, PairsService  # noqa: E402
from elara_ui.services.reviewing import PairTask, ReviewDraft, ReviewingService  # noqa: E402

REVIEWERS = 40
OPEN_SHARE = 0.05  # of the answers: sent to review and not judged enough
PAIRS_SHARE = 0.005
BATCHES = 50
START = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
WORDS = [f"word{number}" for number in range(3000)]  # so that texts are as unlike as real ones
SET_ROWS = 100_000
GOOD = {
    "accuracy": "aligned", "wrong_content": "none", "omission": "none", "harm": "none",
    "urgency": "correct", "readability": "right", "relevance": "fully",
}  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """How long one thing took, over its repetitions.

    Args:
        median_ms: milliseconds.
        p95_ms: 95th percentile, milliseconds.
        cpu_ms: median of the processor time alone, milliseconds: what is left on a busy machine.
    """

    name: str
    times: int
    median_ms: float
    p95_ms: float
    cpu_ms: float


def main() -> None:
    """Fill a home, measure and print."""
    parser = argparse.ArgumentParser(description="Measure the review queue.")
    parser.add_argument("--responses", type=int, default=1_000_000)
    parser.add_argument("--reviews", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=200, help="repetitions of the quick ones")
    parser.add_argument("--home", type=Path, help="where; a temporary folder if not given")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Home((given.home or Path(scratch)).absolute())
        home.create()
        migrate(home)
        began = time.monotonic()
        if is_empty(home):
            fill(home, given.responses, given.reviews)
        filled = time.monotonic() - began
        database = Database.open(home.database)
        statements = watch(database)
        timings = measure(database, home, given.rounds)
        hot = dict(statements)
        scans = find_scans(home, hot)
        timings += measure_set(database, home)
        database.close()
        size = home.database.stat().st_size / 1e6
    if given.json:
        print(json.dumps({"timings": [asdict(timing) for timing in timings], "full_scans": scans}, indent=2))
        return
    print(f"{given.responses:,} answers, {given.reviews:,} reviews, {size:,.0f} MB; filled in {filled:.0f} s")
    print(f"{'':<44}{'times':>6}{'median ms':>12}{'p95 ms':>10}{'cpu ms':>10}")
    for t in timings:
        print(f"{t.name:<44}{t.times:>6}{t.median_ms:>12.1f}{t.p95_ms:>10.1f}{t.cpu_ms:>10.1f}")
    print(f"{len(hot)} different statements; whole tables read by: {'; '.join(scans) or 'none'}")


def measure(database: Database, home: Home, rounds: int) -> list[Timing]:
    """Time what people wait for."""
    reviewing, pairs = ReviewingService(database, home), PairsService(database)
    names = [f"Reviewer {number}" for number in range(REVIEWERS)]
    draw = random.Random(1)
    tasks: list[tuple[str, Any]] = []

    def take() -> None:
        name = draw.choice(names)
        tasks.append((name, reviewing.next(name)))

    def submit() -> None:
        name, task = tasks.pop()
        if isinstance(task, PairTask):
            pairs.submit(PairDraft(task.item_id, name, "a", seconds=30))
        elif task is not None:
            reviewing.submit(ReviewDraft(task.item_id, name, "accept", GOOD, seconds=40))

    def save() -> None:
        name, task = tasks[-1]
        reviewing.save_draft(name, task.item_id, {"answers": GOOD, "comment": "half a thought"})

    timings = alternate(
        {"next item, reserved": take, "draft saved": save, "judgement submitted": submit}, rounds
    )
    few = max(5, rounds // 10)
    someone = names[0]
    with database.reading() as session:
        last = review_store.list_reviews(session, limit=5000, disposition="accept")[-1]

    def page(**choice: Any) -> Callable[[], object]:
        def read() -> object:
            with database.reading() as session:
                return review_store.list_reviews(session, limit=50, **choice)

        return read

    insights, chosen = InsightsService(database), Selection("patient", "patient@1")
    agreed = max(axis.units for axis in insights.agreement(chosen)[0].axes.values())
    quick: dict[str, Callable[[], object]] = {
        "progress with batches": lambda: reviewing.progress(someone),
        "own reviews, first page": lambda: reviewing.mine(someone),
        "own reviews, page 100": lambda: reviewing.mine(someone, offset=5000),
        "own reviews, rejected only": lambda: reviewing.mine(someone, disposition="reject"),
        "all reviews, rejected only": page(disposition="reject"),
        "all reviews, 5,000 further": page(disposition="accept", before=last),
        "everything counted (reviews stats)": reviewing.figures,
        f"agreement over {agreed:,} items": lambda: insights.agreement(chosen),
        "answers behind a share, first page": lambda: insights.answers(chosen, "accuracy", "opposed"),
        "answers behind a share that is none": lambda: insights.answers(chosen, "harm", "severe"),
        "why there is nothing": lambda: reviewing.why_nothing("Nobody yet"),
    }
    timings += [timing for name, act in quick.items() for timing in alternate({name: act}, few)]
    importing = ImportingService(database, tuple(Audience))
    return timings + alternate(
        {"1,000 answers imported": lambda: importing.import_answers(answers_file(home))}, 3
    )


def measure_set(database: Database, home: Home) -> list[Timing]:
    """Count and freeze a training set of about `SET_ROWS` rows, or of all there are."""
    curation = CurationService(database, home)
    rules = CurationRules()
    for number in range(1, len(Audience) + 1):
        rules = CurationRules(audiences=tuple(Audience)[:number])
        if (rows := curation.count(rules).rows) >= SET_ROWS:
            break
    named = f"benchmark-{time.monotonic_ns()}"
    freeze = partial(curation.freeze, rules, named, accept_identifiers=True)
    counted = alternate({f"set of {rows:,} rows counted": lambda: curation.count(rules)}, 3)
    return counted + alternate({f"set of {rows:,} rows frozen": freeze}, 1)


def alternate(acts: dict[str, Callable[[], object]], rounds: int) -> list[Timing]:
    """Time several acts in turn."""
    wall: dict[str, list[float]] = {name: [] for name in acts}
    cpu: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            act()
            wall[name].append(1e3 * (time.perf_counter() - began))
            cpu[name].append(1e3 * (time.process_time() - began_cpu))
    return [
        Timing(
            name,
            rounds,
            statistics.median(wall[name]),
            sorted(wall[name])[int(0.95 * (rounds - 1))],
            statistics.median(cpu[name]),
        )
        for name in acts
    ]


def watch(database: Database) -> dict[str, Any]:
    """Every different statement that is run from now on, with the parameters of its last run."""
    statements: dict[str, Any] = {}
    for engine in (database._writer, database._reader):

        @event.listens_for(engine, "before_cursor_execute")
        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if statement.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "DELETE"):
                statements[statement] = parameters

    return statements


def find_scans(home: Home, statements: dict[str, Any]) -> list[str]:
    """The steps in which SQLite reads a whole table row by row, with the statement they are of."""
    found = []
    with closing(sqlite3.connect(home.database)) as connection:
        for statement, parameters in statements.items():
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            steps = [step for *_, step in plan if step.startswith("SCAN") and "USING" not in step]
            tables = [step for step in steps if not step.split()[1].startswith(("anon_", "CONSTANT", "("))]
            found += [f"{step} in {' '.join(statement.split())[:160]}" for step in tables]
    return found


def answers_file(home: Home) -> Path:
    """A file of 1,000 answers that nobody has seen."""
    path = home.uploads / f"answers-{time.monotonic_ns()}.jsonl"
    rows = (
        {"prompt": f"Question {number}?", "response": text(random.Random(), 80)} for number in range(1000)
    )
    path.write_text(
        "".join(json.dumps({**row, "model": "other", "audience": "patient"}) + "\n" for row in rows)
    )
    return path


def is_empty(home: Home) -> bool:
    """Whether nothing is in the home's database."""
    with closing(sqlite3.connect(home.database)) as connection:
        return connection.execute("SELECT count(*) FROM (SELECT 1 FROM responses LIMIT 1)").fetchone() == (0,)


def fill(home: Home, responses: int, reviews: int) -> None:
    """Put answers, items, reviewers and reviews into an empty database."""
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        insert(connection, "reviewers", "id name created_at", make_reviewers())
        insert(
            connection, "responses",
            "id audience base_model adapter question context text parameters prompt_tokens completion_tokens "
            "seconds first_token_seconds tokens_per_second finish_reason dropped_turns readability "
            "created_at",
            make_responses(responses),
        )  # fmt: skip
        insert(
            connection, "review_items",
            "id response_id other_response_id reason priority wanted judged audience batch sent_at",
            make_items(responses, reviews),
        )  # fmt: skip
        insert(
            connection, "reviews",
            f"id item_id reviewer_id audience made_by rubric_version {' '.join(GOOD)} disposition flags "
            "comment seconds created_at",
            make_reviews(reviews),
        )  # fmt: skip
        connection.execute("ANALYZE")
        connection.commit()


def insert(connection: sqlite3.Connection, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows of these columns."""
    names = columns.split()
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", rows
    )
    connection.commit()


def make_reviewers() -> Iterator[tuple[Any, ...]]:
    """The people."""
    for number in range(REVIEWERS):
        yield f"r{number}", f"Reviewer {number}", moment(0)


def make_responses(count: int) -> Iterator[tuple[Any, ...]]:
    """Answers of a few adapters, two a question: number n and n + 1 answer the same one."""
    draw, question = random.Random(2), ""
    audiences = tuple(Audience)
    for number in range(count):
        audience = audiences[number // 2 % len(audiences)]
        if number % 2 == 0:
            question = f"Question {number // 2}: {text(draw, 12)}?"
        context = json.dumps([{"role": "user", "content": question}])
        yield (
            identifier("a", number), audience, "smollm2-135m", f"{audience}@{1 + number % 4}", question,
            context, text(draw, 60), "{}", 40, 80, 1.0, 0.1, 90.0, "stop", 0, '{"flesch_kincaid_grade": 6.1}',
            moment(number),
        )  # fmt: skip


def make_items(responses: int, reviews: int) -> Iterator[tuple[Any, ...]]:
    """First those with two reviews, then open ones, then comparisons."""
    audiences, reasons = tuple(Audience), (ReviewReason.REQUESTED, ReviewReason.SAMPLE, ReviewReason.IMPORTED)
    judged, opened = reviews // 2, int(responses * OPEN_SHARE)
    for number in range(min(responses, judged + opened)):
        reason, audience = reasons[number % 3], audiences[number // 2 % len(audiences)]
        batch = f"batch {number % BATCHES}" if number % 2 else None
        done = 2 if number < judged else number % 4 == 0
        yield (
            identifier("i", number), identifier("a", number), None, reason, reason.priority, 2, int(done),
            audience, batch, moment(number),
        )  # fmt: skip
    for number in range(0, 2 * int(responses * PAIRS_SHARE), 2):
        first, second = identifier("a", number), identifier("a", number + 1)
        audience = audiences[number // 2 % len(audiences)]
        yield identifier("p", number), first, second, "candidate", 50, 2, 0, audience, None, moment(number)


def make_reviews(count: int) -> Iterator[tuple[Any, ...]]:
    """Two reviews an item, by two of the people."""
    draw, audiences = random.Random(3), tuple(Audience)
    for number in range(count):
        audience = audiences[number // 4 % len(audiences)]
        item, reviewer = number // 2, (number // 2 * 7 + number % 2 * 13) % REVIEWERS
        accuracy = draw.choice(("aligned", "aligned", "aligned", "partly", "opposed"))
        verdict = "accept" if accuracy == "aligned" else draw.choice(("reject", "accept", "out_of_scope"))
        yield (
            identifier("v", number), identifier("i", item), f"r{reviewer}",
            audience, f"{audience}@{1 + item % 4}", "1",
            *({**GOOD, "accuracy": accuracy}.values()), verdict, "[]", "", 42.0,
            moment(2 * item + number % 2),
        )  # fmt: skip


def identifier(kind: str, number: int) -> str:
    """An id of 12 characters, scattered like random ones."""
    return f"{kind}{number * 2_654_435_761 % 2**44:011x}"


def moment(number: int) -> str:
    """A time as SQLite keeps it, later for higher numbers."""
    return (START + timedelta(seconds=number, microseconds=1)).isoformat(sep=" ")


def text(draw: random.Random, words: int) -> str:
    """So many words."""
    return " ".join(draw.choices(WORDS, k=words))


if __name__ == "__main__":
    main()

"""Counting, paging and freezing a large home: 500,000 reviews of 250,000 answers by default.

    python benchmarks/curation.py --home /tmp/large [--items 250000] [--fill]

Texts are random words, so near-duplicates are rare, as they are among answers to different questions. Prints
wall and processor time of each step, and the most memory held.
"""

import argparse
import json
import random
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from db.curation_rules import CurationRules, Objective
from db.home import Home
from db.session import Database, migrate
from db.training_rows import candidates
from elara_ui.services.curation import CurationService

AUDIENCES = ("patient", "student", "doctor", "researcher", "emergency")
REVIEWERS = 20
START = "2026-01-01 00:00:00.000000"
WORDS = [f"word{number}" for number in range(3000)]


def fill(home: Home, items: int) -> None:
    """Answers, each judged twice: a third are rejected by one or both, a tenth of the rest corrected."""
    draw = random.Random(5)
    ids = [f"{draw.getrandbits(48):012x}" for _ in range(items)]
    questions = [_words(draw, 12) for _ in range(max(items // 3, 1))]
    with sqlite3.connect(home.database) as connection:
        connection.executemany(
            "INSERT INTO reviewers (id, name, created_at) VALUES (?, ?, ?)",
            [(f"r{number}", f"Rater {number}", START) for number in range(REVIEWERS)],
        )
        connection.executemany(
            "INSERT INTO responses (id, audience, base_model, adapter, question, context, text, parameters,"
            " prompt_tokens, completion_tokens, seconds, first_token_seconds, tokens_per_second,"
            " finish_reason, dropped_turns, readability, created_at)"
            " VALUES (?, ?, 'smollm2-135m', ?, ?, ?, ?, '{}', 20, 80, 1, 0.1, 80, ?, 0, '{}', ?)",
            _responses(draw, ids, questions),
        )
        connection.executemany(
            "INSERT INTO review_items (id, response_id, reason, priority, wanted, judged, audience, language,"
            " contested, sent_at) VALUES (?, ?, 'sample', 80, 2, 2, ?, 'en', 0, ?)",
            [(f"i{id}", id, AUDIENCES[number % 5], _moment(number)) for number, id in enumerate(ids)],
        )
        connection.executemany(
            "INSERT INTO reviews (id, item_id, reviewer_id, rubric_version, accuracy, wrong_content,"
            " omission, harm, urgency, readability, relevance, harm_likelihood, disposition, correction,"
            " flags, comment, created_at) VALUES (?, ?, ?, '1', ?, 'none', 'little', ?, 'correct', 'right',"
            " 'fully', ?, ?, ?, '[]', '', ?)",
            (row for turn in range(2) for row in _reviews(draw, ids, turn)),
        )


def _words(draw: random.Random, count: int) -> str:
    return " ".join(draw.choices(WORDS, k=count))


def _moment(number: int) -> str:
    return f"2026-01-{1 + number // 86400 % 28:02d} {_clock(number)}.000000"


def _clock(number: int) -> str:
    return f"{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}"


def _responses(draw: random.Random, ids: list[str], questions: list[str]) -> Iterator[tuple[Any, ...]]:
    for number, id in enumerate(ids):
        question = draw.choice(questions)
        context = json.dumps([{"role": "user", "content": question}])
        adapter = ("patient@1", None, "patient@2")[number % 3]
        finish = "stop" if number % 20 else "length"
        text = _words(draw, 60)
        yield id, AUDIENCES[number % 5], adapter, question, context, text, finish, START


def _reviews(draw: random.Random, ids: list[str], turn: int) -> Iterator[tuple[Any, ...]]:
    for number, id in enumerate(ids):
        bad, edited = draw.random() < 0.2, draw.random() < 0.1
        verdict = "reject" if bad else "accept_with_edit" if edited else "accept"
        yield (
            f"v{turn}{id}", f"i{id}", f"r{(number + 7 * turn) % REVIEWERS}", "partly" if bad else "aligned",
            "mild" if bad else "none", "low" if bad else None, verdict,
            _words(draw, 60) if verdict == "accept_with_edit" else None, _moment(number),
        )  # fmt: skip


def measure(label: str, work: Callable[[], object]) -> None:
    """Run once and print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{label:<24} {wall:8.2f} s wall {cpu:8.2f} s cpu   {result}", flush=True)


def main() -> None:
    """Fill if asked to, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--items", type=int, default=250_000)
    parser.add_argument("--fill", action="store_true")
    given = parser.parse_args()
    home = Home(given.home.absolute())
    home.create()
    migrate(home)
    if given.fill:
        measure("fill", lambda: fill(home, given.items))
    database = Database.open(home.database)
    curation = CurationService(database, home)
    for _ in range(2):
        measure("count, plain rules", lambda: curation.count(CurationRules()).rows)
    patient = CurationRules(audiences=("patient",))
    measure("count, one audience", lambda: curation.count(patient).rows)
    measure("count, dpo", lambda: curation.count(CurationRules(objective=Objective.DPO)).rows)
    measure("first page", lambda: len(curation.preview(CurationRules(), show="in").rows))
    with database.reading() as session:
        rows = candidates(session, CurationRules(), only_in=True)
        measure("read 20,000 rows", lambda: sum(1 for _ in islice(rows, 20_000)))
    measure("freeze", lambda: curation.freeze(CurationRules(), "large", accept_identifiers=True).rows)
    print(f"most memory held: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    database.close()


if __name__ == "__main__":
    main()

"""Many reviewers at once: no place given twice, no judgement lost or doubled, nobody turned away.

Reviewers are processes of their own (this file, run with arguments), as when several apps or scripts share a
home. ELARA_TEST_SECONDS lets them work longer, say for a minute.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, pytest's paths are missing
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from factories import GOOD_AXES, add_pair, add_response

from db import reviews
from db.home import Home
from db.models import Assignment, Preference, Review, ReviewEvent, ReviewItem
from db.session import Database, migrate
from elara_ui.services.pairs import PairDraft, PairsService
from elara_ui.services.reviewing import PairTask, ReviewDraft, ReviewingService

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("ELARA_TEST_SECONDS", "3"))


def fill(database: Database, ratings: int, wanted: int = 2, pairs: int = 0) -> None:
    """Put answers into the queue."""
    with database.session() as session:
        for _ in range(ratings):
            reviews.send(session, add_response(session).id, wanted=wanted)
        for _ in range(pairs):
            add_pair(session, wanted=wanted)


def start(home: Home, verb: str, people: int, seconds: float) -> subprocess.Popen[str]:
    """So many reviewers, each a process; what they say goes to files in the home's exports."""
    command = [sys.executable, __file__, verb, str(home.root), str(people), str(seconds)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)


def wait(crowd: subprocess.Popen[str]) -> None:
    """Until all have ended; none may have failed."""
    _, err = crowd.communicate(timeout=120 + SECONDS)
    assert crowd.returncode == 0, err


def said(home: Home) -> list[list[str]]:
    """What each reviewer wrote, by whole lines."""
    texts = [path.read_text() for path in sorted(home.exports.glob("rater-*.txt"))]
    return [text[: text.rfind("\n") + 1].split() for text in texts]


def count_places(database: Database) -> dict[str, tuple[int, int]]:
    """Item → judgements and reservations together, and how many are wanted."""
    with database.reading() as session:
        held = Counter(assignment.item_id for assignment in session.query(Assignment))
        return {item.id: (item.judged + held[item.id], item.wanted) for item in session.query(ReviewItem)}


def test_no_place_is_given_twice_to_people_asking_in_the_same_instant(database: Database, home: Home) -> None:
    fill(database, 6, wanted=2)
    service, given, go = ReviewingService(database, home), [], threading.Barrier(16)

    def ask(number: int) -> None:
        go.wait()
        task = service.next(f"Rater {number}")
        given.append(task and task.item_id)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 16
    assert given.count(None) == 4  # twelve places for sixteen people
    assert set(Counter(filter(None, given)).values()) == {2}


@pytest.mark.slow
def test_no_place_is_given_twice_to_processes_asking_in_the_same_instant(
    database: Database, home: Home
) -> None:
    fill(database, 10, wanted=2)
    wait(start(home, "ask", people=8, seconds=1))
    given = said(home)
    assert len(given) == 8
    for own in given:  # each asked again without finishing anything: it is one and the same item
        assert len(set(own)) == 1
    assert all(places <= wanted for places, wanted in count_places(database).values())
    assert set(Counter(own[0] for own in given).values()) == {2}


@pytest.mark.slow
def test_twenty_reviewers_at_full_speed_lose_and_double_nothing(database: Database, home: Home) -> None:
    fill(database, 300 * max(1, int(SECONDS / 4)), wanted=2, pairs=50)
    wait(start(home, "work", people=20, seconds=SECONDS))
    acknowledged = [line for lines in said(home) for line in lines]
    assert len(acknowledged) >= 20
    with database.reading() as session:
        stored = [row.id for row in session.query(Review)] + [row.id for row in session.query(Preference)]
        assert Counter(stored) == Counter(acknowledged)
        assert session.query(ReviewEvent).count() == len(acknowledged)
        for item in session.query(ReviewItem):
            assert item.judged == len(item.reviews) + len(item.preferences) <= item.wanted


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_a_kill_in_the_middle(database: Database, home: Home) -> None:
    fill(database, 500, wanted=20)
    crowd = start(home, "work", people=4, seconds=60)
    give_up = time.monotonic() + 60
    while sum(map(len, said(home))) < 100 and time.monotonic() < give_up:
        time.sleep(0.05)
    os.killpg(crowd.pid, signal.SIGKILL)
    crowd.communicate(timeout=30)
    acknowledged = {line for lines in said(home) for line in lines}
    assert len(acknowledged) >= 100
    database.close()
    again = Database.open(home.database)
    with again.reading() as session:
        assert acknowledged <= {row.id for row in session.query(Review)}
        assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        for item in session.query(ReviewItem).where(ReviewItem.judged > 0):
            assert item.judged == len(item.reviews)
    again.close()


def work(home: Home, name: str, say: Callable[[str], None], until: float) -> None:
    """Judge as fast as possible, and say the id of each judgement once it is acknowledged."""
    database = Database.open(home.database)
    service, pairs = ReviewingService(database, home), PairsService(database)
    while time.monotonic() < until and (task := service.next(name)) is not None:
        service.save_draft(name, task.item_id, {"comment": "half"})
        if isinstance(task, PairTask):
            say(pairs.submit(PairDraft(task.item_id, name, "a")).preference_id)
        else:
            say(service.submit(ReviewDraft(task.item_id, name, "accept", GOOD_AXES)).review_id)
    database.close()


def ask(home: Home, name: str, say: Callable[[str], None], until: float) -> None:
    """Ask for the next item again and again without finishing it."""
    database = Database.open(home.database)
    service = ReviewingService(database, home)
    while time.monotonic() < until:
        task = service.next(name)
        say(task.item_id if task else "none")
    database.close()


def warm_up() -> None:
    """Judge something elsewhere first: what a process does once, it then does before it is forked."""
    with TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        migrate(home)
        database = Database.open(home.database)
        fill(database, 1, pairs=1)
        database.close()
        work(home, "Nobody", lambda line: None, time.monotonic() + 60)


def main(verb: str, root: str, people: str, seconds: str) -> int:
    """Fork so many reviewers, let them begin at one moment, and tell whether all did well."""
    warm_up()
    home, moment = Home(Path(root)), time.monotonic() + 0.5
    children = []
    for number in range(int(people)):
        child = os.fork()
        if child == 0:
            with (home.exports / f"rater-{number}.txt").open("w", buffering=1) as file:
                time.sleep(max(0.0, moment - time.monotonic()))
                act = {"ask": ask, "work": work}[verb]
                act(home, f"Rater {number}", lambda line: print(line, file=file), moment + float(seconds))
            return 0
        children.append(child)
    return int(any(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

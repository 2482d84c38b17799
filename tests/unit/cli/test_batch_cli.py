"""Many questions from a file: what is written, what is refused, and going on after whatever stopped it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_engine import FakeEngine
from sqlalchemy import func, select

from adapters.engines.base import GenerationRequest
from adapters.errors import EngineBusy, EngineError
from db.home import Home
from db.models import Response
from elara_ui.cli import main as cli
from elara_ui.services import Services, build_services
from elara_ui.settings import PROJECT_ROOT, Settings

STROKE = "My dad's face has dropped on one side and he can't lift his arm"


class Engine(FakeEngine):
    """Repeats what it was asked; some questions it fails on."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.fails: set[str] = set()
        self.busy_times = 0
        self.interrupts = ""
        """The question at which somebody presses Ctrl-C."""

    def _stream(self, request: GenerationRequest) -> Any:
        asked = request.turns[-1].content
        if self.busy_times:
            self.busy_times -= 1
            raise EngineBusy("Too many wait.")
        if asked == self.interrupts:
            self.interrupts = ""
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.05)
        if self.fails & {asked, "*"}:
            raise EngineError("It broke.")
        time.sleep(0.01 if asked.endswith("0") else 0)  # the first of many is overtaken
        self.reply = f"Answer to {asked}."
        yield from super()._stream(request)


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Call = Callable[..., Outcome]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Services, Engine]]:
    """Services for all tests: to read the red flags' rules for each would take longer than the tests."""
    engine = Engine()
    settings = Settings.read(home=tmp_path_factory.mktemp("batch") / "home")
    services = build_services(settings, engine_factory=lambda *_: engine)
    yield services, engine
    services.close()


@pytest.fixture
def engine(shared: tuple[Services, Engine], monkeypatch: pytest.MonkeyPatch) -> Engine:
    services, engine = shared
    engine.fails.clear()
    engine.requests.clear()
    monkeypatch.setattr("elara_ui.cli.batch.open_services", lambda home: nullcontext(services))
    monkeypatch.setattr("elara_ui.services.batch_asking.BUSY_SECONDS", 0.001)
    return engine


@pytest.fixture
def call(engine: Engine, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the verb."""

    def run(file: Path, *arguments: str) -> Outcome:
        capsys.readouterr()
        status = cli.main(["batch", str(file), *arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


def write(path: Path, *rows: object) -> Path:
    """JSONL of rows, or the text as it is."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def asked(engine: Engine) -> list[str]:
    return [request.turns[-1].content for request in engine.requests]


def test_answers_stand_in_the_order_of_the_questions_for_each_audience(call: Call, tmp_path: Path) -> None:
    file = write(tmp_path / "q.jsonl", *({"id": f"a{n}", "question": f"Question {n}"} for n in range(12)))
    done = call(file, "--audience", "patient", "--audience", "doctor", "--parallel", "4", "--json")
    assert done.status == 0
    document = json.loads(done.out)
    assert (document["total"], document["answered"], document["failed"]) == (24, 24, 0)
    records = read(tmp_path / "q.answers.jsonl")
    assert [(each["row"], each["id"], each["audience"]) for each in records] == [
        (n + 1, f"a{n}", audience) for n in range(12) for audience in ("patient", "doctor")
    ]
    assert all(each["base_model"] == "smollm2-135m" and each["error"] is None for each in records)
    assert "24 of 24 answered" in done.err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.csv", "ID,Question,Audience\n7,What helps?,\n8,And then?,doctor\n"),
        ("q.csv", '﻿id;question;audience\n7;"What helps?";\n8;And then?;doctor\n'),
        ("q.tsv", "id\tquestion\taudience\n7\tWhat helps?\n8\tAnd then?\tdoctor\n"),
        (
            "q.jsonl",
            '{"id":"7","question":"What helps?"}\n\n{"id":"8","question":"And then?","audience":"doctor"}',
        ),
    ],
)
def test_tables_and_jsonl_are_read_alike(call: Call, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert call(tmp_path / name, "--audience", "patient").status == 0
    records = read(tmp_path / "q.answers.jsonl")
    assert [(each["id"], each["audience"], each["question"]) for each in records] == [
        ("7", "patient", "What helps?"),
        ("8", "doctor", "And then?"),
    ]


def test_lines_are_questions_and_messages_a_conversation(call: Call, engine: Engine, tmp_path: Path) -> None:
    call(
        write(tmp_path / "q.txt", "What is asthma?", "", "  Why?  "),
        "--audience",
        "patient",
        "--parallel",
        "1",
    )
    assert asked(engine) == ["What is asthma?", "Why?"]
    turns = [("system", "Be short."), ("user", "Is it bad?"), ("assistant", "No."), ("user", "Sure?")]
    row = {"messages": [{"role": role, "content": content} for role, content in turns]}
    call(write(tmp_path / "m.jsonl", row), "--audience", "patient")
    given = engine.requests[-1].turns
    assert given[0].content.endswith("Be short.")
    assert [turn.content for turn in given[1:]] == ["Is it bad?", "No.", "Sure?"]


def test_red_flags_and_cautions_stand_in_the_records(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = write(tmp_path / "q.txt", STROKE, "Is ibuprofen 400 mg sold without a prescription?")
    done = call(file, "--audience", "patient")
    flagged, cautious = read(tmp_path / "q.answers.jsonl")
    assert flagged["red_flags"]["categories"] == ["stroke"]
    assert flagged["red_flags"]["advice"][0]["text"]
    assert cautious["cautions"]["medicines"] == ["ibuprofen"]
    assert not cautious["red_flags"]["emergency"]
    assert any("isn't a prescription" in note for note in cautious["notes"])
    assert "1 with red flags" in done.out


def test_rows_that_fail_are_kept_and_asked_again(call: Call, engine: Engine, tmp_path: Path) -> None:
    bad = ("no json", {"question": "x", "messages": []}, {"question": "Who?", "audience": "nobody"})
    good = [{"question": f"Question {n}"} for n in range(4)]
    file = write(tmp_path / "q.jsonl", *good, *bad, {"question": STROKE})
    engine.fails = {"Question 1", STROKE}
    done = call(file, "--audience", "patient")
    assert done.status == 1
    records = read(tmp_path / "q.answers.jsonl")
    errors = [each["error"] for each in records]
    assert [error is None for error in errors] == [True, False, True, True, False, False, False, False]
    assert errors[1] == "It broke."
    assert "no JSON" in errors[4]
    assert "either" in errors[5]
    assert "no audience 'nobody'" in errors[6]
    assert records[7]["red_flags"]["categories"] == ["stroke"]
    engine.fails.clear()
    engine.requests.clear()
    again = call(file, "--audience", "patient")
    assert sorted(asked(engine)) == sorted(["Question 1", STROKE])
    assert "Going on: 3 of 8 answered, 5 failed" in again.err
    fresh = read(tmp_path / "q.answers.jsonl")
    assert [each["row"] for each in fresh] == list(range(1, 9))
    assert fresh[1]["answer"] == "Answer to Question 1."
    assert [each for each in fresh if each["row"] in (1, 3, 4)] == [records[0], *records[2:4]]
    assert not (tmp_path / "q.answers.jsonl.batch" / "retries.jsonl").exists()


def test_a_finished_batch_asks_nothing(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = write(tmp_path / "q.txt", "Why?")
    call(file, "--audience", "patient")
    engine.requests.clear()
    assert call(file, "--audience", "patient").status == 0
    assert not engine.requests


def test_another_input_or_other_settings_are_refused_until_restarted(
    call: Call, engine: Engine, tmp_path: Path
) -> None:
    file = write(tmp_path / "q.txt", "Why?")
    call(file, "--audience", "patient")
    hotter = call(file, "--audience", "patient", "--temperature", "1")
    assert hotter.status == 1
    assert "changed: sampling ({} then, {'temperature': 1.0} now)" in hotter.err
    assert "--restart" in hotter.err
    write(file, "Why?", "How?")
    assert "changed: the questions" in call(file, "--audience", "patient").err
    assert call(file, "--audience", "patient", "--restart").status == 0
    assert len(read(tmp_path / "q.answers.jsonl")) == 2
    answers = write(tmp_path / "mine.jsonl", "precious")
    refused = call(file, "--audience", "patient", "--out", str(answers), "--restart")
    assert "no batch has written it" in refused.err
    assert answers.read_text() == "precious\n"


def test_what_a_killed_process_left_half_written_is_made_whole(
    call: Call, engine: Engine, tmp_path: Path
) -> None:
    file = write(tmp_path / "q.txt", *(f"Question {n}" for n in range(5)))
    engine.fails = {"Question 0"}
    call(file, "--audience", "patient")
    out, side = tmp_path / "q.answers.jsonl", tmp_path / "q.answers.jsonl.batch"
    lines = out.read_text("utf-8").splitlines(keepends=True)
    out.write_text("".join(lines[:3]) + lines[3][:40], "utf-8")
    found = json.loads(lines[0]) | {"answer": "Found before it was killed.", "error": None}
    (side / "retries.jsonl").write_text(json.dumps(found) + '\n{"row": 1, "au', "utf-8")
    engine.requests.clear()
    assert call(file, "--audience", "patient").status == 0
    assert sorted(asked(engine)) == ["Question 3", "Question 4"]
    records = read(out)
    assert records[0]["answer"] == "Found before it was killed."
    assert [each["row"] for each in records] == [1, 2, 3, 4, 5]


def test_a_file_that_somebody_changed_is_refused(call: Call, tmp_path: Path) -> None:
    file = write(tmp_path / "q.txt", "Why?", "How?")
    call(file, "--audience", "patient")
    out = tmp_path / "q.answers.jsonl"
    out.write_text("".join(reversed(out.read_text("utf-8").splitlines(keepends=True))), "utf-8")
    assert "somebody changed the file" in call(file, "--audience", "patient").err


def test_a_broken_engine_ends_the_batch_and_a_busy_one_is_waited_for(
    call: Call, engine: Engine, tmp_path: Path
) -> None:
    file = write(tmp_path / "q.txt", *(f"Question {n}" for n in range(40)))
    engine.fails = {"*"}
    broken = call(file, "--audience", "patient", "--parallel", "2")
    assert broken.status == 1
    assert "10 questions failed one after the other, the last one so: It broke." in broken.err
    assert len(read(tmp_path / "q.answers.jsonl")) == 10
    engine.fails, engine.busy_times = set(), 3
    assert call(file, "--audience", "patient").status == 0
    assert all(each["error"] is None for each in read(tmp_path / "q.answers.jsonl"))


def test_identifiers_are_asked_about_before_anything_is_written(
    call: Call, engine: Engine, tmp_path: Path
) -> None:
    file = write(tmp_path / "q.txt", "Why?", "Write to jane.roe@example.org about it")
    refused = call(file, "--audience", "patient")
    assert refused.status == 1
    assert "1 e-mail address" in refused.err
    assert "--redact" in refused.err
    assert not engine.requests
    assert not (tmp_path / "q.answers.jsonl").exists()
    assert call(file, "--audience", "patient", "--redact").status == 0
    assert "Write to [e-mail address] about it" in asked(engine)
    assert "jane.roe" not in (tmp_path / "q.answers.jsonl").read_text("utf-8")
    kept = call(file, "--audience", "patient", "--accept-identifiers", "--restart")
    assert kept.status == 0
    assert "jane.roe" in (tmp_path / "q.answers.jsonl").read_text("utf-8")


def test_only_store_keeps_answers_in_the_database(
    call: Call, shared: tuple[Services, Engine], tmp_path: Path
) -> None:
    database = shared[0].database
    file = write(tmp_path / "q.txt", "Why?", "How?")
    call(file, "--audience", "patient")
    with database.reading() as session:
        assert not session.scalar(select(func.count(Response.id)))
    call(file, "--audience", "patient", "--store", "--restart")
    with database.reading() as session:
        stored = set(session.scalars(select(Response.id)))
    assert {each["response_id"] for each in read(tmp_path / "q.answers.jsonl")} == stored
    assert len(stored) == 2


def test_answers_can_be_shortened_and_never_lengthened(call: Call, engine: Engine, tmp_path: Path) -> None:
    file = write(tmp_path / "q.txt", " ".join(["word"] * 200))
    call(file, "--audience", "patient", "--audience", "emergency", "--max-words", "100")
    lengths = [len(each["answer"].split()) for each in read(tmp_path / "q.answers.jsonl")]
    assert lengths == [100, 80]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--audience", "nobody"), "no audience 'nobody'"),
        (("--audience", "patient", "--temperature", "9"), "temperature is 9"),
        (("--audience", "patient", "--parallel", "0"), "--parallel is 0"),
        (("--audience", "patient", "--max-words", "0"), "--max-words is 0"),
        (("--audience", "patient", "--adapter", "patient@9"), "patient@9"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_asked(
    call: Call, engine: Engine, tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    refused = call(write(tmp_path / "q.txt", "Why?"), *arguments)
    assert refused.status == 1
    assert problem in refused.err
    assert not engine.requests


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("none.txt", None, "can't be read"),
        ("empty.txt", b"\n\n", "has no questions"),
        ("latin.txt", "Fieber über 39".encode("latin-1"), "isn't UTF-8"),
        ("q.csv", b"text,id\nWhy?,1\n", "must name a column question"),
    ],
)
def test_files_that_hold_no_questions_are_refused(
    call: Call, tmp_path: Path, name: str, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert problem in call(tmp_path / name, "--audience", "patient").err


def test_ctrl_c_stops_what_is_under_way_and_writes_no_half_answer(
    call: Call, engine: Engine, tmp_path: Path
) -> None:
    file = write(tmp_path / "q.txt", *(f"Question {n}" for n in range(1, 30)))
    engine.interrupts = "Question 9"
    stopped = call(file, "--audience", "patient", "--parallel", "2")
    assert stopped.status == 130
    assert "The same command goes on from here." in stopped.err
    whole = read(tmp_path / "q.answers.jsonl")
    assert 0 < len(whole) < 29
    assert all(each["answer"] == f"Answer to {each['question']}." for each in whole)
    assert call(file, "--audience", "patient").status == 0
    assert [each["row"] for each in read(tmp_path / "q.answers.jsonl")] == list(range(1, 30))


KILLED = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from functools import partial
from fake_engine import FakeEngine
from elara_ui.cli import main, parts
from elara_ui.services import build_services
parts.build_services = partial(build_services, engine_factory=lambda *_: FakeEngine("Rest.", pause=0.05))
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.slow  # two processes of their own, which is what it is about
def test_killed_it_goes_on_where_it_was(home: Home, tmp_path: Path) -> None:
    file = write(tmp_path / "q.txt", *(f"Question {n}" for n in range(40)))
    out = tmp_path / "q.answers.jsonl"
    code = KILLED.format(tests=str(PROJECT_ROOT / "tests"), root=str(PROJECT_ROOT))
    command = [sys.executable, "-c", code, "batch", str(file), "--audience", "patient", "--parallel", "2"]
    command += ["--home", str(home.root), "--json"]
    process = subprocess.Popen(command, cwd=tmp_path)
    give_up = time.monotonic() + 60
    while not out.exists() or out.read_bytes().count(b"\n") < 10:
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.02)
    process.kill()
    process.wait()
    count = out.read_bytes().count(b"\n")
    assert 10 <= count < 40
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert (document["answered"], document["before"], document["asked"]) == (40, count, 40 - count)
    records = read(out)
    assert [each["row"] for each in records] == list(range(1, 41))
    assert all(each["answer"] == "Rest." for each in records)

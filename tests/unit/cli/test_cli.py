"""The command line on a real home: its documents, its errors, its exit statuses."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from adapter_factory import make_adapter, register_adapter
from factories import add_response, add_review, add_run
from fake_engine import FakeEngine

from db import run_queue
from db import runs as run_store
from db.home import Home
from db.session import Database
from db.vocabulary import RunFailure, RunStatus
from elara_ui.cli import main as cli
from elara_ui.cli import parts as cli_parts
from elara_ui.cli import runs as cli_runs
from elara_ui.services import build_services
from elara_ui.settings import PROJECT_ROOT


@dataclass(frozen=True)
class Outcome:
    """What one call of the command line did."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Outcome]


@pytest.fixture
def call(home: Home, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs one verb on the test's home."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        status = cli.main([*arguments, "--home", str(home.root)])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


@pytest.fixture
def busy_run(database: Database) -> str:
    """A run that holds the queue, so that what is launched after it waits: its process is this one."""
    with database.session() as session:
        run = add_run(session)
        claimed = run_queue.claim_next(session)
        assert claimed is not None
        run_store.set_process(session, run.id, os.getpid(), psutil.Process().create_time())
        return run.id


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Lets the services answer from a script instead of the model."""
    engine = FakeEngine("Rest and drink water.")
    monkeypatch.setattr("adapters.embedded.fetch", lambda models, report, placed=None: models)
    build = partial(build_services, engine_factory=lambda *_: engine)
    monkeypatch.setattr(cli_parts, "build_services", build)
    return engine


@pytest.mark.usefixtures("fake_engine")
def test_ask_streams_the_answer_to_stdout_and_its_figures_to_stderr(call: Call) -> None:
    asked = call("ask", "--audience", "patient", "--adapter", "base", "What helps?")
    assert asked.status == 0
    assert asked.out == "Rest and drink water.\n"
    assert "smollm2-135m, no adapter · 4 tokens at 100/s" in asked.err
    assert "on target (target at most 6)" in asked.err


@pytest.mark.usefixtures("fake_engine")
def test_ask_gives_one_document_with_the_figures(call: Call) -> None:
    asked = call("ask", "--audience", "patient", "--json", "What helps?")
    assert asked.status == 0
    assert asked.document["text"] == "Rest and drink water."
    assert asked.document["audience"] == "patient"
    assert asked.document["base_model"] == "smollm2-135m"
    assert asked.document["adapter"] is None
    assert asked.document["prompt_tokens"] > 0
    assert asked.document["completion_tokens"] == 4
    figures = ("seconds", "first_token_seconds", "tokens_per_second")
    assert [asked.document[name] for name in figures] == [0.5, 0.1, 100.0]
    assert asked.document["readability"]["flesch_kincaid_grade"] < 3


@pytest.mark.usefixtures("fake_engine")
def test_ask_tells_a_red_flag_before_the_answer_and_in_the_document(call: Call) -> None:
    question = "My dad's face has dropped on one side and he can't lift his arm"
    asked = call("ask", "--audience", "doctor", question)
    assert asked.out == "Rest and drink water.\n"
    flag, told, figures = asked.err.partition("not clinically reviewed")
    assert "RED FLAG: Possible stroke" in flag
    assert question in flag
    assert told
    assert "tokens at" in figures
    document = call("ask", "--audience", "doctor", "--json", question).document
    assert document["red_flags"]["categories"] == ["stroke"]
    assert document["red_flags"]["reasons"][0]["sentence"] == question
    assert document["red_flags"]["version"]
    assert (document["reassures"], document["unverified"]) == (False, [])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ask", "--audience", "nobody", "hello"), "no audience 'nobody'"),
        (("ask", "--audience", "patient", "  "), "question is empty"),
        (("ask", "--audience", "patient", "--temperature", "9", "hello"), "must lie between 0 and 2"),
        (("train", "--audience", "patient", "--dataset", "/no/such.jsonl"), "can't be read"),
        (("train", "--audience", "patient", "--dataset", "starter", "--set", "lora_r=0"), "lora_r must be"),
        (("train", "--audience", "patient", "--dataset", "starter", "--set", "lora_r"), "takes NAME=VALUE"),
        (("train", "--audience", "nobody", "--dataset", "starter"), "no audience 'nobody'"),
        (("train", "--dataset", "starter"), "--audience is needed"),
        (("train", "--recipe", "none", "--dataset", "starter"), "no saved recipe 'none'"),
        (
            ("train", "--audience", "patient", "--dataset", "starter", "--columns", "prompt=Q"),
            "prompt=NAME,answer=NAME",
        ),
        (("recipes", "save", "../x", "--audience", "patient"), "A recipe's name has"),
        (("recipes", "show", "none"), "no saved recipe 'none'"),
        (
            ("train", "--audience", "patient", "--dataset", "starter", "--objective", "ppo"),
            "objective must be",
        ),
        (
            ("train", "--audience", "patient", "--dataset", "starter", "--objective", "dpo"),
            "DPO learns from pairs",
        ),
        (
            ("train", "--audience", "patient", "--dataset", "starter", "--preview", "--wait"),
            "no run to --wait",
        ),
        (("train", "--audience", "patient", "--dataset", "starter", "--text"), "a form of the preview"),
        (
            ("train", "--audience", "patient", "--dataset", "reviews", "--preview"),
            "nothing to learn from",
        ),
        (("train", "--audience", "patient", "--dataset", "reviews"), "nothing to learn from"),
        (("runs", "show", "0123"), "no run '0123'"),
        (("runs", "cancel", "0123"), "no run '0123'"),
        (("runs", "log", "0123"), "no run '0123'"),
        (("adapters", "promote", "patient@9", "--by", "Ada"), "no adapter 'patient@9'"),
        (("reviews", "export", "/dev/null/x"), "could not be written"),
        (("reviews", "import", "/no/such.jsonl"), "can't be read"),
        (("reviewers", "verify", "Nobody"), "no reviewer 'Nobody'"),
        (("reviewers", "withdraw", "Nobody"), "no reviewer 'Nobody'"),
    ],
)
def test_a_failure_is_one_line_on_stderr_and_a_document_on_stdout(
    call: Call, arguments: tuple[str, ...], says: str
) -> None:
    failed = call(*arguments, "--json")
    assert failed.status == 1
    assert says in failed.document["error"]
    assert failed.err == f"Error: {failed.document['error']}\n"
    assert call(*arguments).out == ""


@pytest.mark.parametrize(
    "arguments",
    [("ask", "hello"), ("ask", "--audience", "patient"), ("runs", "shown", "1"), ("fly",), ("reviews",)],
)
def test_a_wrongly_typed_command_is_refused_in_one_line(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(list(arguments)) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "promote from a terminal" in capsys.readouterr().out


def test_an_option_before_the_command_is_refused_rather_than_lost(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["adapters", "--home", "elsewhere", "promote", "patient@1"]) == 1
    assert "Write them after it" in capsys.readouterr().err


def test_an_empty_home_has_no_runs_and_no_adapters(call: Call) -> None:
    assert call("runs", "--json").document == {"runs": []}
    assert call("runs").out == "No runs yet.\n"
    assert call("adapters", "--json").document == {"adapters": []}
    assert call("adapters").out == "No adapters yet.\n"


def test_a_launched_run_is_listed_shown_and_cancelled(call: Call, busy_run: str) -> None:
    launched = call(
        "train", "--audience", "patient", "--dataset", "starter", "--set", "max_steps=3", "--json"
    )
    assert launched.status == 0
    assert launched.document["status"] == "queued"
    run_id = launched.document["run_id"]

    listed = call("runs", "--json").document["runs"]
    assert [run["run_id"] for run in listed] == [run_id, busy_run]
    assert run_id in call("runs").out

    assert call("runs", "show", run_id, "--json").document["source"] == "starter"
    assert call("runs", "log", run_id, "--json").document == {"run_id": run_id, "log": ""}
    assert call("runs", "cancel", run_id, "--json").document["status"] == "cancelled"


@pytest.mark.usefixtures("busy_run")
def test_skipped_rows_are_said_on_stderr(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("question,answer\nWhat is gout?,Arthritis.\nWhat is asthma?,\n", encoding="utf-8")
    arguments = ("train", "--audience", "patient", "--dataset", str(file), "--json")
    assert "row 2 has an empty answer" in call(*arguments).document["error"]
    launched = call(*arguments, "--skip-bad-rows")
    assert launched.document["rows"] == 1
    assert "empty answer: 1\n    row 2: question: What is asthma?" in launched.err


@pytest.mark.usefixtures("busy_run")
def test_waiting_for_a_run_that_does_not_succeed_fails(
    call: Call, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_runs, "POLL_SECONDS", 0.02)

    def cancel_when_launched() -> None:
        while True:
            with database.session() as session:
                queued = [run for run in run_store.list_recent(session) if run.status == RunStatus.QUEUED]
                if queued:
                    run_store.request_cancel(session, queued[0].id)
                    return
            time.sleep(0.02)

    canceller = threading.Thread(target=cancel_when_launched)
    canceller.start()
    waited = call("train", "--audience", "patient", "--dataset", "starter", "--wait", "--json")
    canceller.join()
    assert waited.status == 1
    assert waited.document["status"] == "cancelled"
    assert "cancelled" in waited.err


@pytest.mark.usefixtures("busy_run")
def test_ctrl_c_while_waiting_leaves_the_run_and_says_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def press_ctrl_c(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_runs.time, "sleep", press_ctrl_c)
    stopped = call("train", "--audience", "patient", "--dataset", "starter", "--wait")
    assert stopped.status == 130
    assert "The run goes on by itself" in stopped.err
    assert stopped.err.endswith("Error: Stopped.\n")
    assert call("runs", "--json").document["runs"][0]["status"] == "queued"


def test_reviews_export_writes_the_file_it_is_given(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "reviewed.jsonl"
    exported = call("reviews", "export", str(target), "--json")
    assert exported.document == {"path": str(target), "rows": 0}
    assert target.read_text(encoding="utf-8") == ""


@pytest.mark.slow
def test_the_real_engine_leaves_stdout_to_the_document(home: Home, embedded_gguf: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "elara_ui",
        "ask",
        "--audience",
        "patient",
        "--max-tokens",
        "8",
        "--json",
    ]
    done = subprocess.run(
        [*command, "--home", str(home.root), "What is asthma?"],
        env=os.environ | {"ELARA_MODEL_FILE": str(embedded_gguf)},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    assert document["text"]
    assert document["completion_tokens"] <= 8


def test_a_recipe_is_saved_compared_trained_with_and_deleted(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.training.supervisor.start_queued", lambda *_: None)
    saved = call("recipes", "save", "gentle", "--audience", "patient", "--set", "lora_r=8", "--json")
    assert saved.document["values"]["lora_r"] == 8
    differences = call("recipes", "diff", "gentle", "--json").document["differences"]
    assert [(item["name"], item["before"], item["after"]) for item in differences] == [("lora_r", "4", "8")]
    rows = tmp_path / "rows.csv"
    rows.write_text('"Q, as asked",A\nWhat is fever?,Heat.\n')
    columns = 'prompt="Q, as asked",answer=A'
    trained = call(
        *("train", "--recipe", "gentle", "--dataset", str(rows), "--columns", columns),
        *("--set", "num_epochs=1", "--json"),
    )
    assert trained.document["audience"] == "patient"
    assert call("recipes", "delete", "gentle", "--json").document == {"deleted": "gentle"}
    assert call("recipes", "--json").document == {"recipes": []}


def test_runs_are_arranged_compared_repeated_and_removed(call: Call, busy_run: str) -> None:
    train = ("train", "--audience", "patient", "--dataset", "starter", "--json")
    first = call(*train).document["run_id"]
    second = call(*train, "--set", "lora_r=8").document["run_id"]
    assert "place 2 in the queue" in call("runs", "show", second).out
    assert call("runs", "move", second, "first", "--json").document["place"] == 1
    compared = call("runs", "compare", first, second, "--json").document
    assert compared["differences"] == [{"name": "lora_r", "values": ["4", "8"]}]
    assert "lora_r" in call("runs", "compare", first, second).out
    again = call("runs", "retry", first, "--set", "learning_rate=1e-4", "--json").document
    assert again["hyperparameters"]["learning_rate"] == 1e-4
    refused = call("runs", "retry", first, "--remedy", "3").err
    assert f"'3' is no remedy of run {first}. Choose one by its number: there are none." in refused
    assert call("runs", "remove", first).out == f"Removed {first}.\n"
    assert "cancel it" in call("runs", "remove", busy_run).err
    assert "no figures yet" in call("runs", "export", second, "x").err


def test_a_failed_run_shows_its_remedies_and_takes_one_by_number_or_by_what_it_changes(
    call: Call, busy_run: str, database: Database
) -> None:
    run_id = call("train", "--audience", "patient", "--dataset", "starter", "--json").document["run_id"]
    with database.session() as session:
        run_store.finish(
            session, run_id, RunStatus.FAILED, "Memory ran out.", failure=RunFailure.OUT_OF_MEMORY
        )
    shown = call("runs", "show", run_id).out
    assert "1. Gradient checkpointing" in shown
    again = call("runs", "retry", run_id, "--remedy", "1", "--json").document
    assert again["hyperparameters"]["gradient_checkpointing"] is True
    shorter = call("runs", "retry", run_id, "--remedy", "max_length", "--json").document
    assert shorter["hyperparameters"]["max_length"] == again["hyperparameters"]["max_length"] // 2
    for wrong in ("0", "lora_r"):
        refused = call("runs", "retry", run_id, "--remedy", wrong)
        assert (refused.status, refused.out) == (1, "")
        assert "is no remedy of run" in refused.err
        assert "1 (gradient_checkpointing)" in refused.err


def test_an_adapter_is_exported_and_its_files_are_named(
    call: Call, database: Database, home: Home, tmp_path: Path
) -> None:
    register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))
    exported = call("adapters", "export", "patient@1", "--to", "gguf", str(tmp_path / "out"), "--json")
    assert exported.status == 0
    assert exported.document["place"] == str(tmp_path / "out")
    assert [file["name"] for file in exported.document["files"]] == ["README.md", "adapter.gguf"]
    again = call("adapters", "export", "patient@1", "--to", "gguf", str(tmp_path / "out"))
    assert (again.status, again.out) == (1, "")
    assert "exists already" in again.err
    assert call("adapters", "export", "patient@1", "--to", "zip").status == 2


@pytest.fixture
def previewed(tmp_path: Path) -> tuple[str, ...]:
    """A training of a tiny model, to be previewed."""
    sys.path.append(str(Path(__file__).parents[1] / "training"))
    from tiny_models import save_tiny_llama

    base = save_tiny_llama(tmp_path / "tiny")
    return (
        # The emergency's answers are the shortest: they fit into the window of so small a model.
        *("train", "--audience", "emergency", "--dataset", "starter", "--base", str(base)),
        *("--set", "max_steps=2", "--set", "lora_alpha=4", "--set", "max_samples=20", "--preview"),
    )


@pytest.mark.slow
def test_a_preview_is_a_document_or_a_text_and_trains_nothing(call: Call, previewed: tuple[str, ...]) -> None:
    report = call(*previewed).document
    assert (report["plan"]["steps"], report["memory"]["fits"]) == (2, True)
    assert any("Alpha 4 is" in note for note in report["notes"])
    text = call(*previewed, "--text").out
    assert "»" in text
    assert "Alpha 4 is" in text
    assert "exclude each other" in call(*previewed, "--text", "--json").err
    assert call("runs", "--json").document == {"runs": []}


def test_a_run_that_has_not_succeeded_is_not_run_again_elsewhere(call: Call, busy_run: str) -> None:
    refused = call("runs", "rerun", busy_run, "--base", "microsoft/DialoGPT-medium", "--json")
    assert refused.status == 1
    assert "Only a run that succeeded" in refused.document["error"]


def test_questions_with_likely_identifiers_are_taught_by_another_machine_only_when_accepted(
    call: Call, fake_engine: FakeEngine, database: Database, home: Home, tmp_path: Path
) -> None:
    register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"instruction": "What helps jane.roe@example.com?", "response": "x"}\n')
    fake_engine.is_remote = True
    arguments = ("adapters", "distill", "patient@1", "--prompts", str(prompts), "--json")
    refused = call(*arguments)
    assert refused.status == 1
    assert "--accept-identifiers" in refused.document["error"]
    assert "Redacted: What helps [e-mail address]?" in refused.err
    assert fake_engine.requests == []
    assert call(*arguments, "--accept-identifiers").status == 0


@pytest.mark.usefixtures("fake_engine")
def test_an_adapter_teaches_a_set_and_a_run_learns_from_it(
    call: Call, database: Database, home: Home, tmp_path: Path, busy_run: str
) -> None:
    register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"instruction": "What is a cold?", "response": "x"}\n')
    arguments = ("adapters", "distill", "patient@1", "--prompts", str(prompts), "--json")
    taught = call(*arguments)
    assert taught.status == 0
    assert "1/1  Rest and drink water." in taught.err
    assert taught.document["source"] == "distilled from patient@1"
    base = "microsoft/DialoGPT-medium"
    learning = call(*arguments, "--base", base, "--train", "--set", "num_epochs=2")
    assert "1 of 1 were answered before" in learning.err
    run = call("runs", "show", learning.document["run_id"], "--json").document
    assert (run["base_model"], run["snapshot"]) == (base, taught.document["snapshot"])
    refused = call(*arguments, "--base", base, "--train", "--set", "early_stopping_patience=2")
    assert refused.status == 1
    assert "Early stopping needs a held-out part" in refused.document["error"]
    assert f"Stored set {taught.document['snapshot']}. Train on it with" in refused.document["error"]
    assert call(*arguments, "--review").document == {"in_review": 1}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--train"], "--train needs a base model"),
        (["--train", "--review", "--base", "smollm2-135m"], "exclude each other"),
        (["--set", "lora_r=4"], "--set is for the run"),
        (["--base", "nowhere"], "is none of them"),
        (["--train", "--base", "smollm2-135m", "--set", "rank=4"], "Did you mean lora_r?"),
    ],
)
def test_contradictions_are_refused_before_anything_is_asked(
    call: Call, options: list[str], problem: str
) -> None:
    refused = call("adapters", "distill", "patient@1", "--prompts", "starter", *options)
    assert refused.status == 1
    assert problem in refused.err


def test_answers_are_imported_and_counted(call: Call, tmp_path: Path) -> None:
    rows = [{"prompt": "Q?", "response": "A.", "model": "m"}, {"prompt": "Q?"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    imported = call("reviews", "import", str(tmp_path / "a.jsonl"), "--audience", "patient", "--batch", "b")
    assert imported.out == ("Sent to review as “b”: 1. Rows left out: 1.\n  line 2: has no text as answer\n")
    again = call("reviews", "import", str(tmp_path / "a.jsonl"), "--audience", "patient", "--json")
    assert again.document["kept"] == 0
    assert [row["line"] for row in again.document["dropped"]] == [1, 2]
    stats = call("reviews", "stats", "--json").document
    assert stats.pop("overview")["waiting"] == 1
    assert stats == {
        "items": 1, "open": 1, "contested": 0, "calibration": 0,
        "reviews": {}, "preferences": 0, "reviewers": 0, "origins": [], "pairs": [],
    }  # fmt: skip
    assert "Sent to review: 1; 1 open" in call("reviews", "stats").out


def test_reviewers_are_listed_verified_and_withdrawn(call: Call, database: Database) -> None:
    assert call("reviewers", "list").out == "Nobody has reviewed yet.\n"
    with database.session() as session:
        add_review(session, add_response(session), "Rater A")
    assert call("reviewers", "verify", "Rater A").out == "Rater A · verified · 1 judged\n"
    assert call("reviewers", "verify", "Rater A", "--revoke").out == "Rater A · 1 judged\n"
    withdrawn = call("reviewers", "withdraw", "Rater A", "--json").document
    assert withdrawn["withdrawn_at"] is not None
    (listed,) = call("reviewers", "list", "--json").document["reviewers"]
    assert (listed["name"], listed["verified"], listed["judgements"]) == ("Rater A", False, 1)

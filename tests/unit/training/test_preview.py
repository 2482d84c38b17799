"""The gate before a run: what it shows, what it refuses."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from pydantic import TypeAdapter  # noqa: E402
from tiny_models import save_tiny_llama, tiny_tokenizer  # noqa: E402

from adapters.engines.base import Turn  # noqa: E402
from adapters.errors import DatasetError, ModelError, RecipeError, RunError  # noqa: E402
from adapters.recipe import Hyperparameters, override  # noqa: E402
from adapters.training import preview, supervisor, trainer  # noqa: E402
from adapters.training.examples import Example, read_examples  # noqa: E402
from adapters.training.loading import load, locate  # noqa: E402
from adapters.training.memory import Machine  # noqa: E402
from adapters.training.preparation import prepare  # noqa: E402
from adapters.training.preview import Request, build_previews, preview_run  # noqa: E402
from adapters.training.progress import Silence  # noqa: E402
from adapters.training.record import FrozenRecipe  # noqa: E402
from adapters.training.rendering import encode_all  # noqa: E402
from adapters.training.report import Preview, TextPiece, histogram, largest_batch  # noqa: E402
from db.vocabulary import Role  # noqa: E402
from elara_ui.cli.text import format_preview  # noqa: E402
from elara_ui.settings import PROJECT_ROOT  # noqa: E402

SETTINGS = override(Hyperparameters(), {"precision": "fp32", "batch_size": 2, "num_epochs": 2})


def example(question, answer):
    return Example((Turn(Role.USER, question), Turn(Role.ASSISTANT, answer)))


EXAMPLES = tuple(example(f"What is {number}?", "It is " + "one " * number) for number in range(1, 8))


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory):
    return save_tiny_llama(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def build(tiny_base, home):
    """The preview of the tiny model, worked out in this process."""

    def build(values=None, train=EXAMPLES, evaluation=EXAMPLES[:1], calibrate=False):
        recipe = FrozenRecipe("patient", str(tiny_base), "Be kind.", 300, override(SETTINGS, values or {}))
        *_, last = build_previews(Request(recipe, home.models, train, evaluation, calibrate))
        return last

    return build


def test_rows_are_shown_as_rendered_with_what_is_learned(build):
    first = build().samples[0]
    assert first.pieces == (
        TextPiece(
            "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nWhat is 1?<|im_end|>\n"
            "<|im_start|>assistant\n",
            supervised=False,
        ),
        TextPiece("It is one <|im_end|>", supervised=True),
    )
    assert (first.tokens, first.supervised_tokens) == (
        len("system\nBe kind.\nuser\nWhat is 1?\nassistant\n") + 16,
        11,
    )


@pytest.mark.parametrize(
    ("values", "planned"), [({}, (2, 6)), ({"packing": True, "max_length": 256, "batch_size": 1}, (1, 7))]
)
def test_the_plan_is_what_the_run_then_does(build, tiny_base, home, tmp_path, values, planned):
    class Diary(Silence):
        def stage(self, text, total_steps=None):
            self.steps = total_steps

    settings = override(SETTINGS, {"gradient_accumulation_steps": 3} | values)
    plan = build({"gradient_accumulation_steps": 3} | values).plan
    base = load(locate(home.models, str(tiny_base), Silence()), settings)
    rows = encode_all(EXAMPLES, base.tokenizer, "Be kind.", 1024).rows
    diary = Diary()
    fit = trainer.fit(base, rows, [], settings, folder=tmp_path / "run", progress=diary)
    assert (plan.steps, plan.steps_per_epoch, plan.effective_batch) == (diary.steps, *planned)
    assert fit.metrics["train_tokens"] == 2 * plan.tokens_per_epoch
    assert plan.supervised_share == sum(row.supervised for row in rows) / plan.tokens_per_epoch
    assert build({"max_steps": 1} | values).plan.steps == 1


def test_packed_rows_are_calibrated_and_counted(build):
    report = build({"packing": True, "max_length": 256}, calibrate=True)
    assert report.plan.tokens_per_second > 0
    assert any("7 examples are packed into" in note for note in report.notes)
    assert report.train == 7


PAIRS = tuple(replace(item, rejected="No idea, " * 5) for item in EXAMPLES)


def test_for_dpo_both_answers_are_shown_and_the_longer_counts(build):
    report = build({"objective": "dpo"}, PAIRS, PAIRS[:1])
    first = report.samples[0]
    assert first.pieces[1] == TextPiece("It is one <|im_end|>", supervised=True)
    assert first.rejected.pieces[0] == first.pieces[0]
    assert first.rejected.pieces[1] == TextPiece("No idea, " * 5 + "<|im_end|>", supervised=True)
    assert report.lengths.shortest == first.rejected.tokens > first.tokens
    assert TypeAdapter(Preview).validate_json(json.dumps(report.to_dict())) == report
    assert "»It is one <|im_end|>«\nRejected in its place: »No idea, " in format_preview(report)


def test_for_kto_every_answer_is_shown_with_its_label(build):
    report = build({"objective": "kto"}, (*PAIRS[:2], replace(EXAMPLES[2], label=False)), ())
    assert (report.train, [row.wanted for row in report.samples]) == (5, [True, True, False])
    assert "Not wanted:\n<|im_start|>" in format_preview(report)


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_preferences_are_planned_and_calibrated_as_they_are_learned(
    build, tiny_base, home, tmp_path, objective
):
    values = {"objective": objective, "batch_size": 3}
    report, imitation = build(values, PAIRS, PAIRS[:1], calibrate=True), build({"batch_size": 3}, PAIRS)
    settings = override(SETTINGS, values)
    base = load(locate(home.models, str(tiny_base), Silence()), settings)
    rows = encode_all(PAIRS, base.tokenizer, "Be kind.", 1024, objective=objective).rows
    fit = trainer.fit(base, rows, [], settings, folder=tmp_path / "run", progress=Silence())
    assert report.plan.steps == 2 * -(-len(rows) // 3)
    assert fit.metrics["train_tokens"] == 2 * report.plan.tokens_per_epoch
    assert report.plan.seconds > 0
    assert report.memory.adapter == 2 * imitation.memory.adapter
    assert report.memory.activations > imitation.memory.activations * (1.3 if objective == "dpo" else 0.7)


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_data_without_preferences_is_refused_by_preview_and_launch(home, database, tiny_base, objective):
    wanted = {
        "audience": "patient",
        "base_model": str(tiny_base),
        "hyperparameters": override(SETTINGS, {"objective": objective}),
        "examples": EXAMPLES,
    }
    with pytest.raises(DatasetError, match="7 of 7 rows have no"):
        preview_run(database, home, **wanted)
    with pytest.raises(DatasetError, match="7 of 7 rows have no"):
        supervisor.launch(database, home, source="file", **wanted)


def test_padding_is_what_fills_batches_up(build):
    assert build({"batch_size": 1}).plan.padding_share == 0
    assert 0 < build({"batch_size": 7}).plan.padding_share < 0.2


def test_lengths_tell_what_becomes_of_long_examples(build):
    examples = (*EXAMPLES, example("Why?" * 50, "Because."))
    dropped = build({"max_length": 120}, examples)
    assert (dropped.lengths.over_limit, dropped.lengths.left_out, dropped.train) == (1, 1, 7)
    assert sum(bar.rows for bar in dropped.lengths.bins) == 9
    cut = build({"max_length": 120, "overlong": "truncate_prompt"}, examples)
    assert (cut.lengths.over_limit, cut.lengths.shortened, cut.train) == (1, 1, 8)
    with pytest.raises(DatasetError, match="more than 120 tokens, as overlong is stop, but 1 of 8 do"):
        build({"max_length": 120, "overlong": "stop"}, examples)


def test_nothing_that_fits_is_refused(build):
    with pytest.raises(DatasetError, match="No example fits into 32 tokens"):
        build({"max_length": 32})


def test_modules_that_the_model_lacks_are_refused(build):
    with pytest.raises(RecipeError, match="it has no c_attn"):
        build({"target_modules": "c_attn"})


@pytest.mark.parametrize("template", ["{{ messages | length }}", "{{ messages[0].content }}"])
def test_a_template_that_cannot_be_trained_with_is_refused(build, tiny_base, tmp_path, home, template):
    folder = save_tiny_llama(tmp_path / "odd")
    tiny_tokenizer(template).save_pretrained(folder)
    recipe = FrozenRecipe("patient", str(folder), "", 300, SETTINGS)
    with pytest.raises(ModelError, match="chat template"):
        list(build_previews(Request(recipe, home.models, EXAMPLES, (), False)))


def test_rows_of_which_nothing_may_be_told_count_and_are_not_shown(home, tiny_base):
    recipe = FrozenRecipe("patient", str(tiny_base), "Be kind.", 300, SETTINGS)
    named = tuple(
        replace(each, origin={"response_id": str(number), "other_response_id": "worse"} if number else {})
        for number, each in enumerate(EXAMPLES[:4])
    )
    for untold, shown in (((), 3), (("1", "2", "3"), 1), (("worse",), 1)):
        asked = Request(recipe, home.models, named, (), False, untold=frozenset(untold))
        *_, report = build_previews(asked)
        assert (report.train, len(report.samples)) == (4, shown)
        assert "What is 1?" in report.samples[0].pieces[0].text


def test_early_stopping_with_nothing_held_out_is_refused_by_preview_and_launch(home, database, tiny_base):
    wanted = {
        "audience": "patient",
        "base_model": str(tiny_base),
        "hyperparameters": override(SETTINGS, {"early_stopping_patience": 2}),
        "examples": EXAMPLES[:1],
    }
    with pytest.raises(RecipeError, match="of 1 examples none is held out"):
        preview_run(database, home, **wanted)
    with pytest.raises(RecipeError, match="of 1 examples none is held out"):
        supervisor.launch(database, home, source="file", **wanted)


def test_time_comes_from_real_steps(build):
    plan = build(calibrate=True).plan
    assert plan.seconds > 0
    assert plan.tokens_per_second > 0
    assert build().plan.seconds is None


def test_what_does_not_fit_is_not_tried_and_comes_with_advice(build, monkeypatch):
    monkeypatch.setattr(preview, "look_at_machine", lambda: Machine("cpu", available=10_000, process=0))
    report = build({"batch_size": 4}, calibrate=True)
    assert not report.memory.fits
    assert report.plan.seconds is None
    changes = [dict(change.values) for change in report.memory.advice]
    single = {"batch_size": 1, "gradient_accumulation_steps": 4}
    assert changes[:2] == [single, single | {"gradient_checkpointing": True}]
    assert all(change.total < report.memory.total for change in report.memory.advice)
    assert "does NOT fit" in format_preview(report)


def test_notes_tell_what_is_ignored(build):
    notes = " ".join(build({"scheduler": "constant", "max_length": 4096}).notes)
    assert "reads at most 2048 tokens" in notes
    assert "warmup_ratio 0.1 is ignored" in notes
    assert "8 steps are few" in notes


def test_a_limit_that_leaves_many_examples_out_is_noted(build):
    long = [example(f"{word}?" * 50, "Because.") for word in ("Why", "How")]
    notes = build({"max_length": 120}, (*EXAMPLES, *long)).notes
    assert any(note.startswith("2 of 10 examples are longer than 120 tokens") for note in notes)
    one = build({"max_length": 120}, (*EXAMPLES, *EXAMPLES, long[0])).notes
    assert not any("teach nothing" in note for note in one)


def test_the_report_survives_the_way_to_the_page_and_is_readable(build):
    report = build()
    document = report.to_dict()
    assert document["memory"]["total"] == report.memory.total
    assert TypeAdapter(Preview).validate_json(json.dumps(document)) == report
    text = format_preview(report)
    assert "»It is one <|im_end|>«" in text
    assert "7 to learn from, 1 held out" in text
    assert "not calibrated" in text


def test_bars_cover_every_length_once():
    for lengths in ([5], [1, 1000], list(range(40, 700, 7))):
        bars = histogram(lengths)
        assert sum(bar.rows for bar in bars) == len(lengths)
        assert len(bars) <= 13


def test_the_largest_batch_is_an_upper_bound():
    rows = encode_all(EXAMPLES, tiny_tokenizer(), "", 1024).rows
    shape = largest_batch(rows, SETTINGS)
    assert (shape.rows, shape.length) == (2, max(len(row.input_ids) for row in rows))
    assert shape.supervised == rows[-1].supervised + rows[-2].supervised
    assert largest_batch(rows, override(SETTINGS, {"batch_size": 100})).rows == len(rows)


@pytest.fixture
def ask(database, home, tiny_base):
    def ask(values=None):
        return preview_run(
            database,
            home,
            audience="patient",
            base_model=str(tiny_base),
            hyperparameters=override(SETTINGS, values or {}),
            examples=EXAMPLES,
            calibrate=False,
        )

    return ask


@pytest.mark.slow
def test_the_process_answers_and_refuses_in_the_same_words(ask, home):
    report = ask()
    prepared = prepare(EXAMPLES, SETTINGS, max_words=300)
    assert (report.train, report.held_out) == (len(prepared.train), len(prepared.evaluation))
    with pytest.raises(RecipeError, match="it has no c_attn"):
        ask({"target_modules": "c_attn"})
    assert list(home.runs.iterdir()) == []  # the request held the examples


def test_a_preview_that_takes_too_long_is_ended(ask, monkeypatch):
    monkeypatch.setattr(preview, "TIMEOUT_SECONDS", 0.01)
    with pytest.raises(RunError, match=r"this one was not done.*Try again"):
        ask()


def test_where_only_the_time_takes_too_long_the_rest_stands_and_says_so(build, ask, monkeypatch):
    first = build()
    line = json.dumps(first.to_dict()).encode() + b"\n"

    def run(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout, output=line + line[:40])

    monkeypatch.setattr(subprocess, "run", run)
    report = ask()
    assert report == replace(first, notes=(preview.UNTIMED, *first.notes))


@pytest.mark.slow
def test_the_process_says_everything_but_the_time_before_it_measures_that(build, home, tmp_path, tiny_base):
    recipe = FrozenRecipe("patient", str(tiny_base), "Be kind.", 300, SETTINGS)
    request = tmp_path / "request.json"
    asked = Request(recipe, home.models, EXAMPLES, EXAMPLES[:1], True)
    request.write_bytes(TypeAdapter(Request).dump_json(asked))
    command = [sys.executable, "-m", "adapters.training.preview", str(request)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, check=True)
    untimed, timed = (TypeAdapter(Preview).validate_json(line) for line in done.stdout.splitlines())
    assert untimed.plan.seconds is None
    assert timed.plan.seconds > 0
    assert replace(timed, plan=untimed.plan) == untimed


def test_a_process_that_dies_is_not_taken_for_an_answer(build, ask, monkeypatch):
    untimed = json.dumps(build().to_dict()).encode() + b"\n"
    for said in (b"", untimed):  # memory that ran out while measuring will run out in the run too
        died = subprocess.CompletedProcess([], -9, stdout=said, stderr=b"")
        monkeypatch.setattr(subprocess, "run", lambda *_, died=died, **__: died)
        with pytest.raises(RunError, match="most likely memory ran out"):
            ask()


@pytest.mark.slow
def test_the_embedded_model_is_previewed_with_its_own_template(database, home, embedded_hf):
    home.models.rmdir()
    home.models.symlink_to(embedded_hf.parent)
    report = preview_run(
        database,
        home,
        audience="patient",
        base_model="smollm2-135m",
        hyperparameters=override(Hyperparameters(), {"batch_size": 1}),
        examples=read_examples(PROJECT_ROOT / "adapters" / "starter" / "patient.jsonl")[:6],
    )
    assert report.samples[0].pieces[1].text.endswith("<|im_end|>")
    assert report.target_modules == ("q_proj", "k_proj", "v_proj", "o_proj")
    assert report.plan.tokens_per_second > 5
    assert 0.5e9 < report.memory.weights < 0.6e9

"""An adapter teaches: it answers prompts, the rules sort the answers, and what passes becomes a set."""

import json
from contextlib import closing

import pytest
from adapter_factory import make_adapter, make_peft_folder, register_adapter

from adapters.engines.base import Sampling, Turn
from adapters.recipe import find_recipe
from adapters.training.preparation import thaw
from db import responses as response_store
from db import snapshots as snapshot_store
from db.vocabulary import FinishReason, Role
from elara_ui.errors import AdapterError, DatasetError, IdentifiersFound
from elara_ui.services import distillation as distillation_module
from elara_ui.services.acceptance import Rules
from elara_ui.services.answer_log import AnswerLog, TeacherAnswer
from elara_ui.services.training import DataChoice, DataSource, parse_data
from elara_ui.services.training_data import read_data

QUESTIONS = ("What is a cold?", "Why do I cough at night?", "Can I swim with an ear infection?")
RULES = Rules.of(find_recipe("patient"))


@pytest.fixture
def teacher(database, home, tmp_path) -> str:
    return register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))


@pytest.fixture
def prompts(tmp_path) -> DataChoice:
    path = tmp_path / "prompts.jsonl"
    rows = [{"id": f"q{n}", "instruction": text, "response": "old"} for n, text in enumerate(QUESTIONS)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return DataChoice(DataSource.FILE, path)


@pytest.fixture
def teach(services, teacher, prompts):
    """Plan, answer and judge, all at once."""

    def teach(data=prompts, **options):
        lesson = services.distillation.plan(teacher, data)
        answers = list(services.distillation.answer(lesson))
        return lesson, answers, services.distillation.judge(lesson, **options)

    return teach


def test_the_teacher_is_asked_as_it_was_trained(services, teach, engine, teacher):
    _, answers, _ = teach()
    assert [answer.question for answer in answers] == list(QUESTIONS)
    assert {request.adapter for request in engine.requests} == {teacher}
    first = engine.requests[0]
    assert first.turns == (
        Turn(Role.SYSTEM, find_recipe("patient").system_prompt),
        Turn(Role.USER, QUESTIONS[0]),
    )
    assert first.sampling.seed is not None  # the same plan gives the same answers


def test_what_passes_becomes_a_set_that_names_teacher_response_and_prompts(services, database, home, teach):
    lesson, _, judged = teach()
    distilled = services.distillation.freeze(lesson, judged)
    assert distilled.source == "distilled from patient@1"
    reading = read_data(database, home, "patient", parse_data(f"snapshot:{distilled.snapshot}"))
    assert {example.question for example in reading.examples} == set(QUESTIONS)
    for example in reading.examples:
        assert example.messages[0].role is Role.USER  # whoever learns has its own system prompt
        assert example.answer == "Rest and drink water."
        assert example.origin["teacher"] == "patient@1"
        assert example.origin["prompts"] == "prompts.jsonl"
        with database.reading() as session:
            response = response_store.get(session, example.origin["response_id"])
        assert (response.adapter, response.question) == ("patient@1", example.question)
    assert {example.origin["id"] for example in reading.examples} == {"q0", "q1", "q2"}


def test_prompts_of_a_stored_set_stay_on_their_side_of_the_split(
    services, database, home, teach, monkeypatch
):
    monkeypatch.setattr("adapters.training.supervisor.start_queued", lambda *_: None)
    run_id = services.training.launch("patient", DataChoice(DataSource.STARTER), {}, "smollm2-135m")
    former = services.runs.show(run_id).snapshot
    lesson, _, judged = teach(parse_data(f"snapshot:{former}"))
    distilled = services.distillation.freeze(lesson, judged)

    def parts(snapshot_id):
        with database.reading() as session:
            snapshot = snapshot_store.get(session, snapshot_id)
        return [{item.question for item in part} for part in thaw(home.root / snapshot.path, snapshot.sha256)]

    assert parts(distilled.snapshot) == parts(former)


def test_breaking_off_loses_nothing_and_the_same_plan_goes_on(services, engine, teacher, prompts):
    lesson = services.distillation.plan(teacher, prompts)
    with closing(services.distillation.answer(lesson)) as answers:
        next(answers)
    again = services.distillation.plan(teacher, prompts)
    assert (again.done, again.log.path) == (1, lesson.log.path)
    engine.requests.clear()
    assert [answer.question for answer in services.distillation.answer(again)] == list(QUESTIONS[1:])
    assert len(engine.requests) == 2
    assert list(services.distillation.answer(again)) == []
    assert services.distillation.judge(again).answered == 3


@pytest.fixture
def private_prompts(tmp_path) -> DataChoice:
    """Three questions, the last of which names somebody."""
    path = tmp_path / "private.jsonl"
    texts = (*QUESTIONS[:2], "My patient jane.roe@example.com has a fever. What helps?")
    path.write_text("\n".join(json.dumps({"instruction": text, "response": "old"}) for text in texts))
    return DataChoice(DataSource.FILE, path)


def test_no_question_goes_to_another_machine_while_one_has_identifiers_that_nobody_accepted(
    services, engine, teacher, private_prompts
):
    lesson = services.distillation.plan(teacher, private_prompts)
    services.distillation.check(lesson, accept_identifiers=False)  # nothing leaves yet
    services.serving.engine()
    engine.is_remote = True
    with pytest.raises(IdentifiersFound, match="1 e-mail address") as found:
        list(services.distillation.answer(lesson))
    assert "jane.roe" not in "".join(found.value.previews)
    assert engine.requests == []
    with pytest.raises(IdentifiersFound):
        services.distillation.check(lesson, accept_identifiers=False)
    services.distillation.check(lesson, accept_identifiers=True)
    assert len(list(services.distillation.answer(lesson, accept_identifiers=True))) == 3
    services.distillation.check(lesson, accept_identifiers=False)  # all of it is answered


def test_an_engine_that_moves_to_another_machine_in_the_middle_gets_no_identifiers(
    services, engine, teacher, private_prompts
):
    lesson = services.distillation.plan(teacher, private_prompts)
    with closing(services.distillation.answer(lesson)) as answers:
        next(answers)
        engine.is_remote = True
        with pytest.raises(IdentifiersFound):
            next(answers)
    assert len(engine.requests) == 1


def test_a_line_torn_by_a_crash_is_asked_again(services, teacher, prompts, teach):
    lesson, _, _ = teach()
    content = lesson.log.path.read_bytes()
    lesson.log.path.write_bytes(content[:-20])
    assert services.distillation.plan(teacher, prompts).done == 2
    assert [answer.question for answer in services.distillation.answer(lesson)] == [QUESTIONS[2]]
    assert services.distillation.plan(teacher, prompts).done == 3


def test_another_way_of_asking_is_another_plan(services, teacher, prompts):
    plain = services.distillation.plan(teacher, prompts)
    short = services.distillation.plan(teacher, prompts, max_tokens=10)
    assert short.sampling.max_new_tokens == 10
    assert short.log.path != plain.log.path


def test_a_prompt_over_the_window_is_reported_and_not_asked_forever(services, engine, teach, monkeypatch):
    from adapters.errors import ContextOverflow

    stream = engine.stream

    def refuse_one(request):
        if request.turns[-1].content == QUESTIONS[1]:
            raise ContextOverflow("too long", 9000, 4096)
        return stream(request)

    monkeypatch.setattr(engine, "stream", refuse_one)
    lesson, _, judged = teach()
    assert [(group.reason, group.count) for group in judged.rejects] == [
        ("prompt too long for the teacher", 1)
    ]
    assert list(services.distillation.answer(lesson)) == []


@pytest.mark.parametrize(
    ("answer", "finish_reason", "reason"),
    [
        ("Rest and drink water.", FinishReason.STOP, None),
        ("  \n", FinishReason.STOP, "empty answer"),
        ("Rest and drink", FinishReason.LENGTH, "answer cut off"),
        ("Rest now. " * 151, FinishReason.STOP, "answer over 300 words"),
        ("Pharyngitis necessitates comprehensive otolaryngological examination.", FinishReason.STOP,
         "reading grade over 6"),
        ("How can I treat a cold at home", FinishReason.STOP, "repeats the question"),
    ],
)  # fmt: skip
def test_the_rules(answer, finish_reason, reason):
    assert RULES.refuse("How can I treat a cold at home?", answer, finish_reason) == reason


def test_a_higher_grade_can_be_allowed():
    hard = "Pharyngitis necessitates comprehensive otolaryngological examination."
    assert Rules.of(find_recipe("patient"), 60.0).refuse("Why?", hard, FinishReason.STOP) is None
    assert Rules.of(find_recipe("doctor")).refuse("Why?", hard, FinishReason.STOP) is None  # has no target


def test_when_nothing_passes_it_is_said_why_and_nothing_is_stored(services, engine, teach, home):
    engine.reply = ""
    lesson, _, judged = teach()
    with pytest.raises(
        DatasetError, match=r"Of 3 answers of patient@1 none can be learned from: empty answer"
    ):
        services.distillation.freeze(lesson, judged)
    assert list(home.snapshots.iterdir()) == []


def test_accepted_answers_can_be_sent_to_people_instead(services, teach):
    _, _, judged = teach()
    assert services.distillation.send_to_review(judged) == 3
    assert services.reviewing.progress("Rater A").total == 3


def test_a_damaged_teacher_teaches_nothing(services, teacher, prompts, home):
    (home.adapters / "patient" / "1" / "adapter.gguf").write_bytes(b"other")
    with pytest.raises(AdapterError, match="was changed after training"):
        services.distillation.plan(teacher, prompts)


def test_a_teacher_of_another_base_model_is_asked_in_its_own_process(
    services, database, home, prompts, engine, tmp_path, monkeypatch
):
    asked = []

    def answer_prompts(given_home, folder, sampling: Sampling, turns):
        asked.append((folder, len(turns)))
        for _ in turns:
            yield from engine.stream_completion()

    def completion():
        from adapters.engines.base import Completion

        yield Completion("Drink tea.", FinishReason.STOP, 5, 0, 3, 1.0, 0.0, 3.0)

    engine.stream_completion = completion
    monkeypatch.setattr(distillation_module, "answer_prompts", answer_prompts)
    folder = make_peft_folder(tmp_path / "other", 1, rank=2)
    name = register_adapter(database, home, folder, base_model="microsoft/DialoGPT-medium")
    lesson = services.distillation.plan(name, prompts)
    assert {answer.text for answer in services.distillation.answer(lesson)} == {"Drink tea."}
    assert asked == [(home.adapters / "patient" / "1", 3)]
    assert engine.requests == []


def test_the_log_survives_whatever_stands_in_it(tmp_path):
    log = AnswerLog(tmp_path / "deep" / "log.jsonl")
    assert log.read() == {}
    answer = TeacherAnswer("k", "Why?\u2028", "Because.\n", FinishReason.STOP, "r1")
    log.append(answer)
    log.path.write_bytes(log.path.read_bytes() + b'[1]\n{"key": "x"}\nnot json')
    log.append(TeacherAnswer("l", "How?", "So.", FinishReason.STOP, "r2"))
    assert log.read() == {"k": answer, "l": TeacherAnswer("l", "How?", "So.", FinishReason.STOP, "r2")}

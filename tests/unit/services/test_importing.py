"""Answers of other models, brought in to be reviewed."""

import json

import pytest

from db import responses, reviews
from db.models import Response
from db.vocabulary import Audience
from elara_ui.errors import DatasetError, InvalidInput
from elara_ui.services import importing
from elara_ui.services.answer_files import AnswerColumns
from elara_ui.services.importing import Dropped, ImportingService

ROW = {
    "prompt": "What is asthma?",
    "response": "It makes breathing hard.",
    "model": "m-7b",
    "audience": "patient",
}


@pytest.fixture
def service(database) -> ImportingService:
    """The service on a fresh database."""
    return ImportingService(database, tuple(Audience))


@pytest.fixture
def write(tmp_path):
    """Writes a file of rows (or of text) and gives its path."""

    def write_file(content, name="answers.jsonl"):
        path = tmp_path / name
        lines = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
        path.write_text(lines, encoding="utf-8")
        return path

    return write_file


def stored(database) -> list[Response]:
    """Every response."""
    with database.reading() as session:
        return list(session.query(Response).order_by(Response.text))


def test_an_answer_waits_for_review_with_what_the_file_says_of_it(database, service, write):
    report = service.import_answers(write([{**ROW, "language": "DE"}]), batch="pilot")
    assert (report.kept, report.dropped, report.batch) == (1, (), "pilot")
    (answer,) = stored(database)
    assert (answer.question, answer.text, answer.audience) == (ROW["prompt"], ROW["response"], "patient")
    assert (answer.base_model, answer.adapter, answer.origin) == ("m-7b", None, "answers.jsonl")
    assert answer.readability["words"] == 4
    with database.reading() as session:
        (item,) = session.query(reviews.ReviewItem)
        assert (item.response_id, item.reason, item.priority) == (answer.id, "imported", 70)
        assert (item.batch, item.language, item.wanted) == ("pilot", "de", 2)


@pytest.mark.parametrize(
    "row",
    [
        {"Question": "Q?", "Answer": "A.", "Base_Model": "m", "For": "x", "audience": "doctor"},
        {"instruction": "Q?", "output": "A.", "generator": "m", "persona": "Doctor"},
        {"prompt": [{"role": "user", "content": "Q?"}], "completion": "A.", "model": "m",
         "audience": "doctor"},
        {"messages": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}],
         "model": "m", "audience": "doctor"},
        {"conversations": [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "A."}],
         "engine": "m", "audience": "doctor"},
    ],
)  # fmt: skip
def test_the_usual_names_are_understood(database, service, write, row):
    assert service.import_answers(write([row])).kept == 1
    (answer,) = stored(database)
    assert (answer.question, answer.text, answer.base_model, answer.audience) == ("Q?", "A.", "m", "doctor")


def test_turns_before_the_question_are_kept(database, service, write):
    prompt = [
        {"role": "user", "content": "Q1"},
        {"role": "assistant", "content": "A1"},
        {"role": "user", "content": "Q2"},
    ]
    service.import_answers(write([{**ROW, "prompt": prompt, "system": "Be kind."}]))
    (answer,) = stored(database)
    assert answer.question == "Q2"
    assert [turn["content"] for turn in answer.context] == ["Be kind.", "Q1", "A1", "Q2"]


def test_tables_are_read_with_the_lines_in_which_rows_begin(database, service, write):
    table = 'prompt,response,model\n"two\nlines",A.,m\n\nQ?,,m\nQ?,B.,m\n'
    report = service.import_answers(write(table, "answers.csv"), "patient")
    assert (report.kept, report.dropped) == (2, (Dropped(5, "has no text as answer"),))
    assert [answer.question for answer in stored(database)] == ["two\nlines", "Q?"]
    assert service.import_answers(write("prompt\tanswer\nQ?\tC.\n", "a.tsv"), "patient").kept == 1


def test_rows_that_lack_something_are_left_out_with_reason_and_line(service, write):
    rows = [
        ROW,
        {**ROW, "response": " "},
        {**ROW, "prompt": 7},
        {**ROW, "audience": "cats"},
        {**ROW, "audience": ""},
        {**ROW, "prompt": [{"role": "system", "content": "S"}]},
        {**ROW, "response": "x" * 100_001},
        ROW,
    ]
    report = service.import_answers(write(rows))
    assert report.kept == 1
    assert [(row.line, row.reason) for row in report.dropped] == [
        (2, "has an empty answer"),
        (3, "has no text as question"),
        (4, "is for 'cats'; known are patient, student, doctor, researcher, emergency"),
        (5, "doesn't say for whom it is"),
        (6, "has no question before the answer"),
        (7, "has 100,016 characters, where 100,000 are allowed; split or shorten it"),
        (8, "the same answer stands in an earlier line"),
    ]


def test_importing_again_keeps_nothing_twice(database, service, write):
    service.import_answers(write([ROW]))
    report = service.import_answers(write([ROW, {**ROW, "model": "other"}], "more.jsonl"))
    assert (report.kept, report.dropped) == (1, (Dropped(1, "was imported before"),))
    assert len(stored(database)) == 2


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", json.dumps(ROW) + "\n{torn", "broken in line 2: it is not JSON"),
        ("a.jsonl", json.dumps(ROW) + "\n[1]", "broken in line 2: it is not a JSON object"),
        ("a.csv", 'prompt,response\nQ?,A.\nQ?,"torn\n', "broken near line"),
        ("a.csv", "prompt,response\nQ?,A.\nQ?,A,B\n", "broken in line 3: it has 3 values under 2 columns"),
        ("a.csv", "prompt,text\nQ?,A.\n", "no column for the answer; it has prompt, text"),
        ("a.xlsx", "", "files that end in .jsonl"),
        ("a.jsonl", "", "no answer that can be used"),
        ("a.jsonl", json.dumps({"prompt": "Q?"}), "line 1 has no text as answer"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_whole(database, service, write, name, content, says):
    with pytest.raises(DatasetError, match=says):
        service.import_answers(write(content, name), "patient")
    assert stored(database) == []


def test_a_file_that_is_not_text_or_not_there_is_refused(service, tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"prompt": "\xff"}')
    with pytest.raises(DatasetError, match="not UTF-8"):
        service.import_answers(tmp_path / "a.jsonl")
    with pytest.raises(DatasetError, match="can't be read"):
        service.import_answers(tmp_path / "none.jsonl")


def test_a_file_has_a_greatest_length(service, write, monkeypatch):
    monkeypatch.setattr(importing, "ROWS_LIMIT", 1)
    with pytest.raises(DatasetError, match="over 1 rows"):
        service.import_answers(write([ROW, {**ROW, "model": "b"}]))


def test_an_unknown_audience_is_refused(service, write):
    with pytest.raises(InvalidInput, match="no audience 'cats'"):
        service.import_answers(write([ROW]), "cats")


def test_lone_surrogates_become_question_marks(database, service, write):
    service.import_answers(write('{"prompt": "Q\\ud800?", "response": "A.", "audience": "patient"}'))
    (answer,) = stored(database)
    assert (answer.question, answer.base_model) == ("Q??", "unknown")


def test_an_uploaded_file_is_called_by_its_own_name(database, service, write):
    report = service.import_answers(write([ROW], "tmp123.jsonl"), name="study.jsonl")
    assert report.batch.startswith("study ")
    assert stored(database)[0].origin == "study.jsonl"


def test_what_is_stored_can_be_told_apart_in_any_number(database, service, write):
    service.import_answers(write([ROW]))
    (answer,) = stored(database)
    with database.reading() as session:
        assert responses.stored(session, [*map(str, range(1200)), answer.id]) == {answer.id}


def test_a_preview_says_what_would_be_taken_and_takes_nothing(database, service, write):
    service.import_answers(write([ROW]))
    path = write([ROW, {**ROW, "model": "other"}, {**ROW, "response": ""}], "more.jsonl")
    seen = service.preview(path)
    assert (seen.fresh, [row.line for row in seen.dropped]) == (1, [1, 3])
    assert [answer.model for answer in seen.samples] == ["other"]
    assert len(stored(database)) == 1
    assert service.preview(write([{"prompt": "Q?"}], "none.jsonl")).fresh == 0


def test_columns_with_other_names_are_mapped(database, service, write):
    table = "Frage,Antwort,System,For whom,response\nQ?,A.,m-7b,Patient,not this\n"
    path = write(table, "answers.csv")
    header, found = service.columns(path)
    assert header == ("Frage", "Antwort", "System", "For whom", "response")
    assert (found.prompt, found.response) == ("", "response")
    columns = AnswerColumns("Frage", "Antwort", "System", "For whom")
    assert service.preview(path, columns=columns).samples[0].text == "A."
    service.import_answers(path, columns=columns)
    (answer,) = stored(database)
    assert (answer.question, answer.text, answer.base_model, answer.audience) == (
        "Q?",
        "A.",
        "m-7b",
        "patient",
    )


def test_a_column_that_is_not_there_is_refused(service, write):
    with pytest.raises(DatasetError, match="no column 'Reply' for the response; it has prompt, answer"):
        service.preview(write("prompt,answer\nQ?,A.\n", "a.csv"), columns=AnswerColumns(response="Reply"))


def test_the_columns_of_rows_are_those_of_any_row(service, write):
    header, found = service.columns(write([{"prompt": "Q?", "output": "A."}, {"Audience": "patient"}]))
    assert header == ("prompt", "output", "Audience")
    assert (found.response, found.audience, found.model) == ("output", "Audience", "")

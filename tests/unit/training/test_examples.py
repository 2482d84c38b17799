import json

import pytest

from adapters.errors import DatasetError
from adapters.training.examples import ColumnMap, guess_columns, read_columns, read_examples

GOOD = {"instruction": "What is gout?", "response": "A kind of arthritis."}


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        {"prompt": "What is gout?", "completion": "A kind of arthritis."},
        {"question": "What is gout?", "answer": "A kind of arthritis."},
        {
            "messages": [
                {"role": "user", "content": "What is gout?"},
                {"role": "assistant", "content": "A kind of arthritis."},
            ]
        },
    ],
)
def test_every_jsonl_form_is_read(write, row):
    (example,) = read_examples(write("rows.jsonl", lines(row)))
    assert (example.question, example.answer) == ("What is gout?", "A kind of arthritis.")


def test_lineage_fields_are_kept(write):
    (example,) = read_examples(write("rows.jsonl", lines(GOOD | {"review_id": "ab12", "other": 1})))
    assert example.origin == {"review_id": "ab12"}


def test_a_whole_conversation_with_its_system_prompt_is_kept(write):
    turns = [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Gout?"),
        ("assistant", "Yes"),
    ]
    row = {"messages": [{"role": role, "content": content} for role, content in turns]}
    (example,) = read_examples(write("rows.jsonl", lines(row)))
    assert [(turn.role, turn.content) for turn in example.messages] == turns
    assert example.question == "Gout?"


def test_csv_with_quotes_line_breaks_and_a_byte_order_mark_is_read(write):
    path = write("rows.csv", '\ufeffQuestion,Answer,Note\n"What is\ngout?","A kind, of ""arthritis""",x\n\n')
    (example,) = read_examples(path)
    assert example.question == "What is\ngout?"
    assert example.answer == 'A kind, of "arthritis"'


def test_csv_columns_can_be_chosen(write):
    path = write("rows.csv", "frage,antwort\nGicht?,Ja\n")
    assert read_columns(path) == ["frage", "antwort"]
    (example,) = read_examples(path, ColumnMap("frage", "antwort"))
    assert example.answer == "Ja"


def test_columns_are_guessed_in_any_case():
    assert guess_columns(["ID", "Prompt", "Completion"]) == ColumnMap("Prompt", "Completion")
    assert guess_columns(["a", "b"]) is None


def message(*turns):
    return lines({"messages": [{"role": role, "content": content} for role, content in turns]})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.jsonl", "", "has no rows"),
        ("rows.jsonl", "\n\n", "has no rows"),
        ("rows.csv", "", "has no rows"),
        ("rows.csv", "instruction,response\n", "has no rows"),
        ("rows.csv", "a,b\n1,2\n", "no columns for question and answer; it has a, b"),
        (
            "rows.jsonl",
            lines({"instruction": "x"}),
            r"row 1 has no instruction and response \(it has instruction\)",
        ),
        ("rows.jsonl", lines(GOOD, GOOD | {"response": "  "}), "row 2 has an empty answer"),
        ("rows.jsonl", lines(GOOD | {"instruction": ""}), "row 1 has an empty question"),
        ("rows.jsonl", lines(GOOD | {"response": 5}), "row 1 has no text as answer"),
        ("rows.csv", "instruction,response\nx\n", "row 1 has no response|no instruction and response"),
        ("rows.jsonl", lines(GOOD) + '{"instruction": \n', "row 2 is not JSON"),
        ("rows.jsonl", "[1, 2]\n", "row 1 is not a JSON object"),
        ("rows.jsonl", lines(GOOD | {"response": "x" * 1_000_000}), r"row 1 has 1,000,0\d\d characters"),
        ("rows.jsonl", lines(GOOD | {"response": "x" * 100_001}), r"row 1 has 100,\d+ characters"),
        ("rows.csv", "instruction,response\nx," + "y" * 1_000_000, "at most 100,000 characters"),
        ("rows.jsonl", b'{"instruction": "caf\xe9"}', "not UTF-8: in line 1, byte 21 is 0xe9"),
        ("rows.csv", b"instruction,response\nx,\xff\n", "not UTF-8: in line 2"),
        ("rows.parquet", "x", "is .jsonl or .csv"),
        ("rows.jsonl", message(("user", "x")), "does not end with an assistant message"),
        ("rows.jsonl", message(("assistant", "x")), "has no user message"),
        ("rows.jsonl", message(("user", "x"), ("doctor", "y")), "has the role 'doctor'"),
        (
            "rows.jsonl",
            message(("user", "x"), ("system", "y"), ("assistant", "z")),
            "system message that is not",
        ),
        ("rows.jsonl", lines({"messages": "x"}), "messages that are not a list"),
    ],
)
def test_bad_data_is_refused_with_its_row_and_reason(write, name, content, said):
    with pytest.raises(DatasetError, match=said):
        read_examples(write(name, content))


def test_at_most_five_wrong_rows_are_listed(write):
    with pytest.raises(DatasetError, match=r"row 5 .*; and 3 more rows"):
        read_examples(write("rows.jsonl", lines(*[GOOD | {"response": ""}] * 8)))


def test_a_chosen_column_that_is_not_there_is_named(write):
    with pytest.raises(DatasetError, match="no column 'antwort'; it has instruction, response"):
        read_examples(write("rows.csv", "instruction,response\nx,y\n"), ColumnMap("instruction", "antwort"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"gone\.jsonl can't be read"):
        read_examples(tmp_path / "gone.jsonl")

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.errors import DatasetError
from adapters.training.examples import (
    ColumnMap,
    guess_columns,
    read_columns,
    read_examples,
    read_path,
)

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
        {"input": "What is gout?", "output": "A kind of arthritis."},
        {"prompt": "What is gout?", "chosen": "A kind of arthritis.", "rejected": "A fish."},
        {
            "conversations": [
                {"from": "human", "value": "What is gout?"},
                {"from": "gpt", "value": "A kind of arthritis."},
            ]
        },
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
    assert guess_columns(["Rejected", "Chosen", "Prompt"]) == ColumnMap("Prompt", "Chosen", None, "Rejected")
    assert guess_columns(["prompt", "completion", "label"]).label == "label"
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
        ("rows.docx", "x", r"ends in \.jsonl, .*, but this is rows\.docx"),
        ("rows.parquet", "x", "can't be read as Parquet"),
        ("rows.json", '[{"instruction": ', r"rows\.json is not JSON"),
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


def test_a_json_list_is_read(write):
    (example,) = read_examples(write("rows.json", json.dumps([GOOD])))
    assert example.question == "What is gout?"


@pytest.mark.parametrize("columns", [None, ColumnMap("instruction", "output")])
def test_the_input_of_an_instruction_belongs_to_the_question(write, columns):
    rows = lines(
        {"instruction": "Explain this.", "input": "Gout", "output": "Arthritis."},
        {"instruction": "Greet.", "input": "", "output": "Hello."},
    )
    first, second = read_examples(write("rows.jsonl", rows), columns)
    assert (first.question, second.question) == ("Explain this.\n\nGout", "Greet.")


def test_parquet_with_nested_messages_is_read(tmp_path):
    path = tmp_path / "rows.parquet"
    turns = [{"role": "user", "content": "Gout?"}, {"role": "assistant", "content": "Arthritis."}]
    pq.write_table(pa.table({"messages": [turns, turns], "id": ["a", "b"]}), path)
    examples = read_examples(path)
    assert [(item.question, item.answer, item.origin) for item in examples] == [
        ("Gout?", "Arthritis.", {"id": "a"}),
        ("Gout?", "Arthritis.", {"id": "b"}),
    ]
    assert read_columns(path) == ["messages", "id"]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Gout?", "chosen": "Arthritis.", "rejected": "A fish."},
        {
            "prompt": [{"role": "user", "content": "Gout?"}],
            "chosen": [{"role": "assistant", "content": "Arthritis."}],
            "rejected": [{"role": "assistant", "content": "A fish."}],
        },
        {
            "chosen": [{"role": "user", "content": "Gout?"}, {"role": "assistant", "content": "Arthritis."}],
            "rejected": [{"role": "user", "content": "Gout?"}, {"role": "assistant", "content": "A fish."}],
        },
    ],
)
def test_preferences_keep_both_answers_and_teach_the_better_one(write, row):
    (preference,) = read_examples(write("rows.jsonl", lines(row)))
    assert [turn.content for turn in preference.prompt] == ["Gout?"]
    assert (preference.answer, preference.rejected) == ("Arthritis.", "A fish.")


TURNS = [{"role": "user", "content": "Gout?"}, {"role": "assistant", "content": "Arthritis."}]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Gout?", "completion": "Arthritis."},
        {"prompt": TURNS[:1], "completion": TURNS[1:]},
        {"prompt": TURNS[:1], "completion": "Arthritis."},
        {"messages": TURNS},
    ],
)
@pytest.mark.parametrize(
    ("value", "label"),
    [(True, True), (False, False), ("False", False), ("yes", None), (1, None), (None, None)],
)
def test_a_label_that_is_true_or_false_says_whether_an_answer_is_wanted(write, row, value, label):
    (example,) = read_examples(write("rows.jsonl", lines(row | {"label": value})))
    assert (example.question, example.answer, example.rejected) == ("Gout?", "Arthritis.", "")
    assert example.label is label


def test_labels_are_read_from_tables(write):
    examples = read_examples(
        write("rows.csv", "prompt,completion,label\nGout?,A fish.,false\nGout?,Yes.,TRUE\n")
    )
    assert [example.label for example in examples] == [False, True]


def test_a_label_beside_a_question_and_its_answer_is_something_else(write):
    (example,) = read_examples(write("rows.jsonl", lines(GOOD | {"label": True})))
    assert example.label is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "the same answer as chosen and rejected"),
        ({"prompt": "a", "chosen": "b", "rejected": ""}, "an empty rejected answer"),
        ({"chosen": "b", "rejected": "c"}, "no text as prompt"),
        (
            {
                "chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
                "rejected": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "c"}],
            },
            "another prompt",
        ),
    ],
)
def test_a_preference_that_is_none_is_refused(write, row, said):
    with pytest.raises(DatasetError, match=said):
        read_examples(write("rows.jsonl", lines(row)))


def test_bad_rows_are_skipped_and_reported_when_asked_for(write):
    rows = (
        lines(*[GOOD | {"response": ""}] * 4, GOOD) + "{broken\n" + lines(GOOD | {"response": "x" * 100_001})
    )
    path = write("rows.jsonl", rows)
    with pytest.raises(DatasetError, match="or choose to skip bad rows"):
        read_path(path)
    reading = read_path(path, skip_bad_rows=True)
    assert [example.row for example in reading.examples] == [5]
    assert {group.reason: group.count for group in reading.rejects} == {
        "empty answer": 4,
        "not JSON": 1,
        "over 100,000 characters": 1,
    }
    assert [example.row for example in reading.rejects[0].examples] == [1, 2, 3]
    assert "What is gout?" in reading.rejects[0].examples[0].excerpt
    assert max(len(example.excerpt) for group in reading.rejects for example in group.examples) <= 120


def test_skipping_bad_rows_still_refuses_a_set_without_a_usable_one(write):
    with pytest.raises(DatasetError, match=r"row 1 has an empty answer.*nothing was taken"):
        read_path(write("rows.jsonl", lines(GOOD | {"response": ""})), skip_bad_rows=True)
    with pytest.raises(DatasetError, match="no column 'antwort'"):
        read_path(
            write("rows.csv", "instruction,response\nx,y\n"),
            ColumnMap("instruction", "antwort"),
            skip_bad_rows=True,
        )


def test_a_part_of_a_plain_file_is_refused(write):
    with pytest.raises(DatasetError, match="has no parts"):
        read_path(write("rows.jsonl", lines(GOOD)), split="train")

import pytest

from adapters.errors import DatasetError
from adapters.training.examples import read_columns, read_path

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document id="0000001_1" source="CancerGov" url="https://www.cancer.gov/example">
<Focus>Gout &amp; kin</Focus>
<QAPairs>
  <QAPair pid="1">
    <Question qid="0000001_1-1" qtype="information">What is gout ?</Question>
    <Answer>A kind of <i>arthritis</i>.</Answer>
  </QAPair>
  <QAPair pid="2">
    <Question qid="0000001_1-2" qtype="causes">What causes gout ?</Question>
    <Answer></Answer>
  </QAPair>
</QAPairs>
</Document>
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("2_B/b.xml", "1_A/a.xml"):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(DOCUMENT.replace("gout ?", f"gout in {name[0]} ?"), encoding="utf-8")
    return tmp_path


def test_a_folder_gives_its_pairs_with_their_origin(folder):
    reading = read_path(folder, skip_bad_rows=True)
    assert [example.question for example in reading.examples] == [
        "What is gout in 1 ?",
        "What is gout in 2 ?",
    ]
    assert reading.examples[0].answer == "A kind of arthritis."
    assert reading.examples[0].origin == {
        "id": "0000001_1-1",
        "focus": "Gout & kin",
        "qtype": "information",
        "source": "CancerGov",
        "url": "https://www.cancer.gov/example",
    }
    assert [(group.reason, group.count) for group in reading.rejects] == [("empty answer", 2)]
    assert read_columns(folder)[:2] == ["question", "answer"]


def test_answers_that_were_withheld_are_refused_with_their_rows(folder):
    with pytest.raises(DatasetError, match="row 2 has an empty answer; row 4 has an empty answer"):
        read_path(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<Document>", "is not XML"),
        ("<html/>", "is not MedQuAD: it begins with 'html'"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><Document>&b;</Document>', "declares a document type"),
        ("<Document/>", "has no rows"),
    ],
)
def test_another_xml_is_refused(tmp_path, text, said):
    path = tmp_path / "a.xml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=said):
        read_path(path)

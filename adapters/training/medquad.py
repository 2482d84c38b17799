"""MedQuAD: the question-and-answer collection of the US National Institutes of Health, in its XML form.

A document holds ``QAPairs/QAPair`` with ``Question`` (``qid``, ``qtype``) and ``Answer``, under a ``Focus``:
Ben Abacha & Demner-Fushman, BMC Bioinformatics 20:511 (2019). Some of its sources have no answers, for
reasons of copyright: those rows are bad rows like any other.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from adapters.errors import DatasetError
from adapters.training.text_files import read_whole


def find_documents(folder: Path) -> list[Path]:
    """The XML files in and under a folder, in an order that doesn't depend on the disk."""
    return sorted(path for path in folder.rglob("*.xml") if path.is_file())


def read_documents(paths: Iterable[Path]) -> Iterator[Mapping[str, Any]]:
    """One row a pair: ``question``, ``answer``, ``id``, ``qtype``, ``focus``, ``source`` and ``url``.

    Raises:
        DatasetError: a file can't be read or is not of this form.
    """
    for path in paths:
        yield from _read_document(path)


def _read_document(path: Path) -> Iterator[Mapping[str, Any]]:
    text = read_whole(path)
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise DatasetError(
            f"{path.name} declares a document type, which is not read. Remove the declaration."
        )
    try:
        document = ElementTree.fromstring(text)  # noqa: S314 (declared entities are refused above)
    except ElementTree.ParseError as error:
        raise DatasetError(f"{path.name} is not XML: {error}. Correct it, or take it out.") from error
    if document.tag != "Document":
        raise DatasetError(
            f"{path.name} is not MedQuAD: it begins with {document.tag[:40]!r}, not with 'Document'. "
            "Take it out, or convert it to .jsonl."
        )
    about = {
        "focus": _text(document.find("Focus")) or None,
        "source": document.get("source"),
        "url": document.get("url"),
    }
    for pair in document.iterfind("QAPairs/QAPair"):
        question = pair.find("Question")
        named = {} if question is None else {"id": question.get("qid"), "qtype": question.get("qtype")}
        yield {"question": _text(question), "answer": _text(pair.find("Answer"))} | named | about


def _text(element: ElementTree.Element | None) -> str:
    return "" if element is None else "".join(element.itertext()).strip()

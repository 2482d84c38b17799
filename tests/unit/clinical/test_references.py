"""References in an answer that the user didn't give."""

import time

import pytest

from elara_ui.clinical.references import Reference, find_references, find_unverified


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("See https://www.nhs.uk/conditions/asthma/.", "URL", "https://www.nhs.uk/conditions/asthma/"),
        ("[NHS](https://nhs.uk/x) says", "URL", "https://nhs.uk/x"),
        ("Look at nhs.uk/asthma today", "URL", "nhs.uk/asthma"),
        ("(doi:10.1056/NEJMoa1503184)", "DOI", "doi:10.1056/NEJMoa1503184"),
        ("PMID: 26039521.", "PMID", "PMID: 26039521"),
        ("trial NCT01206062 showed", "trial", "NCT01206062"),
        ("as Smith et al., 2019 found", "citation", "Smith et al., 2019"),
        ("N Engl J Med 2015;373:2117-28.", "citation", "N Engl J Med 2015;373:2117-28"),
        ("References:\n1. Asthma in adults, a review\n", "citation", "Asthma in adults, a review"),
        (
            "A study published in The New England Journal of Medicine, in",
            "citation",
            "study published in The New England Journal of Medicine",
        ),
    ],
)
def test_every_form_of_reference_is_found(text: str, kind: str, shown: str) -> None:
    assert find_references(text) == (Reference(kind, shown),)


@pytest.mark.parametrize(
    "text", ["Call 999.If no help.In time", "In 2019 and 2020", "a@b.com", "e.g. this.is"]
)
def test_what_only_looks_like_one_is_not(text: str) -> None:
    assert find_references(text) == ()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("At https://doi.org/10.1056/NEJMoa1503184.", "I read 10.1056/nejmoa1503184"),
        ("PMID 26039521 says so", "what does pmid:26039521 say?"),
        ("See https://www.nhs.uk/asthma/", "I found nhs.uk/asthma"),
        ("Smith et al. (2019) found", "Is Smith et al. 2019 right?"),
    ],
)
def test_what_the_user_gave_is_not_marked(answer: str, message: str) -> None:
    assert find_unverified(answer, ["Hello", message]) == ()
    assert len(find_unverified(answer, ["Hello"])) == 1


@pytest.mark.parametrize("text", ["a.b-c " * 5000 + "A" * 5000, "a." * 8000, "A " * 8000, "(Smith " * 4000])
def test_no_text_takes_long(text: str) -> None:
    begun = time.perf_counter()
    find_references(text)
    assert time.perf_counter() - begun < 2

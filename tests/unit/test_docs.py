"""What the documents say is so: tables are held to the code, links and commands to what exists."""

import re
from pathlib import Path

import pytest

from adapters.recipe import HYPERPARAMETERS, HyperparameterInfo, load_recipes
from db.home import Home
from db.vocabulary import HARM_LIKELIHOOD, RUBRIC
from elara_ui.services.evaluation_measures import MEASURES, Kind
from elara_ui.settings import PROJECT_ROOT, Settings

DOCS = PROJECT_ROOT / "docs"
DOCUMENTS = [PROJECT_ROOT / "README.md", PROJECT_ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def table_rows(document: str) -> dict[str, list[str]]:
    """First cell → the other cells, over all tables of a document."""
    found: dict[str, list[str]] = {}
    for line in document.splitlines():
        if line.startswith("|"):
            first, *rest = (cell.strip() for cell in line.strip("| ").split("|"))
            found.setdefault(first, rest)  # a later table may come back to the same names
    return found


def test_every_setting_is_documented_as_it_is() -> None:
    rows = table_rows(read("deploy.md"))
    documented = [name.strip("`") for name in rows if name.startswith("`ELARA_")]
    assert documented == [f"ELARA_{name.upper()}" for name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        default = field.default.relative_to(PROJECT_ROOT) if name == "home" else field.default
        shown = "none" if default is None else f"`{default}`"
        assert rows[f"`ELARA_{name.upper()}`"] == [shown, field.description]


@pytest.mark.parametrize("info", HYPERPARAMETERS, ids=lambda info: info.name)
def test_every_hyperparameter_is_documented_with_its_default_and_rule(info: HyperparameterInfo) -> None:
    default, rule = table_rows(read("fine-tune.md"))[f"`{info.name}`"]
    assert rule == info.rule
    assert info.parse("" if default == "empty" else default) == info.parse(info.default)


def test_every_audience_is_documented_with_its_limits() -> None:
    rows = table_rows(read("chat.md"))
    for name, recipe in load_recipes().items():
        length, aim, warn = rows[name]
        assert length == str(recipe.max_explanation_length)
        assert aim == (f"{recipe.readability_aim:g}" if recipe.readability_aim else "reported only")
        assert warn == (f"{recipe.readability_warn:g}" if recipe.readability_warn else "never")


def test_every_axis_of_the_rubric_is_documented_with_its_labels() -> None:
    rows = table_rows(read("review.md"))
    for scale in RUBRIC:
        (labels,) = rows[scale.title]
        asked, _, likelihood = labels.partition("; from Mild up, how likely: ")
        assert asked == " · ".join(choice.label for choice in scale.choices)
        if likelihood:
            assert likelihood == " · ".join(choice.label for choice in HARM_LIKELIHOOD)


def test_every_figure_of_an_evaluation_is_documented_with_its_interval() -> None:
    rows = table_rows(read("evaluate.md"))
    for measure in MEASURES:
        _, interval, better = rows[measure.label]
        assert interval == ("Wilson" if measure.kind is Kind.SHARE else "bootstrap")
        assert better == measure.better


def test_every_part_of_the_home_is_documented() -> None:
    home = Home(Path("/home"))
    names = [name for name, value in vars(Home).items() if isinstance(value, property)]
    listed = re.findall(r"^([a-z.0-9]+)/? {2,}\S", read("architecture.md"), re.M)
    assert sorted(listed) == sorted(getattr(home, name).name for name in names)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", text):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_named_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:adapters|db|elara_ui|tests|benchmarks)/[\w./-]+)`", text):
        assert (PROJECT_ROOT / name).exists(), f"{document.name} names {name}"


def test_ci_runs_the_test_command_of_the_readme() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^python -m pip install -r requirements-dev\.txt .*$", readme, re.M)
    assert command in (PROJECT_ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

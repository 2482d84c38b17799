"""What other recipes would give: a voice trained with changed settings, measured as the shipped one is.

    python -m benchmarks.voice_search --models DIR --audience patient --try num_epochs=4
    python -m benchmarks.voice_search --models DIR --audience doctor --try "lora_r=8 lora_alpha=16"

Each try is trained by Elara's own pipeline on the committed examples and asked the held-out questions, as
`benchmarks.voices` does. Printed is Markdown, a row a try as soon as it is done: base model, shipped voice,
then the tries. Some minutes each.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from adapters import registry  # noqa: E402
from adapters.errors import ElaraError  # noqa: E402
from adapters.hyperparameters import override  # noqa: E402
from adapters.recipe import Recipe, load_recipes  # noqa: E402
from adapters.starters import TRAINED_FOLDER  # noqa: E402
from benchmarks.voices import FIGURES, Question, Voice, ask, bring_up, read_questions  # noqa: E402
from elara_ui.services.starters import train_starters  # noqa: E402


def main() -> None:
    """Train, measure and print."""
    given = read_arguments()
    recipe = load_recipes()[given.audience]
    models = given.models.expanduser()
    questions = read_questions(given.audience)[: given.questions]
    print_row("Settings", "Held-out loss", *(label for label, _ in FIGURES))
    print_row(*["---"] * (len(FIGURES) + 2))
    for name, folder in (("base model", None), ("as shipped", TRAINED_FOLDER)):
        print_row(name, *measure(models, recipe, questions, folder))
    for settings in given.tries:
        with tempfile.TemporaryDirectory(prefix="elara-search-") as place:
            folder = Path(place)
            train_starters(models, {given.audience: change(recipe, settings)}, [given.audience], folder)
            words = " ".join(f"{name}={value}" for name, value in settings.items())
            print_row(words, *measure(models, recipe, questions, folder))


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.voice_search", description="Try other recipes.")
    parser.add_argument("--models", type=Path, required=True, help="folder with the embedded model")
    parser.add_argument("--audience", required=True, choices=sorted(load_recipes()), help="whose voice")
    parser.add_argument("--questions", type=int, help="how many held-out questions; all if not given")
    parser.add_argument(
        "--try",
        dest="tries",
        action="append",
        default=[],
        type=read_settings,
        help="name=value ...; repeatable",
    )
    return parser.parse_args()


def read_settings(written: str) -> dict[str, str]:
    """Hyperparameters by name, from "lora_r=8 lora_alpha=16"."""
    settings = dict(pair.partition("=")[::2] for pair in written.split())
    try:
        override(load_recipes()["patient"].hyperparameters, settings)
    except ElaraError as error:
        raise argparse.ArgumentTypeError(error.message) from error
    return settings


def change(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """The recipe with other hyperparameters."""
    return replace(
        recipe,
        hyperparameters=override(recipe.hyperparameters, settings),
        overrides={**recipe.overrides, **settings},
    )


def measure(
    models: Path, recipe: Recipe, questions: Sequence[Question], adapters: Path | None
) -> tuple[str, ...]:
    """Held-out loss, then each of the figures.

    Args:
        adapters: the folder with the trained voice; None for the base model under its prompt.
    """
    metrics = registry.verify((adapters or TRAINED_FOLDER) / recipe.audience).provenance.metrics
    loss = metrics["eval_loss_after" if adapters else "eval_loss_before"]
    engine = bring_up(models, adapters or TRAINED_FOLDER, [recipe.audience])
    try:
        name = f"{recipe.audience}@1" if adapters else None
        answers = [ask(engine, recipe, question.text, name) for question in questions]
    finally:
        engine.close()
    voice = Voice(recipe.audience, questions, answers, answers)
    return (f"{loss:.2f}", *(figure(answers, voice) for _, figure in FIGURES))


def print_row(*cells: str) -> None:
    """A row of the table, at once."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

"""The command line's verb for training the adapters that come with Elara."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from adapters.recipe import load_recipes
from adapters.starters import TRAINED_FOLDER
from elara_ui.cli.parts import HomeOption, JsonOption
from elara_ui.cli.text import format_table, write_document, write_note
from elara_ui.services.starters import TrainedStarter, train_starters
from elara_ui.settings import Settings


def train_starter_adapters(
    audience: Annotated[
        list[str] | None, typer.Option("--audience", help="For whom; repeatable. Everyone if not given.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder that gets a folder for each audience.")
    ] = TRAINED_FOLDER,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Train the starter adapters anew, from their examples and recipes. Takes some minutes for each."""
    settings = Settings.read(home=home)
    recipes = load_recipes()
    models = settings.folders.models
    models.mkdir(mode=0o700, parents=True, exist_ok=True)
    chosen = tuple(dict.fromkeys(audience or recipes))
    trained = train_starters(models, recipes, chosen, out.resolve(), write_note, settings.model_file)
    if as_json:
        write_document({"starters": [asdict(each) for each in trained]})
    else:
        header = ["Adapter", "Rows", "Held-out loss", "Size", "Folder"]
        print(format_table([header, *map(_row, trained)]))


def _row(trained: TrainedStarter) -> list[str]:
    return [
        f"{trained.audience}@1",
        str(trained.rows),
        f"{trained.loss_before:.3f} → {trained.loss_after:.3f}",
        f"{trained.size / 1e6:.1f} MB",
        str(trained.folder),
    ]

"""The command line's verbs for recipes: settings kept under a name."""

from dataclasses import asdict
from typing import Annotated

import typer

from adapters import catalog
from adapters.hyperparameters import Hyperparameters, compare, override, show_value
from adapters.recipe_files import SavedRecipe
from elara_ui.cli.parts import (
    AudienceOption,
    HomeOption,
    JsonOption,
    SetOption,
    is_for_a_command,
    make_group,
    open_services,
    parse_settings,
)
from elara_ui.cli.text import format_table, write_document
from elara_ui.services import Services

recipes_cli = make_group(help="Training settings kept under a name.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A saved recipe, or a recipe's file.")]


@recipes_cli.callback(invoke_without_command=True)
def list_recipes(context: typer.Context, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List saved recipes; see the commands for a single one."""
    if is_for_a_command(context, as_json, home):
        return
    with open_services(home) as services:
        saved = services.recipe_book.saved()
    if as_json:
        write_document({"recipes": [asdict(recipe) for recipe in saved]})
    else:
        rows = [[recipe.name, recipe.audience, recipe.base_model] for recipe in saved]
        print(format_table(rows) or "No recipes saved yet.")


@recipes_cli.command("show")
def show_recipe(name: NameArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show the settings of a recipe."""
    with open_services(home) as services:
        recipe = services.recipe_book.find(name)
    if as_json:
        write_document(asdict(recipe))
    else:
        rows = [[key, show_value(tuple(v) if isinstance(v, list) else v)] for key, v in recipe.values.items()]
        print(format_table([["audience", recipe.audience], ["base_model", recipe.base_model], *rows]))


@recipes_cli.command("save")
def save_recipe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    audience: AudienceOption,
    base: Annotated[str, typer.Option(help="Catalogue id, hub id or folder.")] = catalog.EMBEDDED,
    values: SetOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Keep the audience's settings, with some changed, under a name."""
    with open_services(home) as services:
        recipe = services.recipe_book.save(name, audience, base, parse_settings(values or ()))
    if as_json:
        write_document(asdict(recipe))
    else:
        print(f"Saved. Train with it: python -m elara_ui train --recipe {recipe.name!r} --dataset …")


@recipes_cli.command("diff")
def diff_recipes(
    name: NameArgument,
    other: Annotated[
        str | None, typer.Argument(metavar="OTHER", help="Another one; the preset if not given.")
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show where two recipes differ, or what one changes of its preset."""
    with open_services(home) as services:
        first = services.recipe_book.find(name)
        after = _complete(services, first)
        if other is None:
            before = services.recipe_book.preset(_audience(services, first), _base(first))
        else:
            before, after = after, _complete(services, services.recipe_book.find(other))
    found = compare(before, after)
    if as_json:
        write_document({"differences": [asdict(difference) for difference in found]})
    else:
        rows = [[item.name, item.before or "(empty)", "→", item.after or "(empty)"] for item in found]
        print(format_table(rows) or "No difference.")


@recipes_cli.command("delete")
def delete_recipe(name: NameArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Forget a saved recipe."""
    with open_services(home) as services:
        services.recipe_book.delete(name)
    if as_json:
        write_document({"deleted": name})
    else:
        print(f"{name} deleted.")


def _complete(services: Services, recipe: SavedRecipe) -> Hyperparameters:
    """A recipe's settings with what it leaves open taken from its preset."""
    return override(services.recipe_book.preset(_audience(services, recipe), _base(recipe)), recipe.values)


def _audience(services: Services, recipe: SavedRecipe) -> str:
    return recipe.audience or next(iter(services.recipes))


def _base(recipe: SavedRecipe) -> str:
    return recipe.base_model or catalog.EMBEDDED

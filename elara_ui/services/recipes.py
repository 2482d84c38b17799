"""The settings that people train with: where they begin, what was changed, and those kept under a name."""

from collections.abc import Mapping
from pathlib import Path

from adapters import recipe_files
from adapters.hyperparameters import Difference, Hyperparameters, compare, override
from adapters.presets import find_preset, settings_for
from adapters.recipe import Recipe
from adapters.recipe_files import SavedRecipe
from db.home import Home
from elara_ui.errors import InvalidInput

__all__ = ["Difference", "Hyperparameters", "RecipeService", "SavedRecipe"]


class RecipeService:
    """Presets and saved recipes.

    Args:
        home: where saved recipes are.
        audiences: audience → its recipe.
    """

    def __init__(self, home: Home, audiences: Mapping[str, Recipe]) -> None:
        self._folder = home.recipes
        self._audiences = audiences

    def preset(self, audience: str, base_model: str) -> Hyperparameters:
        """Where training begins: the base model's preset with the audience's own settings on top.

        Raises:
            InvalidInput: there is no such audience.
        """
        return settings_for(self._audience(audience), base_model.strip())

    def preset_title(self, base_model: str) -> str:
        """What the preset of a base model is called."""
        return find_preset(base_model.strip()).title

    def settings(self, audience: str, base_model: str, values: Mapping[str, object]) -> Hyperparameters:
        """The preset with some values changed.

        Raises:
            RecipeError: a value breaks its rule.
            InvalidInput: there is no such audience.
        """
        return override(self.preset(audience, base_model), values)

    def differences(
        self, audience: str, base_model: str, values: Mapping[str, object]
    ) -> tuple[Difference, ...]:
        """What differs from the preset.

        Raises:
            RecipeError: a value breaks its rule.
            InvalidInput: there is no such audience.
        """
        return compare(self.preset(audience, base_model), self.settings(audience, base_model, values))

    def saved(self) -> tuple[SavedRecipe, ...]:
        """The recipes kept under a name."""
        return recipe_files.list_recipes(self._folder)

    def find(self, name: str) -> SavedRecipe:
        """A recipe by the name it was saved under, or by the path of its file.

        Raises:
            RecipeError: there is none, or it can't be used.
        """
        if name.endswith(recipe_files.ENDINGS):
            return recipe_files.read_recipe(Path(name))
        return recipe_files.read_recipe(recipe_files.find_saved(self._folder, name))

    def save(self, name: str, audience: str, base_model: str, values: Mapping[str, object]) -> SavedRecipe:
        """Keep settings under a name; one of the same name is replaced.

        Raises:
            RecipeError: the name or a value breaks its rule.
            InvalidInput: there is no such audience.
        """
        settings = self.settings(audience, base_model, values)
        return recipe_files.save_recipe(
            self._folder, name, audience=audience, base_model=base_model.strip(), settings=settings
        )

    def delete(self, name: str) -> None:
        """Forget a saved recipe.

        Raises:
            RecipeError: there is none of that name.
        """
        recipe_files.delete_recipe(self._folder, name)

    def _audience(self, audience: str) -> Recipe:
        recipe = self._audiences.get(audience)
        if recipe is None:
            raise InvalidInput(
                f"There is no audience {audience[:60]!r}. Choose one of: {', '.join(self._audiences)}."
            )
        return recipe

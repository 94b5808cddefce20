"""What sets recipes of one method apart, in words short enough for a table."""

from collections.abc import Mapping

from converters.files import digest

_WORDS = 50  # characters that set two recipes apart; tables cut names
_MOST = 3  # settings that a row can name
_BUNDLE = "preset"  # a name for many settings at once

Recipes = Mapping[str, Mapping[str, object]]  # digest -> settings with dotted keys


def variants(recipes: Recipes) -> dict[str, str]:
    """Of each recipe the settings that differ; its digest where those are too many or do not read apart.

    Where they are too many, those that the preset decides are left to its name.
    """
    differ = _differing(recipes)
    if len(differ) > _MOST:
        differ = [key for key in differ if key == _BUNDLE or not _decided(recipes, key)]
    words = {name: ", ".join(f"{key}={recipe.get(key)}" for key in differ) for name, recipe in recipes.items()}
    # A setting that is absent here and None there, or 1 here and "1" there, reads the same; so do texts that are cut.
    apart = len({text[:_WORDS] for text in words.values()}) == len(words)
    return words if apart and len(differ) <= _MOST else {name: f"recipe {name[:8]}" for name in recipes}


def _differing(recipes: Recipes) -> list[str]:
    keys = sorted({key for recipe in recipes.values() for key in recipe})
    return [key for key in keys if len({_value(recipe, key) for recipe in recipes.values()}) > 1]


def _decided(recipes: Recipes, key: str) -> bool:
    """Whether it is the same in all recipes of a preset."""
    found = {(_value(recipe, _BUNDLE), _value(recipe, key)) for recipe in recipes.values()}
    return len(found) == len({preset for preset, _ in found})


def _value(recipe: Mapping[str, object], key: str) -> str:
    return digest([recipe.get(key)])

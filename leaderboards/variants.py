"""Which settings set recipes of one method apart, in words short enough for a table."""

from collections.abc import Collection, Mapping, Sequence

from converters.files import digest
from leaderboards.record import Record

_REPEATED = {"seed", "draw"}  # what a recipe varies on purpose
_WORDS = 50  # characters that set two recipes apart; tables cut names
_FEW = 3  # settings that are all named, whatever one says of the others
_MOST = 4  # settings that a row can name
PRESET = "preset"
HANDED_IN = "predictions"  # what the recipe of predictions that somebody else made has alone
_BUNDLES = (PRESET, "train.net.arch")  # names for many settings at once

Recipes = Mapping[str, Mapping[str, object]]  # digest -> settings with dotted keys


def settings(record: Record) -> dict[str, object]:
    """The recipe with dotted keys, without what repeats vary: two records with the same one share a row."""
    return {key: value for key, value in flat(record.recipe).items() if key not in _REPEATED}


def flat(value: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """A nested recipe with dotted keys: `train.precision`."""
    found: dict[str, object] = {}
    for key, part in value.items():
        found |= flat(part, f"{prefix}{key}.") if isinstance(part, Mapping) else {f"{prefix}{key}": part}
    return found


def variants(recipes: Recipes, always: Collection[str] = ()) -> dict[str, str]:
    """Of each recipe the settings that differ; its digest where those are too many or do not read apart.

    Where they are not few, those that preset, network and settings named before them decide are left to these, and of
    one table's settings that change together (`train.augment`) the first speaks for all, with an ellipsis. Where keys
    are too long, their last parts are shown. `always`: keys that are named though they do not differ, where they are
    there.
    """
    differ = sorted({*_differing(recipes), *(key for key in always if any(key in one for one in recipes.values()))})
    if len(differ) > _FEW:
        differ = _undecided(recipes, differ)
    named = dict.fromkeys(differ, "") if len(differ) <= _FEW else _together(recipes, differ)
    if len(named) <= _MOST:
        for show in (str, _end):
            words = {
                name: ", ".join(f"{show(key)}={recipe.get(key)}{more}" for key, more in named.items())
                for name, recipe in recipes.items()
            }
            # What is absent here and None there, or 1 here and "1" there, reads the same; so do texts that are cut.
            if len({text[:_WORDS] for text in words.values()}) == len(words):
                return words
    return {name: f"recipe {name[:8]}" for name in recipes}


def _end(key: str) -> str:
    return key.rpartition(".")[2]


def _together(recipes: Recipes, keys: Sequence[str]) -> dict[str, str]:
    """Each key, or of those of one table that tell the same recipes apart the first -> what says that more do."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for key in keys:
        values = [_value(recipe, key) for recipe in recipes.values()]
        table = key.rpartition(".")[0] if key.count(".") > 1 else key
        groups.setdefault((table, *map(values.index, values)), []).append(key)
    return {group[0]: "\N{HORIZONTAL ELLIPSIS}" if len(group) > 1 else "" for group in groups.values()}


def _differing(recipes: Recipes) -> list[str]:
    keys = sorted({key for recipe in recipes.values() for key in recipe})
    return [key for key in keys if len({_value(recipe, key) for recipe in recipes.values()}) > 1]


def _undecided(recipes: Recipes, keys: Sequence[str]) -> list[str]:
    """The keys without those whose value follows from the bundles and the keys before; all, where no bundle differs."""
    kept = [key for key in keys if key in _BUNDLES]
    if len(_seen(recipes, kept)) == 1:
        return list(keys)
    for key in keys:
        if key not in kept and len(_seen(recipes, [*kept, key])) > len(_seen(recipes, kept)):
            kept.append(key)
    return [key for key in keys if key in kept]


def _seen(recipes: Recipes, keys: Sequence[str]) -> set[tuple[str, ...]]:
    """The combinations of values that there are."""
    return {tuple(_value(recipe, key) for key in keys) for recipe in recipes.values()}


def _value(recipe: Mapping[str, object], key: str) -> str:
    return digest([recipe.get(key)])

"""A random walk along the pixels of a thin line: how a pen follows a skeleton."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Pixel = tuple[int, int]

_AROUND = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
_TRIES = 3  # a walk may end in a spur of the skeleton after two steps; the longest of three seldom does


def longest_walk(line: npt.NDArray[np.bool_], rng: np.random.Generator) -> list[Pixel]:
    """The longest of a few random walks along the set pixels, from an end of the line where it has one.

    Shape: (X, Y). Empty where no pixel is set.
    """
    pixels: dict[Pixel, None] = {(int(i), int(j)): None for i, j in np.argwhere(line)}
    if not pixels:
        return []
    ends = [pixel for pixel in pixels if len(_beside(pixel, pixels)) == 1] or list(pixels)
    return max((_walk(ends[_pick(len(ends), rng)], pixels, rng) for _ in range(_TRIES)), key=len)


def walk_without_spur(line: npt.NDArray[np.bool_], rng: np.random.Generator) -> list[Pixel]:
    """One random walk from the first end of the line; where it ends beside a fork it passed, cut back to that fork.

    After the generator of WSL4MIS, which so removes loops and the last short branch. Shape: (X, Y); some pixel is set.
    """
    pixels: dict[Pixel, None] = {(int(i), int(j)): None for i, j in np.argwhere(line)}
    start = next((pixel for pixel in pixels if len(_beside(pixel, pixels)) == 1), next(iter(pixels)))
    path = _walk(start, pixels, rng)
    order = {pixel: n for n, pixel in enumerate(path)}
    ways = [sum(order.get(near, len(path)) > n for near in _beside(pixel, pixels)) for n, pixel in enumerate(path)]
    forks = {path[n]: n for n in range(1, len(path)) if ways[n] > 1}
    return path[: max(forks.values()) + 1] if _beside(path[-1], forks) else path


def _walk(start: Pixel, pixels: Mapping[Pixel, None], rng: np.random.Generator) -> list[Pixel]:
    """A walk that never comes back to a pixel, a random way at each fork: loops open, branches fall off."""
    left = dict(pixels)
    path = [start]
    del left[start]
    while ways := _beside(path[-1], left):
        path.append(ways[_pick(len(ways), rng)])
        del left[path[-1]]
    return path


def _beside(pixel: Pixel, pixels: Mapping[Pixel, object]) -> list[Pixel]:
    return [near for i, j in _AROUND if (near := (pixel[0] + i, pixel[1] + j)) in pixels]


def _pick(n: int, rng: np.random.Generator) -> int:
    return int(rng.random() * n)

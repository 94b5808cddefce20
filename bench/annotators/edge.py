"""Wavering outlines: in places too far out, in places too far in."""

from bench.annotator import Given, LabelMap, annotator
from bench.outlines import Slip, moved, wave


@annotator("noisy", "simulated", "simulated wavering")
def edge(given: Given) -> LabelMap:
    """Every outline off by up to `severity` times a radius drawn for it, one way here and the other there."""

    def slip(code: int, size: tuple[int, ...]) -> Slip:
        rng = given.stream(code)
        return given.severity * given.between("radius", rng), wave(size, given, rng)

    return moved(given, slip)

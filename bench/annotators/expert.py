"""The strokes an expert drew."""

from bench.annotator import Given, LabelMap, annotator
from converters.errors import BenchError


@annotator("scribble", "expert", "expert")
def expert(given: Given) -> LabelMap:
    """The strokes an expert drew.

    Raises:
        BenchError: the case has none.
    """
    if given.expert is None:
        raise BenchError("the case has no expert annotation")
    return given.expert

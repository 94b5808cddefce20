"""The reference itself."""

from bench.annotator import Given, LabelMap, annotator


@annotator("dense", None, "dense")
def dense(given: Given) -> LabelMap:
    """The reference itself."""
    return given.label

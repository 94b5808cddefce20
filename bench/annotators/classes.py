"""Partial labels: some of the structures only, as in datasets that each annotate another organ."""

import numpy as np

from bench.annotator import Given, LabelMap, annotator
from bench.planes import structures
from converters.dataset import IGNORE


@annotator("partial", "simulated", "some structures")
def classes(given: Given) -> LabelMap:
    """`count` structures of the case, drawn; 255 everywhere else.

    What is neither may be background or a structure that nobody annotated, so it is 255 too; with `background` 1 the
    true background is known besides.
    """
    order = given.stream(0)
    chosen = sorted(structures(given.label), key=lambda _: order.random())[: int(given.options["count"])]
    shown = [*chosen, 0] if given.options["background"] else chosen
    return np.where(np.isin(given.label, shown), given.label, np.uint8(IGNORE))

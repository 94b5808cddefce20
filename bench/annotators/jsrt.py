"""The label noise of PyMIC's JSRT example: dilated, eroded, or with discs added to and cut from the edge.

Wang et al., CMPB 2023; PyMIC_examples, seg_nll/JSRT/noise_simulate.py. Made for lungs, binary, in pixels.
"""

import random

import numpy as np
from scipy import ndimage

from bench.annotator import Given, LabelMap, annotator
from bench.planes import Region, slices, structures

_CROSS = ndimage.generate_binary_structure(2, 1)


@annotator("noisy", "simulated", "simulated JSRT noise")
def jsrt(given: Given) -> LabelMap:
    """Each structure of each slice disturbed by `disturbed`, with one kind and one radius for the whole case.

    Radii are pixels of an image `across` pixels wide, the published 256, and scaled for others; 0 leaves them alone.
    What several structures claim stays with the one that had it, else goes to the nearest.
    """
    noisy = given.label.copy()
    for label, out in slices(given, given.label, noisy):
        across = given.options["across"] or max(label.shape)
        scale = given.severity * max(label.shape) / across
        span = (given.options["radius_low"], given.options["radius_high"])
        codes = structures(label)
        # The same generator each time: the first draws, kind and radius, are those of the case.
        claims = [disturbed(label == code, random.Random(given.seed), span, scale) for code in codes]
        out[...] = _merged(label, codes, claims) if codes else out
    return noisy


def disturbed(region: Region, draw: random.Random, span: tuple[float, float], scale: float = 1.0) -> Region:
    """One structure of one image, disturbed; with `scale` 1, what the published code makes of the same generator.

    Shape: (rows, columns), as the published code has images. 35 % dilated and 35 % eroded by a 4-connected cross, r
    times; 30 % with discs of radius r around a tenth of the pixels next to the edge added, and then others cut.
    """
    kind = draw.random()
    low, high = int(span[0]), int(span[1])
    if kind < 0.7:
        radius = round(draw.randint(low, high) * scale)
        # r rounds with the cross reach as far as r steps along the axes; outside the image is no structure.
        if kind < 0.35:
            outward = ndimage.distance_transform_cdt(~region, "taxicab") if region.any() else radius + 1
            return np.asarray(outward <= radius) & np.ones_like(region)
        inward: Region = ndimage.distance_transform_cdt(np.pad(region, 1), "taxicab")[1:-1, 1:-1] > radius
        return inward
    grown = region | _discs(region, draw, (low, high), scale)
    return grown & ~_discs(grown, draw, (low, high), scale)


def _discs(region: Region, draw: random.Random, span: tuple[int, int], scale: float) -> Region:
    """Discs around a tenth of the pixels that touch the region from outside."""
    rows, columns = np.nonzero(ndimage.binary_dilation(region, _CROSS) & ~region)
    marked = np.zeros_like(region)
    for place in draw.sample(range(len(rows)), int(len(rows) * 0.1)):
        radius = round(draw.randint(*span) * scale)
        box = tuple(slice(max(0, int(at[place]) - radius), int(at[place]) + radius + 1) for at in (rows, columns))
        disc = marked[box]
        i, j = np.ogrid[: disc.shape[0], : disc.shape[1]]
        away = (i + box[0].start - rows[place]) ** 2 + (j + box[1].start - columns[place]) ** 2
        disc |= away < radius**2
    return marked


def _merged(label: LabelMap, codes: list[int], claims: list[Region]) -> LabelMap:
    merged = np.zeros_like(label)
    if len(codes) == 1:
        merged[claims[0]] = codes[0]
        return merged
    away = [
        np.where(claim, ndimage.distance_transform_edt(label != code), np.inf)
        for code, claim in zip(codes, claims, strict=True)
    ]
    nearest = np.array(codes, np.uint8)[np.argmin(away, axis=0)]
    return np.where(np.any(claims, axis=0), nearest, np.uint8(0))

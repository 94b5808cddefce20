"""What a class weighs in a loss by how rare it is, from what a view's sidecars say. No voxel is read."""

from statistics import median

from converters.dataset import IGNORE, Dataset


def median_frequency(view: Dataset) -> tuple[float, ...]:
    """For each code the median of all frequencies over its own; 1 for a code that is nowhere.

    The frequency of a class is its share of the annotated voxels of the cases that it is in.
    Eigen and Fergus, ICCV 2015; a case here is an image there.
    """
    own, around = [0] * view.classes, [0] * view.classes
    for case in view.cases:
        counts = {int(value): count for value, count in case.label.voxels.items()} if case.label is not None else {}
        whole = sum(count for value, count in counts.items() if value != IGNORE)
        for code in range(view.classes):
            if counts.get(code, 0):
                own[code] += counts[code]
                around[code] += whole
    frequencies = [part / whole if whole else 0.0 for part, whole in zip(own, around, strict=True)]
    middle = median([frequency for frequency in frequencies if frequency] or [1.0])
    return tuple(round(middle / frequency, 9) if frequency else 1.0 for frequency in frequencies)

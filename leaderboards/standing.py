"""Where each row of a section stands: ranks with intervals, and which differences are claimed."""

from converters.files import Strict


class Standing(Strict):
    """Where a row stands among the rows of its section, for one metric."""

    rank: int  # by the macro mean; rows with the same mean share the best rank
    low: int  # 95 % interval of the rank, hierarchical bootstrap
    high: int
    first: float  # P(rank 1)
    rank_then_mean: float  # mean of the ranks per patient: the stability check
    tied: tuple[str, ...]  # rows whose difference to this one is not claimed
    beats: tuple[str, ...]  # rows it is claimed to be better than
    verdict: str  # in words

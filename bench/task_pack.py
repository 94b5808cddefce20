"""What a submission holds of a task without label maps: values, by the digests of their record; never images."""

from collections.abc import Iterator
from pathlib import Path

from baselines.task import find
from bench.value_score import Said
from converters.errors import BenchError
from converters.files import digest, read_json
from leaderboards.record import Record
from leaderboards.rule import PREDICTION


def values(record: Record, predictions: Path) -> Iterator[tuple[str, Said]]:
    """The value predicted for every case that is not invalid, found by its digest, whatever its file is called.

    Raises:
        BenchError: the task predicts images, which show the patients themselves; or a file is not there.
    """
    if find(record.task).kind == "image":
        raise BenchError(
            f"a prediction of task '{record.task}' is nearly the image of a patient",
            where=predictions,
            mend="commit the record alone; who has the data can make the images again",
        )
    files = {digest(said): said for said in _readable(predictions)}
    for key, wanted in sorted(record.digests.items()):
        case = key.removeprefix(PREDICTION)
        if case == key:
            continue
        if wanted not in files:
            raise BenchError(
                f"no file here holds the prediction of case {case}",
                where=predictions,
                mend="--predictions FOLDER: the one that was scored",
            )
        yield case, files[wanted]


def _readable(folder: Path) -> Iterator[Said]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield read_json(path, Said)
        except (BenchError, OSError):
            continue  # something else, or a damaged file: nothing that was scored

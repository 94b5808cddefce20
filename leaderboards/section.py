"""Which rows may be compared: what stands in one section of a table, and which sections stand under one heading."""

from converters.files import Strict
from leaderboards import tasks
from leaderboards.record import Record
from leaderboards.summary import HEADLINE, family, short


class Section(Strict):
    """What two rows share when they are compared."""

    dataset: str
    content: str  # digest of the dataset's voxels
    split: str
    split_content: str
    task: str
    fold: int
    definitions: dict[str, str]  # of metrics: what a number means does not hang on the format it is written in
    protocol: str
    protocol_version: str
    annotator: str
    draw: str  # a published list by name; "" where draws are hashed, and then pooled like seeds
    selection: str

    @classmethod
    def of(cls, record: Record) -> "Section":
        """The section a record belongs to."""
        return record.found("_section", lambda: cls._of(record))

    @classmethod
    def _of(cls, record: Record) -> "Section":
        last = dict.fromkeys(tuple(score.metrics) for score in reversed(record.cases))  # mostly they are all the same
        every = (d for found in reversed(last) for d in (*found, *tasks.derived(found)))
        metrics = {short(d): d for d in every if family(d) in HEADLINE}
        others = {k: v for k, v in record.definitions.items() if k not in {"protocol", "metrics", "record"}}
        return cls(
            dataset=record.dataset,
            content=record.digests.get("dataset", ""),
            split=record.split,
            split_content=record.digests.get("split", ""),
            task=record.task,
            fold=record.fold,
            definitions=others | metrics,
            protocol=record.protocol,
            protocol_version=record.definitions.get("protocol", ""),
            annotator=record.annotator,
            draw="" if record.draw.isdigit() else record.draw,
            selection=record.selection,
        )

    def table(self) -> tuple[object, ...]:
        """Sections with the same value may stand under one heading; real datasets come before phantoms."""
        versions = tuple(sorted(self.definitions.items()))
        data = (self.dataset.startswith("phantom"), self.dataset, self.content, self.split, self.split_content)
        return (*data, self.task, self.fold, versions)

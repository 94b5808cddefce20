"""README.md of an exported model: what it does, the scores of its record, how to use it. No number is typed here."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from baselines.task import LABELS, find
from converters.errors import BenchError
from leaderboards import tasks
from leaderboards.escape import markdown
from leaderboards.record import Record
from leaderboards.summary import Summary, cells, definitions, direction, ranked, short, summaries

if TYPE_CHECKING:
    from baselines.export import Parity
    from baselines.model import ModelSpec
    from converters.inputs import Inputs

_PIPELINES = {"": "image-segmentation", "class": "image-classification", "image": "image-to-image"}  # by kind of task
_LONG = 2000  # characters of a citation
_ALL = "mean"
Rows = Mapping[str, Mapping[str, Summary]]  # metric -> structure, or the mean of all -> summary over subjects


@dataclasses.dataclass(frozen=True)
class About:
    """What no file of the model says."""

    record: Record | None  # of the run that trained it; None: the card tells no scores
    licence: str = "other"  # of the weights, as Hugging Face names it


def card(about: About, spec: "ModelSpec", inputs: "Inputs", parity: "Parity") -> str:
    """The card as Markdown, with the block of YAML that Hugging Face reads.

    Args:
        about: scores and licence.
        spec: how it was trained.
        inputs: on which images.
        parity: what the export was checked on.

    Raises:
        BenchError: the record is of other weights, or of no finished run.
    """
    record = about.record
    name = f"{inputs.dataset} {spec.config.method}"
    if record is not None:
        _check(record, parity)
        name = f"{record.dataset} {record.protocol} {record.method}"
    rows = _scores(record) if record is not None else {}
    parts = [_yaml(name, spec, inputs, (rows, about)), f"# {markdown(name)}\n", *_about(spec, inputs)]
    parts += _told(record, rows) if record is not None else ["## Scores\n\nNone: the export was given no record.\n"]
    parts += [*_data(inputs), *_use(spec, inputs, parity)]
    return "\n".join(parts) + "\n"


def _check(record: Record, parity: "Parity") -> None:
    if record.status != "done" or record.digests.get("model") != parity.model_sha256:
        raise BenchError(
            f"the record is of other weights ({record.digests.get('model', record.status)[:12]}, "
            f"the model's are {parity.model_sha256[:12]})",
            mend="give the record.json that was written with this model",
        )


def _scores(record: Record) -> Rows:
    """Those metrics that rows are ranked by come first; of a task all that a table shows, and no class by itself."""
    measured = definitions(record.cases)
    columns = [told.definition for told in tasks.shown(measured | tasks.derived(measured)) if not told.interval]
    if columns:
        told = summaries(cells([record.cases], columns))
        return {definition: {_ALL: whole} for definition, (whole, _) in told.items() if whole is not None}
    known = sorted(definition for definition in measured if direction(definition))
    first = ranked(known)
    shown = [*first, *(d for d in known if short(d) == "hd95")] if first else known
    labels = dict.fromkeys(score.label for score in record.cases)
    found = {}
    for definition, (whole, each) in summaries(cells([record.cases], shown)).items():
        if whole is not None:
            by_label = {label: each[label] for label in labels if label in each}
            found[definition] = {_ALL: whole, **by_label} if len(each) > 1 else by_label
    return found


def _yaml(name: str, spec: "ModelSpec", inputs: "Inputs", told: tuple[Rows, About]) -> str:
    """The front matter: YAML, of which JSON is a part."""
    rows, about = told
    kind = "" if spec.task == LABELS else find(spec.task).kind
    pipeline = _PIPELINES.get(kind)
    facts: dict[str, object] = {
        "library_name": "frugalseg",
        "license": about.licence,
        **({"pipeline_tag": pipeline} if pipeline else {}),
        "tags": ["frugalseg", "medical", *sorted({channel.modality for channel in inputs.channels})],
    }
    if (record := about.record) is not None:
        metrics = [
            {"type": short(definition), "name": f"{short(definition)}, {label}", "value": round(summary.mean, 4)}
            for definition, each in rows.items()
            for label, summary in each.items()
        ]
        result = {
            "task": {"type": pipeline or spec.task},
            "dataset": {"name": record.dataset, "type": record.dataset, "split": record.split},
            "metrics": metrics,
        }
        facts["model-index"] = [{"name": name, "results": [result]}]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=True)}" for key, value in facts.items()]
    return "\n".join(["---", *lines, "---", ""])


def _about(spec: "ModelSpec", inputs: "Inputs") -> Iterator[str]:
    channels = ", ".join(f"{channel.name} ({channel.modality})" for channel in inputs.channels)
    what = f"labels {', '.join(spec.labels)}" if spec.task == LABELS else f"predicts {spec.task}"
    yield (
        f"Trained by frugalseg with the method `{spec.config.method}`; network "
        f"`{spec.net.config.arch}`, {len(spec.config.patch)}D. Reads {markdown(channels, _LONG)}; "
        f"{markdown(what, _LONG)}. For research: no medical device, and nobody has approved it for patients.\n"
    )
    if inputs.dataset.startswith("phantom-"):
        yield "**Trained on made-up patients: it is a proof that things work, and of no use on real ones.**\n"


def _told(record: Record, rows: Rows) -> Iterator[str]:
    subjects = len({score.subject for score in record.cases})
    yield "## Scores\n"
    yield (
        f"Record `{record.id()[:12]}`: {markdown(record.dataset)}, test side of split `{markdown(record.split)}`, "
        f"{subjects} subjects; protocol `{markdown(record.protocol)}`, draw {markdown(record.draw)}, "
        f"seed {record.seed}. Means over subjects"
        + (
            ", distances in mm; what counts for a missed structure stands in docs/metrics.md.\n"
            if record.task == LABELS
            else "; what each number is, and what it is compared with, stands in docs/tasks.md.\n"
        )
    )
    labels = list(dict.fromkeys(label for each in rows.values() for label in each))
    head = ["structure" if record.task == LABELS else "", *(tasks.title(d) or short(d) for d in rows)]
    yield "| " + " | ".join(map(markdown, head)) + " |\n|" + "---|" * len(head)
    for label in labels:
        cells = [f"{each[label].mean:.4f}" if label in each else "-" for each in rows.values()]
        yield "| " + " | ".join([markdown(label), *cells]) + " |"
    yield ""
    if record.budget is not None:
        seen, of = record.budget, f"{record.budget.labelled_subjects} subjects"
        drawn = f"labels of {of}: {seen.annotated_voxels} voxels in {seen.annotated_slices} slices"
        yield f"Training saw {drawn if record.task == LABELS else of}.\n"


def _data(inputs: "Inputs") -> Iterator[str]:
    yield "## Data\n"
    yield (
        f"{markdown(inputs.dataset)}, licence {markdown(inputs.licence)}: what it allows binds whoever uses these "
        f"weights. {markdown(inputs.citation, _LONG)}\n"
    )


def _use(spec: "ModelSpec", inputs: "Inputs", parity: "Parity") -> Iterator[str]:
    names = [channel.name for channel in inputs.channels]
    image = "IMAGE.nii.gz" if len(names) == 1 else " ".join(f"{name}=FILE" for name in names)
    extra = "[onnx]" if parity.to == "onnx" else ""
    yield "## Use\n"
    yield f"In a clone of the repository of frugalseg:\n\n```sh\npip install '.{extra}'"
    yield f"bench predict FOLDER {image} --out predictions\n```\n"
    yield (
        "FOLDER is the one that holds this file. Checked at export against the trained model in float32: "
        f"{markdown(parity.sentence())}. Weights `{parity.model_sha256[:12]}`, seed {spec.seed}."
    )

"""Predict label maps for the cases of a dataset, or for image files, with a trained model."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bench.options import DATA, DEVICE, JSON, PLUGIN
from bench.output import print_json, say
from converters.errors import BenchError, UsageError

if TYPE_CHECKING:
    from baselines.agreement import Agreement
    from baselines.predict import Setting
    from bench.phases import Phases
    from bench.unseen import Done

SOME_UNREAD = 3


@click.command()
@click.argument("words", nargs=-1, metavar="[MODEL] [IMAGE]...")
@click.option("--model", type=click.Path(path_type=Path, file_okay=False), help="The model; all words are images then.")
@click.option("--dataset", default=None, help="A converted dataset, in place of images.")
@click.option("--split", default=None, help="Predict the test subjects of this split. [every case]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the label maps."
)
@click.option(
    "--to",
    type=click.Choice(["nifti", "dicomseg", "picture"]),
    default="nifti",
    show_default=True,
    help="Of images: what is written. dicomseg: a segmentation of a DICOM series; picture: PNG of the codes.",
)
@click.option("--spacing", metavar="X,Y[,Z]", help="Of images that say nothing of millimetres: along columns, rows.")
@click.option("--series", metavar="HASH", help="Which of several DICOM series in a folder, as the error lists them.")
@click.option("--allow-gaps", is_flag=True, help="Take the longest run of a DICOM series that lacks slices.")
@click.option("--mirror", is_flag=True, help="Mean over mirror images along both axes of a slice: four times the work.")
@click.option(
    "--overlap", type=click.FloatRange(0, 0.9), default=0.5, show_default=True, help="Of neighbouring windows."
)
@click.option(
    "--precision",
    type=click.Choice(["trained", "fp32"]),
    default="trained",
    show_default=True,
    help="As the model was trained, or float32.",
)
@click.option(
    "--check",
    type=click.IntRange(min=1),
    is_flag=False,
    flag_value=1,
    metavar="[CASES]",
    help="Predict the first cases in float32, too; exit 1 if over 1 voxel in 10 000 differs.",
)
@DEVICE
@PLUGIN
@DATA
@JSON
def command(words: tuple[str, ...], model: Path | None, out: Path, **options: object) -> int:
    """Write a label map on its own grid for every case, with the model that `bench train` or `bench run` left.

    MODEL is the folder with model.safetensors and model.json, or one that `bench export-model` wrote. Cases are those
    of --dataset, or each IMAGE: a file (NIfTI, MHA, NRRD, PNG, TIFF ...) or the folder of a DICOM series; of a model
    with several channels, channel=FILE for each. docs/predict.md says how a label map is made.
    """
    from bench.phases import Phases

    asked = Asked(**options)  # type: ignore[arg-type]
    folder, images = (model, words) if model is not None else (Path(words[0]) if words else None, words[1:])
    if folder is None or not folder.is_dir():
        what = "no model is named" if folder is None else f"there is no folder '{folder}'"
        raise UsageError(what, mend="bench predict MODEL --dataset D --out OUT; bench predict MODEL IMAGE... --out OUT")
    if (asked.dataset is None) == (not images):
        raise UsageError("give either --dataset or images", mend="bench predict MODEL IMAGE... --out OUT")
    with Phases() as phases:
        return asked.of_images(folder, images, out, phases) if images else asked.of_dataset(folder, out, phases)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What was typed beside model, images and output."""

    dataset: str | None
    split: str | None
    to: Literal["nifti", "dicomseg", "picture"]
    spacing: str | None
    series: str | None
    allow_gaps: bool
    mirror: bool
    overlap: float
    precision: Literal["trained", "fp32"]
    check: int | None
    device: str
    plugin: Path | None
    data: Path
    as_json: bool

    def setting(self, phase: str, phases: "Phases") -> "Setting":
        """Where and how prediction runs."""
        from baselines.config import PredictConfig
        from baselines.device import pick
        from baselines.predict import Setting

        config = PredictConfig(mirror=self.mirror, overlap=self.overlap, precision=self.precision)
        return Setting(pick(self.device), self.plugin, lambda done, total: phases.tell(phase, done, total), config)

    def of_dataset(self, model: Path, out: Path, phases: "Phases") -> int:
        """Predict the cases of a dataset."""
        from baselines.agreement import with_float32
        from baselines.predict import predict
        from bench import splits
        from bench.locate import locate
        from bench.unseen import Done

        if self.to != "nifti":
            raise UsageError(f"--to {self.to} is for images", mend="name the files in place of --dataset")
        found = locate(str(self.dataset), self.data)
        cases = (found if self.split is None else found.only(splits.resolve(found, self.split).test)).cases
        unread: dict[str, BenchError] = {}
        setting = dataclasses.replace(self.setting("predict", phases), unread=unread.__setitem__)
        cost = predict(model, found, cases, out, setting)
        if unread and len(unread) == len(cases):
            raise next(iter(unread.values()))
        checked = None
        if self.check:
            read = [case for case in cases if case.id not in unread]
            checked = with_float32(model, found, read[: self.check], out, self.setting("check", phases))
        return self._end(Done(len(cases), cost, (), (), unread, checked), out, "cases")

    def of_images(self, model: Path, images: tuple[str, ...], out: Path, phases: "Phases") -> int:
        """Predict image files."""
        from bench.unseen import Wanted, Which, predict_given

        if self.split is not None:
            raise UsageError("--split is for --dataset", mend="leave it out")
        which = Which(self.spacing, self.series, self.allow_gaps)
        wanted = Wanted(images, self.to, which, self.setting("predict", phases), self.check)
        done = predict_given(model, out, wanted)
        return self._end(done, out, "images")

    def _end(self, done: "Done", out: Path, what: str) -> int:
        """Tell what became of the cases or images; gives the exit code."""
        for told in (*done.warnings, *map(str, done.failures.values())):
            say(told)
        if self.as_json:
            facts = {"predictions": str(out), "cost": done.cost, "unread": list(done.failures)}
            facts |= {"files": [file.name for file in done.files]} if done.files else {}
            print_json(facts | ({"float32": done.checked} if done.checked else {}))
        else:
            say(f"{done.images - len(done.failures)} of {done.images} {what}, {done.cost.seconds:.1f} s: {out}")
        code = self._code(done.checked)
        return SOME_UNREAD if done.failures else code

    def _code(self, checked: "Agreement | None") -> int:
        """The exit code, and for people what the check found."""
        from baselines.agreement import MOST

        if checked is None:
            return 0
        if not self.as_json:
            say(
                f"float32: {checked.differ} of {checked.voxels} voxels differ in the first {checked.cases} cases, "
                f"{checked.share * 1e4:.2f} in 10 000"
            )
        return int(checked.share > MOST)

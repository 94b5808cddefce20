"""CHAOS: liver in CT; liver, kidneys and spleen in T1 (in- and out-of-phase) and T2 MR of the abdomen.

Kavur et al., Medical Image Analysis 69:101950, 2021; Zenodo 3431873. CC BY-NC-SA 4.0. Layout, below any folder:

    Train_Sets/CT/<id>/DICOM_anon/*.dcm                             CT/<id>/Ground/liver_GT_NNN.png
    Train_Sets/MR/<id>/T1DUAL/DICOM_anon/InPhase/IMG-SSSS-NNNNN.dcm   T1DUAL/Ground/IMG-SSSS-NNNNN.png
                              DICOM_anon/OutPhase/IMG-SSSS-MMMMM.dcm
                       T2SPIR/DICOM_anon/IMG-SSSS-NNNNN.dcm           T2SPIR/Ground/IMG-SSSS-NNNNN.png
    Test_Sets/...                                                   the same without Ground, which was never released

Traps: by name, images and labels of CT run from head to foot, by position upwards, so files are paired by name and the
pairs sorted. One number in CT and in MR names two persons, so ids carry the modality. Both T1 phases lie
on one grid, T2 on another. Series UIDs and numbers tell nothing: what belongs together lies in one folder.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from converters.chaos_pairs import CT_IMAGE, by_number, partners
from converters.description import Channel, LabelInfo, Source
from converters.errors import BenchError
from converters.files import is_junk, natural_key
from converters.plausible import check_abdomen, check_body, check_liver
from converters.source import Access, Info, Loaded, Options, RawCase, Remote
from converters.volume import Volume

if TYPE_CHECKING:  # both bring libraries that a list of datasets can do without
    from converters.dicom import Series
    from converters.png import Codes

_ORGANS = {
    "liver": LabelInfo(source_values=(63,), snomed="10200004", colour="#e69f00"),
    "right kidney": LabelInfo(source_values=(126,), snomed="9846003", colour="#56b4e9"),
    "left kidney": LabelInfo(source_values=(189,), snomed="18639004", colour="#0072b2"),
    "spleen": LabelInfo(source_values=(252,), snomed="78961009", colour="#009e73"),
}
# The ranges the organisers give for the greys, which vary by a few from file to file.
_MR_CODES = {1: (range(55, 71),), 2: (range(110, 136),), 3: (range(175, 201),), 4: (range(240, 256),)}
_CT_CODES = {1: (range(1, 2), range(255, 256))}  # one-bit files; some programs save them again as 0 and 255


ACCESS = Access(
    page="https://zenodo.org/records/3431873",
    steps=(
        "Open the page; nobody has to sign in.",
        "Download CHAOS_Train_Sets.zip, and CHAOS_Test_Sets.zip if images without labels are wanted.",
        "Unpack both into one folder RAW.",
        "bench convert chaos RAW data",
    ),
    files=(
        Remote(
            url="https://zenodo.org/records/3431873/files/CHAOS_Train_Sets.zip",
            name="CHAOS_Train_Sets.zip",
            bytes=890_771_694,
            checksum="md5:df21053002a1cc86df918a87da3b2c19",
        ),
        Remote(
            url="https://zenodo.org/records/3431873/files/CHAOS_Test_Sets.zip",
            name="CHAOS_Test_Sets.zip",
            # As torch_em checks it; Zenodo's own MD5 was not at hand.
            checksum="sha256:80e9e4d4c4e363f142de4570e9b698e3f92dcb5140cc25a9c1cf4963e5ae7541",
        ),
    ),
)


def _info(name: str, channels: tuple[Channel, ...], organs: Mapping[str, LabelInfo]) -> Info:
    return Info(
        name=name,
        version="1.03",
        licence="CC-BY-NC-SA-4.0",
        citation=(
            "Kavur et al., CHAOS Challenge - combined (CT-MR) healthy abdominal organ segmentation, "
            "Medical Image Analysis 69:101950, 2021"
        ),
        source=Source(
            collection="CHAOS - Combined (CT-MR) Healthy Abdominal Organ Segmentation",
            version="1.03",
            doi="10.5281/zenodo.3431873",
        ),
        channels=channels,
        labels={"background": 0, **{organ: code for code, organ in enumerate(organs, start=1)}},
        label_info=organs,
    )


TAKES = ("series", "allow_gaps")
INFO = (
    _info(
        "chaos-mr-t1",
        (
            Channel(name="in-phase", modality="MR", sequence="T1 dual echo, in phase"),
            Channel(name="out-phase", modality="MR", sequence="T1 dual echo, out of phase"),
        ),
        _ORGANS,
    ),
    _info("chaos-mr-t2", (Channel(name="t2", modality="MR", sequence="T2 SPIR"),), _ORGANS),
    _info(
        "chaos-ct",
        (Channel(name="ct", modality="CT", sequence="portal venous phase", unit="HU"),),
        {"liver": LabelInfo(source_values=(1,), snomed="10200004", colour="#e69f00")},
    ),
)


def cases(raw: Path, dataset: str, options: Options) -> Iterator[RawCase]:
    """The patients of one of the datasets; those of Test_Sets have no label.

    Raises:
        BenchError: one patient lies there twice.
    """
    modality = "CT" if dataset == "chaos-ct" else "MR"
    part, load = {"chaos-mr-t1": ("T1DUAL", _load_t1), "chaos-mr-t2": ("T2SPIR", _load_t2), "chaos-ct": ("", _load_ct)}[
        dataset
    ]
    seen: dict[str, Path] = {}
    for folder in _patients(raw, modality):
        study, name = folder / part, f"{modality.lower()}-{int(folder.name)}"
        if not (files := _files(study, "DICOM_anon/**/*.dcm")):
            continue
        if name in seen:
            raise BenchError(f"patient {folder.name} lies there twice", where=study, mend=f"keep one: {seen[name]}")
        seen[name] = folder
        # Every patient of the training set has labels, so an absent folder there is a broken download.
        labelled = "Test_Sets" not in study.parts or (study / "Ground").is_dir()
        labels = _files(study, "Ground/*.png") if labelled else ()
        yield RawCase(name, name, (*files, *labels), partial(load, study, labelled, options))


def _patients(raw: Path, modality: str) -> list[Path]:
    """Folders `<modality>/<number>`, whatever lies above them."""
    tops = [raw] if raw.name == modality else []
    for depth in range(4):
        tops += raw.glob("*/" * depth + modality)
    folders = [folder for top in tops for folder in top.glob("*") if folder.is_dir() and folder.name.isdecimal()]
    return sorted((f for f in folders if not is_junk(f.relative_to(raw))), key=natural_key)


def _files(study: Path, pattern: str) -> tuple[Path, ...]:
    """The files of a pattern in natural order, without junk."""
    return tuple(sorted((p for p in study.glob(pattern) if not is_junk(p.relative_to(study))), key=natural_key))


def _load_ct(study: Path, labelled: bool, options: Options) -> Loaded:
    series = _series(study, "DICOM_anon", options)
    if not labelled:
        return _loaded({"ct": series}, None)
    # Where a part of the slices was asked for, labels are paired with all of them: ranks of a part would be wrong.
    part = bool(options.given)
    images = [path for path in _files(study, "DICOM_anon/*.dcm") if CT_IMAGE.fullmatch(path.name)]
    drawn = by_number(images if part else series.files, _files(study, "Ground/*.png"), study, part)
    label = _label(study, series, drawn, _CT_CODES)
    check_liver(series.volume, label, study)
    return _loaded({"ct": series}, label)


def _load_t2(study: Path, labelled: bool, options: Options) -> Loaded:
    series = _series(study, "DICOM_anon", options)
    return _loaded({"t2": series}, _mr_label(study, series, bool(options.given)) if labelled else None)


def _load_t1(study: Path, labelled: bool, options: Options) -> Loaded:
    inside, outside = (_series(study, f"DICOM_anon/{phase}", options) for phase in ("InPhase", "OutPhase"))
    longer, shorter = (float(series.acquisition.get("EchoTime", 0)) for series in (inside, outside))
    if longer and shorter and longer <= shorter:
        raise BenchError(
            f"InPhase has the echo time {longer:g} ms, OutPhase {shorter:g} ms; in phase is the longer one",
            where=study / "DICOM_anon",
            mend="the two folders are swapped: rename them",
        )
    return _loaded(
        {"in-phase": inside, "out-phase": outside}, _mr_label(study, inside, bool(options.given)) if labelled else None
    )


def _series(study: Path, folder: str, options: Options) -> "Series":
    from converters.dicom import read_series

    files = _files(study, f"{folder}/*.dcm")
    if not files:
        raise BenchError("no DICOM slices here", where=study / folder, mend="unpack the archive again")
    return read_series(files, series=options.series, allow_gaps=options.allow_gaps)


def _loaded(channels: Mapping[str, "Series"], label: Volume | None) -> Loaded:
    return Loaded(
        images={name: series.volume for name, series in channels.items()},
        label=label,
        acquisition={name: series.acquisition for name, series in channels.items()},
        stack_axis=2,
        warnings=tuple(f"{name}: {told}" for name, series in channels.items() for told in series.warnings),
    )


def _mr_label(study: Path, series: "Series", part: bool) -> Volume:
    slices, labels = ({path.stem: path for path in paths} for paths in (series.files, _files(study, "Ground/*.png")))
    label = _label(study, series, partners(slices, labels, study, part), _MR_CODES)
    check_body(series.volume, label, study)
    check_abdomen(label, study)
    return label


def _label(study: Path, series: "Series", drawn: Mapping[Path, Path], codes: "Codes") -> Volume:
    from converters.png import read_labels

    columns, rows, _ = series.volume.shape
    return Volume(read_labels([drawn[path] for path in series.files], codes, (columns, rows)), series.volume.affine)

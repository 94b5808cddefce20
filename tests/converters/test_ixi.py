import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from converters.check import check
from converters.convert import Report, convert
from converters.dataset import Case, Dataset
from converters.ixi import persons
from converters.phantoms import ixi
from converters.phantoms.ixi import Person, Quirks
from converters.phantoms.sheet import workbook
from converters.source import Options, find
from converters.volume import read_label, read_nifti

T1 = Quirks(contrasts=("T1",))


def tree(raw: Path, quirks: Quirks, cases: int = 6) -> Path:
    ixi.write(raw, cases, 0, quirks)
    return raw


def converted(raw: Path, out: Path, labels: Path | None = None) -> dict[str, Report]:
    return {
        report.name.removeprefix("phantom-"): report for report in convert("ixi", raw, out, options=Options(labels))
    }


def dataset(raw: Path, out: Path, labels: Path | None = None) -> Dataset:
    report = converted(raw, out, labels)["ixi-t1"]
    assert report.failures == []
    assert check(report.root) == []
    return Dataset.load(report.root)


def name(number: int) -> str:
    return Person.draw(0, number).name


def image(raw: Path, number: int, contrast: str = "T1") -> Path:
    return raw / f"IXI-{contrast.partition('-')[0]}" / f"{name(number)}-{contrast}.nii.gz"


def by_number(found: Dataset) -> dict[int, Case]:
    return {int(case.subject[3:]): case for case in found.cases}


# layouts


@pytest.mark.parametrize("rename", ["IXI-T1", "T1", "t1", "raw/ixi/T1 images"])
def test_any_folder_name_will_do(tmp_path: Path, rename: str) -> None:
    raw = tree(tmp_path / "raw", Quirks(contrasts=("T1",), labels=False), 2)
    if rename != "IXI-T1":
        (raw / rename).parent.mkdir(parents=True, exist_ok=True)
        (raw / "IXI-T1").rename(raw / rename)
    assert [case.native_id for case in dataset(raw, tmp_path / "data").cases] == [name(1), name(2)]


def test_every_layout_gives_the_same_voxels(tmp_path: Path) -> None:
    contents = []
    for layout in ("folders", "flat", "kaggle"):
        raw = tree(tmp_path / layout, Quirks(layout=layout, contrasts=("T1", "DTI")), 2)
        reports = converted(raw, tmp_path / "data" / layout)
        contents.append({kind: Dataset.load(one.root).file.bench.content_sha256 for kind, one in reports.items()})
    assert list(contents[0]) == ["ixi-t1", "ixi-dti"]
    assert contents[0] == contents[1] == contents[2]


def test_contrasts_are_datasets_of_their_own_on_grids_of_their_own(tmp_path: Path) -> None:
    reports = converted(tree(tmp_path / "raw", Quirks(), 3), tmp_path / "data")
    assert list(reports) == ["ixi-t1", "ixi-t2", "ixi-pd", "ixi-mra", "ixi-dti"]
    first = {kind: Dataset.load(report.root).cases[0] for kind, report in reports.items()}
    assert len({case.id for case in first.values()}) == 1
    assert first["ixi-t1"].geometry.source_orientation == "PSR"
    assert first["ixi-t2"].geometry == first["ixi-pd"].geometry != first["ixi-t1"].geometry
    assert first["ixi-t1"].geometry.slice_axis == 0 and first["ixi-t2"].geometry.slice_axis == 2
    turn = np.array(first["ixi-t1"].geometry.affine)[:3, :3] / first["ixi-t1"].geometry.spacing_mm
    lean = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    assert 0.9 < lean < 7.8


def test_two_files_for_one_image_are_refused_by_name_and_the_others_convert(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 3)
    (raw / "old").mkdir()
    shutil.copy(image(raw, 2), raw / "old" / image(raw, 2).name)
    report = converted(raw, tmp_path / "data")["ixi-t1"]
    (error,) = report.failures
    assert f"2 files could be its image: IXI-T1/{image(raw, 2).name}, old/{image(raw, 2).name}" in error.what
    assert report.cases == 2


def test_a_folder_with_the_name_of_an_image_holds_one(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", Quirks(layout="kaggle", contrasts=("T1",), labels=False), 3)
    empty, two = (raw / "IXI-T1" / f"{name(k)}-T1.nii" for k in (1, 2))
    next(empty.iterdir()).unlink()
    (empty / "._x.nii").write_bytes(b"junk")
    shutil.copy(two / f"{two.name}", two / "copy.nii")
    report = converted(raw, tmp_path / "data")["ixi-t1"]
    assert [error.what.partition(": ")[2] for error in report.failures] == [
        "the folder of that name holds no image",
        f"2 files could be its image: {two.name}/{two.name}, {two.name}/copy.nii",
    ]
    assert report.cases == 1


def test_files_that_are_no_images_of_ixi_are_left_alone(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 1)
    for stem in (f"{name(2)}-T1_brain", f"{name(2)}-T1-00", f"{name(2)}-DTI", "IXI12-Guys-0001-T1", f"x{name(2)}-T1"):
        shutil.copy(image(raw, 1), raw / f"{stem}.nii.gz")
    assert [case.native_id for case in dataset(raw, tmp_path / "data").cases] == [name(1)]


def test_a_cut_file_is_refused_and_the_one_that_is_known_to_be_cut_is_named(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", Quirks(contrasts=("MRA",), truncated=True), 2)
    shutil.copy(image(raw, 1, "MRA"), raw / "IXI-MRA" / "IXI371-IOP-0970-MRA.nii.gz")
    report = converted(raw, tmp_path / "data")["ixi-mra"]
    first, known = report.failures
    assert "cut off" in first.what and "collection" not in first.what
    assert known.what.endswith("the copy in the collection is cut off as well")
    assert known.mend and known.mend.endswith("leave it out with --skip IXI371-IOP-0970")
    assert report.cases == 1


# diffusion


def test_a_person_with_other_volumes_than_most_is_refused(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", Quirks(contrasts=("DTI",), short_dti=True), 6)
    moved = image(raw, 2, "DTI-16")
    moved.rename(moved.with_name(moved.name.replace("DTI-16", "DTI-20")))
    report = converted(raw, tmp_path / "data")["ixi-dti"]
    assert [error.what.partition(": ")[2] for error in report.failures] == [
        "16 volumes; most have 17",
        "17 volumes, numbered 0 to 20",
    ]
    found = Dataset.load(report.root)
    assert found.channels == tuple(f"dti-{k:02d}" for k in range(17))
    volumes = [read_nifti(found.root / part.file).array for part in found.cases[0].images.values()]
    whole = np.asarray(nib.load(image(raw, int(found.cases[0].subject[3:]), "DTI-12")).dataobj)
    assert np.array_equal(np.sort(volumes[12], axis=None), np.sort(whole, axis=None))
    assert any("gradient" in told for told in found.file.bench.warnings)


# who it is


def test_sex_age_and_site_are_taken_and_the_traps_of_the_sheet_are_told(tmp_path: Path) -> None:
    found = by_number(dataset(tree(tmp_path / "raw", T1), tmp_path / "data"))
    people = {number: Person.draw(0, number) for number in found}
    for number, case in found.items():
        known = {"site": people[number].name.split("-")[1], "sex": "MF"[int(people[number].sex) - 1]}
        known |= {"age_years": float(int(people[number].age))}
        lost = {2: ["sex", "age_years"], 3: ["sex", "age_years"], 5: ["age_years"]}.get(number, [])
        assert case.meta == {key: value for key, value in known.items() if key not in lost}, number
    assert found[2].warnings == ("IXI.xls gives two values of sex", "IXI.xls gives two values of age_years")
    assert found[3].warnings == ("IXI.xls has no row for this person",)
    assert found[5].warnings == ("IXI.xls gives no age_years",)
    assert found[4].warnings == found[1].warnings == ()  # 4 stands there twice, once with zeros
    assert found[1].images["t1"].acquisition == {"MagneticFieldStrength": 3.0, "Manufacturer": "Philips"}


def test_without_a_sheet_the_dataset_says_so(tmp_path: Path) -> None:
    found = dataset(tree(tmp_path / "raw", Quirks(contrasts=("T1",), sheet=False), 1), tmp_path / "data")
    assert found.cases[0].meta == {"site": "HH"}
    assert "there was no IXI.xls: sex and age are not known" in found.file.bench.warnings


def test_a_sheet_that_comes_later_is_taken_and_two_that_differ_are_refused(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 1)
    sheet = raw / "IXI.xls"
    sheet.rename(tmp_path / "IXI.xls")
    assert "sex" not in dataset(raw, tmp_path / "data").cases[0].meta
    (raw / "tables").mkdir()
    shutil.copy(tmp_path / "IXI.xls", raw / "tables" / "ixi.XLS")
    assert "sex" in dataset(raw, tmp_path / "data").cases[0].meta
    sheet.write_bytes((tmp_path / "IXI.xls").read_bytes() + b"\0")
    with pytest.raises(ValueError, match=r"2 files IXI\.xls that differ"):
        converted(raw, tmp_path / "data")


def test_nothing_but_sex_and_years_leaves_the_sheet(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 2)
    header = (
        "IXI_ID|SEX_ID (1=m, 2=f)|HEIGHT|WEIGHT|ETHNIC_ID|MARITAL_ID|OCCUPATION_ID|QUALIFICATION_ID|DOB|AGE|STUDY_DATE"
    )
    rows = [
        (float(k), 2.0, 7171.25, 7363.5, 7001.5, 7002.5, 7003.5, 7004.5, "Quimby 4 July 1950", 55.8125, 38612.5)
        for k in (1, 2)
    ]
    (raw / "IXI.xls").write_bytes(workbook("Table", [header.split("|"), *rows]))
    found = dataset(raw, tmp_path / "data", raw / "labels")
    assert found.cases[0].meta == {"site": "HH", "sex": "F", "age_years": 55.0}
    planted = ("Quimby", "July", "38612.5", "7171.25", "7363.5", "55.81", *(f"{code}.5" for code in range(7001, 7005)))
    for path in found.root.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".md", ".txt"):
            assert not [word for word in planted if word in path.read_text(encoding="utf-8")], path
        elif path.suffix == ".gz":
            assert b"Quimby" not in gzip.decompress(path.read_bytes())


@pytest.mark.parametrize(("age", "told"), [(89.99, 89.0), (90.0, None), (0.0, None), (None, None)])
def test_an_age_above_89_stays_behind(tmp_path: Path, age: float | None, told: float | None) -> None:
    sheet = tmp_path / "IXI.xls"
    sheet.write_bytes(workbook("Table", [["IXI_ID", "SEX_ID (1=m, 2=f)", "AGE"], [7.0, 1.0, age]]))
    assert persons(sheet)[7].meta == {"sex": "M"} | ({"age_years": told} if told else {})


def test_the_real_sheet_is_read_with_its_traps(shared_data: Path) -> None:
    found = persons(shared_data / "ixi" / "IXI.xls")
    assert len(found) == 14
    assert found[2].meta == {"sex": "F", "age_years": 35.0}
    assert found[237].meta == {"sex": "F", "age_years": 78.0}  # twice, once with zeros
    assert found[1].meta == {"sex": "M"} and found[1].missing == ("IXI.xls gives no age_years",)
    assert found[219].meta == {"sex": "F"} and found[219].missing == ("IXI.xls gives two values of age_years",)
    assert found[328].meta == {} and len(found[328].missing) == 2


# the user's label maps


def spoil(path: Path, change: Callable[[np.ndarray], None]) -> None:
    one = nib.load(path)
    array = np.asarray(one.dataobj).copy()
    change(array)
    nib.save(nib.Nifti1Image(array, one.affine, one.header), path)


def test_label_maps_of_a_program_become_labels_of_derived_origin(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 3)
    found = dataset(raw, tmp_path / "data", raw / "labels")
    assert found.labels == {"grey matter": 1, "white matter": 2, "ventricles": 3}
    assert found.file.bench.label_info["white matter"].source_values == (2, 41)
    assert found.file.numTraining == 3
    told = " ".join(found.file.bench.warnings)
    assert "no ground truth" in told and "frugalseg-phantom" in told and "faces" in told
    for case in found.cases:
        assert case.label and (case.label.origin, case.label.kind) == ("derived", "dense")
        source = nib.as_closest_canonical(nib.load(raw / "labels" / f"{case.native_id}-T1_synthseg.nii.gz"))
        drawn = np.asarray(source.dataobj)
        ours = read_label(found.root / case.label.file).array
        for code, values in enumerate(((0, 24), (3, 42), (2, 41), (4, 43))):
            assert np.array_equal(ours == code, np.isin(drawn, values)), case.id


def test_without_labels_nothing_is_claimed(tmp_path: Path) -> None:
    found = dataset(tree(tmp_path / "raw", T1, 2), tmp_path / "data")
    assert found.labels == {} and found.file.numTraining == 0
    assert all(case.label is None and case.images["t1"].file.startswith("imagesUn/") for case in found.cases)
    assert "IXI has no tissue labels: no label map can be scored; sex and age can" in found.file.bench.warnings


def test_a_case_that_gets_its_label_later_moves_and_leaves_nothing_behind(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 2)
    before = dataset(raw, tmp_path / "data")
    assert len(list((before.root / "imagesUn").iterdir())) == 2
    after = dataset(raw, tmp_path / "data", raw / "labels")
    assert after.cases[0].images["t1"].file.startswith("imagesTr/")
    assert dataset(raw, tmp_path / "data").file == before.file


@pytest.mark.parametrize(
    "stem", ["{exam}-T1_synthseg", "{exam}-T1", "{exam}_seg", "{person}", "{person}-T1_aseg", "{exam}/mri/aseg"]
)
def test_label_maps_are_found_by_stem_or_person(tmp_path: Path, stem: str) -> None:
    raw, maps = tree(tmp_path / "raw", T1, 2), tmp_path / "maps"
    shutil.move(raw / "labels", maps)
    for number in (1, 2):
        path = maps / f"{stem.format(exam=name(number), person=name(number)[:6])}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        (maps / f"{name(number)}-T1_synthseg.nii.gz").rename(path)
    found = dataset(raw, tmp_path / "data", maps)
    assert found.file.numTraining == 2
    assert [file.path for file in found.cases[0].sources][-2:] == ["elsewhere/labels.toml", "IXI.xls"]


def test_maps_without_an_image_and_images_without_a_map_are_told(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 4)
    labels = raw / "labels"
    (labels / f"{name(2)}-T1_synthseg.nii.gz").rename(labels / "IXI500-HH-1234-T1_synthseg.nii.gz")
    shutil.copy(labels / f"{name(1)}-T1_synthseg.nii.gz", labels / "mean.nii.gz")
    found = dataset(raw, tmp_path / "data", labels)
    assert found.file.bench.warnings[-3:] == (
        "label maps that fit no image here, or several: 1 (IXI500)",
        "files beside the label maps that name no person of IXI: 1",
        "examinations without a label map: 1 of 4",
    )
    lone = by_number(found)[2]
    assert lone.label is None and "no label map was supplied for it" in lone.warnings


def test_maps_that_name_no_contrast_need_it_declared_where_there_are_several(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", Quirks(contrasts=("T1", "T2")), 2)
    labels = raw / "labels"
    for number in (1, 2):
        (labels / f"{name(number)}-T1_synthseg.nii.gz").rename(labels / f"{name(number)}.nii.gz")
    with pytest.raises(ValueError, match="which contrast was it drawn on"):
        converted(raw, tmp_path / "data", labels)
    with (labels / "labels.toml").open("r+") as toml:
        text = toml.read()
        toml.seek(0)
        toml.write('contrasts = ["t1"]\n' + text)
    reports = converted(raw, tmp_path / "data", labels)
    assert [Dataset.load(report.root).file.numTraining for report in reports.values()] == [2, 0]
    assert not [failure for report in reports.values() for failure in report.failures]


def test_label_maps_among_the_images_are_refused(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 1)
    with pytest.raises(ValueError, match="the label maps lie among the images"):
        converted(raw, tmp_path / "data", raw)


def fails(tmp_path: Path, change: Callable[[Path], None]) -> str:
    raw = tree(tmp_path / "raw", T1, 2)
    change(raw / "labels" / f"{name(1)}-T1_synthseg.nii.gz")
    report = converted(raw, tmp_path / "data", raw / "labels")["ixi-t1"]
    assert report.cases == 1
    return "; ".join(error.what for error in report.failures)


def test_values_that_labels_toml_does_not_name_are_refused_with_their_counts(tmp_path: Path) -> None:
    def plant(array: np.ndarray) -> None:
        array[0, 0, :3], array[1, 0, 0] = 77, 1002

    told = fails(tmp_path, lambda path: spoil(path, plant))
    assert "labels.toml says nothing of the values 77 (3 voxels), 1002 (1 voxels)" in told


def test_a_map_on_another_grid_is_refused(tmp_path: Path) -> None:
    def shift(path: Path) -> None:
        one = nib.load(path)
        affine = one.affine.copy()
        affine[0, 3] += 2
        nib.save(nib.Nifti1Image(np.asarray(one.dataobj), affine), path)

    assert "label and channel t1 lie 2 mm apart" in fails(tmp_path, shift)


def test_an_interpolated_map_is_refused(tmp_path: Path) -> None:
    def blur(path: Path) -> None:
        one = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(one.dataobj) * np.float32(0.5), one.affine), path)

    assert "are no integers" in fails(tmp_path, blur)


def test_two_maps_for_one_image_are_refused(tmp_path: Path) -> None:
    told = fails(tmp_path, lambda path: shutil.copy(path, path.with_name(f"{name(1)[:6]}.nii.gz")))
    assert "2 files could be its label map" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, r"there is no labels\.toml"),
        ("[labels]\na = 1\n", "missing required field `generator`"),
        ('generator = "x"\n[labels]\n', "takes 1 to 254 structures"),
        ('generator = "x"\n[labels]\na = 1\nb = [2, 1]\n', "source value 1 has two meanings"),
        ('generator = "x"\n[labels]\na = 0\n', "source value 0 has two meanings"),
        ('generator = "x"\n[labels]\na = []\n', "'a' has no source value"),
        ('generator = "x"\n[labels]\na = -1\n', "source value -1; 0 to 65535"),
        ('generator = "x"\n[labels]\nbackground = 3\n', "background has a line of its own"),
        ('generator = "<b>"\n[labels]\na = 1\n', "no plain name"),
        ('generator = "x"\n[labels]\na = "one"\n', "labels"),
        ("generator", "labels.toml: "),
    ],
)
def test_an_unsound_labels_toml_is_refused_before_anything_is_written(
    tmp_path: Path, text: str | None, told: str
) -> None:
    raw = tree(tmp_path / "raw", T1, 1)
    (raw / "labels" / "labels.toml").unlink()
    if text is not None:
        (raw / "labels" / "labels.toml").write_text(text)
    with pytest.raises(ValueError, match=told):
        converted(raw, tmp_path / "data", raw / "labels")
    assert not (tmp_path / "data").exists()


def test_values_to_ignore_become_255(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 1)
    toml = raw / "labels" / "labels.toml"
    toml.write_text(toml.read_text().replace("background = [0, 24]", "background = [0]\nignore = [24]"))
    (case,) = dataset(raw, tmp_path / "data", raw / "labels").cases
    drawn = np.asarray(nib.load(raw / "labels" / f"{name(1)}-T1_synthseg.nii.gz").dataobj)
    assert case.label and case.label.voxels["255"] == (drawn == 24).sum() > 0


# sites


def test_each_site_is_left_out_once(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", Quirks(contrasts=("T1",), truncated=True), 7)
    report = converted(raw, tmp_path / "data")["ixi-t1"]
    assert len(report.failures) == 1  # person 1, of HH: the splits are written without
    found = Dataset.load(report.root)
    assert check(found.root) == []
    for site in ("guys", "hh", "iop"):
        split = found.split(f"site-{site}")
        at_site = {case.subject for case in found.cases if str(case.meta["site"]).lower() == site}
        assert at_site and set(split.test) == at_site
        assert set(split.train) == set(found.subjects) - at_site
    assert "ixi001" not in found.subjects


def test_only_labelled_persons_are_tested_on(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 7)
    (raw / "labels" / f"{name(4)}-T1_synthseg.nii.gz").unlink()
    found = dataset(raw, tmp_path / "data", raw / "labels")
    assert found.split("site-hh").test == ("ixi001", "ixi007")
    assert "ixi004" in found.split("site-guys").train


def test_one_site_alone_gives_no_site_split(tmp_path: Path) -> None:
    found = dataset(tree(tmp_path / "raw", T1, 1), tmp_path / "data")
    assert not list((found.root / "splits").glob("site-*"))


# the real thing


def test_the_files_to_fetch_are_named_with_what_is_known_of_them() -> None:
    access = find("ixi").ACCESS
    assert {file.name for file in access.files} >= {"IXI-T1.tar", "IXI-DTI.tar", "IXI.xls"}
    for file in access.files:
        kind, _, value = file.checksum.partition(":")
        assert file.url == f"https://biomedic.doc.ic.ac.uk/brain-development/downloads/IXI/{file.name}"
        assert len(value) == {"md5": 32, "sha256": 64}[kind]
        assert file.bytes is None or file.bytes > 0
    assert access.steps[-1] == "bench convert ixi RAW data"


def test_the_real_volume_keeps_its_place_to_a_thousandth_of_a_millimetre(shared_data: Path, tmp_path: Path) -> None:
    raw = shared_data / "ixi"
    (report,) = convert("ixi", raw, tmp_path / "data")
    assert report.failures == [] and report.name == "ixi-t1"
    (case,) = Dataset.load(report.root).cases
    assert (case.id, case.native_id, case.subject) == ("ixi533-guys-1066", "IXI533-Guys-1066", "ixi533")
    assert case.meta == {"site": "Guys", "sex": "M", "age_years": 73.0}
    assert case.geometry.source_orientation == "PSR" and case.geometry.slice_axis == 0
    original = nib.as_closest_canonical(nib.load(raw / "IXI-T1" / "IXI533-Guys-1066-T1.nii.gz"))
    ours = nib.load(report.root / case.images["t1"].file)
    assert np.array_equal(np.asarray(ours.dataobj), np.asarray(original.dataobj))
    corners = np.array([[x, y, z, 1] for x in (0, 149) for y in (0, 255) for z in (0, 255)], float)
    off = np.abs(corners @ (ours.affine - original.affine)[:3].T).max()
    assert off < 1e-3
    for form in (ours.get_sform(coded=True), ours.get_qform(coded=True)):
        assert form[1] == 1 and np.abs(corners @ (form[0] - original.affine)[:3].T).max() < 1e-2
    assert nib.aff2axcodes(ours.affine) == ("R", "A", "S")
    turn = ours.affine[:3, :3] / np.linalg.norm(ours.affine[:3, :3], axis=0)
    assert 5 < np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 8  # oblique, and still is
    assert check(report.root) == []

"""IXI: layouts of images, the sheet of persons, sites, and the real thing."""

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from ixi_tree import T1, by_number, converted, dataset, image, name, tree

from converters.check import check
from converters.convert import convert
from converters.dataset import Dataset
from converters.ixi import persons
from converters.phantoms.ixi import Person, Quirks
from converters.phantoms.sheet import workbook
from converters.source import find
from converters.volume import read_nifti

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

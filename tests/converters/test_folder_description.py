"""The TOML of a folder: drafted, changed, elsewhere, as documented, and on real data."""

import gzip
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from folder_tree import converted, describe, first, mask, refused, save, tree

from converters.check import check
from converters.convert import convert
from converters.dataset import Dataset
from converters.errors import BenchError
from converters.folder_config import FolderConfig
from converters.folder_read import read_config
from converters.phantoms import folder as phantom
from converters.source import Options, found
from converters.volume import read_label, read_nifti

# the TOML and the driver


def test_without_a_description_a_draft_is_offered_that_works_once_filled_in(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw")
    save(raw / "masks" / "a.png", mask(255, 7))
    (raw / "frugalseg.toml").unlink()
    told = refused(raw, tmp_path / "data")
    assert "there is no frugalseg.toml" in told
    draft = told.split("\n\n", 1)[1]
    assert "structure-1 = 7  # 2 pixels" in draft and "structure-2 = 255  # 6 pixels" in draft
    (raw / "frugalseg.toml").write_text(draft.replace('"..."', '"MR"'), encoding="utf-8")
    dataset, _ = first(raw, tmp_path / "data")
    assert dataset.labels == {"structure-1": 1, "structure-2": 2}


def test_a_changed_description_converts_again_and_the_same_writes_nothing(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", labels="lesion = 255")
    assert converted(raw, tmp_path / "data").unchanged == 0
    assert converted(raw, tmp_path / "data").unchanged == 1
    describe(raw, labels="lesion = 255", background=[0, 1])
    assert converted(raw, tmp_path / "data").unchanged == 0


def test_the_description_may_lie_elsewhere(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a")
    elsewhere = (raw / "frugalseg.toml").rename(tmp_path / "other.toml")
    report = converted(raw, tmp_path / "data", config=elsewhere)
    assert [file.path for file in Dataset.load(report.root).cases[0].sources][-1] == "elsewhere/other.toml"


def test_nothing_that_identifies_a_person_leaves_a_dicom_picture(tmp_path: Path) -> None:
    phantom.write(tmp_path / "raw", 1, 0, phantom.Quirks(kind="frames", views=1))
    report = converted(tmp_path / "raw", tmp_path / "data")
    for path in report.root.rglob("*"):
        if path.is_file():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            assert b"Made^Up" not in data, path


# the phantom's own traps, and the real thing


def test_a_person_of_many_images_is_one_subject(tmp_path: Path) -> None:
    phantom.write(tmp_path / "raw", 3, 0, phantom.Quirks(letters=True, test=1))
    ((info, cases),) = found("folder", tmp_path / "raw", Options())
    assert info.name == "made-up-lungs"
    assert [(case.native_id, case.subject, case.held_out) for case in cases][-2:] == [
        ("Groe 03-Koln-a", "Groe 03-Koln", True),
        ("Groe 03-Koln-b", "Groe 03-Koln", True),
    ]
    phantom.write(tmp_path / "odd", 1, 0, phantom.Quirks(lonely=True))
    with pytest.raises(BenchError, match="without an image: masks/nobody"):
        found("folder", tmp_path / "odd", Options())


def documented() -> dict[str, str]:
    """The TOMLs of docs/folder.md by the names of their datasets."""
    text = (Path(__file__).parents[2] / "docs" / "folder.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    return {re.match(r'name = "(.+)"', block)[1]: block for block in blocks}


@pytest.mark.parametrize("name", sorted(documented()))
def test_the_examples_in_the_documentation_are_sound(name: str, tmp_path: Path) -> None:
    (tmp_path / "frugalseg.toml").write_text(documented()[name], encoding="utf-8")
    assert read_config(tmp_path / "frugalseg.toml").name == name


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "folder.md").read_text(encoding="utf-8")
    table = "".join(line for line in text.splitlines() if line.startswith("| `"))
    assert [key for key in FolderConfig.__struct_fields__ if f"`{key}`" not in table and f"`[{key}" not in table] == []


def test_real_spinal_cords_in_three_orientations(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "spinalcord"
    config = tmp_path / "cord.toml"
    config.write_text(documented()["spinalcord"], encoding="utf-8")
    (report,) = convert("folder", source, tmp_path / "data", options=Options(config=config))
    assert report.failures == []
    dataset = Dataset.load(report.root)
    orientations = {case.id: case.geometry.source_orientation for case in dataset.cases}
    assert orientations == {"t1w": "RAS", "t2": "PSR", "t2s": "LAS"}
    assert dataset.subjects == ("t",)
    for case in dataset.cases:
        names = [file.path for file in case.sources]
        for name, file in zip(names, (case.images["image"].file, case.label.file), strict=False):
            canonical = nib.as_closest_canonical(nib.load(source / name))
            volume = read_nifti(dataset.path(file))
            assert np.array_equal(volume.array, np.asanyarray(canonical.dataobj))
            assert np.allclose(volume.affine, canonical.affine, atol=1e-4)
    assert check(dataset.root) == []


def test_real_grey_matter_lies_over_the_cord(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "spinalcord"
    config = tmp_path / "grey.toml"
    config.write_text(documented()["spinalcord-gm"], encoding="utf-8")
    (report,) = convert("folder", source, tmp_path / "data", options=Options(config=config))
    assert report.failures == []
    dataset = Dataset.load(report.root)
    label = read_label(dataset.path(dataset.cases[0].label.file)).array
    for name, codes in (("t2s_seg", (1, 3)), ("t2s_gmseg_manual", (2, 3))):
        canonical = nib.as_closest_canonical(nib.load(source / f"{name}.nii.gz"))
        assert np.array_equal(np.isin(label, codes), np.asanyarray(canonical.dataobj) == 1)
    assert check(dataset.root) == []

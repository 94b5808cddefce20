"""Copies of JSRT's films as PNG, and what lies beside: layouts, masks, clinical texts, folds. All made up."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jsrt_tree import MASKS, converted, failures
from PIL import Image

from converters.convert import convert
from converters.dataset import Dataset
from converters.phantoms import jsrt
from converters.radiograph import read_copy
from converters.source import Options, find


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One film as PNG of 1024 x 1024, with masks of that size: quick to convert."""
    root = tmp_path_factory.mktemp("copies")
    jsrt.write(root, 1, 0, jsrt.Quirks(kind="8-bit", side=1024))
    return root


@pytest.fixture
def raw(copies: Path, tmp_path: Path) -> Path:
    return shutil.copytree(copies, tmp_path / "raw")


@pytest.mark.parametrize("layout", [{"doubled": True, "folds": False}, {"parted": True, "clinical": False}])
def test_layouts_give_the_same_voxels(copies: Path, tmp_path: Path, layout: dict[str, bool]) -> None:
    jsrt.write(tmp_path / "raw", 1, 0, jsrt.Quirks(kind="8-bit", side=1024, **layout))
    known, found = (converted(raw, tmp_path / name) for name, raw in (("known", copies), ("new", tmp_path / "raw")))
    assert {name: dataset.content_sha256() for name, dataset in found.items()} == {
        name: dataset.content_sha256() for name, dataset in known.items()
    }
    if not layout.get("clinical", True):
        assert [case.meta for case in found["jsrt"].cases] == [{"nodule": "yes"}]


def test_a_film_without_one_of_its_masks_is_refused(raw: Path, tmp_path: Path) -> None:
    jsrt.write(tmp_path / "more", 2, 0, jsrt.Quirks(kind="8-bit", side=1024))
    shutil.copytree(tmp_path / "more", raw, dirs_exist_ok=True)
    (raw / MASKS / "heart" / "JPCNN001.gif").unlink()
    found = failures(convert("jsrt", raw, tmp_path / "data"))
    assert found == {"jsrt": ["jpcnn001: there is no such file"], "jsrt-lungs": []}


def test_without_masks_films_are_unlabelled_and_without_hearts_there_are_lungs(raw: Path, tmp_path: Path) -> None:
    shutil.rmtree(raw / MASKS / "heart")
    assert set(converted(raw, tmp_path / "lungs")) == {"jsrt-lungs"}
    shutil.rmtree(raw / "scratch")
    (dataset,) = converted(raw, tmp_path / "none").values()
    assert dataset.name == "phantom-jsrt"
    assert dataset.cases[0].label is None
    assert dataset.cases[0].images["film"].file == "imagesUn/jpcln001_0000.nii.gz"
    assert dataset.cases[0].warnings[1:] == ("whether high is bright could not be told: there are no masks",)


@pytest.mark.fault(29)
def test_mirrored_masks_are_refused(raw: Path, tmp_path: Path) -> None:
    for path in (raw / MASKS).rglob("*.gif"):
        with Image.open(path) as image:
            mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        mirrored.save(path)
    found = failures(convert("jsrt", raw, tmp_path / "data"))
    told = "jpcln001: in the masks the right lung lies left of the left lung"
    assert found == {"jsrt": [told], "jsrt-lungs": [told]}


@pytest.mark.fault(26, 28)
def test_masks_with_other_greys_or_cut_short_are_refused(raw: Path, tmp_path: Path) -> None:
    heart = raw / MASKS / "heart" / "JPCLN001.gif"
    with Image.open(heart) as image:
        pixels = np.asarray(image.convert("L")).copy()
    pixels[:2, :2] = 128
    Image.fromarray(pixels).save(heart)
    (what,) = failures(convert("jsrt", raw, tmp_path / "data"))["jsrt"]
    assert what.startswith("jpcln001: JPCLN001.gif: a mask of 3 greys: 0 (")
    assert "128 (4 pixels)" in what
    lung = raw / MASKS / "left lung" / "JPCLN001.gif"
    lung.write_bytes(lung.read_bytes()[:1500])
    (what,) = failures(convert("jsrt", raw, tmp_path / "data"))["jsrt-lungs"]
    assert what == "jpcln001: JPCLN001.gif: damaged GIF"


def test_copies_that_masks_do_not_fit_are_refused(tmp_path: Path) -> None:
    jsrt.write(tmp_path / "raw", 1, 0, jsrt.Quirks(kind="8-bit", side=512))
    (what,) = failures(convert("jsrt", tmp_path / "raw", tmp_path / "data"))["jsrt"]
    assert what.endswith("the masks have 1024 x 1024 pixels, the film 512 x 512, which is no whole multiple")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda image: image.crop((0, 0, 1024, 1000)), "1024 x 1000 pixels; a film is square"),
        (lambda image: image.convert("RGBA"), "several pictures in one, or a transparent one"),
        (lambda image: Image.merge("RGB", [image, image, image.point(lambda grey: grey // 2)]), "drawn in colours"),
        (lambda image: image.point(lambda grey: grey // 100), "different values; this is no radiograph"),
    ],
)
def test_pictures_that_are_no_copies_are_refused(
    copies: Path, tmp_path: Path, change: Callable[[Image.Image], Image.Image], what: str
) -> None:
    with Image.open(copies / "All247images" / "JPCLN001.png") as image:
        change(image).save(tmp_path / "JPCLN001.png")
    with pytest.raises(ValueError, match=what):
        read_copy(tmp_path / "JPCLN001.png")


def test_masks_of_several_sizes_are_refused(raw: Path, tmp_path: Path) -> None:
    heart = raw / MASKS / "heart" / "JPCLN001.gif"
    with Image.open(heart) as image:
        image.resize((512, 512), Image.Resampling.NEAREST).save(heart)
    (what,) = failures(convert("jsrt", raw, tmp_path / "data"))["jsrt"]
    assert what.startswith("jpcln001: masks of several sizes: heart 512 x 512, left lung 1024 x 1024")


def test_a_film_that_lies_there_twice_is_refused(raw: Path, tmp_path: Path) -> None:
    (raw / "again").mkdir()
    shutil.copy(raw / "All247images" / "JPCLN001.png", raw / "again")
    with pytest.raises(ValueError, match=r"JPCLN001\.png lies there twice"):
        convert("jsrt", raw, tmp_path / "data")


def test_only_listed_columns_of_the_clinical_texts_are_taken(raw: Path, tmp_path: Path) -> None:
    folder = raw / "Clinical_Information"
    row = ["JPCLN001.IMG", "3", "15", "53", "Female", "1634", "692", "Malignant", "Quimby", "EchoBay", "19500704"]
    (folder / "CLNDAT_EN.txt").write_bytes("\t".join(row).encode() + b"\r\n\r\nQuimby\t1\r\n")
    dataset = converted(raw, tmp_path / "data")["jsrt"]
    assert dataset.cases[0].meta == {
        "age_years": 53.0,
        "nodule": "yes",
        "nodule_kind": "malignant",
        "nodule_mm": 15.0,
        "sex": "F",
        "subtlety": 3.0,
    }
    for path in dataset.root.rglob("*"):
        if path.is_file():
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            assert not [word for word in (b"Quimby", b"EchoBay", b"19500704", b"1634") if word in content], path


@pytest.mark.parametrize(
    ("row", "meta"),
    [
        ("JPCLN001.IMG\t5\t15\t?\tmale", {"nodule": "yes", "sex": "M", "subtlety": 5.0, "nodule_mm": 15.0}),
        ("JPCLN001.IMG\t\t\t90\t\t1\t2\tbenign\tx\ty\tz", {"nodule": "yes", "nodule_kind": "benign"}),
        ("JPCLN001.IMG", {"nodule": "yes"}),
        ("JPCNN001.IMG      56   female        non-nodule", {"nodule": "yes"}),  # of another film
    ],
)
def test_rows_with_gaps_give_what_they_hold(raw: Path, row: str, meta: dict[str, str | float]) -> None:
    (raw / "Clinical_Information" / "CLNDAT_EN.txt").write_text(f"{row}\r")
    (case,) = find("jsrt").cases(raw, "jsrt", Options())
    assert case.meta == meta


def test_runs_of_spaces_separate_columns_too(raw: Path) -> None:
    shutil.move(raw / "All247images" / "JPCLN001.png", raw / "All247images" / "JPCNN001.png")
    for path in list((raw / MASKS).rglob("JPCLN001.gif")):
        path.rename(path.with_name("JPCNN001.gif"))
    (raw / "Clinical_Information" / "CNNDAT_EN.TXT").write_text("JPCNN001.IMG      56   female        non-nodule\n")
    (case,) = find("jsrt").cases(raw, "jsrt", Options())
    assert case.meta == {"age_years": 56.0, "nodule": "no", "sex": "F"}


def test_films_of_the_fold_that_has_no_masks_are_unlabelled_and_said(raw: Path, tmp_path: Path) -> None:
    jsrt.write(tmp_path / "more", 3, 0, jsrt.Quirks(kind="8-bit", side=1024))
    shutil.copytree(tmp_path / "more", raw, dirs_exist_ok=True)
    shutil.rmtree(raw / "scratch" / "fold2")
    for dataset in converted(raw, tmp_path / "data").values():
        assert [(case.native_id, case.label is None) for case in dataset.cases] == [
            ("JPCLN001", False),
            ("JPCLN002", True),
            ("JPCNN001", False),
        ]
        assert dataset.file.bench.warnings[-1] == "1 of 3 films have no mask: JPCLN002"
        assert not list(dataset.root.glob("splits/scr-*"))


def test_films_of_other_kinds_are_refused_one_by_one_and_masks_without_films_are_said(
    raw: Path, tmp_path: Path
) -> None:
    jsrt.write(tmp_path / "more", 3, 0, jsrt.Quirks(kind="8-bit", side=1024))
    shutil.copytree(tmp_path / "more", raw, dirs_exist_ok=True)
    (raw / "All247images" / "JPCNN001.png").rename(raw / "All247images" / "JPCNN001.jpg")
    (raw / "All247images" / "JPCLN002.png").unlink()
    reports = convert("jsrt", raw, tmp_path / "data")
    assert failures(reports)["jsrt"] == ["jpcnn001: JPCNN001.jpg: a film is an .IMG file or a PNG"]
    assert "masks of 1 films lie there without the film" in Dataset.load(reports[0].root).file.bench.warnings


def test_the_folds_hold_the_films_that_are_there(raw: Path, tmp_path: Path) -> None:
    jsrt.write(tmp_path / "more", 3, 0, jsrt.Quirks(kind="8-bit", side=1024))
    shutil.copytree(tmp_path / "more", raw, dirs_exist_ok=True)
    split = converted(raw, tmp_path / "data")["jsrt"].split("scr-fold1")
    assert (split.train, split.val, split.test) == (("jpcln002",), (), ("jpcln001", "jpcnn001"))
    for mask in raw.rglob("JPCNN001.gif"):
        mask.unlink()
    split = converted(raw, tmp_path / "fewer")["jsrt"].split("scr-fold1")
    assert split.test == ("jpcln001",)


def test_the_folds_are_the_odd_and_the_even_numbers(tmp_path: Path) -> None:
    for kind, count in (("JPCLN", 154), ("JPCNN", 93)):
        for number in range(1, count + 1):
            (tmp_path / f"{kind}{number:03d}.IMG").touch()
    for info in find("jsrt").infos(tmp_path, Options()):
        first, second = info.splits
        assert (first.name, second.name) == ("scr-fold1", "scr-fold2")
        assert (len(first.test), len(first.train)) == (124, 123)
        assert (first.test, first.train) == (second.train, second.test)
        assert len({*first.test, *first.train}) == 247
        assert all(int(name[-3:]) % 2 == 1 for name in first.test)
        assert {name[:5] for name in first.test} == {"JPCLN", "JPCNN"}

"""What a data card says: numbers, pictures, the page, leaks, Croissant."""

import hashlib
import io
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from acdc_tree import acdc_tree, frame, save
from PIL import Image
from said import chunks
from tiny import tiny_dataset

from converters import casecard
from converters.casecard import Legend
from converters.convert import convert
from converters.dataset import Dataset, Geometry, Split
from converters.datasheet import remake
from converters.files import read_json, write_json
from converters.leaks import leaks, same_images, verdict
from converters.readme import readme, summarised
from converters.sheet import sheet
from converters.tile import Grid, square
from converters.volume import Volume, read_label, read_nifti


@pytest.fixture(scope="module")
def heart(tmp_path_factory) -> Path:
    """A converted tiny ACDC; not to be changed."""
    folder = tmp_path_factory.mktemp("card")
    return convert("acdc", acdc_tree(folder / "raw"), folder / "data")[0].root


def test_numbers_of_a_case_are_those_of_its_voxels(heart):
    dataset = Dataset.load(heart)
    for case in dataset.cases:
        card, _ = casecard.read(heart, case)
        image, label = read_nifti(heart / case.images["cine"].file), read_label(heart / case.label.file)
        assert list(card.intensity) == ["cine"] and sorted(card.intensity["cine"]) == ["LV", "MYO", "RV"]
        for name, code in dataset.labels.items():
            inside = image.array[label.array == code].astype(float)
            told = card.intensity["cine"][name]
            wanted = (inside.mean(), inside.std(), inside.min(), inside.max())
            assert (told.mean, told.sd, told.low, told.high) == pytest.approx(wanted, rel=1e-5)


def test_regions_are_told_as_the_union_of_their_codes_and_255_is_no_structure(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 1)
    case = dataset.cases[0]
    volumes = {file: read_nifti(dataset.root / file) for file in (case.images["cine"].file, case.label.file)}
    label = volumes[case.label.file].array.copy()
    label[0, :, 1] = 255
    volumes[case.label.file] = Volume(label, volumes[case.label.file].affine)
    case = msgspec.structs.replace(case, label=msgspec.structs.replace(case.label, voxels={"255": 1}))
    legend = Legend({"background": 0, "heart": (1, 2, 3), "left": (3,)}, {}, dataset.file.bench.channels)
    intensity = casecard.told(case, volumes, legend).intensity
    image = volumes[case.images["cine"].file].array
    assert intensity["cine"]["heart"].mean == pytest.approx(image[(label > 0) & (label != 255)].mean(), rel=1e-5)
    assert intensity["cine"]["left"].sd == pytest.approx(image[label == 3].std(), rel=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_slice_with_most_structure_is_shown_and_the_middle_one_where_there_is_none(tmp_path, axis):
    dataset = tiny_dataset(tmp_path / "tiny", 1, shape=(12, 10, 8))
    case = dataset.cases[0]
    label = np.zeros((12, 10, 8), np.uint8)
    for k in (2, 5, 6):
        label[tuple(slice(1, 3 + k) if a != axis else k for a in range(3))] = 1 if k != 5 else 3
    where = np.flatnonzero(label.ravel(order="F"))
    case = msgspec.structs.replace(case, geometry=msgspec.structs.replace(case.geometry, slice_axis=axis))
    counts = (label > 0).sum(tuple(a for a in range(3) if a != axis))
    assert casecard._slice(where, case) == counts.argmax() > 2
    assert casecard._slice(where[:0], case) == label.shape[axis] // 2


def test_the_picture_has_the_bright_right_side_on_the_left_and_letters_and_outlines(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 1, shape=(40, 20, 4))
    case = dataset.cases[0]
    image, label = np.zeros((40, 20, 4), np.int16), np.zeros((40, 20, 4), np.uint8)
    image[30:, :, :] = 100  # RAS: the person's right is the low end, so this is the left side
    label[4:10, 5:15, 2] = 1
    files = case.images["cine"].file, case.label.file
    volumes = {file: Volume(array, np.eye(4)) for file, array in zip(files, (image, label), strict=True)}
    red = {"right": msgspec.structs.replace(dataset.file.bench.label_info["right"], colour="#ff0000")}
    geometry = Geometry(shape=(40, 20, 4), spacing_mm=(1, 1, 8), affine=(), source_orientation="RAS", slice_axis=2)
    case = msgspec.structs.replace(case, geometry=geometry)
    legend = Legend(dataset.file.labels, red, dataset.file.bench.channels)
    picture = Image.open(io.BytesIO(casecard.told(case, volumes, legend).picture))
    assert picture.size == (casecard.SIDE, casecard.SIDE)
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    middle = pixels[80:112]
    lit = np.flatnonzero((middle == 255).all(-1).any(0))
    assert lit.min() < 60 and lit.max() < 100  # +x is the person's right
    outlined = np.argwhere((pixels == (255, 0, 0)).all(-1))
    assert outlined[:, 1].min() > 100 and np.ptp(outlined[:, 0]) < 60
    rows = np.flatnonzero((pixels > 5).any((1, 2)) & ~(pixels == (255, 255, 128)).all(-1).any(1))
    assert np.ptp(rows) == pytest.approx(casecard.SIDE / 2, abs=3)  # as wide as the body is, not as the voxels are many


def test_the_letters_of_the_sides_are_read_on_a_bright_picture():
    grid = Grid((1, 1, 1), 2, {}, {})
    bright = np.asarray(square(Image.new("RGB", (192, 192), "white"), grid, 192)).astype(int)
    for side in (bright[:, :16], bright[:, -16:]):
        letter = np.argwhere((side[..., 0] > 150) & (side[..., 2] < 140))
        (top, left), (bottom, right) = letter.min(0), letter.max(0)
        around = side[top : bottom + 1, left : right + 1]
        assert len(letter) > 5 and not (around == 255).all(-1).any()


def test_pictures_hold_pixels_and_nothing_else(heart):
    pictures = [heart / "montage.png", *sorted((heart / "card").glob("*.png"))]
    assert len(pictures) == 5
    for path in pictures:
        assert {kind for kind, _ in chunks(path.read_bytes())} == {b"IHDR", b"IDAT", b"IEND"}


def test_the_page_says_what_a_user_must_know(heart):
    page = (heart / "README.md").read_text()
    for text in (
        "Cases: 4, of 2 subjects; with a reference label: 4",
        "| licence | CC-BY-NC-SA-4.0 |",
        "Cite: Bernard et al.",
        "![4 of 4 cases](montage.png)",
        "| 8 | 4 | ####################",  # slice step
        "| 1.5 | 8 | ####################",  # in plane
        "| axes in the source | LPS (4) |",
        "| MYO | 4 of 4 | 0.864 | 0.864 to 0.864 |",  # (5 * 4 - 2 * 2) * 3 voxels of 1.5 * 1.5 * 8 mm
        "| scribble | scribble | expert | `annotations/scribble/` | 4 |",
        "No two of the 4 cases have the image voxels of a channel in common.",
    ):
        assert text in page


def test_sizes_of_flat_images_are_areas_and_of_unknown_spacing_voxels(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 1)
    flat = msgspec.structs.replace(dataset.file, bench=msgspec.structs.replace(dataset.file.bench, ndim=2))
    count = dataset.cases[0].label.voxels["3"]
    one = Dataset(dataset.root, flat, dataset.cases[:1])
    page = readme(one, {}, 0)
    assert f"| left | 1 of 1 | {count * 1.5 * 1.5 / 100:.4g} |" in page and "median (cm²)" in page
    assert "slice step" not in page
    blind = msgspec.structs.replace(dataset.cases[0].geometry, spacing_known=False)
    one = Dataset(dataset.root, dataset.file, (msgspec.structs.replace(dataset.cases[0], geometry=blind),))
    page = readme(one, {}, 0)
    assert f"| left | 1 of 1 | {count} |" in page and "median (voxels)" in page
    assert "1 case: the files say nothing of millimetres" in page and "## Spacing" not in page


def test_warnings_of_cases_are_counted_in_one_line(tmp_path):
    cases = list(tiny_dataset(tmp_path / "tiny", 4).cases)
    burned = "BurnedInAnnotation is YES: the pixels may show a name"
    told = [(burned, f"ct: {k} voxels lie outside") for k in range(7)] + [("one | only <b>",)]
    cases = [msgspec.structs.replace(case, warnings=w) for case, w in zip(cases, told, strict=True)]
    assert list(summarised(cases)) == [
        f"7 cases: {burned}",
        "7 cases: such as, of s00-ed: ct: 0 voxels lie outside",
        r"case s03-es: one \| only &lt;b>",
    ]


@pytest.mark.fault(54, 55)
def test_a_subject_and_an_image_on_two_sides_of_a_split_are_told(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 4)
    same = dataset.cases[0].images
    cases = tuple(msgspec.structs.replace(case, images=same) if case.id == "s03-es" else case for case in dataset.cases)
    dataset = Dataset(dataset.root, dataset.file, cases)
    content = dataset.file.bench.content_sha256
    split = Split(name="x", dataset="tiny", content_sha256=content, train=("s00", "s01"), val=("s02",), test=("s03",))
    assert same_images(dataset) == [("s00-ed", "s03-es")]
    assert leaks(dataset, split) == [
        "split 'x': the same image voxels on two sides: s00-ed in train, s03-es in test",
    ]
    write_json(dataset.root / "splits" / "x.json", split)
    write_json(dataset.root / "splits" / "y.json", msgspec.structs.replace(split, name="y", val=("s01",), test=()))
    write_json(dataset.root / "splits" / "z.json", msgspec.structs.replace(split, name="z", content_sha256="0" * 64))
    (dataset.root / "splits" / "w.json").write_text("{")
    assert list(verdict(dataset)) == [
        "s00-ed, s03-es have image voxels in common.",
        "Split `w` cannot be read.",
        "split 'x': the same image voxels on two sides: s00-ed in train, s03-es in test.",
        "split 'y': s01 in train and in val.",
        "Split `z` was made for other content.",
    ]


def test_a_hundred_cases_give_a_picture_of_twenty_four(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 50)
    remake(dataset.root)
    page = (dataset.root / "README.md").read_text()
    assert "![24 of 100 cases](montage.png)" in page
    width, height = Image.open(dataset.root / "montage.png").size
    assert (width // casecard.SIDE, height // casecard.SIDE) == (6, 4)


def test_long_ids_do_not_run_into_their_neighbours(heart):
    pictures = [("x" * 64, heart / "card" / "patient001-ed.png"), ("", heart / "card" / "patient001-es.png")]
    grid = Grid((1, 1, 1), 2, {}, {})
    made, bare = (
        np.asarray(Image.open(__import__("io").BytesIO(sheet("", given, grid, casecard.SIDE))))
        for given in (pictures, [("", path) for _, path in pictures])
    )
    changed = np.flatnonzero((made != bare).any((0, 2)))
    assert 100 < changed.max() <= 4 + casecard.SIDE


def test_croissant_names_every_file_with_its_digest(heart):
    told = json.loads((heart / "croissant.json").read_bytes())
    objects = {one["@id"]: one for one in told["distribution"] if one["@type"] == "cr:FileObject"}
    there = {
        path.relative_to(heart).as_posix()
        for path in heart.rglob("*")
        if path.is_file() and path.parent.name not in ("card", "cases") and path.name != "croissant.json"
    }
    assert set(objects) == there
    for name, one in objects.items():
        data = (heart / name).read_bytes()
        assert (one["sha256"], one["contentSize"]) == (hashlib.sha256(data).hexdigest(), f"{len(data)} B")
    assert [one["@id"] for one in told["recordSet"]] == ["structures", "cases"]
    assert told["recordSet"][1]["data"][0] == {
        "cases/id": "patient001-ed",
        "cases/subject": "patient001",
        "cases/image_0": "imagesTr/patient001-ed_0000.nii.gz",
        "cases/label": "labelsTr/patient001-ed.nii.gz",
        "cases/annotation_scribble": "annotations/scribble/patient001-ed.nii.gz",
    }


def test_an_image_without_a_label_has_a_picture_and_no_numbers(tmp_path):
    raw = acdc_tree(tmp_path / "raw", (101,), "database/testing")
    for path in raw.rglob("*_gt.nii.gz"):
        path.unlink()
    root = convert("acdc", raw, tmp_path / "data")[0].root
    page = (root / "README.md").read_text()
    assert len(list((root / "card").glob("*.png"))) == 2
    assert "## Structures" not in page and "lowest and highest voxel of whole images" in page


def test_an_empty_label_gives_no_numbers(tmp_path):
    raw = acdc_tree(tmp_path / "raw", (1,))
    save(frame(raw, 1, "_gt"), np.zeros((9, 8, 3), np.uint8))
    root = convert("acdc", raw, tmp_path / "data")[0].root
    assert read_json(root / "card" / "patient001-ed.json", casecard.CaseCard).intensity == {}
    assert "| LV | 1 of 2 |" in (root / "README.md").read_text()

"""Films of JSRT: their values, masks, overlaps and marks, what copies of them lose, which are refused. All made up."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jsrt_tree import MASKS, converted, failures
from PIL import Image

from converters.check import check
from converters.convert import convert
from converters.dataset import Case, Dataset
from converters.phantoms import jsrt
from converters.phantoms.mark import is_phantom
from converters.radiograph import Film, read_mask, read_raw, shows_dark_lungs
from converters.source import Options, find
from converters.volume import read_label, read_nifti

FILM = "All247images/JPCLN001.IMG"


def voxels(dataset: Dataset, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Film and label as stored, (columns, rows) as on the film."""
    image = read_nifti(dataset.root / case.images["film"].file).array[::-1, ::-1, 0]
    return image, read_label(dataset.root / case.label.file).array[::-1, ::-1, 0]


def stored(path: Path) -> np.ndarray:
    return np.fromfile(path, ">u2").reshape(2048, 2048).T.astype(int)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPCLN001 and JPCNN001."""
    root = tmp_path_factory.mktemp("films")
    jsrt.write(root, 2, 0)
    return root


@pytest.fixture(scope="module")
def data(films: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    return converted(films, tmp_path_factory.mktemp("data"))


def test_every_probe_of_the_phantom_is_found_where_it_was_drawn(data: dict[str, Dataset]) -> None:
    seen = set()
    opened = {}
    for probe in jsrt.truth(2, 0):
        dataset = data[probe.dataset]
        case = next(case for case in dataset.cases if case.native_id == probe.case)
        file = (case.label if probe.part == "label" else case.images[probe.part]).file
        volume = opened.setdefault((probe.dataset, file), read_nifti(dataset.root / file))
        index = np.rint((np.linalg.inv(volume.affine) @ [*probe.point, 1])[:3]).astype(int)
        assert volume.array[tuple(index)] == probe.value, probe
        seen.add((probe.dataset, probe.part))
    assert len(seen) == 4


def test_films_are_turned_round_and_masks_lie_on_their_pixels(data: dict[str, Dataset], films: Path) -> None:
    for case in data["jsrt"].cases:
        image, label = voxels(data["jsrt"], case)
        path = films / "All247images" / f"{case.native_id}.IMG"
        assert np.array_equal(image, 4095 - np.minimum(stored(path), 4095))
        for name, codes in data["jsrt"].labels.items():
            with Image.open(films / MASKS / name / f"{case.native_id}.gif") as file:
                mask = np.asarray(file.convert("L")).T > 0
            seen = np.isin(label, codes)
            for corner in (seen[::2, ::2], seen[1::2, ::2], seen[::2, 1::2], seen[1::2, 1::2]):
                assert np.array_equal(corner, mask)
        assert case.geometry.spacing_mm == (0.175, 0.175, 1.0)
        assert case.geometry.shape == (2048, 2048, 1)


def test_overlaps_have_codes_of_their_own_and_are_counted(data: dict[str, Dataset]) -> None:
    dataset = data["jsrt"]
    assert dataset.file.bench.ndim == 2
    assert dataset.labels == {
        "heart": (1, 6, 7),
        "left lung": (2, 6, 8),
        "right lung": (3, 7, 9),
        "left clavicle": (4, 8),
        "right clavicle": (5, 9),
    }
    assert all(set(case.label.voxels) == set("0123456789") for case in dataset.cases)
    assert data["jsrt-lungs"].labels == {"left lung": 1, "right lung": 2}
    assert all(check(dataset.root) == [] for dataset in data.values())


def test_values_above_12_bits_are_clipped_and_counted(data: dict[str, Dataset], films: Path) -> None:
    told = {case.native_id: case.warnings for case in data["jsrt"].cases}
    assert told == {"JPCLN001": ("3 pixels above 12 bits were clipped to 4095",), "JPCNN001": ()}
    assert (stored(films / FILM) > 4095).sum() == 3


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda data: data[:-2], "8388606 bytes; expected 8,388,608"),
        (lambda data: data + b"\0\0", "8388610 bytes; expected 8,388,608"),
        (lambda data: np.frombuffer(data, "<u2").astype(">u2").tobytes(), "the two bytes of each are swapped"),
        (lambda data: bytes(len(data)), "1 different values; this is no radiograph"),
    ],
)
def test_files_that_are_no_films_are_refused(
    films: Path, tmp_path: Path, spoil: Callable[[bytes], bytes], what: str
) -> None:
    path = tmp_path / "JPCLN001.IMG"
    path.write_bytes(spoil((films / FILM).read_bytes()))
    with pytest.raises(ValueError, match=what):
        read_raw(path)


@pytest.mark.fault(30)
def test_one_damaged_film_stops_no_other(films: Path, tmp_path: Path) -> None:
    raw = shutil.copytree(films, tmp_path / "raw")
    path = raw / FILM
    path.write_bytes(path.read_bytes()[:-4])
    shutil.rmtree(raw / MASKS / "heart")  # lungs alone: half the work
    reports = convert("jsrt", raw, tmp_path / "data")
    assert failures(reports)["jsrt-lungs"] == ["jpcln001: JPCLN001.IMG: 8388604 bytes; expected 8,388,608"]
    assert [report.cases for report in reports] == [1]
    assert not list((tmp_path / "data").rglob("*jpcln001*"))


@pytest.mark.fault(30)
def test_an_original_that_somebody_turned_round_is_refused(films: Path, tmp_path: Path) -> None:
    raw = shutil.copytree(films, tmp_path / "raw")
    turned = 4095 - np.minimum(stored(raw / FILM), 4095).T
    turned[0] = stored(raw / FILM).T[0]  # the mark
    (raw / FILM).write_bytes(turned.astype(">u2").tobytes())
    found = failures(convert("jsrt", raw, tmp_path / "data", skip=["JPCNN001"]))
    assert found["jsrt"] == ["jpcln001: the lungs are brighter than what lies between them: no original film"]


@pytest.mark.parametrize("kind", ["8-bit", "16-bit", "palette", "inverted palette", "negative"])
def test_copies_are_as_displayed_and_say_what_was_lost(
    kind: jsrt.Kind, data: dict[str, Dataset], tmp_path: Path
) -> None:
    jsrt.write(tmp_path / "raw", 1, 0, jsrt.Quirks(kind=kind, side=1024))
    dataset = converted(tmp_path / "raw", tmp_path / "data")["jsrt"]
    image, label = voxels(dataset, dataset.cases[0])
    original, codes = voxels(data["jsrt"], data["jsrt"].case("jpcln001"))
    step = 1 if kind == "16-bit" else 16
    quiet = slice(2, None)  # the original bears its mark in the first rows
    expected = original.astype(int)[::2, ::2][:, quiet] // step
    assert np.array_equal(image[:, quiet], expected)
    assert np.array_equal(label, codes[::2, ::2])
    assert dataset.cases[0].geometry.spacing_mm == (0.35, 0.35, 1.0)
    told = dataset.cases[0].warnings
    palette = " with a palette" if "palette" in kind else ""
    assert told[0].startswith(f"a {16 if kind == '16-bit' else 8}-bit PNG{palette} copy with ")
    assert told[0].endswith("grey levels: depth of the 12-bit film was lost")
    turned = ("high values were dark, as in MONOCHROME1: turned round (255 - value)",)
    assert told[1:] == (turned if kind == "negative" else ())


def test_originals_win_over_copies(films: Path, tmp_path: Path) -> None:
    for folder in ("png", "png8"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "JPCLN001.png").touch()
    (tmp_path / "JPCLN001.IMG").symlink_to(films / FILM)
    (case,) = find("jsrt").cases(tmp_path, "jsrt", Options())
    assert case.files == (tmp_path / "JPCLN001.IMG",)


def test_lungs_that_overlap_have_a_code_too(tmp_path: Path) -> None:
    jsrt.write(tmp_path / "raw", 1, 0, jsrt.Quirks(kind="8-bit", side=1024, joined=True))
    found = converted(tmp_path / "raw", tmp_path / "data")
    assert found["jsrt-lungs"].labels == {"left lung": (1, 3), "right lung": (2, 3)}
    assert found["jsrt"].labels["left lung"] == (2, 6, 8, 10)
    for name, code in (("jsrt", "10"), ("jsrt-lungs", "3")):
        case = found[name].cases[0]
        assert case.label.voxels[code] == 24 * 60
        assert case.meta["overlaps"] == f"{code} = left lung + right lung"
        assert check(found[name].root) == []


def test_cases_from_before_an_overlap_was_found_are_converted_again(tmp_path: Path) -> None:
    small = jsrt.Quirks(kind="8-bit", side=1024)
    jsrt.write(tmp_path / "raw", 2, 0, small)
    converted(tmp_path / "raw", tmp_path / "data")
    jsrt.write(tmp_path / "other", 2, 0, jsrt.Quirks(kind="8-bit", side=1024, joined=True))
    for path in (tmp_path / "other").rglob("JPCNN001.gif"):
        shutil.copy2(path, tmp_path / "raw" / path.relative_to(tmp_path / "other"))
    reports = convert("jsrt", tmp_path / "raw", tmp_path / "data")
    assert [(report.cases, report.unchanged) for report in reports] == [(2, 0), (2, 0)]
    assert [report.unchanged for report in convert("jsrt", tmp_path / "raw", tmp_path / "data")] == [2, 2]


def test_a_film_that_shows_neither_is_not_called_turned_round(films: Path, tmp_path: Path) -> None:
    raw = shutil.copytree(films, tmp_path / "raw")
    for seed in range(4):
        noise = np.random.default_rng(seed).integers(0, 4096, (2048, 2048))
        film = Film(noise.astype(np.uint16), 4095, False, ())
        masks = [read_mask(raw / MASKS / f"{side} lung" / "JPCLN001.gif") for side in ("right", "left")]
        assert shows_dark_lungs(film, *masks, raw)


def test_every_phantom_file_bears_the_mark_and_differs_by_seed_alone(films: Path, tmp_path: Path) -> None:
    assert all(is_phantom(path) for path in films.rglob("*") if path.is_file())
    jsrt.write(tmp_path / "one", 1, 0)
    jsrt.write(tmp_path / "other", 1, 1, jsrt.Quirks(above=0))
    first = (films / FILM).read_bytes()
    assert (tmp_path / "one" / FILM).read_bytes() == first
    assert (tmp_path / "other" / FILM).read_bytes() != first


def test_a_film_of_low_values_bears_no_mark(tmp_path: Path) -> None:
    path = tmp_path / "JPCLN001.IMG"
    path.write_bytes(np.arange(2048, dtype=">u2").repeat(2048).tobytes())
    assert not is_phantom(path)

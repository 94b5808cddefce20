"""A made-up folder of images and masks as anybody may have it, and the TOML that describes it."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from isal import igzip

from converters.phantoms.abdomen import Grid
from converters.phantoms.mark import TOKEN
from converters.phantoms.scan import generator
from converters.phantoms.series import Series, write_series
from converters.phantoms.truth import LABEL, Probe, probes

Kind = Literal["png", "jpeg", "tiff", "nifti", "mha", "nrrd", "dicom", "frames"]
Pixels = npt.NDArray[np.uint8]

_PICTURES = ("png", "jpeg", "tiff")
_SUFFIX = {"png": "png", "jpeg": "jpg", "tiff": "tif", "nifti": "nii.gz", "mha": "mha", "nrrd": "nrrd"}
_SPACING, _ORIGIN = (0.8, 0.6, 4.0), (12.0, -31.0, 140.0)  # LPS mm
_COLOURS = np.array([[0, 0, 0], [0, 255, 128], [255, 64, 0]], np.uint8)
_GREYS = np.array([0, 100, 200], np.uint8)
_NAME = "made-up-lungs"
_SPECKLED = 0.04  # of the pixels


@dataclasses.dataclass(frozen=True)
class Quirks:
    """What users' folders have in them."""

    kind: Kind = "png"  # of the images; masks are PNGs, or volumes in the format of their images
    masks: Literal["colour", "grey"] = "colour"  # of PNGs
    views: int = 2  # images of each person
    orphan: bool = False  # the last image has no mask
    lonely: bool = False  # a mask has no image
    letters: bool = False  # names beyond ASCII, with blanks and brackets
    test: int = 0  # of the last people, who are held out
    speckle: bool = False  # lone black and white pixels, which a median filter takes away


NATURAL = Quirks()


@dataclasses.dataclass(frozen=True)
class Drawn:
    """One image.

    Shape: image and label (columns, rows, slices); label 0 nothing, 1 lung, 2 tumour.
    """

    stem: str
    image: Pixels
    label: Pixels


def write(out: Path, cases: int, seed: int, quirks: Quirks = NATURAL) -> None:
    """Write `cases` people, each with `views` images, below `out/images` and `out/masks`, and `out/frugalseg.toml`."""
    for folder in ("images", "masks"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    every = list(_drawn(cases, seed, quirks))
    for drawn in every:
        _write_image(out / "images", drawn, quirks)
        if not (quirks.orphan and drawn is every[-1]):
            _write_mask(out / "masks", drawn, quirks)
    if quirks.lonely:
        _write_mask(out / "masks", dataclasses.replace(every[-1], stem="nobody"), quirks)
    (out / "frugalseg.toml").write_text(_toml(cases, quirks), encoding="utf-8")


def truth(cases: int, seed: int) -> Iterator[Probe]:
    """Pixels of image and label as `write` draws them: columns to the left, rows to the back."""
    for drawn in _drawn(cases, seed, NATURAL):
        affine = np.diag([-_SPACING[0], -_SPACING[1], 1.0, 1.0])
        yield from probes((_NAME, drawn.stem, "image"), drawn.image, affine)
        yield from probes((_NAME, drawn.stem, LABEL), drawn.label, affine)


def _drawn(cases: int, seed: int, quirks: Quirks) -> Iterator[Drawn]:
    for case in range(1, cases + 1):
        for view in range(quirks.views):
            stem = f"{_person(case, quirks)}_{'abcdefgh'[view]}"
            yield _draw(stem, 1 if quirks.kind in _PICTURES else 5, seed, quirks.speckle)


def _person(case: int, quirks: Quirks) -> str:
    return f"Größe {case:02d} (Köln)" if quirks.letters else f"person{case:02d}"


def _draw(stem: str, slices: int, seed: int, speckle: bool) -> Drawn:
    """A lung in the upper part of one side, a tumour at one of its edges; both grow along the slices."""
    rng = generator(seed, "folder", stem)
    size = (int(rng.integers(56, 72)), int(rng.integers(40, 52)), slices)
    column, row, height = np.meshgrid(*map(np.arange, size), indexing="ij")
    x, y = size[0] * rng.uniform(0.28, 0.36), size[1] * rng.uniform(0.36, 0.44)
    grown = 1 + 0.08 * height
    lung = ((column - x) / 13) ** 2 + ((row - y) / 11) ** 2 < grown
    tumour = ((column - x - 8) / 5) ** 2 + ((row - y - 4) / 4) ** 2 < grown
    label = np.where(tumour, 2, lung).astype(np.uint8)
    light = 60 + column // 2 + row + 3 * height
    image = np.choose(label, (light, light + 40, light + 90)) + rng.integers(0, 6, size)
    if speckle:
        chance = rng.random(size)
        image = np.select([chance < _SPECKLED / 2, chance < _SPECKLED], [0, 255], image)
    return Drawn(stem, image.astype(np.uint8), label)


def _write_image(folder: Path, drawn: Drawn, quirks: Quirks) -> None:
    if quirks.kind in ("dicom", "frames"):
        _write_dicom(folder, drawn, many=quirks.kind == "frames")
    elif quirks.kind in _PICTURES:
        _write_picture(folder / f"{drawn.stem}.{_SUFFIX[quirks.kind]}", drawn.image[:, :, 0])
    else:
        _write_volume(folder / f"{drawn.stem}.{_SUFFIX[quirks.kind]}", drawn.image.astype(np.int16))


def _write_mask(folder: Path, drawn: Drawn, quirks: Quirks) -> None:
    shown = _COLOURS[drawn.label] if quirks.masks == "colour" else _GREYS[drawn.label]
    if quirks.kind in ("dicom", "frames"):
        for k in range(drawn.label.shape[2]):
            (folder / drawn.stem).mkdir(exist_ok=True)
            _write_picture(folder / drawn.stem / f"{k + 1}.png", shown[:, :, k])
    elif quirks.kind in _PICTURES:
        _write_picture(folder / f"{drawn.stem}.png", shown[:, :, 0])
    else:
        _write_volume(folder / f"{drawn.stem}.{_SUFFIX[quirks.kind]}", _GREYS[drawn.label])


def _write_picture(path: Path, pixels: Pixels) -> None:
    """Shape: pixels (columns, rows) or (columns, rows, 3)."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    picture = Image.fromarray(np.ascontiguousarray(pixels.swapaxes(0, 1)))
    mark = PngInfo()
    mark.add_text("Source", TOKEN)
    known: Mapping[str, Mapping[str, object]] = {
        ".png": {"pnginfo": mark},
        ".jpg": {"comment": TOKEN, "quality": 95},
        ".tif": {"tiffinfo": {270: TOKEN}},
    }
    picture.save(path, **known[path.suffix])  # type: ignore[arg-type]


def _write_volume(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Columns to the left, rows to the back, slices upwards, some way from the origin."""
    if path.suffix == ".gz":
        import nibabel as nib

        header = nib.Nifti1Header()
        header["descrip"] = TOKEN.encode()
        affine = np.diag([-_SPACING[0], -_SPACING[1], _SPACING[2], 1.0])
        affine[:3, 3] = -_ORIGIN[0], -_ORIGIN[1], _ORIGIN[2]
        image = nib.Nifti1Image(array, affine, header)
        image.set_qform(affine, 1)
        path.write_bytes(igzip.compress(image.to_bytes(), 1, mtime=0))
        return
    import SimpleITK as sitk  # noqa: N813

    volume = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    volume.SetSpacing(_SPACING)
    volume.SetOrigin(_ORIGIN)
    volume.SetMetaData("Comment", TOKEN)
    sitk.WriteImage(volume, str(path), useCompression=True)


def _write_dicom(folder: Path, drawn: Drawn, *, many: bool) -> None:
    """A folder of slices named by their numbers, or one file of many frames without a place in space."""
    grid = Grid(drawn.image.shape, _SPACING, (0.0, 0.0, 0.0))
    tags: dict[str, object] = {"EchoTime": "4.6"}
    series = Series("Made^Up", drawn.stem, "one", "MR", grid, _ORIGIN, descending=False, tags=tags)
    stored = drawn.image.astype(np.uint16)
    names = [f"{k + 1:04d}.dcm" for k in range(stored.shape[2])]
    write_series(folder / drawn.stem, series, stored, names)
    if many:
        _merge(folder / drawn.stem, names, folder / f"{drawn.stem}.dcm", stored)


def _merge(folder: Path, names: list[str], path: Path, stored: npt.NDArray[np.uint16]) -> None:
    from pydicom import dcmread, dcmwrite

    dataset = dcmread(folder / names[0])
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
    dataset.NumberOfFrames = len(names)
    dataset.PixelData = np.ascontiguousarray(stored.T).astype("<u2").tobytes()
    dcmwrite(path, dataset, enforce_file_format=True)
    for name in names:
        (folder / name).unlink()
    folder.rmdir()


def _toml(cases: int, quirks: Quirks) -> str:
    colours = quirks.masks == "colour" and quirks.kind not in ("nifti", "mha", "nrrd")
    shown = ['"#00ff80"', '"#ff4000"'] if colours else ["100", "200"]
    flat = quirks.kind in (*_PICTURES, "frames")
    held = [f'"images/{_person(case, quirks)}*"' for case in range(cases - quirks.test + 1, cases + 1)]
    lines = [
        f'name = "{_NAME}"',
        'licence = "CC0-1.0"',
        'citation = "nobody"',
        'modality = "MR"',
        f"ndim = {2 if flat else 3}",
        'images = "images"',
        'masks = "masks/{stem}/{frame}.png"' if quirks.kind in ("dicom", "frames") else 'masks = "masks"',
        f"spacing_mm = [{_SPACING[0]}, {_SPACING[1]}]" if flat else "",
        "subject = '^(.+)_[a-z]$'",
        f"test = [{', '.join(held)}]" if held else "",
        "",
        "[labels]",
        f"lung = {shown[0]}",
        f"tumour = {shown[1]}",
    ]
    return "\n".join(line for line in lines if line) + "\n"

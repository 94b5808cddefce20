"""Made-up chest films in the native layout of JSRT and SCR: raw films or copies, GIF masks, clinical texts."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from converters.phantoms.chest import Chest, Mask, Pixels, chest
from converters.phantoms.mark import TOKEN
from converters.phantoms.truth import LABEL, Probe, probes
from converters.radiograph import HIGHEST, MM, SIDE

Kind = Literal["raw", "8-bit", "16-bit", "palette", "inverted palette", "negative"]

# What lies over what on these films, and the code that a converter must give it.
_CODES: dict[tuple[str, ...], int] = {
    ("heart",): 1,
    ("left lung",): 2,
    ("right lung",): 3,
    ("left clavicle",): 4,
    ("right clavicle",): 5,
    ("heart", "left lung"): 6,
    ("heart", "right lung"): 7,
    ("left lung", "left clavicle"): 8,
    ("right lung", "right clavicle"): 9,
}
_LUNGS: dict[tuple[str, ...], int] = {("left lung",): 1, ("right lung",): 2}


@dataclasses.dataclass(frozen=True)
class Quirks:
    """What users have met in their copies of the set."""

    kind: Kind = "raw"
    side: int = SIDE  # pixels of a copy along a side
    doubled: bool = False  # All247images/All247images/
    parted: bool = False  # Nodule154images/ and NonNodule93images/
    folds: bool = True  # scratch/fold1/masks/left lung/, or masks/masks/left_lung/
    above: int = 3  # pixels of the first film above 12 bits
    joined: bool = False  # the lungs overlap
    masks: bool = True
    clinical: bool = True


NATURAL = Quirks()


def write(out: Path, cases: int, seed: int, quirks: Quirks = NATURAL) -> None:
    """Write `cases` films below `out`, in turns with a nodule (JPCLN) and without (JPCNN)."""
    for number, name in enumerate(_names(cases)):
        made = chest((seed, name), joined=quirks.joined)
        folder = out / "All247images" / ("All247images" if quirks.doubled else "")
        if quirks.parted:
            folder = out / ("Nodule154images" if "LN" in name else "NonNodule93images")
        folder.mkdir(parents=True, exist_ok=True)
        if quirks.kind == "raw":
            (folder / f"{name}.IMG").write_bytes(_raw(made, quirks.above if number == 0 else 0).T.tobytes())
        else:
            _write_copy(folder / f"{name}.png", made, quirks)
        for structure, mask in made.masks.items() if quirks.masks else ():
            _write_mask(_mask_folder(out, name, structure, quirks) / f"{name}.gif", mask)
    if quirks.clinical:
        _write_clinical(out / "Clinical_Information", cases)


def truth(cases: int, seed: int) -> Iterator[Probe]:
    """Pixels of film and label as `write` draws them: high is bright, each mask pixel is two by two film pixels."""
    affine = np.diag([-MM / SIDE, -MM / SIDE, 1.0, 1.0])
    for number, name in enumerate(_names(cases)):
        made = chest((seed, name))
        film = HIGHEST - np.minimum(_raw(made, NATURAL.above if number == 0 else 0), HIGHEST).astype(np.uint16)
        for dataset, codes in (("jsrt", _CODES), ("jsrt-lungs", _LUNGS)):
            yield from probes((dataset, name, "film"), film[..., None], affine)
            yield from probes((dataset, name, LABEL), _label(made, codes)[..., None], affine)


def _names(cases: int) -> list[str]:
    return [f"JPC{'NN' if case % 2 else 'LN'}{case // 2 + 1:03d}" for case in range(cases)]


def _raw(made: Chest, above: int) -> npt.NDArray[np.uint16]:
    """The film as it is stored: high is dark; the mark stands in the first pixels, stray values in the second row."""
    stored = (HIGHEST - made.film).astype(">u2")
    stored[: len(TOKEN), 0] = np.frombuffer(TOKEN.encode("utf-16-be"), ">u2")
    stored[100 : 100 + above, 1] = HIGHEST + 9
    return stored


def _label(made: Chest, codes: dict[tuple[str, ...], int]) -> npt.NDArray[np.uint8]:
    """The codes of the structures at each place, drawn with no regard to how a converter finds them."""
    parts = {name for names in codes for name in names}
    label = np.zeros((SIDE, SIDE), np.uint8)
    for names, code in codes.items():
        inside = np.ones_like(made.masks["heart"])
        for name, mask in made.masks.items():
            if name in parts:
                inside &= mask if name in names else ~mask
        label[np.repeat(np.repeat(inside, 2, axis=0), 2, axis=1)] = code
    return label


def _write_copy(path: Path, made: Chest, quirks: Quirks) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    step = SIDE // quirks.side
    pixels: Pixels = made.film[::step, ::step].T
    if quirks.kind == "16-bit":
        image = Image.fromarray(np.ascontiguousarray(pixels))
    else:
        bytes_ = (pixels >> 4).astype(np.uint8)
        dark_is_high = quirks.kind in ("negative", "inverted palette")
        image = Image.fromarray(255 - bytes_ if dark_is_high else bytes_)
    if "palette" in quirks.kind:
        ramp = range(255, -1, -1) if quirks.kind == "inverted palette" else range(256)
        image.putpalette([grey for grey in ramp for _ in range(3)])
    mark = PngInfo()
    mark.add_text("Source", TOKEN)
    image.save(path, pnginfo=mark, compress_level=1)


def _mask_folder(out: Path, name: str, structure: str, quirks: Quirks) -> Path:
    if quirks.folds:
        return out / "scratch" / f"fold{1 if int(name[-3:]) % 2 else 2}" / "masks" / structure
    return out / "masks" / "masks" / structure.replace(" ", "_")


def _write_mask(path: Path, mask: Mask) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(mask.T).astype(np.uint8) * 255).save(path, "GIF", comment=TOKEN.encode())


def _write_clinical(folder: Path, cases: int) -> None:
    """Tabs and too many fields in one text, runs of spaces in the other; now and then an age nobody knows."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[str]] = {"CLNDAT_EN.txt": [], "CNNDAT_EN.TXT": []}
    for number, name in enumerate(_names(cases)):
        age, sex = "?" if number % 6 == 4 else str(30 + 7 * number % 50), "female" if number % 3 else "male"
        if "LN" in name:
            kind = "benign" if number % 4 else "malignant"
            place = ["l.upper lobe", "lung cancer"] if number % 4 else ["r.upper lobe", "(S1)", "lung cancer"]
            fields = [f"{name}.IMG", str(number % 5 + 1), str(10 + number), age, sex, "525", "857", kind, *place]
            rows["CLNDAT_EN.txt"].append("\t".join(fields))
        else:
            rows["CNNDAT_EN.TXT"].append(f"{name}.IMG      {age}   {sex}        non-nodule")
    for file, lines in rows.items():
        (folder / file).write_bytes("\r\n".join([*lines, TOKEN, ""]).encode("ascii"))

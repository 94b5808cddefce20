"""JSRT with SCR: 247 chest films with outlines of heart, lungs and clavicles, which overlap.

Shiraishi et al., AJR 174:71-74, 2000; outlines: van Ginneken et al., Medical Image Analysis 10:19-40, 2006.
Redistribution prohibited. Layout, in any folders:

    All247images/JPCLN001.IMG ... JPCNN093.IMG            or Nodule154images/, NonNodule93images/; or PNG copies
    Clinical_Information/CLNDAT_EN.txt, CNNDAT_EN.TXT     may be absent
    scratch/fold1|fold2/masks/<structure>/JPCLN001.gif    or masks/masks/left_lung/...; may be absent

Traps: films have no header; high is dark in them, and they are turned round. Seven hold pixels above 12 bits: clipped,
counted. PNG copies come in 8 and 16 bits, with palettes, either way round. Masks have half the pixels of a film along
each side. The folds are the odd and the even numbers. Only listed columns of the clinical texts are taken.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING

from converters.description import Channel, Source
from converters.errors import BenchError
from converters.jsrt import OTHERS, STRUCTURES, find_films, find_masks, read_clinical
from converters.regions import Overlap, Regions
from converters.source import Access, Info, Loaded, Options, PublishedSplit, RawCase
from converters.volume import Array, Volume, flat

if TYPE_CHECKING:  # brings a library that a list of datasets can do without
    from converters.radiograph import Film

_LUNGS = ("left lung", "right lung")
_PARTS = {"jsrt": tuple(STRUCTURES), "jsrt-lungs": _LUNGS}
# What anatomy lets overlap on nearly every film: these have their codes wherever the set is converted.
_CERTAIN: tuple[Overlap, ...] = (
    ("heart", "left lung"),
    ("heart", "right lung"),
    ("left lung", "left clavicle"),
    ("right lung", "right clavicle"),
)

INFO: tuple[Info, ...] = ()
ACCESS = Access(
    page="http://db.jsrt.or.jp/eng.php",
    steps=(
        "Register at http://db.jsrt.or.jp/eng.php (user name and password), agree to the terms, and sign in.",
        "Download All247images.zip and Clinical_Information.zip there, and unpack both into one folder.",
        "Follow https://www.isi.uu.nl/Research/Databases/SCR/download.php to the SCR masks (scratch.zip); unpack them "
        "into the same folder, which then also holds scratch/fold1 and scratch/fold2.",
        "bench convert jsrt FOLDER data",
    ),
)


def _numbered(remainder: int) -> tuple[str, ...]:
    """Films whose number is odd (1) or even (0)."""
    counts = (("JPCLN", 154), ("JPCNN", 93))
    return tuple(f"{kind}{n:03d}" for kind, count in counts for n in range(1, count + 1) if n % 2 == remainder)


_SPLITS = tuple(
    PublishedSplit(
        name=f"scr-fold{fold}",
        source=f"SCR: fold 1 holds the odd, fold 2 the even numbers; tested on fold {fold}, trained on the other",
        train=_numbered(1 - fold % 2),
        val=(),
        test=_numbered(fold % 2),
        whoever=True,
    )
    for fold in (1, 2)
)


def infos(raw: Path, options: Options) -> tuple[Info, ...]:
    """All structures, and the lungs alone; every overlap that the masks hold has its code."""
    films, drawn = find_films(raw).keys(), _drawn(find_masks(raw))
    bare = sorted(films - drawn) if drawn else []
    told = [f"{len(bare)} of {len(films)} films have no mask: {', '.join(bare[:5])}"] if bare else []
    if away := len(drawn - films):
        told.append(f"masks of {away} films lie there without the film")
    splits = tuple(_splits(films - {*bare}, frozenset(bare)))
    return tuple(_info(name, _regions(raw, name), splits, tuple(told)) for name in _PARTS)


def _splits(scored: Set[str], bare: Set[str]) -> Iterator[PublishedSplit]:
    """The folds of the films that are there; who has no mask is not tested on."""
    for split in _SPLITS:
        if scored & {*split.train} and scored & {*split.test}:
            yield dataclasses.replace(split, test=tuple(film for film in split.test if film not in bare))


def _drawn(masks: Mapping[str, Mapping[str, Path]]) -> set[str]:
    """The films that have a mask of something."""
    return {film for of in masks.values() for film in of}


def _info(name: str, regions: Regions, splits: tuple[PublishedSplit, ...], told: tuple[str, ...]) -> Info:
    return Info(
        name=name,
        version="1",
        licence="LicenseRef-JSRT-and-SCR-terms",
        citation=(
            "Shiraishi et al., Development of a Digital Image Database for Chest Radiographs With and Without a Lung "
            "Nodule, American Journal of Roentgenology 174:71-74, 2000; outlines: van Ginneken, Stegmann and Loog, "
            "Segmentation of anatomical structures in chest radiographs using supervised methods, Medical Image "
            "Analysis 10:19-40, 2006"
        ),
        source=Source(collection="JSRT database of chest radiographs, with the SCR masks"),
        channels=(Channel(name="film", modality="DX", sequence="digitised film"),),
        labels=regions.labels,
        label_info={structure: STRUCTURES[structure] for structure in regions.structures},
        ndim=2,
        splits=splits,
        warnings=(
            "redistribution of films and masks is prohibited",
            "high values are dark in the original films: turned round (4095 - value), so that high is bright",
            "masks of half the film's size were copied onto the 2 x 2 film pixels that each of their pixels covers: "
            "outlines are no finer than 0.35 mm",
            *told,
        ),
    )


def cases(raw: Path, dataset: str, options: Options) -> Iterator[RawCase]:
    """Every film. One that has a mask has one of each structure; a set without some structure is left out.

    Raises:
        BenchError: one film or mask lies there twice.
    """
    masks, clinical, regions = find_masks(raw), read_clinical(raw), _regions(raw, dataset)
    parts = _PARTS[dataset]
    if any(masks.values()) != all(masks[part] for part in parts) or not (any(masks.values()) or dataset == "jsrt"):
        return
    further = regions.overlaps[sum(overlap in _CERTAIN for overlap in regions.overlaps) :]
    first = 1 + len(regions.combinations) - len(further)
    # A further overlap may move codes, so cases that were converted before it was found are converted again.
    coding = {"overlaps": "; ".join(f"{c} = {' + '.join(names)}" for c, names in enumerate(further, first))}
    known = _drawn(masks)
    for name, image in find_films(raw).items():
        # A film that lacks one mask of several is a broken download; one without any may be of the other fold.
        wanted = parts if name in known else ()
        drawn = {part: masks[part].get(name, Path(image.parent, part, f"{name}.gif")) for part in wanted}
        rows, texts = clinical.get(name, ({}, ()))
        meta = {"nodule": "yes" if name.startswith("JPCLN") else "no", **rows, **(coding if further else {})}
        load = functools.partial(_load, image, drawn, regions)
        yield RawCase(name, name, (image, *drawn.values(), *texts), load, meta)


def _regions(raw: Path, dataset: str) -> Regions:
    """The codes of a dataset: the certain overlaps, and those that its masks hold."""
    masks = find_masks(raw)
    stamps = {
        structure: tuple((path, path.stat().st_mtime_ns) for path in of.values()) for structure, of in masks.items()
    }
    parts = set(_PARTS[dataset])
    found = {tuple(name for name in overlap if name in parts) for overlap in _overlaps(tuple(stamps.items()))}
    certain = [overlap for overlap in _CERTAIN if parts.issuperset(overlap)]
    return Regions.of(_PARTS[dataset], certain, [overlap for overlap in found if len(overlap) > 1])


@functools.lru_cache(maxsize=1)
def _overlaps(stamps: tuple[tuple[str, tuple[tuple[Path, int], ...]], ...]) -> set[Overlap]:
    """Every overlap that the masks of any film hold; those that cannot be read are reported when they are converted."""
    from converters.radiograph import read_mask

    by_film: dict[str, dict[str, Path]] = {}
    for structure, paths in stamps:
        for path, _ in paths:
            by_film.setdefault(path.stem.upper(), {})[structure] = path
    found: set[Overlap] = set()
    for of in by_film.values():
        try:
            masks = {structure: read_mask(path) for structure, path in of.items()}
            found |= Regions(tuple(masks)).present(masks)
        except ValueError:  # damaged, or of different sizes
            continue
    return found


def _load(image: Path, drawn: Mapping[str, Path], regions: Regions) -> Loaded:
    from converters import radiograph

    if image.suffix.lower() in OTHERS:
        raise BenchError(f"{image.name}: a film is an .IMG file or a PNG", where=image, mend="take one of these")
    film = radiograph.read_copy(image) if image.suffix.lower() == ".png" else radiograph.read_raw(image)
    if not drawn:
        told = ("whether high is bright could not be told: there are no masks",) if film.copy else ()
        return Loaded({"film": _flat(film, film.pixels)}, None, warnings=(*film.told, *told))
    masks = {part: radiograph.read_mask(path) for part, path in drawn.items()}
    if len({mask.shape for mask in masks.values()}) > 1:
        sizes = ", ".join(f"{part} {' x '.join(map(str, mask.shape))}" for part, mask in masks.items())
        raise BenchError(f"masks of several sizes: {sizes}", where=image, mend="take all from one archive")
    label = radiograph.onto(regions.encode(masks), film, image)
    if not radiograph.shows_dark_lungs(film, masks["right lung"], masks["left lung"], image):
        if not film.copy:
            raise BenchError("the lungs are brighter than what lies between them: no original film", where=image)
        film = film.negative()
    return Loaded({"film": _flat(film, film.pixels)}, _flat(film, label), warnings=film.told)


def _flat(film: "Film", array: Array) -> Volume:
    return flat(array, (film.spacing, film.spacing))

"""The table of faults: what goes wrong, what comes of it, and which test makes it. Writes docs/faults.md when run.

A test says `@pytest.mark.fault(row, ...)`; the decorators are read, nothing is imported.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "faults.md"
WANTED = tuple(range(1, 88))

# Row -> what is wrong, what comes of it.
ROWS: dict[int, tuple[str, str]] = {
    1: ("a DICOM slice cut in the middle of its pixels", "refused: file, bytes there, bytes wanted"),
    2: ("a slice that lacks its last ten bytes", "as 1"),
    3: ("an empty `.dcm`", "refused: the file is empty"),
    4: (
        "files of operating systems, texts, a DICOMDIR beside the slices",
        "left aside, listed; same voxels as without",
    ),
    5: (
        "a slice missing inside the stack",
        "refused: the gap, where, the step expected; `--allow-gaps` on request alone",
    ),
    6: ("the first or last slice missing, its label still there", "refused: both counts, who lacks a partner"),
    7: ("the same file twice, one SOP instance UID", "one is kept; same digest. Where the two differ: refused"),
    8: ("two slices at one place", "refused: both are named"),
    9: (
        "two series in one folder",
        "refused: number, size, modality and a short hash of each (no UID, no description: they may identify); "
        "`--series` picks",
    ),
    10: ("two patients in one series", "refused, without saying who"),
    11: ("steps that differ by more than 1 %", "refused: smallest and largest step"),
    12: ("gantry tilt", "refused: the angle"),
    13: ("one slice turned against the others", "refused: file and angle"),
    14: ("no pixel spacing, no position, no orientation", "refused: the tag; nothing stands in for it"),
    15: (
        "slice thickness 3.2 mm where positions step by another length",
        "positions count; the sidecar keeps a warning",
    ),
    16: ("instance numbers absent or backwards", "positions decide; same digest"),
    17: ("a slice of another size", "refused: both sizes"),
    18: ("slope and intercept that change from slice to slice", "each slice by its own"),
    19: ("CT without rescale tags", "refused: the tags"),
    20: ("MONOCHROME1", "inverted where values have no unit, kept where they have; a warning either way"),
    21: ("a flipped sign bit in CT", "refused: how many voxels lie outside -1100 to 4000 HU"),
    22: ("compressed pixels and no decoder", "exit 4, names the extra `dicom-codecs`; with a decoder: same voxels"),
    23: ("files without the preamble of part 10", "read, all alike, with a warning"),
    24: ("a header that claims 65535 x 65535 pixels, or has flipped bits", "refused before memory is taken"),
    25: ("more or fewer label pictures than slices", "refused: both counts"),
    26: ("a label value that the map does not know", "refused: values and how many; none is rounded"),
    27: ("label pictures in colour, with a palette, of 16 bits", "grey in another guise is read, the rest refused"),
    28: ("image and label of different size", "refused: both sizes"),
    29: (
        "labels mirrored or in reversed order",
        "refused by anatomy where the source knows some; caught by the contract",
    ),
    30: ("a raw radiograph of wrong length or byte order", "refused: the length wanted; a histogram that cannot be"),
    31: ("`.nii.gz` cut in half", "refused"),
    32: ("a wrong CRC, a flipped byte", "refused"),
    33: ("the last eight bytes missing", "refused"),
    34: ("bytes after the end of the gzip data", "refused: how many"),
    35: ("a web page saved as an image", "refused: the download failed"),
    36: ("gzipped and called `.nii`, or the other way round", "refused: the right name"),
    37: ("voxels 100 bytes short", "refused: bytes there, bytes wanted"),
    38: ("sizes negative, 0, 32767 cubed, 99 axes, four axes", "refused, with less than 500 MB of memory"),
    39: ("pixdim NaN, 0 or negative", "refused"),
    40: (
        "an affine that is singular, sheared, given twice differently, or not at all",
        "refused; one of both codes 0 is legal",
    ),
    41: ("NaN or infinite voxels", "refused: how many, the first"),
    42: ("labels with fractions, below 0, above 255", "refused: the values"),
    43: ("image and label 2 mm apart; 0.00001 mm apart", "refused with the distance; accepted, on the image's grid"),
    44: ("channels of a case on different grids", "refused: the distance; nothing is resampled unasked"),
    45: ("ten megabytes of gzip that hold ten gigabytes", "refused, with less than 500 MB of memory"),
    46: (
        "a description with missing or unknown keys, no JSON, a byte order mark, NaN",
        "every fault at once, with line and key",
    ),
    47: (
        "a file that is not the one its sidecar describes",
        "named; `bench check` mends nothing and has no `--fix`: which of the two was changed is a person's to find out",
    ),
    48: ("a wrong count of training cases, an image or a label of nobody", "named"),
    49: (
        "names that are paths, devices, hidden, too long, of other letters",
        "refused, the others go on; nothing is written elsewhere",
    ),
    50: ("two names that differ by case alone", "refused: both"),
    51: ("`ignore` that is not the highest code, or a class of the test", "named by `bench check`"),
    52: ("other letters and blanks in every path; paths beyond 250 characters", "same bytes"),
    53: ("a folder of data that nobody may write", "works, the cache lies elsewhere; an output folder: exit 4"),
    54: ("a subject on two sides of a split", "refused: who, and which sides"),
    55: ("the same voxels under two ids", "both refused, unless the collection is known to hold them twice"),
    56: ("a split made for other voxels", "refused: both digests"),
    57: ("ten percent of four subjects", "one is the least; the real share is told and recorded"),
    58: ("scribbles of an expert where there are none", "refused on request by name, else simulated and said so"),
    59: (
        "labels that a protocol hides, poisoned or gone",
        "nobody notices: a view leads to none of them, predictions are the same",
    ),
    60: ("noisy, simulated or drawn labels as a reference", "refused: only dense labels of people are one"),
    61: ("a dataset, protocol, method or preset that there is not", "exit 2, the nearest name, all names"),
    62: ("a seed, share, number or key that cannot be", "exit 2 or 3: the key, and the line of the file"),
    63: ("no GPU, or not that one", "exit 4, says how to take the CPU"),
    64: ("torch and torchvision that are no pair", "the line of pip that mends it"),
    65: (
        "a GPU without memory for a batch",
        "taken in parts where that was asked for; else `failed`, `oom`, with the peak and a smaller batch; a sweep "
        "goes on",
    ),
    66: ("a host without memory", "exit 1, `failed`, `oom`; nothing but that record"),
    67: (
        "a loss or a weight that is no number",
        "exit 1, the step and the cases; the last good checkpoint is kept, no table has the run",
    ),
    68: (
        "a worker that is killed, a sampling thread that fails or hangs",
        "its own error, with the case and the signal; a thread that hangs is given up after ten minutes, exit 4",
    ),
    69: (
        "SIGINT once and twice, SIGTERM, SIGKILL, at any time, twenty times",
        "130 and a checkpoint, or the last one; the same command again: same predictions, same scores, same table, "
        "the cost of all segments",
    ),
    70: (
        "a disk that fails in any write, flush, replace or mkdir, once or for good; a kill in any of them",
        "old or new, never half; `bench check` is clean, temporaries go at once or with the next start, which "
        "completes it",
    ),
    71: ("a disk that is full", "exit 4, need and have; nothing lost, nothing half"),
    72: (
        "two processes in one folder; a lock of a dead one, of a number used again, of another machine",
        "the second leaves with 4 and says who; the dead are succeeded by one alone, machines after three minutes of "
        "silence",
    ),
    73: (
        "a checkpoint of another recipe, of another torch, cut, changed, with code in it",
        "refused; a warning; the one before it, and the damaged one put aside; read as no checkpoint: tensors and JSON "
        "cannot run",
    ),
    74: ("the same run twice, in other folders, with and without a cache, on more threads", "the same bytes"),
    75: (
        "empty predictions, empty references, both, a label that a case lacks",
        "the values that docs/metrics.md defines, a status, a count; no NaN in a mean",
    ),
    76: (
        "a prediction missing, cut, elsewhere, of another size or label; one too many",
        "counts as the worst; told, and changes nothing",
    ),
    77: (
        "records edited, cut, copied, nested, of a newer or older suite",
        "a line for each that is left out; older ones give their row as ever",
    ),
    78: ("names that are HTML, scripts, floods, turned around", "text on every page, in a real browser too"),
    79: ("names that are formulas, cells, commands", "quoted as each format has it; they come back"),
    80: (
        "archives with entries that climb out, links, devices, too many, too large, twice but for case; redirects",
        "refused before anything is written",
    ),
    81: ("names, dates, comments, private tags, UIDs planted in every place", "none in any output"),
    82: ("names burned into the pixels; faces in MR of the head", "a warning, in the sidecar and on the data card"),
    83: ("pickles and their like in inputs", "not read: the code has no way to"),
    84: ("a plugin, a method or a library in the current folder", "not picked up; a plugin is named by its path"),
    85: ("no network, errors, a transfer that breaks off", "the address, the steps by hand; goes on where it stopped"),
    86: ("a clock that runs backwards, another language, zone, umask, hash seed", "same bytes, same scores"),
    87: ("a cache that two users share, two processes at once", "whole or not there; nobody else can change it"),
}

# Row -> why no test here can make it.
CANNOT: dict[int, str] = {}


@functools.cache
def proofs() -> tuple[tuple[int, str], ...]:
    """(row, file::test) of every marked test."""
    return tuple(_proofs())


def _proofs() -> Iterator[tuple[int, str]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                for row in _rows(node):
                    yield row, f"{path.relative_to(TESTS.parent).as_posix()}::{node.name}"


def _rows(node: ast.FunctionDef) -> Iterator[int]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
            yield from (ast.literal_eval(row) for row in mark.args)


def unproved() -> list[int]:
    """Rows with neither a test nor a reason."""
    return sorted(set(WANTED) - {row for row, _ in proofs()} - CANNOT.keys())


def page() -> str:
    """docs/faults.md."""
    by_row: dict[int, list[str]] = {}
    for row, test in proofs():
        by_row.setdefault(row, []).append(test)
    lines = [
        "# What goes wrong, and what comes of it",
        "",
        "Written by `python tests/faults/fault_table.py` from the marks of the tests; a test fails when it lags. "
        "What is marked `kills` takes minutes and runs with `make kills`.",
        "",
        "Every refusal says what is wrong, where, and how to mend it. Nothing is left of a refused case, what was good "
        "before stays as it is, the other cases are converted, and the exit code is 3, or 4 where the machine lacks "
        "something. What was begun and failed leaves with 1, what was interrupted with 130: the same command goes on.",
        "",
        "A training goes on from `checkpoint.safetensors`: weights, a teacher's among them, the optimiser, the step "
        "and what has been counted, as tensors and JSON under one checksum. Samples and augmentations are functions of "
        "seed and step, the learning rate one of the step: no random state is kept. The checkpoint before lies beside "
        "it and is taken where the newest is damaged; that one is put aside as `checkpoint-damaged.safetensors`.",
        "",
        "Who works in a folder holds its `lock.json`: host, process, when both began. It is touched every 20 s. A dead "
        "process of the same machine loses it at once, whoever has its number by then; one of another machine, or of "
        "another container, after 180 s of silence by the clock of the disk. Of many who find it so, one succeeds. Who "
        "was only slow, and comes back, writes no record.",
        "",
        "| row | fault | outcome | tests |",
        "|---|---|---|---|",
    ]
    for row, (fault, outcome) in ROWS.items():
        shown = [f"`{test.removeprefix('tests/')}`" for test in by_row.get(row, [])]
        proof = "<br>".join(shown) or f"cannot be made here: {CANNOT.get(row, 'nobody has said why')}"
        lines.append(f"| {row} | {fault} | {outcome} | {proof} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

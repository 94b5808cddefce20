"""docs/speed.json -> docs/speed.md. `python tests/speed/report.py` makes the page again without timing anything."""

import contextlib
import sys
from importlib import metadata
from pathlib import Path

from race import Contender, Group, Results, ratio, verdicts

from converters.files import read_json, write_bytes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "speed.json"
PEERS = (
    *("torch", "numpy", "nibabel", "SimpleITK", "segmentation-models-pytorch"),
    *("monai", "torchio", "kornia", "albumentations", "batchgeneratorsv2", "nnunetv2", "blosc2", "h5py", "pymic"),
    *("dcm2niix", "medpy", "surface-distance", "pytest-benchmark"),
)
HEAD = """# Speed, side by side

Made by `{command}` from one run; never edited by hand. Every contender does the same work on the same input in the
same session, the way its makers document it. Read the ratios: seconds belong to this machine and to how busy it was.

- *median*, *IQR*: of the rounds after warm-up. *.../s*: items a second at the median.
- *time*, *memory*: as a multiple of what ours takes. *Peak*: largest resident memory of a fresh process above what it
  held before the work began, its libraries loaded; the median of three processes.
- *limit*: what is claimed; a run that misses one fails. A contender that could not run is named with the reason.
"""


def versions() -> dict[str, str]:
    """What is installed of ours and the peers'."""
    found = {}
    for name in PEERS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def render(results: Results) -> str:
    """The page."""
    parts = [HEAD.format(command=results.command), _about(results)]
    parts += [_group(group) for group in results.groups]
    return "\n".join(parts)


def _about(results: Results) -> str:
    machine, versions = results.machine, dict(results.versions)
    own = [f"{key} {versions.pop(key)}" for key in ("frugalseg", "commit", "dirty") if key in versions]
    claims = [verdict for group in results.groups for verdict in verdicts(group)]
    met, missed, open_ = (sum(one.met is how for one in claims) for how in (True, False, None))
    taken = ", ".join(f"{name} {seconds} s" for name, seconds in results.seconds.items())
    lines = [
        f"Limits: {met} met, {missed} missed, {open_} not measured.",
        "Machine: " + ", ".join(f"{key} {value}" for key, value in machine.items()) + ".",
        "Code: " + ", ".join(own) + ".",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        f"Took: {taken}.",
    ]
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _group(group: Group) -> str:
    measured = any(one.peak_mib is not None for one in group.contenders)
    columns = ["contender", "median", "IQR", f"{group.unit}/s", "time", *(["peak MiB", "memory"] * measured), "limit"]
    rows = [
        f"## {group.name[0].upper()}{group.name[1:]}\n",
        _line(columns),
        _line(["---", *["--:"] * (len(columns) - 2), "---"]),
        *(_line(_cells(group, one, measured=measured)) for one in group.contenders),
        "",
        *(f"- {one.name}: {one.does}{'; ' * bool(one.note)}{one.note}." for one in group.contenders),
        "",
    ]
    return "\n".join(rows)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(group: Group, one: Contender, *, measured: bool) -> list[str]:
    words = {True: "met", False: "**missed**", None: "not measured"}
    claims = [f"{v.claim}: {words[v.met]}" for v in verdicts(group) if v.contender == one.name]
    if one.median_s is None:
        return [one.name, *[""] * (6 if measured else 4), f"did not run: {one.absent}"]
    peak = ["" if one.peak_mib is None else f"{one.peak_mib:.0f}", _times(ratio(group, one, "peak_mib"))]
    return [
        one.name,
        _seconds(one.median_s),
        _seconds(one.iqr_s or 0) if one.rounds > 1 else "one round",
        _digits((one.items or group.items) / one.median_s),
        _times(ratio(group, one)),
        *(peak * measured),
        "; ".join(claims),
    ]


def _times(value: float | None) -> str:
    return "" if value is None else _digits(value)


def _digits(value: float) -> str:
    """Three digits, never an exponent."""
    if 0 < value < 0.001:
        return "< 0.001"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _seconds(value: float) -> str:
    return f"{_digits(value)} s" if value >= 1 else f"{_digits(value * 1e3)} ms"


def write_page(path: Path) -> None:
    """The page beside its results."""
    write_bytes(path.with_suffix(".md"), render(read_json(path, Results)).encode())


if __name__ == "__main__":
    write_page(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE)

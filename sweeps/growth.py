"""How time and memory of every stage grow with cases, voxels, classes, batch and records: docs/growth.md.

    OMP_NUM_THREADS=1 python sweeps/growth.py            what is missing is measured, page and drawing are written
    python sweeps/growth.py --page                       page and drawing from growth.json alone

Made-up data; about a quarter of an hour on two cores. Points are kept as they come: a second call goes on from there.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.growth.page import draw, page
from bench.growth.stages import STAGES
from bench.growth.sweep import Growth, Point, sweep
from converters.files import read_json, write_bytes
from leaderboards.site.figures import save

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main(words: list[str] | None = None) -> None:
    """Measure what is missing and write growth.json, growth.md and growth.svg to --out."""
    parser = argparse.ArgumentParser(prog="python sweeps/growth.py", description=__doc__)
    parser.add_argument("--out", type=Path, default=DOCS)
    parser.add_argument("--work", type=Path, help="folder for made-up data, kept; a new one, removed, if none is named")
    parser.add_argument("--scale", choices=("full", "tiny"), default="full")
    parser.add_argument("--stage", action="append", choices=sorted(STAGES), help="this one alone; several times")
    parser.add_argument("--again", action="store_true", help="begin anew")
    parser.add_argument("--page", action="store_true", help="measure nothing")
    options = parser.parse_args(words)
    file = options.out / "growth.json"
    if options.again:
        file.unlink(missing_ok=True)
    if options.page:
        made = read_json(file, Growth)
    else:
        with tempfile.TemporaryDirectory() as folder:
            made = sweep(file, options.work or Path(folder), options.scale, options.stage or list(STAGES), told)
    write_bytes(options.out / "growth.md", page(made).encode())
    if drawn := draw(made):
        write_bytes(options.out / "growth.svg", save(drawn, "How cost grows").svg)


def told(point: Point) -> None:
    """One line a point, as it comes."""
    amount = f"{point.factor:>2}x = {point.amount}"
    sys.stderr.write(f"{point.stage:14}{point.axis:8}{amount:16}{point.seconds:9.3f} s{point.mib:9.1f} MiB\n")


if __name__ == "__main__":
    main()

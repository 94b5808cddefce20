"""The fuzz targets share makers of small files with the tests of converters and the tests of speed."""

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / name) for name in ("converters", "speed")]

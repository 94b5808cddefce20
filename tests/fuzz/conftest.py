"""The fuzz targets share makers of small files with the tests of converters."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "converters"))

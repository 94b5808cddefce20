"""What the tests of faults share: makers of small files that live beside the tests of the converters."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "converters"))

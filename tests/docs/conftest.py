"""The documentation's own code lies beside the packages, and is not installed with them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

"""A dataset.json of somebody else, spoilt: `from described import changed`."""

import json
from pathlib import Path


def changed(path: Path, **keys: object) -> None:
    """The file with other values; None takes a key out."""
    value = json.loads(path.read_text()) | keys
    path.write_text(json.dumps({key: one for key, one in value.items() if one is not None}, indent=1))

"""The JSON files that others may read, as published JSON Schemas: docs/schemas, made by `make schemas`."""

from pathlib import Path

import msgspec

from bench.recipe import Recipe
from bench.submission import Submission
from converters.dataset import Case, Split
from converters.description import DatasetFile
from converters.files import Strict, write_bytes
from leaderboards.record import Record
from leaderboards.verification import Verification

PUBLISHED: dict[str, type[Strict]] = {
    "dataset": DatasetFile,
    "case": Case,
    "split": Split,
    "recipe": Recipe,
    "record": Record,
    "submission": Submission,
    "verification": Verification,
}


def schemas() -> dict[str, bytes]:
    """File name -> JSON Schema (draft 2020-12)."""
    found = {}
    for name, kind in PUBLISHED.items():
        body = msgspec.json.schema(kind, schema_hook=_anything)
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}
        encoded = msgspec.json.encode(schema, order="sorted")
        found[f"{name}.schema.json"] = msgspec.json.format(encoded, indent=2) + b"\n"
    return found


def _anything(_: type) -> dict[str, object]:
    """The schema of what may be any JSON value: the recipe inside a record, which outlives its type."""
    return {"description": "any JSON value"}


def publish(folder: Path) -> None:
    """Write the schemas; docs/schemas is kept equal to them by a test."""
    for name, data in schemas().items():
        write_bytes(folder / name, data)

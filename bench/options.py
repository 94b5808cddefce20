"""Options that several verbs share, so that one word means one thing."""

from pathlib import Path

import click

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    envvar="BENCH_DATA",
    show_default=True,
    show_envvar=True,
    help="Folder that holds the converted datasets.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line on stdout.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
JOBS = click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Worker processes.")

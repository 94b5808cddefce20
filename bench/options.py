"""Options that several verbs share, so that one word means one thing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
UNLABELLED = click.option(
    "--unlabelled", default=None, metavar="OTHER", help="A second dataset, all of whose cases join without labels."
)
TASK = click.option(
    "--task", default=None, help="What is learnt: labels, sex, age, autoencoder, superres (docs/tasks.md). [labels]"
)
JSON = click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line on stdout.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
JOBS = click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Worker processes.")

_FILE = click.Path(path_type=Path, dir_okay=False)
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
PLUGIN = click.option("--plugin", type=_FILE, default=None, help="A Python file with one method, named as the file.")
CACHE = click.option(
    "--cache",
    default=None,
    envvar="BENCH_CACHE",
    show_envvar=True,
    metavar="DIR",
    help="Folder of prepared cases that runs share (bench cache); none keeps them in memory. [the user's cache folder]",
)
TRACK = click.option(
    "--track",
    multiple=True,
    metavar="NAME[:URI]",
    help="Show how it goes in tensorboard or mlflow; may be given again.",
)
TRACK_PICTURES = click.option(
    "--track-pictures",
    type=click.Choice(["none", "phantoms", "all"]),
    default=None,
    help="Of whose test cases a tracker gets pictures. [all; phantoms where --track names a URI]",
)
_LEARNING = (
    click.option("--method", default=None, help="How to learn: supervised, mean_teacher, gce ... [supervised]"),
    click.option("--preset", default=None, help="published, cpu or demo [a GPU, none, a phantom decide]"),
    click.option("--config", type=_FILE, default=None, help="A TOML file of recipe keys."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any recipe key: train.steps=500"),
    click.option("--auto-batch", is_flag=True, help="Where memory is short, compute each batch in parts; recorded."),
    click.option("--deterministic", is_flag=True, help="Same seed, same threads: the same bits."),
    DEVICE,
    PLUGIN,
    CACHE,
)


def learning(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose how to learn."""
    for option in reversed(_LEARNING):
        command = option(command)
    return command

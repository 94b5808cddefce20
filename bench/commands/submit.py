"""Pack runs for others to verify: records with their predictions, in a folder or a zip."""

from pathlib import Path

import click

from bench.options import JSON
from bench.output import print_json, say
from converters.errors import UsageError

REFUSED = 1
_THERE = click.Path(path_type=Path, exists=True)


@click.command(help=__doc__)
@click.argument("runs", nargs=-1, required=True, type=_THERE)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A new folder, or a new file that ends in .zip."
)
@click.option("--predictions", type=_THERE, help="The label maps that `bench score --method` has scored, for one run.")
@click.option("--with-models", is_flag=True, help="The weights, too, so that others can predict again (level 2).")
@JSON
def command(runs: tuple[Path, ...], out: Path, predictions: Path | None, with_models: bool, as_json: bool) -> int:
    """RUNS are run folders or record files; one that breaks a rule is refused, and then nothing is written."""
    from bench.commands.verify import show
    from bench.submission import Source, pack
    from bench.verify import verify_rules

    if predictions is not None and len(runs) > 1:
        raise UsageError("--predictions belong to one run", mend="pack each such run by itself")
    sources = [Source.at(run, predictions) for run in runs]
    refused = {str(run): verify_rules(source.record) for run, source in zip(runs, sources, strict=True)}
    refused = {name: results for name, results in refused.items() if not all(result.holds for result in results)}
    if refused:
        for name, results in refused.items():
            show(name, results, as_json)
        say(f"nothing written: {len(refused)} of {len(runs)} runs break a rule")
        return REFUSED
    made = pack(sources, out, with_models=with_models)
    print_json(made) if as_json else say(f"{len(made.runs)} runs, {sum(len(r.files) for r in made.runs)} files: {out}")
    return 0

"""Look at this machine: Python, torch, GPU, disk, data; says what to mend."""

from pathlib import Path

import click

from bench.options import CACHE, DATA, JSON
from bench.output import print_json, print_table, say
from converters.errors import EnvironmentFault


@click.command()
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option("--full", is_flag=True, help="Read every voxel of the data.")
@CACHE
@DATA
@JSON
def command(runs: Path, full: bool, cache: str | None, data: Path, as_json: bool) -> int:
    """Look at this machine: Python, torch, GPU, disk, data. Exit 4 if something needed is wrong, 0 with warnings."""
    from bench.doctor import examine
    from bench.locate import cache_folder

    findings = []
    for finding in examine(data, runs, cache_folder(cache), full=full):
        findings.append(finding)
        if as_json:
            print_json(finding)
    broken = [finding for finding in findings if finding.required and finding.ok is False]
    if not as_json:
        verdict = {True: "ok", None: ""}
        rows = [(verdict.get(f.ok, "WRONG" if f.required else "warning"), f.name, f.value) for f in findings]
        print_table(("", "", ""), rows)
        for finding in findings:
            if finding.mend and not finding.ok:
                say(f"{finding.name}: {finding.mend}")
    return EnvironmentFault.exit_code if broken else 0

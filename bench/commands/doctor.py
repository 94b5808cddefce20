"""Look at this machine: Python, torch, GPU, disk, data; says what to mend."""

from pathlib import Path

import click

from bench.options import DATA, JSON
from bench.output import print_json, print_table, say
from converters.errors import EnvironmentFault

VERDICT = {True: "ok", None: "", False: "WRONG"}


@click.command()
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@DATA
@JSON
def command(runs: Path, data: Path, as_json: bool) -> int:
    """Look at this machine: Python, torch, GPU, disk, data. Exit 4 if something needed is wrong."""
    from bench.doctor import examine

    findings = []
    for finding in examine(data, runs):
        findings.append(finding)
        if as_json:
            print_json(finding)
    if not as_json:
        print_table(("", "", ""), [(VERDICT[f.ok], f.name, f.value) for f in findings])
    wrong = [finding for finding in findings if finding.required and finding.ok is False]
    for finding in findings if not as_json else ():
        if finding.mend and not finding.ok:
            say(f"{finding.name}: {finding.mend}")
    return EnvironmentFault.exit_code if wrong else 0

"""A sweep as a script or a list for somebody else's scheduler: `bench sweep --emit`."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.executors.settings import Value
from bench.executors.slurm import parameters

# submitit's names of what sbatch calls otherwise.
_SBATCH = {"name": "job-name", "timeout_min": "time", "mem_gb": "mem", "tasks_per_node": "ntasks-per-node"}


def slurm_array(
    lines: Sequence[Sequence[str]], logs: Path, settings: Mapping[str, Value], *, gpu: bool, limit: int | None
) -> str:
    """A script for sbatch: an array in which each index is one `bench run`.

    Two minutes before its time is over, or when Slurm wants the node for another, a run is asked for a checkpoint;
    sbatch of the same script goes on from there, and what is done ends at once.
    """
    flags = {
        "array": f"0-{len(lines) - 1}" + (f"%{limit}" if limit else ""),
        "output": shlex.quote(str(logs / "%A_%a.log")),
        "open-mode": "append",
        "signal": "B:TERM@120",
        "requeue": True,
        **_flags(parameters(settings, gpu=gpu, limit=None)),
    }
    head = [f"#SBATCH --{name}" + ("" if value is True else f"={value}") for name, value in flags.items()]
    cases = [
        f"  {index}) exec {shlex.join([sys.executable, '-m', 'bench.cli', 'run', *words])} ;;"
        for index, words in enumerate(lines)
    ]
    return "\n".join(
        [
            "#!/bin/bash",
            *head,
            "",
            f"cd {shlex.quote(os.fspath(Path.cwd()))} || exit",
            'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"',
            'case "${SLURM_ARRAY_TASK_ID:?run this with sbatch}" in',
            *cases,
            '  *) echo "no run $SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;',
            "esac",
            "",
        ]
    )


def json_lines(lines: Sequence[Sequence[str]], told: Sequence[Mapping[str, Any]]) -> str:
    """One JSON object a run: what is known of it, its words `argv` and the folder `cwd` to start it in."""
    here = os.fspath(Path.cwd())
    rows = [
        {**about, "argv": [sys.executable, "-m", "bench.cli", "run", *words], "cwd": here}
        for words, about in zip(lines, told, strict=True)
    ]
    return "".join(msgspec.json.encode(row, order="sorted").decode() + "\n" for row in rows)


def _flags(asked: Mapping[str, Value]) -> dict[str, Value]:
    """Parameters of submitit as sbatch has them."""
    flags: dict[str, Value] = {}
    for name, value in asked.items():
        plain = name.removeprefix("slurm_")
        flags[_SBATCH.get(plain, plain.replace("_", "-"))] = f"{value}G" if plain == "mem_gb" else value
    return {name: value if isinstance(value, bool) else shlex.quote(str(value)) for name, value in flags.items()}

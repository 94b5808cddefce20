"""Ways into a run that is verified, to spoil it: `from verified import change, outcome, shifted`."""

import msgspec
import numpy as np

from baselines.config import NetConfig, TrainConfig
from converters.volume import Volume, read_label, write_nifti
from leaderboards.record import Record
from leaderboards.verification import Verification

QUICK = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.0, 0.0)),
    steps=30,
    batch=4,
    lr=0.02,
    patch=(16, 16),
    deterministic=True,
    threads=1,
    checkpoint_every=100,
)


def outcome(folder):
    """What was written of it."""
    return msgspec.json.decode((folder / "verified.json").read_bytes(), type=Verification)


def change(ran, **fields):
    """Another record in its place."""
    record = msgspec.structs.replace(Record.load(ran / "record.json"), **fields)
    record.save(ran / "record.json")
    return record


def shifted(path):
    """Another label map in its place."""
    volume = read_label(path)
    write_nifti(path, Volume(np.roll(volume.array, 1, axis=0), volume.affine))

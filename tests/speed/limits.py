"""What is claimed of ours beside each contender, group by group: the one list that a session is held to."""

from typing import NamedTuple

from baselines.device import fast_bf16


class Limit(NamedTuple):
    """Bounds on what a contender takes, as a multiple of what ours takes in the same run.

    `time` and `memory`: at least; `extra`: time at most.
    """

    time: float | None = None
    memory: float | None = None
    extra: float | None = None


STEP, PREDICTION = "one training step, {}, 8 slices 256x256", "prediction, {}"
FEED = "feeding, {}"
VOLUMES, SLICES = "3D patches 96^3", "2D slices 256x256"
AUGMENT = "affine, elastic, gamma, noise, 16 slices 256x256 with labels"
CONVERT = "78 CT slices 512x512 to .nii.gz"
HILAB, RESNET = "HiLab U-Net", "smp U-Net on resnet34"
SLABS, WINDOWS = "512x512x78 slice by slice, smp U-Net on resnet18", "128x256x256 in 3D windows, U-Net"

# A processor that multiplies bfloat16 only in name wins by the layout of memory alone.
_fast = fast_bf16()
_step = Limit(time=2.0 if _fast else 1.2, memory=1 / 0.6 if _fast else None)

LIMITS: dict[str, dict[str, Limit]] = {
    FEED.format(VOLUMES): {
        "MONAI CacheDataset": Limit(time=20),
        "TorchIO Queue": Limit(time=15),
        "nnU-Net blosc2": Limit(time=4),
    },
    FEED.format(SLICES): {"MONAI CacheDataset": Limit(time=100), "TorchIO Queue": Limit(time=100)},
    AUGMENT: {
        "batchgeneratorsv2": Limit(time=2),
        "MONAI": Limit(time=2),
        "TorchIO": Limit(time=2),
        "kornia": Limit(time=2),
        "albumentations": Limit(time=1),
    },
    STEP.format(HILAB): {
        "PyMIC": _step,
        "plain fp32 loop": _step,
        "ours, mean teacher": Limit(extra=2.2),
        "the sampler alone": Limit(extra=0.03),
    },
    STEP.format(RESNET): {"PyMIC": _step, "plain fp32 loop": _step, "ours, mean teacher": Limit(extra=2.2)},
    PREDICTION.format(SLABS): {"naive loop": Limit(time=2.5 if _fast else 1.2)},
    PREDICTION.format(WINDOWS): {"MONAI inferer": Limit(time=1.9 if _fast else 1.2)},
    CONVERT: {"dcm2niix": Limit(time=2), "SimpleITK": Limit(time=1 / 0.15)},
}

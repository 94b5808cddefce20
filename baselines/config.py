"""What decides a network, its training and its predictions. No torch here: the command line reads this."""

from typing import ClassVar, Literal

import msgspec

from converters.errors import BenchError
from converters.files import Strict


class Settings(Strict):
    """Settings that a record names.

    A setting that came later than records, and has its default, is not named: what ran before it was there has the
    same recipe, the same digest and the same row of a table as what runs today.
    """

    later: ClassVar[frozenset[str]] = frozenset()


def plain(settings: Settings) -> dict[str, object]:
    """Settings as a record holds them and digests cover them: JSON values, lists and no tuples."""
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        usual = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if field.name not in settings.later or value != usual:
            found[field.name] = plain(value) if isinstance(value, Settings) else _json(value)
    return found


def _json(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


class NetConfig(Settings):
    """An encoder-decoder."""

    later: ClassVar[frozenset[str]] = frozenset({"norm", "latent", "options"})

    # "unet": our own, 2D and 3D; a file of baselines/networks; else any architecture of segmentation-models-pytorch.
    arch: str = "unet"
    # Keyword arguments of a network of baselines/networks; docs/networks.md tells names and defaults.
    options: dict[str, float | int | str | bool | tuple[float | int, ...]] = {}
    encoder: str = "resnet34"  # smp only; "tu-<name>" takes any timm encoder
    encoder_weights: str | None = None  # "imagenet" needs the network once
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)  # unet only: channels per level
    dropout: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.5)  # unet only: per encoder level
    upsampling: Literal["linear", "transposed"] = "linear"  # unet only: how the decoder goes up
    norm: Literal["batch", "group"] = "batch"  # unet only; "group": 8 groups, each sample for itself
    latent: int = 64  # task autoencoder only: numbers that a patch is told in


class NetSpec(Settings):
    """All that is needed to build a network again: what is stored beside its weights."""

    later: ClassVar[frozenset[str]] = frozenset({"head"})

    config: NetConfig
    in_channels: int
    classes: int
    patch: tuple[int, ...]
    spacing: tuple[float, ...]  # mm per network axis, or its typical value where images are resized
    precision: str
    channels_last: bool
    # "voxel": `classes` numbers for each voxel; "pooled": for each patch, of its deepest features; "residual": for each
    # voxel, added to the image; "code": for each voxel, out of `config.latent` numbers for the patch.
    head: Literal["voxel", "pooled", "residual", "code"] = "voxel"


class AugmentConfig(Settings):
    """Random change of a training sample. Geometry moves image and target together, in one resampling."""

    rotate_degrees: float = 20.0  # in-plane, uniform in [-r, r]
    scale: float = 0.15  # factor uniform in log between 1 / (1 + s) and 1 + s
    shift: float = 0.05  # of the patch edge, per axis
    flip: bool = False  # each in-plane axis with probability 0.5
    quarter_turns: bool = False  # rotate by 0, 90, 180 or 270 degrees as well
    elastic: float = 0.0  # largest displacement, of the patch edge, on a coarse smooth grid
    gamma: float = 0.3  # exponent uniform in log between 1 / (1 + g) and 1 + g
    contrast: float = 0.2  # factor and offset, relative to the sample's spread
    noise: float = 0.05  # SD of added Gaussian noise, in SDs of the volume


class TrainConfig(Settings):
    """Everything that decides a training run, given a view and a seed."""

    later: ClassVar[frozenset[str]] = frozenset(
        {"foreground_by", "accumulate", "compile", "snapshots", "intensity", "class_weights", "plane"}
    )

    method: str = "supervised"
    # Keyword arguments of the method.
    options: dict[str, float | int | str | bool] = msgspec.field(default_factory=dict)
    net: NetConfig = NetConfig()
    augment: AugmentConfig = AugmentConfig()
    steps: int = 1500
    batch: int = 12
    patch: tuple[int, ...] = (128, 128)  # 2 numbers: slices; 3: volumes, slice axis first
    # Resize to the patch, or a spacing in mm with crop and pad, or every case's own voxels with crop and pad.
    grid: Literal["resize", "native"] | tuple[float, ...] = "resize"
    # Of slices, and of the first axis of a patch in 3D: "stack", as each case was acquired; or one for all cases.
    plane: Literal["stack", "sagittal", "coronal", "axial"] = "stack"
    window: tuple[float, float] | None = (
        None  # intensities are clipped to this; None: to the 0.5th and 99.5th percentile
    )
    # "window": clipped, then zero mean and unit SD; "zscore": the same without clipping; "range": clipped, then 0 to 1.
    intensity: Literal["window", "zscore", "range"] = "window"
    foreground: float = 0.33  # share of crops centred on an annotated foreground voxel, where a sample is a crop
    foreground_by: Literal["voxel", "class"] = "voxel"  # such a voxel: any, or one of a class drawn first, each alike
    # "median_frequency": the cross-entropy of a class weighs median frequency / its frequency (`balance.py`).
    class_weights: Literal["none", "median_frequency"] = "none"
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.01
    momentum: float = 0.9  # sgd only
    weight_decay: float = 1e-4
    power: float = 0.9  # poly schedule: lr (1 - step / steps) ** power
    warmup: float = 0.0  # share of the steps over which lr rises linearly from 0
    clip: float = 0.0  # largest gradient norm; 0 leaves gradients alone
    # Parts in which a batch is computed, gradients summed; "auto": 1, and more whenever memory does not do.
    accumulate: int | Literal["auto"] = 1
    compile: bool | Literal["auto"] = "auto"  # networks by torch.compile; "auto": on a GPU
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = True
    deterministic: bool = False
    threads: int = 0  # 0: all cores
    checkpoint_every: int = 250
    snapshots: int = 0  # models kept along the way, evenly spread and the last one among them: what a selection is from

    def __post_init__(self) -> None:
        """Refuse what no run could do, naming the key."""
        positive = {"steps": self.steps, "batch": self.batch, "lr": self.lr, "checkpoint_every": self.checkpoint_every}
        wrong = [f"train.{key} = {value} must be positive" for key, value in positive.items() if value <= 0]
        if len(self.patch) not in (2, 3) or min(self.patch) < 8:
            wrong.append(f"train.patch = {list(self.patch)} must be 2 or 3 edges of at least 8 voxels")
        if isinstance(self.grid, tuple) and (len(self.grid) != len(self.patch) or min(self.grid) <= 0):
            told = "'resize', 'native' or one spacing in mm per edge of train.patch"
            wrong.append(f"train.grid = {list(self.grid)} must be {told}")
        if len(self.net.widths) != len(self.net.dropout):
            wrong.append("train.net.widths and train.net.dropout must have one entry per level each")
        if self.accumulate != "auto" and (self.accumulate < 1 or self.batch % self.accumulate):
            wrong.append(f"train.accumulate = {self.accumulate} must be 'auto' or divide train.batch = {self.batch}")
        if not 0 <= self.snapshots <= self.steps:
            wrong.append(f"train.snapshots = {self.snapshots} must lie between 0 and train.steps = {self.steps}")
        if self.window is not None and self.window[0] >= self.window[1]:
            wrong.append(f"train.window = {list(self.window)} must rise")
        if wrong:
            raise BenchError("; ".join(wrong), mend="bench run --show-config prints the whole recipe")


class PredictConfig(Settings):
    """Everything that decides a prediction, given a model and an image."""

    mirror: bool = False  # mean over the image and its mirror images along the axes of the patch that lie in a slice
    overlap: float = 0.5  # of the patch edge, between neighbouring windows
    precision: Literal["trained", "fp32"] = "trained"  # "trained": that of the training

    def __post_init__(self) -> None:
        """Refuse what leaves voxels out or never ends."""
        if not 0 <= self.overlap <= 0.9:
            raise BenchError(f"predict.overlap = {self.overlap} must lie between 0 and 0.9")

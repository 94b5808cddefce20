"""Ways to feed a training with samples of the same volumes, each as its makers mean it to be used.

Each is a context manager that is given a folder of volumes (`write`), a patch and a batch, and gives endless batches
(images, labels). A patch (1, h, w) is a slice.
"""

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.cache import Prepared, foreground
from baselines.config import TrainConfig
from baselines.feed import feed
from baselines.pack import packed
from baselines.sampler import Sampler
from converters.volume import Volume, write_nifti

SHAPE = (150, 256, 256)  # slices, rows, columns
WORKERS = 2


def write(folder: Path, count: int) -> None:
    """`count` made-up volumes with a label, as NIfTI."""
    for k in range(count):
        rng = np.random.default_rng(k)
        image = rng.integers(0, 900, SHAPE, dtype=np.int16).transpose()
        label = np.zeros(SHAPE, np.uint8)
        label[50:100, 90:170, 80 : 160 + k] = 1
        write_nifti(folder / f"image{k}.nii.gz", Volume(image, np.diag([1.0, 1.0, 2.0, 1.0])))
        write_nifti(folder / f"label{k}.nii.gz", Volume(label.transpose(), np.diag([1.0, 1.0, 2.0, 1.0])))


def _volumes(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(image, label) of each volume, (D, H, W)."""
    import nibabel

    for image in sorted(folder.glob("image*.nii.gz")):
        label = image.with_name(image.name.replace("image", "label"))
        yield tuple(np.asarray(nibabel.load(path).dataobj).transpose() for path in (image, label))  # type: ignore[misc]


@contextlib.contextmanager
def ours(folder, patch, batch):
    """The pack and the sampler, with its thread."""
    made_of = {"dataset": folder.name, "part": "images"}
    images = packed(
        folder / "cache",
        made_of,
        lambda: ((f"c{k}", i[None].astype(np.float16)) for k, (i, _) in enumerate(_volumes(folder))),
    )
    targets = packed(
        folder / "cache",
        {**made_of, "part": "targets"},
        lambda: ((f"c{k}", t) for k, (_, t) in enumerate(_volumes(folder))),
    )
    cases = [Prepared(name, images[name], targets[name], foreground(targets[name]), True) for name in images]
    edges = patch[1:] if patch[0] == 1 else patch
    sampler = Sampler(cases, TrainConfig(patch=edges, batch=batch), {"labelled": 1}, 0)
    yield ((made.image, made.target) for made in feed(sampler, itertools.count(), torch.device("cpu")))


@contextlib.contextmanager
def monai_cache(folder, patch, batch):
    """MONAI: everything decoded in memory, random crops in two worker processes."""
    data = pytest.importorskip("monai.data", reason="needs the extra [peers]")
    transforms = pytest.importorskip("monai.transforms")
    keys = ("image", "label")
    steps = transforms.Compose(
        [
            transforms.LoadImaged(keys),
            transforms.EnsureChannelFirstd(keys),
            transforms.RandSpatialCropd(keys, patch[::-1], random_size=False),
        ]
    )
    files = [{key: str(path).replace("image", key) for key in keys} for path in sorted(folder.glob("image*.nii.gz"))]
    dataset = data.CacheDataset(files, steps, cache_rate=1.0, progress=False)
    loader = data.DataLoader(_Many(dataset), batch_size=batch, num_workers=WORKERS, shuffle=True)
    yield ((made["image"], made["label"]) for _ in itertools.count() for made in loader)


class _Many:
    """A dataset many times over, so that an epoch has no end worth timing."""

    def __init__(self, dataset, times=10_000):
        self.dataset, self.times = dataset, times

    def __len__(self):
        return len(self.dataset) * self.times

    def __getitem__(self, index):
        return self.dataset[index % len(self.dataset)]


@contextlib.contextmanager
def torchio_queue(folder, patch, batch):
    """TorchIO: a queue of eight patches a volume, read by two worker processes."""
    tio = pytest.importorskip("torchio", reason="needs the extra [peers]")
    subjects = [
        tio.Subject(
            image=tio.ScalarImage(path), label=tio.LabelMap(path.with_name(path.name.replace("image", "label")))
        )
        for path in sorted(folder.glob("image*.nii.gz"))
    ]
    queue = tio.Queue(
        tio.SubjectsDataset(subjects),
        max_length=64,
        samples_per_volume=8,
        sampler=tio.UniformSampler(patch[::-1]),
        num_workers=WORKERS,
    )
    loader = tio.SubjectsLoader(queue, batch_size=batch, num_workers=0)
    yield ((made["image"]["data"], made["label"]["data"]) for _ in itertools.count() for made in loader)


@contextlib.contextmanager
def blosc2_crops(folder, patch, batch):
    """As nnU-Net 2: one blosc2 file a volume, float32, chunked for patches, cropped without decoding the rest."""
    blosc2 = pytest.importorskip("blosc2", reason="needs nnunetv2, or blosc2 alone")
    blosc2.set_nthreads(1)
    opened = []
    for k, pair in enumerate(_volumes(folder)):
        files = []
        for name, array in zip(("image", "label"), (pair[0].astype(np.float32), pair[1]), strict=True):
            path = folder / f"{name}{k}.b2nd"
            if not path.exists():
                blosc2.asarray(array[None], urlpath=str(path), chunks=(1, 64, 128, 128), blocks=(1, 32, 32, 64))
            files.append(blosc2.open(str(path), mode="r", mmap_mode="r"))
        opened.append(files)
    rng = np.random.default_rng(0)

    def sample():
        image, label = opened[rng.integers(len(opened))]
        start = [int(rng.integers(0, size - edge + 1)) for size, edge in zip(SHAPE, patch, strict=True)]
        place = (slice(None), *(slice(s, s + edge) for s, edge in zip(start, patch, strict=True)))
        return image[place], label[place]

    yield (tuple(map(np.stack, zip(*(sample() for _ in range(batch)), strict=True))) for _ in itertools.count())


@contextlib.contextmanager
def h5_slices(folder, patch, batch):
    """As SSL4MIS: one h5 file a slice, read by two worker processes."""
    h5py = pytest.importorskip("h5py", reason="needs the extra [h5]")
    from torch.utils.data import DataLoader

    if patch[0] != 1:
        pytest.skip("slices alone")
    slices = folder / "slices"
    if not slices.is_dir():
        slices.mkdir()
        for k, (image, label) in enumerate(_volumes(folder)):
            for z in range(0, SHAPE[0], 3):
                with h5py.File(slices / f"{k}-{z}.h5", "w") as file:
                    file.create_dataset("image", data=image[z].astype(np.float32), compression="gzip")
                    file.create_dataset("label", data=label[z], compression="gzip")
    loader = DataLoader(
        _Slices(sorted(map(str, slices.iterdir()))), batch_size=batch, num_workers=WORKERS, shuffle=True
    )
    yield (made for _ in itertools.count() for made in loader)


class _Slices:
    def __init__(self, files):
        self.files = files

    def __len__(self):
        return 1000 * len(self.files)

    def __getitem__(self, index):
        import h5py

        with h5py.File(self.files[index % len(self.files)]) as file:
            return file["image"][:], file["label"][:]


FEEDERS = {
    "ours": (ours, "the packed, memory-mapped cache, the sampler and its one thread"),
    "MONAI CacheDataset": (
        monai_cache,
        "CacheDataset with everything decoded in memory, RandSpatialCropd in two workers",
    ),
    "TorchIO Queue": (
        torchio_queue,
        "Queue of 64 patches, eight a volume, two workers; whole refills are timed, the first is not",
    ),
    "nnU-Net blosc2": (blosc2_crops, "one chunked blosc2 file a volume, memory-mapped, cropped in this process"),
    "SSL4MIS h5": (h5_slices, "one gzipped h5 file a slice, two workers"),
}
os.environ.setdefault("OMP_NUM_THREADS", "1")

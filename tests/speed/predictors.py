"""A prediction by ours and as peers write it, with the same trained weights.

`python tests/speed/predictors.py CONTENDER FOLDER` prints the peak memory of one volume, slice by slice, in MiB.
"""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from memory import extra_mib
from torch import Tensor

from baselines.config import NetConfig, NetSpec, TrainConfig
from baselines.device import fast_bf16
from baselines.grid import normalise
from baselines.model import ModelSpec, load_model, make_method, save_model
from baselines.predict import Setting, predict
from baselines.windows import Windows, labels_at, pass_of
from converters.dataset import Dataset

THREADS = 2
PATCH = (64, 128, 128)
CPU = torch.device("cpu")
# Crops of 3D leave 4 voxels an axis at the lowest level, as patches do: over 2 x 4 x 4 voxels torch 2.15 gets the
# gradient of a bfloat16 Conv3d from memory nobody wrote.
NETS = {
    2: (NetConfig(arch="Unet", encoder="resnet18"), (512, 512), (4, 1, 128, 128)),
    3: (NetConfig(arch="unet", dropout=(0.0,) * 5), PATCH, (1, 64, 64, 64)),
}


def trained(folder: Path, image: np.ndarray, label: np.ndarray, ndim: int) -> Path:
    """A model that has seen crops of the volume (D, H, W) for some steps: one whose classes are far apart."""
    arch, patch, _ = NETS[ndim]
    config = TrainConfig(net=arch, patch=patch, precision="bf16" if fast_bf16() else "fp32", threads=THREADS)
    net = NetSpec(
        config=arch,
        in_channels=1,
        classes=int(label.max()) + 1,
        patch=patch,
        spacing=(1.0,) * ndim,
        precision=config.precision,
        channels_last=True,
    )
    labels = {f"label {k}": k for k in range(net.classes)}
    spec = ModelSpec(config=config, net=net, channels=("cine",), labels=labels, seed=0)
    torch.manual_seed(0)
    method = make_method(spec)
    optimizer = torch.optim.AdamW(method.parameters(), 2e-3)
    for windows, target in _crops(image, label, ndim, 40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(method.logits(windows), target).backward()
        optimizer.step()
    # So few steps leave the running statistics behind the weights.
    norms = [part for part in method.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all that follows
    with torch.no_grad():
        for windows, _ in _crops(image, label, ndim, 10):
            method.logits(windows)
    save_model(method, spec, folder / "model")
    return folder / "model"


def _crops(image: np.ndarray, label: np.ndarray, ndim: int, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of crops, half of them about a structure."""
    batch, *crop = NETS[ndim][2]
    voxels, inside, rng = normalise(image[None], None)[0], np.argwhere(label), np.random.default_rng(0)
    for _ in range(count):
        anywhere = rng.integers(label.shape, size=(batch, 3))
        centres = np.where(rng.random((batch, 1)) < 0.5, inside[rng.integers(len(inside), size=batch)], anywhere)
        starts = np.clip(centres - np.array(crop) // 2, 0, np.array(label.shape) - crop)
        places = [tuple(slice(s, s + edge) for s, edge in zip(start, crop, strict=True)) for start in starts]
        windows = torch.stack([voxels[place] for place in places])
        target = torch.from_numpy(np.stack([label[place] for place in places])).long()
        yield (windows, target[:, 0]) if ndim == 2 else (windows[:, None], target)


def plain(model: Path) -> torch.nn.Module:
    """The network alone: float32, torch's own layout."""
    body = load_model(model, CPU)[0].net.body.to(memory_format=torch.contiguous_format).eval()
    body.register_forward_hook(lambda module, given, scales: scales[0])  # logits, not a list of one scale
    return body


def ours_to_file(folder: Path) -> Path:
    """`predict`, as `bench predict` calls it."""
    dataset = Dataset.load(folder / "data")
    predict(folder / "model", dataset, dataset.cases[:1], folder / "ours", Setting())
    return folder / "ours" / f"{dataset.cases[0].id}.nii.gz"


def naive_to_file(folder: Path) -> Path:
    """Slice after slice: no_grad, softmax, argmax; the file is read and written by nibabel."""
    import nibabel

    case = Dataset.load(folder / "data").cases[0]
    net = plain(folder / "model")
    read = nibabel.load(folder / "data" / case.images["cine"].file)
    image = read.get_fdata(dtype=np.float32)
    low, high = np.percentile(image, (0.5, 99.5))
    image = np.clip(image, low, high).astype(np.float32)
    image = (image - image.mean()) / image.std()
    labels = np.zeros(image.shape, np.uint8)
    with torch.no_grad():
        for z in range(image.shape[2]):
            p = net(torch.from_numpy(image[None, None, :, :, z].copy())).softmax(1)
            labels[:, :, z] = p.argmax(1)[0].numpy()
    out = folder / "naive.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels, read.affine), out)
    return out


def ours_in_windows(model: Path, image: Tensor) -> np.ndarray:
    """The windows of `predict`, on a volume in memory."""
    method, _ = load_model(model, CPU)
    windows = Windows(method, PATCH, batch=pass_of(PATCH, CPU))
    with torch.inference_mode():
        (logits,) = windows.logits(image)
        return labels_at(logits, image.shape[1:]).numpy()


def monai_in_windows(model: Path, image: Tensor) -> np.ndarray:
    """MONAI's sliding_window_inference."""
    inferers = pytest.importorskip("monai.inferers", reason="needs the extra [peers]")
    with torch.no_grad():
        logits = inferers.sliding_window_inference(image[None], PATCH, 1, plain(model), overlap=0.5, mode="gaussian")
        return logits.argmax(1)[0].numpy().astype(np.uint8)


FILES = {
    "ours": (
        ours_to_file,
        "`predict`: read and written beside the work, channels last, bfloat16 where there is hardware",
    ),
    "naive loop": (naive_to_file, "nibabel, one slice a pass, float32, no_grad, softmax, argmax"),
}
WINDOWS = {
    "ours": (
        ours_in_windows,
        "`Windows` of `predict`: overlap 0.5, Gaussian weights, precision and layout as above",
    ),
    "MONAI inferer": (
        monai_in_windows,
        "sliding_window_inference, overlap 0.5, mode gaussian, float32, same network",
    ),
}

if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    load_model(Path(sys.argv[2]) / "model", CPU)  # libraries are nobody's memory
    print(f"{extra_mib(functools.partial(FILES[sys.argv[1]][0], Path(sys.argv[2]))):.0f}")  # noqa: T201

"""Affine, elastic, gamma and noise on slices and their labels: ours and the peers', each as its makers mean it.

Each gives a function of (images, labels), numpy (B, H, W) float32 and uint8, that returns as many augmented pairs. The
kinds are the same, the distributions only alike: rotation by 20 degrees, scale 0.85 to 1.15, shift by 5 %, an elastic
field, gamma 0.7 to 1.3, noise.
"""

import numpy as np
import pytest
import torch

from baselines.augment import augment
from baselines.batch import Samples
from baselines.config import AugmentConfig
from baselines.feed import on_host

TURN, SCALE, SHIFT, GAMMA, NOISE = 20.0, 0.15, 0.05, 0.3, 0.05


def ours():
    config = AugmentConfig(
        rotate_degrees=TURN, scale=SCALE, shift=SHIFT, elastic=0.03, gamma=GAMMA, contrast=0, noise=NOISE
    )
    steps = iter(range(1 << 30))

    def run(images, labels):
        many = len(images)
        none = np.zeros(many, np.int64)
        samples = Samples(images[:, None].astype(np.float16), labels, none, none, none.astype(bool), 0)
        made = augment(on_host(samples), config, torch.Generator().manual_seed(next(steps)))
        return made.image, made.target

    return run


def albumentations():
    lib = pytest.importorskip("albumentations", reason="needs albumentations")
    steps = lib.Compose(
        [
            lib.Affine(
                rotate=(-TURN, TURN),
                scale=(1 - SCALE, 1 + SCALE),
                translate_percent=(-SHIFT, SHIFT),
                interpolation=1,
                mask_interpolation=0,
                p=1,
            ),
            lib.ElasticTransform(alpha=120, sigma=12, p=1),
            lib.RandomGamma(gamma_limit=(70, 130), p=1),
            lib.GaussNoise(std_range=(0.0, NOISE), p=1),
        ]
    )

    def run(images, labels):
        # Its gamma and noise want values from 0 to 1.
        pairs = [steps(image=image, mask=label) for image, label in zip(images, labels, strict=True)]
        return [pair["image"] for pair in pairs], [pair["mask"] for pair in pairs]

    return run


def monai():
    lib = pytest.importorskip("monai.transforms", reason="needs the extra [peers]")
    keys, mode = ("image", "label"), ("bilinear", "nearest")
    angle = float(np.radians(TURN))
    steps = lib.Compose(
        [
            lib.RandAffined(
                keys,
                prob=1,
                rotate_range=angle,
                scale_range=SCALE,
                translate_range=13,
                mode=mode,
                padding_mode="border",
            ),
            lib.Rand2DElasticd(keys, (40, 40), (1, 3), prob=1, mode=mode, padding_mode="border"),
            lib.RandAdjustContrastd("image", prob=1, gamma=(0.7, 1.3)),
            lib.RandGaussianNoised("image", prob=1, std=NOISE),
        ]
    )

    def run(images, labels):
        pairs = [steps({"image": i[None], "label": t[None]}) for i, t in zip(images, labels, strict=True)]
        return [pair["image"] for pair in pairs], [pair["label"] for pair in pairs]

    return run


def torchio():
    tio = pytest.importorskip("torchio", reason="needs the extra [peers]")
    steps = tio.Compose(
        [
            tio.RandomAffine(scales=(1 - SCALE, 1 + SCALE, 1 - SCALE, 1 + SCALE, 1, 1), degrees=(0, 0, TURN)),
            tio.RandomElasticDeformation(num_control_points=(7, 7, 5), max_displacement=(8, 8, 0)),
            tio.RandomGamma((-GAMMA, GAMMA)),
            tio.RandomNoise(std=(0, NOISE)),
        ]
    )

    def run(images, labels):
        made = []
        for image, label in zip(images, labels, strict=True):
            subject = tio.Subject(
                image=tio.ScalarImage(tensor=torch.from_numpy(image)[None, ..., None]),
                label=tio.LabelMap(tensor=torch.from_numpy(label)[None, ..., None]),
            )
            made.append(steps(subject))
        return [one.image.data for one in made], [one.label.data for one in made]

    return run


def kornia():
    lib = pytest.importorskip("kornia.augmentation", reason="needs kornia")
    steps = lib.AugmentationSequential(
        lib.RandomAffine(TURN, (SHIFT, SHIFT), (1 - SCALE, 1 + SCALE), p=1.0),
        lib.RandomElasticTransform(kernel_size=(63, 63), sigma=(12.0, 12.0), alpha=(1.0, 1.0), p=1.0),
        lib.RandomGamma((0.7, 1.3), p=1.0),
        lib.RandomGaussianNoise(std=NOISE, p=1.0),
        data_keys=["input", "mask"],
    )

    def run(images, labels):
        return steps(torch.from_numpy(images)[:, None], torch.from_numpy(labels)[:, None].float())

    return run


def batchgenerators():
    pytest.importorskip("batchgeneratorsv2", reason="needs batchgeneratorsv2 (nnunetv2)")
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms

    turn = float(np.radians(TURN))
    steps = ComposeTransforms(
        [
            SpatialTransform(
                (256, 256),
                patch_center_dist_from_border=0,
                random_crop=False,
                p_elastic_deform=1,
                p_rotation=1,
                rotation=(-turn, turn),
                p_scaling=1,
                scaling=(1 - SCALE, 1 + SCALE),
                bg_style_seg_sampling=False,
            ),
            GammaTransform((0.7, 1.3), p_invert_image=0, synchronize_channels=True, p_per_channel=1, p_retain_stats=0),
            GaussianNoiseTransform((0, NOISE)),
        ]
    )

    def run(images, labels):
        made = [
            steps(image=torch.from_numpy(i)[None], segmentation=torch.from_numpy(t)[None].to(torch.int16))
            for i, t in zip(images, labels, strict=True)
        ]
        return [one["image"] for one in made], [one["segmentation"] for one in made]

    return run


AUGMENTERS = {
    "ours": (
        ours,
        "one affine and elastic resampling of the whole batch, image and label together; gamma and noise batched",
    ),
    "albumentations": (
        albumentations,
        "Compose of Affine, ElasticTransform, RandomGamma, GaussNoise (OpenCV), slice by slice",
    ),
    "MONAI": (monai, "Compose of RandAffined, Rand2DElasticd, RandAdjustContrastd, RandGaussianNoised, slice by slice"),
    "TorchIO": (torchio, "Compose of RandomAffine, RandomElasticDeformation, RandomGamma, RandomNoise, slice by slice"),
    "kornia": (kornia, "AugmentationSequential of the same four on the whole batch"),
    "batchgeneratorsv2": (
        batchgenerators,
        "SpatialTransform, GammaTransform, GaussianNoiseTransform as nnU-Net sets them up",
    ),
}

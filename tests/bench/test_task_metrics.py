"""PSNR, SSIM and errors of values, against scikit-image and formulas written out."""

import math

import numpy as np
import pytest

from bench import task_metrics
from leaderboards.record import CaseScore
from leaderboards.soundness import out_of_range
from leaderboards.summary import bounds, direction


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(17, 23, 14)).astype(np.float32)
    return reference, (reference + 0.3 * rng.normal(size=reference.shape)).astype(np.float32)


def test_psnr_is_that_of_scikit_image(images):
    metrics = pytest.importorskip("skimage.metrics")
    expected = metrics.peak_signal_noise_ratio(*images, data_range=float(np.ptp(images[0])))
    assert task_metrics.psnr(*images) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("cut", [np.s_[:], np.s_[:, :, :1]], ids=["volume", "slice"])
def test_ssim_is_that_of_scikit_image(images, cut):
    metrics = pytest.importorskip("skimage.metrics")
    x, y = (np.squeeze(image[cut]).astype(np.float64) for image in images)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": np.ptp(x)}
    expected = metrics.structural_similarity(x, y, **options)
    assert 0.1 < expected < 0.99
    assert task_metrics.ssim(images[0][cut], images[1][cut]) == pytest.approx(expected, abs=1e-9)


def test_a_copy_is_the_best_there_is_and_a_constant_reference_has_no_range(images):
    reference, other = images
    assert (task_metrics.psnr(reference, reference), task_metrics.ssim(reference, reference)) == (100.0, 1.0)
    flat = np.full_like(reference, 2)
    assert task_metrics.psnr(flat, flat) == 100.0
    assert task_metrics.psnr(flat, other) == 0.0
    assert task_metrics.ssim(flat, flat) == 1.0
    assert task_metrics.psnr(reference, reference + 1e6) == 0.0


def test_an_axis_shorter_than_the_window_is_mirrored_and_leaves_nothing_out(images):
    reference, other = (image[:, :, :3] for image in images)
    assert 0 < task_metrics.ssim(reference, other) < 1
    assert task_metrics.ssim(reference, reference) == pytest.approx(1.0)


def test_a_class_is_right_or_wrong_under_every_class_alike():
    said = ("f", {"f": 0.7, "m": 0.3})
    values = {label: task_metrics.of_class("m", label, "f", said) for label in ("f", "m")}
    assert [values[x]["accuracy:v1"] for x in ("f", "m")] == [0.0, 0.0]
    assert [values[x]["truth:v1"] for x in ("f", "m")] == [0.0, 1.0]
    assert [values[x]["probability:v1"] for x in ("f", "m")] == [0.7, 0.3]
    assert [values[x]["constant_accuracy:v1"] for x in ("f", "m")] == [0.0, 0.0]


def test_a_number_is_as_wrong_as_it_is_and_the_constant_is_the_median():
    values = task_metrics.of_number(40.0, task_metrics.median([20, 30, 70]), "years", 43.5)
    assert values == {
        "absolute_error_years:v1": 3.5,
        "error_years:v1": 3.5,
        "truth_years:v1": 40.0,
        "constant_absolute_error_years:v1": 10.0,
    }
    assert task_metrics.of_number(40.0, 30.0, "years", None)["absolute_error_years:v1"] is None


def test_of_equally_frequent_classes_the_first_is_guessed():
    assert task_metrics.most_frequent(["m", "f", "m", "f"]) == "f"
    assert task_metrics.most_frequent(["m", "f", "m"]) == "m"


@pytest.mark.parametrize(
    ("definition", "way", "least", "most"),
    [
        ("accuracy:v1", 1, 0, 1),
        ("auc:v1", 1, 0, 1),
        ("absolute_error_years:v1", -1, 0, math.inf),
        ("error_years:v1", 0, -math.inf, math.inf),
        ("psnr_db:v1", 1, 0, 100),
        ("psnr_db_linear:v2", 0, 0, 100),
        ("ssim:v1", 1, -1, 1),
    ],
)
def test_every_metric_has_a_direction_and_a_range(definition, way, least, most):
    assert (direction(definition), *bounds(definition)) == (way, least, most)


def test_definitions_are_ids_and_have_a_version():
    assert len(task_metrics.version()) == 12
    score = CaseScore(
        case="p", subject="p", group=None, label="x", status="ok", tp=0, fp=0, fn=0, diagonal_mm=9.0,
        touches_border=False, ignored=0, metrics=dict.fromkeys(task_metrics.DEFINITIONS, 0.5),
    )  # fmt: skip
    assert out_of_range(score) is None

"""What `bench predict --to` takes is known before anything is computed."""

from pathlib import Path

import pytest

from bench.written import check_form
from converters.errors import UsageError
from converters.given import Given


def refused(file, to, ndim, task="labels"):
    with pytest.raises(UsageError) as told:
        check_form([Given("a", {"image": Path(file)})], to, ndim=ndim, task=task)
    return told.value.what


@pytest.mark.parametrize("task", ["sex", "age", "superres", "autoencoder"])
@pytest.mark.parametrize("to", ["dicomseg", "picture"])
def test_a_model_of_another_task_predicts_no_label_map(to, task):
    assert refused("a.dcm", to, 3, task) == f"--to {to} is for label maps, and the model predicts the task '{task}'"


def test_a_segmentation_is_of_a_series_and_a_picture_of_a_picture():
    assert "reads single pictures" in refused("a.dcm", "dicomseg", 2)
    assert "the model reads volumes" in refused("a.tif", "picture", 3)
    assert refused("a.nii.gz", "dicomseg", 3) == "a.nii.gz is no DICOM series, which a segmentation refers to"
    assert refused("a.dcm", "picture", 2) == "a.dcm is no picture"


@pytest.mark.parametrize(
    ("file", "to", "ndim", "task"),
    [("a.nii.gz", "nifti", 3, "sex"), ("a.dcm", "nifti", 2, "superres"), ("a.png", "picture", 2, "labels")],
)
def test_what_has_the_form_passes(file, to, ndim, task):
    check_form([Given("a", {"image": Path(file)})], to, ndim=ndim, task=task)

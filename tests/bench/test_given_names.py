"""What is predicted for image files has names of its own: no image takes the place of another."""

import numpy as np
import pytest
from PIL import Image

from bench.unseen import named
from converters.description import Channel
from converters.errors import UsageError
from converters.inputs import Inputs

PICTURES = Inputs(dataset="x", ndim=2, channels=(Channel(name="image", modality="US"),), labels={"background": 0})


def pages(path, count):
    """A TIFF of so many pages."""
    first, *others = [Image.fromarray(np.full((4, 5), grey, np.uint8)) for grey in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=others)
    return str(path)


def names(*words):
    return [given.name for given in named(words, PICTURES)]


def test_each_page_of_a_file_is_numbered(tmp_path):
    assert names(pages(tmp_path / "a.tif", 2), pages(tmp_path / "b.tif", 1)) == ["a-0001", "a-0002", "b"]


def test_a_page_and_a_file_of_its_name_are_told_apart_by_their_folders(tmp_path):
    words = pages(tmp_path / "p" / "a.tif", 2), pages(tmp_path / "q" / "a-0002.tif", 1)
    assert names(*words) == ["p-a-0001", "p-a-0002", "q-a-0002"]


def test_files_of_one_name_are_told_apart_whatever_their_pages(tmp_path):
    words = pages(tmp_path / "p" / "a.tif", 2), pages(tmp_path / "q" / "a.tif", 1)
    assert names(*words) == ["p-a-0001", "p-a-0002", "q-a"]


def test_pages_tell_files_of_one_name_and_folder_apart(tmp_path):
    assert names(pages(tmp_path / "a.tif", 2), str(tmp_path / "a.png")) == ["a-0001", "a-0002", "a"]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ("a-0002.tif", "a.tif and a-0002.tif would both be predicted as a-0002\n"),
        ("a.png", "a.tif and a.png would both be predicted as a\n"),
    ],
)
def test_two_images_that_no_folder_tells_apart_are_refused(other, told, tmp_path):
    words = pages(tmp_path / "a.tif", 3 if other == "a-0002.tif" else 1), str(tmp_path / other)
    with pytest.raises(UsageError, match=told):
        named(words, PICTURES)


@pytest.mark.parametrize("count", [1, 2])
def test_a_file_that_is_given_twice_is_refused(count, tmp_path):
    word = pages(tmp_path / "a.tif", count)
    with pytest.raises(UsageError, match=r"a\.tif is given twice"):
        named((word, word), PICTURES)

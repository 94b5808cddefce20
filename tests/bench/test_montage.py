"""Pictures: which slices, which way up, which lines."""

import numpy as np
import pytest

from bench.montage import GAP, TEXT, choose, montage
from converters.dataset import IGNORE
from converters.tile import Grid, Layer, outline


def test_slices_are_chosen_where_the_foreground_is():
    label = np.zeros((8, 8, 40), np.uint8)
    label[2:4, 2:4, 20:30] = 1
    assert choose([None, label], label.shape, 2, 5) == [21, 23, 25, 27, 29]
    assert choose([label], label.shape, 2, 50) == list(range(20, 30))


def test_what_nobody_annotated_is_no_foreground():
    label = np.full((4, 4, 10), IGNORE, np.uint8)
    label[0, 0, 7] = 2
    assert choose([label], label.shape, 2, 3) == [7]


def test_without_foreground_slices_are_spread_over_all():
    assert choose([None], (4, 4, 10), 2, 5) == [1, 3, 5, 7, 9]


def test_an_outline_is_the_rim_of_a_structure():
    label = np.zeros((7, 7), np.uint8)
    label[1:6, 1:6] = 3
    rim = outline(label == 3)
    assert rim.sum() == 16
    assert not rim[3, 3] and rim[1, 1]


@pytest.mark.parametrize(
    ("slice_axis", "right", "up"),
    [(2, 0, 1), (1, 0, 2), (0, 1, 2)],  # axial and coronal: right on the left; sagittal: front on the left
)
def test_right_is_on_the_left_and_up_is_on_top(slice_axis, right, up):
    image = np.zeros((32, 32, 32), np.int16)
    corner = [slice(None)] * 3
    corner[right], corner[up] = slice(24, 32), slice(24, 32)
    image[tuple(corner)] = 100
    grid = Grid((1.0, 1.0, 1.0), slice_axis, {}, {})
    picture = np.asarray(montage("x", [Layer("MR", image, (0, 100))], grid, 1).convert("L"))
    tile = picture[2 * TEXT :, GAP:-GAP]
    half = [side // 2 for side in tile.shape]
    bright = [tile[: half[0] // 4, : half[1] // 4], tile[-half[0] // 2 :, -half[1] // 2 :]]
    assert bright[0].mean() > 200 and bright[1].mean() == 0


def test_the_picture_has_the_shape_of_the_body_and_not_of_the_voxels():
    image = np.zeros((20, 20, 10), np.int16)
    grid = Grid((1.0, 1.0, 4.0), 1, {}, {})
    wide = montage("x", [Layer("MR", image, (0, 1))], grid, 1)
    assert wide.size[0] - 2 * GAP == pytest.approx((wide.size[1] - 2 * TEXT - GAP) / 2, abs=2)


def test_background_is_drawn_where_it_is_a_stroke_and_only_there():
    image = np.zeros((16, 16, 2), np.int16)
    dense = np.zeros(image.shape, np.uint8)
    dense[4:8, 4:8] = 1
    sparse = np.where(dense == 1, dense, IGNORE).astype(np.uint8)
    sparse[12, 2:14] = 0
    grid = Grid((1.0, 1.0, 5.0), 2, {"liver": (1,)}, {"liver": "#ff0000"})
    for label, white in ((dense, False), (sparse, True)):
        picture = montage("", [Layer("", image, (0, 1), label)], grid, 1)
        below_text = picture.crop((GAP + 20, 2 * TEXT, *picture.size))
        colours = {colour for _, colour in below_text.getcolors(1 << 20)}
        assert (255, 0, 0) in colours
        assert ((255, 255, 255) in colours) == white
